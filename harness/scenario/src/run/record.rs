//! Writing checks down: what was found, with the packet's path where it is not as expected.

use super::evidence;
use super::judge::Judgement;
use super::tries::tries;
use super::walk::Walk;
use super::world::{HarnessError, World};
use crate::plan::{Expectation, Step};
use netproof_model::event::{Check, Denial, Event, Location, Phase, Status};
use netproof_model::{Family, Observation, Place, Sighting};
use netproof_probe::{Patience, ProbeRequest};
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
    /// So many tries are made to find its way.
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

/// How the path of a packet is known that did not do as expected.
pub(super) enum Way<'a> {
    /// By this request, made once more.
    Again(&'a ProbeRequest),
    /// It has been found out, or cannot be.
    Known(Vec<Sighting>),
}

/// What a check is written from.
pub(super) struct Found<'a> {
    pub(super) phase: Phase,
    pub(super) expected: String,
    pub(super) predicted: Option<String>,
    /// How the prediction follows, a sentence a line; where that is told.
    pub(super) derivation: String,
    pub(super) judgement: Judgement,
    pub(super) observation: &'a Observation,
    pub(super) denials: Vec<Denial>,
}

impl Walk<'_> {
    /// Writes a check down, one that is not as expected with the packet's path.
    pub(super) fn record(
        &mut self,
        world: &mut World,
        step: &Step,
        subject: Subject,
        way: Way<'_>,
        found: Found<'_>,
    ) -> Result<(), HarnessError> {
        let Found { phase, expected, predicted, derivation, judgement, observation, denials } = found;
        let snapshot = world.snapshot();
        let (path, traced) = match (judgement.status, way) {
            (Status::Passed | Status::Skipped, _) => (Vec::new(), Ok(())),
            (Status::Failed | Status::Errored, Way::Known(path)) => (path, Ok(())),
            (Status::Failed | Status::Errored, Way::Again(request)) => {
                match trace(world, subject.tries, request, observation) {
                    Ok(path) => (path, Ok(())),
                    Err(error) => (Vec::new(), Err(error)),
                }
            }
        };
        let decided = evidence::decided(observation, &denials, &snapshot);
        let policy_sees = decided.map(|it| evidence::policy_sees(it, &snapshot));
        let Subject { name, location, flow, family, cells, .. } = subject;
        let name = format!("{}{name}", prefix(phase));
        self.check(Check {
            cells,
            family: Some(family),
            expected,
            observed: judgement.observed,
            predicted,
            derivation: derivation.lines().map(str::to_owned).collect(),
            outcome: Some(observation.outcome),
            status: judgement.status,
            messages: judgement.messages,
            denials,
            served_by: observation.served_by.clone(),
            seen_source: observation.seen_source.map(|it| evidence::address_name(it, &snapshot)),
            via: evidence::via(observation).map(|node| Place::node(node).to_string()),
            policy_sees,
            path,
            elapsed: observation.elapsed,
            ..Check::new(name, location, phase, &step.name, flow)
        });
        traced
    }

    /// Says of the check that was written down last that it was not checked who decided, as a check of its own:
    /// all else was, and was as expected.
    pub(super) fn skip_decider(&mut self, expectation: &Expectation, why: &str) {
        let Some(Event::CheckFinished { check, .. }) = self.events.last() else { return };
        let skipped = Check {
            name: format!("{} decidedBy", check.name),
            expected: expectation.decided_by.iter().map(|it| format!("decided by {it}")).collect(),
            observed: String::new(),
            predicted: None,
            status: Status::Skipped,
            messages: vec![why.to_owned()],
            elapsed: Duration::ZERO,
            ..(**check).clone()
        };
        self.check(skipped);
    }

    /// Adds a check to what is told of the run.
    pub(super) fn check(&mut self, check: Check) {
        self.checks.add(check.status);
        self.events.push(Event::CheckFinished { id: self.plan.id.clone(), check: Box::new(check) });
    }
}

/// What the names of a walk's checks begin with.
pub(super) fn prefix(phase: Phase) -> &'static str {
    match phase {
        Phase::Run => "",
        Phase::Rehearsal => "rehearsal/",
        Phase::Cleanup => "cleanup/",
    }
}

/// The path of a request, tried again until it ends as it did before: another try may go to another backend.
/// Only the way is asked for, so nobody waits for an answer that did not come before.
fn trace(
    world: &mut World,
    tries: usize,
    request: &ProbeRequest,
    before: &Observation,
) -> Result<Vec<Sighting>, HarnessError> {
    let mut path = Vec::new();
    let request = [ProbeRequest { patience: Patience::Settle, ..request.clone() }];
    for _ in 0..tries {
        for again in world.trace(&request)? {
            path = again.sightings;
            if again.outcome == before.outcome && again.served_by == before.served_by {
                return Ok(path);
            }
        }
    }
    Ok(path)
}
