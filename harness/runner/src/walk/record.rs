//! Writing checks down: what was found, with the packet's path where it is not as expected.

use crate::walk::Walk;
use crate::world::{HarnessError, TraceRequest, World};
use netproof_model::event::{Check, Denial, Event, Finding, FindingKind, Location, Phase, Status};
use netproof_model::{DecidedBy, Decision, Family, Observation, Place, Sighting, Verdicts};
use netproof_plan::addresses::address_name;
use netproof_plan::{Expectation, Step};
use netproof_probe::{Patience, Probe};
use netproof_verdict::evidence;
use netproof_verdict::judge::Judgement;
use netproof_verdict::tries::tries;
use netproof_verdict::unchecked::Unchecked;
use std::time::Duration;

/// What a check is about.
#[derive(Clone, Debug)]
pub(super) struct Subject {
    /// Unique in its walk: `STEP/FLOW`.
    pub(super) name: String,
    pub(super) location: Location,
    pub(super) flow: String,
    pub(super) family: Family,
    /// How many cells of a matrix it is.
    pub(super) cells: usize,
    /// Most tries made to find its path.
    pub(super) tries: usize,
}

impl From<&Expectation> for Subject {
    fn from(expectation: &Expectation) -> Self {
        Subject {
            name: expectation.name.clone(),
            location: expectation.location.clone(),
            flow: expectation.flow.to_string(),
            family: expectation.family,
            cells: 0,
            tries: tries(expectation),
        }
    }
}

/// What a check is written from.
pub(super) struct Found<'a> {
    pub(super) subject: Subject,
    pub(super) phase: Phase,
    pub(super) expected: Option<Verdicts>,
    pub(super) predicted: Option<Verdicts>,
    /// Who decides, as the API says.
    pub(super) predicted_by: Vec<Decision>,
    /// The switches that would settle what the API leaves open.
    pub(super) open: Vec<String>,
    /// How the prediction follows, a sentence a line; where that is told.
    pub(super) derivation: String,
    pub(super) judgement: Judgement,
    pub(super) observation: &'a Observation,
    pub(super) denials: Vec<Denial>,
    /// What finds out the packet's path, made once more; `None` where the world has moved on.
    pub(super) request: Option<Probe>,
    pub(super) deciders: Deciders,
}

/// Who decided, beside what the denials say.
#[derive(Default)]
pub(super) struct Deciders {
    /// Who must have.
    pub(super) expected: Option<DecidedBy>,
    /// Who allowed.
    pub(super) allowed: Vec<Decision>,
    /// Why it was not checked who did.
    pub(super) unchecked: Option<Unchecked>,
}

impl Walk<'_> {
    /// Writes the checks of a step down, those that are not as expected with the packet's path. The paths of all
    /// of them are found out together; what keeps them from being found is told after the checks.
    pub(super) fn record(
        &mut self,
        world: &mut World,
        step: &Step,
        found: Vec<Found<'_>>,
    ) -> Result<(), HarnessError> {
        let (paths, traced) = paths(world, &found);
        let snapshot = world.snapshot();
        for (found, path) in found.into_iter().zip(paths) {
            let Found { phase, judgement, observation, denials, .. } = found;
            let decided = evidence::decided(observation, &denials, &snapshot);
            let policy_sees = decided.map(|it| evidence::policy_sees(it, &snapshot));
            let Subject { name, location, flow, family, cells, .. } = found.subject;
            let name = format!("{}{name}", phase.prefix());
            let check = Check {
                cells,
                family: Some(family),
                expected: found.expected,
                expected_by: found.deciders.expected,
                observed: Some(judgement.observed),
                predicted: found.predicted,
                predicted_by: found.predicted_by,
                open: found.open,
                derivation: found.derivation.lines().map(str::to_owned).collect(),
                outcome: Some(observation.outcome),
                status: judgement.status,
                findings: judgement.findings,
                denials,
                allowed_by: found.deciders.allowed,
                served_by: observation.served_by.clone(),
                seen_source: observation.seen_source.map(|it| address_name(it, &snapshot)),
                via: evidence::via(observation).map(|node| Place::node(node).to_string()),
                policy_sees,
                path,
                elapsed: observation.elapsed,
                ..Check::new(name, location, phase, &step.name, flow)
            };
            let skipped = found.deciders.unchecked.map(|why| skipped_decider(&check, &why));
            self.check(check);
            skipped.into_iter().for_each(|check| self.check(check));
        }
        traced
    }

    /// Adds a check to what is told of the run.
    pub(super) fn check(&mut self, check: Check) {
        self.checks.add(check.status);
        self.events.push(Event::CheckFinished { id: self.plan.id.clone(), check: Box::new(check) });
    }
}

/// That it was not checked who decided, as a check of its own: all else was, and was as expected.
fn skipped_decider(check: &Check, why: &Unchecked) -> Check {
    Check {
        name: format!("{} decidedBy", check.name),
        expected: None,
        observed: None,
        predicted: None,
        predicted_by: Vec::new(),
        open: Vec::new(),
        status: Status::Skipped,
        findings: vec![Finding::new(FindingKind::NotChecked, why.to_string())],
        elapsed: Duration::ZERO,
        ..check.clone()
    }
}

/// The paths of what is not as expected; none of the rest.
fn paths(world: &mut World, found: &[Found<'_>]) -> (Vec<Vec<Sighting>>, Result<(), HarnessError>) {
    let wrong = found.iter().enumerate().filter(|(_, it)| {
        matches!(it.judgement.status, Status::Failed | Status::Errored) && it.request.is_some()
    });
    let (indices, sought): (Vec<usize>, Vec<TraceRequest<'_>>) = wrong
        .flat_map(|(index, it)| {
            // Only the way is asked for, so nobody waits for an answer that did not come before.
            let request = Probe { patience: Patience::Settle, ..it.request.clone()? };
            Some((index, TraceRequest { request, before: it.observation, tries: it.subject.tries }))
        })
        .unzip();
    let mut paths = vec![Vec::new(); found.len()];
    if sought.is_empty() {
        return (paths, Ok(()));
    }
    match world.trace(&sought) {
        Ok(ways) => {
            indices.into_iter().zip(ways).for_each(|(index, way)| paths[index] = way);
            (paths, Ok(()))
        }
        Err(error) => (paths, Err(error)),
    }
}
