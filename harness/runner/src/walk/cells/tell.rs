//! Cells that are not as the API says, as checks: the first of them in full, the others as a number.

use crate::walk::cells::request;
use crate::walk::record::{Deciders, Found, Subject};
use crate::walk::{State, Walk};
use crate::world::{HarnessError, World};
use netproof_controlplane::Snapshot;
use netproof_model::event::{Check, Denial, Finding, FindingKind, Phase, Status};
use netproof_model::{Observation, Verdict};
use netproof_plan::Step;
use netproof_plan::cells::Cell;
use netproof_probe::Patience;
use netproof_verdict::cells::{Comparison, Predicted};
use netproof_verdict::evidence::observed;
use netproof_verdict::judge::{Judgement, unexplained};
use netproof_verdict::prediction::{Answer, Answers};

/// Most cells of a step reported in full.
const TOLD: usize = 20;

/// A cell that is not as the API says.
pub(super) struct DifferingCell<'a> {
    pub(super) predicted: &'a Predicted,
    pub(super) observation: &'a Observation,
    pub(super) denials: Vec<Denial>,
    pub(super) comparison: Comparison,
}

/// How many cells are not told in full.
#[derive(Clone, Copy, Debug, Default)]
struct Rest {
    /// Those that differ in more than who decided.
    differing: usize,
    /// Those whose verdict is right, and not who decided.
    wrong_deciders: usize,
    /// Those without a verdict.
    unexplained: usize,
}

impl Walk<'_> {
    /// Of the run itself.
    pub(super) fn tell_cells(
        &mut self,
        world: &mut World,
        step: &Step,
        state: &State,
        mut told: Vec<DifferingCell<'_>>,
    ) -> Result<(), HarnessError> {
        // Verdicts first: of what is not told in full, only the number is known.
        told.sort_by_key(|it| match &it.comparison {
            Comparison::Differs(difference) if difference.is_decider() => 1,
            Comparison::Differs(_) => 0,
            Comparison::Agrees | Comparison::Unexplained(_) => 2,
        });
        let answers = Answers::new(&state.snapshot, self.profile);
        let rest = told.split_off(told.len().min(TOLD));
        let found =
            told.into_iter().filter_map(|DifferingCell { predicted, observation, denials, comparison }| {
                let observed = observed(observation.outcome, &denials);
                let says = predicted.answer.against(observed);
                let (status, kind, message) = match comparison {
                    Comparison::Agrees => return None,
                    Comparison::Unexplained(why) => (Status::Errored, FindingKind::NoEvidence, why),
                    Comparison::Differs(difference) => {
                        let told = difference.told(&observed.into(), observed, &predicted.answer);
                        (Status::Failed, difference.kind(), told)
                    }
                };
                let answer = answers.fresh(&predicted.cell.request);
                let derivation = answer.as_ref().map(|answer| answers.explain(answer));
                Some(Found {
                    subject: self.subject(step, predicted),
                    phase: Phase::Run,
                    expected: Some(says.clone()),
                    predicted: Some(says),
                    predicted_by: answer.as_ref().map(Answer::decided_by).unwrap_or_default(),
                    open: predicted.answer.names_of_open_switches(),
                    derivation: derivation.unwrap_or_default(),
                    judgement: Judgement {
                        status,
                        observed: observed.into(),
                        findings: vec![Finding::new(kind, message)],
                    },
                    observation,
                    denials,
                    request: Some(request(&predicted.cell, Patience::Settle)),
                    deciders: Deciders::default(),
                })
            });
        let found = found.collect();
        let traced = self.record(world, step, found);
        let mut untold = Rest::default();
        for it in rest {
            *match it.comparison {
                Comparison::Differs(difference) if difference.is_decider() => &mut untold.wrong_deciders,
                Comparison::Differs(_) => &mut untold.differing,
                Comparison::Agrees | Comparison::Unexplained(_) => &mut untold.unexplained,
            } += 1;
        }
        self.tell_rest(step, Phase::Run, untold);
        traced
    }

    /// Of the rehearsal: cells that did without policy something else than the API says. Where who denies leaves no
    /// evidence of it, what is lost is its doing.
    pub(super) fn tell_wrong_rehearsals(
        &mut self,
        world: &World,
        step: &Step,
        bare: &Snapshot,
        wrong: &[(&Predicted, &Observation)],
    ) {
        let answers = Answers::new(bare, self.profile);
        let mut rest = Rest::default();
        for (index, (predicted, observation)) in wrong.iter().enumerate() {
            let explains = world.explains(&predicted.cell.request);
            let lost = unexplained(observation.outcome, &[]).filter(|_| explains);
            if index >= TOLD {
                *(if lost.is_some() { &mut rest.unexplained } else { &mut rest.differing }) += 1;
                continue;
            }
            let observed = observed(observation.outcome, &[]);
            let answer = answers.fresh(&predicted.cell.request);
            let says = answer.as_ref().map(Answer::verdicts);
            let api = answer.as_ref().map(ToString::to_string).unwrap_or_default();
            let (status, kind, message) = match lost {
                Some(why) => (Status::Errored, FindingKind::NoEvidence, format!("without policy, {why}")),
                None => {
                    let message = format!(
                        "without policy the packets contradict the API: observed {observed}, the API says {api}; \
                         so a deny would prove nothing"
                    );
                    (Status::Failed, FindingKind::WrongInRehearsal, message)
                }
            };
            let derivation = answer.as_ref().map(|answer| answers.explain(answer)).unwrap_or_default();
            let Subject { name, location, flow, family, cells, .. } = self.subject(step, predicted);
            let name = format!("{}{name}", Phase::Rehearsal.prefix());
            self.check(Check {
                cells,
                family: Some(family),
                expected: says.clone(),
                observed: Some(observed.into()),
                predicted: says,
                open: answer.as_ref().map(Answer::names_of_open_switches).unwrap_or_default(),
                derivation: derivation.lines().map(str::to_owned).collect(),
                outcome: Some(observation.outcome),
                status,
                findings: vec![Finding::new(kind, message)],
                served_by: observation.served_by.clone(),
                elapsed: observation.elapsed,
                ..Check::new(name, location, Phase::Rehearsal, &step.name, flow)
            });
        }
        self.tell_rest(step, Phase::Rehearsal, rest);
    }

    /// Of the clean-up: cells that policy denied and that do not connect now that there is none.
    pub(super) fn tell_afterwards(
        &mut self,
        world: &mut World,
        step: &Step,
        wrong: &[(&Predicted, &Observation)],
    ) -> Result<(), HarnessError> {
        let told = &wrong[..wrong.len().min(TOLD)];
        let found = told.iter().map(|(predicted, observation)| {
            let request = request(&predicted.cell, Patience::ForAnswer);
            let denials = world.denials(&request, observation);
            let observed = observed(observation.outcome, &denials);
            let (status, kind, message) = match unexplained(observation.outcome, &denials) {
                Some(why) => {
                    let message = format!("after the policies were removed, {why}");
                    (Status::Errored, FindingKind::NoEvidence, message)
                }
                None => {
                    let message = format!(
                        "after the policies were removed, expected allow as before they were applied, observed \
                         {observed}"
                    );
                    (Status::Failed, FindingKind::WrongInCleanup, message)
                }
            };
            Found {
                subject: self.subject(step, predicted),
                phase: Phase::Cleanup,
                expected: Some(Verdict::Allow.into()),
                predicted: None,
                predicted_by: Vec::new(),
                open: Vec::new(),
                derivation: String::new(),
                judgement: Judgement { status, observed: observed.into(), findings: vec![Finding::new(kind, message)] },
                observation,
                denials,
                request: Some(request),
                deciders: Deciders::default(),
            }
        });
        let found = found.collect();
        let traced = self.record(world, step, found);
        self.tell_rest(step, Phase::Cleanup, Rest { differing: wrong.len() - told.len(), ..Rest::default() });
        traced
    }

    /// One check for all that are not told in full.
    fn tell_rest(&mut self, step: &Step, phase: Phase, rest: Rest) {
        let Rest { differing, wrong_deciders, unexplained } = rest;
        let cells = |n: usize| format!("{n} more cell{}", if n == 1 { "" } else { "s" });
        let count = differing + wrong_deciders + unexplained;
        let status = match (differing + wrong_deciders, unexplained) {
            (0, 0) => return,
            (0, _) => Status::Errored,
            _ => Status::Failed,
        };
        let mut findings = Vec::new();
        if differing > 0 {
            let (kind, how) = match phase {
                Phase::Run => (FindingKind::PacketsContradictApi, "contradict the API in the same step"),
                Phase::Rehearsal => (FindingKind::WrongInRehearsal, "contradict the API without policy"),
                Phase::Cleanup => {
                    (FindingKind::WrongInCleanup, "do not connect after the policies were removed")
                }
            };
            findings.push(Finding::new(kind, format!("{} {how}", cells(differing))));
        }
        if wrong_deciders > 0 {
            let message = format!("right verdict, wrong decider: {} of the same step", cells(wrong_deciders));
            findings.push(Finding::new(FindingKind::WrongDecider, message));
        }
        if unexplained > 0 {
            let message = format!("of {} nothing says who lost the packet", cells(unexplained));
            findings.push(Finding::new(FindingKind::NoEvidence, message));
        }
        let name = format!("{}{}/matrix/more", phase.prefix(), step.name);
        self.check(Check {
            cells: count,
            status,
            findings,
            ..Check::new(name, step.location.clone(), phase, &step.name, cells(count))
        });
    }

    fn subject(&self, step: &Step, predicted: &Predicted) -> Subject {
        let Cell { flow, family, .. } = &predicted.cell;
        let suffix = match self.plan.topology.family.list() {
            [_] => String::new(),
            _ => format!(" {family}"),
        };
        Subject {
            name: format!("{}/matrix/{flow}{suffix}", step.name),
            location: step.location.clone(),
            flow: flow.to_string(),
            family: *family,
            cells: 1,
            tries: 1,
        }
    }
}
