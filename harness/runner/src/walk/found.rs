//! What each of the three walks found of the flows that a step names, ready to be written down as checks.

use crate::walk::record::{Deciders, Found};
use crate::walk::{State, Tries, Walk, rehearsal_request, run_request};
use crate::world::World;
use netproof_model::Observation;
use netproof_model::event::{FindingKind, Phase, Status};
use netproof_plan::{Expectation, Step};
use netproof_verdict::allowed::Traced;
use netproof_verdict::flow::{self, Judged};
use netproof_verdict::prediction::{Answer, Answers};
use netproof_verdict::{judge, rehearsal};
use std::cell::LazyCell;

impl Walk<'_> {
    /// Of the rehearsal: what is expected to be denied must have connected, and a baseline been true. Where it is not
    /// so the API may know better than the scenario. `traces`: the world is where paths can be found out.
    pub(super) fn found_in_rehearsal<'t>(
        &self,
        step: &'t Step,
        state: &State,
        rehearsed: &'t Tries,
        traces: bool,
    ) -> Vec<Found<'t>> {
        let answers = LazyCell::new(|| Answers::new(&state.bare, self.profile));
        let found = step.expectations.iter().zip(rehearsed).filter_map(|(expectation, tries)| {
            let expected = expectation.expected_without_policy()?.verdicts();
            let (observation, mut judgement) = rehearsal::judge(expectation, tries.first()?, tries);
            if judgement.status == Status::Failed {
                let answer = answers.fresh(&expectation.request);
                let contradiction = answer.and_then(|it| it.contradiction_without_policy(expectation));
                if let Some(contradiction) = contradiction {
                    judgement.add(
                        FindingKind::ScenarioContradictsApi,
                        format!("the scenario contradicts the API: {contradiction}"),
                    );
                }
            }
            Some(Found {
                subject: expectation.into(),
                phase: Phase::Rehearsal,
                expected,
                predicted: None,
                predicted_by: Vec::new(),
                open: Vec::new(),
                derivation: String::new(),
                judgement,
                observation,
                denials: Vec::new(),
                request: traces.then(|| rehearsal_request(expectation)),
                deciders: Deciders::default(),
            })
        });
        found.collect()
    }

    /// Of the run itself: judges all tries of one expectation, and holds the three answers against each other. `None`
    /// without any try. `strictly`: what the API itself says, where `answer` is another profile's reading. `traced`: of a
    /// flow that says who allows.
    pub(super) fn found_in_step<'t>(
        &self,
        world: &World,
        expectation: &'t Expectation,
        answer: Option<&Answer>,
        strictly: Option<&Answer>,
        tries: &'t [Observation],
        traced: Option<&[Traced]>,
    ) -> Option<Found<'t>> {
        let snapshot = world.snapshot();
        let request = run_request(expectation);
        let tries = tries.iter().map(|observation| (observation, world.denials(&request, observation)));
        let is_meant = self.plan.profile.is_some();
        let judged =
            flow::judge(expectation, answer, strictly, tries.collect(), traced, &snapshot, is_meant)?;
        let Judged { observation, denials, judgement, allowed_by, unchecked } = judged;
        let open = strictly.filter(|_| judgement.found(FindingKind::Undefined)).or(answer);
        Some(Found {
            subject: expectation.into(),
            phase: Phase::Run,
            expected: expectation.expected.verdicts(),
            predicted: answer.map(Answer::verdicts),
            predicted_by: answer.map(Answer::decided_by).unwrap_or_default(),
            open: open.map(Answer::names_of_open_switches).unwrap_or_default(),
            derivation: String::new(),
            judgement,
            observation,
            denials,
            request: Some(request),
            deciders: Deciders { expected: expectation.decided_by.clone(), allowed: allowed_by, unchecked },
        })
    }
}

/// Of the clean-up: each flow must behave as it did in the rehearsal.
pub(super) fn found_in_clean_up<'t>(
    world: &World,
    step: &'t Step,
    tries: &'t Tries,
    rehearsed: &'t Tries,
) -> Vec<Found<'t>> {
    let judged = step.expectations.iter().zip(tries).zip(rehearsed);
    let found = judged.filter_map(|((expectation, tries), rehearsed)| {
        let judgement = judge::judge_cleanup(rehearsed, tries, world.explains(&expectation.request));
        let observation = judge::told_of_cleanup(rehearsed, tries)?;
        let request = rehearsal_request(expectation);
        let denials = world.denials(&request, observation);
        Some(Found {
            subject: expectation.into(),
            phase: Phase::Cleanup,
            expected: Some(judge::outcomes(rehearsed)),
            predicted: None,
            predicted_by: Vec::new(),
            open: Vec::new(),
            derivation: String::new(),
            judgement,
            observation,
            denials,
            request: Some(request),
            deciders: Deciders::default(),
        })
    });
    found.collect()
}
