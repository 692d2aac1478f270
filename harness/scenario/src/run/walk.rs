//! The three walks over a plan: the rehearsal without policy, the run as written, and the clean-up.

use super::RunOptions;
use super::judge::{self, Judgement};
use super::reaper::Reaper;
use super::rehearsal::{fresh_requests, is_rehearsed, judge_rehearsal};
use super::world::{HarnessError, World, is_policy, policies};
use crate::plan::{Expectation, Expected, Plan, RequestPort, RequestTarget, Step};
use netproof_controlplane::{Change, ControlPlane};
use netproof_model::event::{Check, Denial, Phase, Status};
use netproof_model::{Observation, Outcome, Place};
use netproof_probe::{Patience, ProbePort, ProbeRequest, Target};
use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

/// One scenario run under way.
pub(crate) struct Walk<'a> {
    plan: &'a Plan,
    options: &'a RunOptions,
    begin: Instant,
    pub(crate) checks: Vec<Check>,
    pub(crate) waited: Duration,
}

/// What each flow of each step did at its first try in the rehearsal: `[step][expectation]`.
type Rehearsed = Vec<Vec<Observation>>;

impl<'a> Walk<'a> {
    pub(crate) fn new(plan: &'a Plan, options: &'a RunOptions) -> Self {
        Walk { plan, options, begin: Instant::now(), checks: Vec::new(), waited: Duration::ZERO }
    }

    /// All three walks. Checks that were made before an error stay.
    pub(crate) fn run(&mut self, reaper: &Reaper) -> Result<(), HarnessError> {
        let mut world = World::build(self.initial(true)?, self.options, self.seed())?;
        let result = self.walk(&mut world);
        reaper.take(world);
        result
    }

    fn walk(&mut self, world: &mut World) -> Result<(), HarnessError> {
        let rehearsed = self.rehearse(world)?;
        world.restart(self.initial(false)?)?;
        self.walk_steps(world)?;
        self.clean_up(world, &rehearsed)?;
        world.full_health()
    }

    /// The objects before the first step, with or without those of policy.
    fn initial(&self, rehearsal: bool) -> Result<ControlPlane, HarnessError> {
        let mut control = ControlPlane::new(self.plan.topology.clone())?;
        control.apply(&chosen(&self.plan.initial, rehearsal))?;
        Ok(control)
    }

    /// Each scenario run has tokens of its own, the same in every run with the same seed.
    fn seed(&self) -> u64 {
        let mut seed = self.options.seed;
        for byte in self.plan.id.to_string().bytes() {
            seed = (seed ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        seed
    }

    fn rehearse(&mut self, world: &mut World) -> Result<Rehearsed, HarnessError> {
        let mut rehearsed = Rehearsed::new();
        // Steps that change nothing but policy share a state, and with it the rehearsal of a flow.
        let mut known: HashMap<ProbeRequest, Vec<Observation>> = HashMap::new();
        for step in &self.plan.steps {
            for changes in &step.change_sets {
                let changes = chosen(changes, true);
                if !changes.is_empty() {
                    world.change(&changes)?;
                    known.clear();
                }
            }
            let requests: Vec<_> = step.expectations.iter().map(rehearsal_request).collect();
            let fresh = fresh_requests(&requests, &step.expectations, &known);
            let observations = self.probe(world, &fresh)?;
            for (request, observation) in fresh.into_iter().zip(observations) {
                known.entry(request).or_default().push(observation);
            }
            let mut first_tries = Vec::with_capacity(requests.len());
            for (expectation, request) in step.expectations.iter().zip(&requests) {
                let tries = known.get(request).map_or(&[][..], Vec::as_slice);
                let Some(first) = tries.first() else { continue };
                first_tries.push(first.clone());
                if is_rehearsed(expectation) {
                    let (observation, judgement) = judge_rehearsal(expectation, first, tries);
                    let expected = match &expectation.baseline {
                        Some(baseline) => baseline.outcome.to_string(),
                        None => "allow".to_owned(),
                    };
                    let phase = Phase::Rehearsal;
                    let found = Found { phase, expected, judgement, observation, denials: Vec::new() };
                    self.record(world, step, expectation, request, found)?;
                }
            }
            rehearsed.push(first_tries);
        }
        Ok(rehearsed)
    }

    fn walk_steps(&mut self, world: &mut World) -> Result<(), HarnessError> {
        for step in &self.plan.steps {
            for changes in &step.change_sets {
                world.change(changes)?;
            }
            // One batch for the whole step: whatever is dropped in silence shares one settle window.
            let tries: Vec<usize> = step.expectations.iter().map(tries).collect();
            let requests: Vec<ProbeRequest> = step
                .expectations
                .iter()
                .zip(&tries)
                .flat_map(|(expectation, tries)| std::iter::repeat_n(run_request(expectation), *tries))
                .collect();
            let observations = self.probe(world, &requests)?;
            let mut rest = observations.as_slice();
            for (expectation, tries) in step.expectations.iter().zip(tries) {
                let (mine, others) = rest.split_at(tries);
                rest = others;
                self.judge_step(world, step, expectation, mine)?;
            }
        }
        Ok(())
    }

    /// Judges all tries of one expectation; the first that is not as expected stands for it.
    fn judge_step(
        &mut self,
        world: &mut World,
        step: &Step,
        expectation: &Expectation,
        tries: &[Observation],
    ) -> Result<(), HarnessError> {
        let snapshot = world.snapshot();
        let judge_one = |observation| {
            let denials = world.denials(observation);
            let backend = backend(observation, &denials, &snapshot);
            let judgement = match expected_of(expectation, backend.as_ref()) {
                Ok(expected) => judge::judge(expectation, &expected, observation, &denials, &snapshot),
                Err(stranger) => stranger,
            };
            (observation, denials, backend, judgement)
        };
        let mut all: Vec<_> = tries.iter().map(judge_one).collect();
        let missing = missing_backends(expectation, all.iter().filter_map(|it| it.2.as_ref()));
        // What is told: the try that is not as expected, else one that was denied and says by whom.
        let wrong = all.iter().position(|it| it.3.status != Status::Passed);
        let told = wrong.or_else(|| all.iter().position(|it| !it.1.is_empty())).unwrap_or(0);
        if all.is_empty() {
            return Ok(());
        }
        let (observation, denials, _, mut judgement) = all.swap_remove(told);
        if judgement.status == Status::Passed && !missing.is_empty() {
            judgement.status = Status::Failed;
            judgement.messages.push(format!("in {} tries never reached {}", tries.len(), missing.join(", ")));
        }
        let expected = expectation.expected.to_string();
        if judgement.status == Status::Passed && matches!(expectation.expected, Expected::PerBackend(_)) {
            // Every backend was reached, and each did as expected.
            judgement.observed.clone_from(&expected);
        }
        let found = Found { phase: Phase::Run, expected, judgement, observation, denials };
        let request = run_request(expectation);
        self.record(world, step, expectation, &request, found)
    }

    fn clean_up(&mut self, world: &mut World, rehearsed: &Rehearsed) -> Result<(), HarnessError> {
        let (Some(step), Some(rehearsed)) = (self.plan.steps.last(), rehearsed.last()) else { return Ok(()) };
        let leftover: Vec<Change> = policies(&world.snapshot()).into_iter().map(Change::Delete).collect();
        if leftover.is_empty() {
            return Ok(());
        }
        world.change(&leftover)?;
        let requests: Vec<_> = step.expectations.iter().map(rehearsal_request).collect();
        let observations = self.probe(world, &requests)?;
        for ((expectation, request), (observation, rehearsed)) in
            step.expectations.iter().zip(&requests).zip(observations.iter().zip(rehearsed))
        {
            let judgement = judge::judge_cleanup(rehearsed, observation);
            let expected = judge::observed_word(rehearsed.outcome, &[]).to_owned();
            let denials = world.denials(observation);
            let found = Found { phase: Phase::Cleanup, expected, judgement, observation, denials };
            self.record(world, step, expectation, request, found)?;
        }
        Ok(())
    }

    fn probe(
        &mut self,
        world: &mut World,
        requests: &[ProbeRequest],
    ) -> Result<Vec<Observation>, HarnessError> {
        if self.begin.elapsed() > self.options.timeout {
            return Err(HarnessError::Timeout(self.options.timeout));
        }
        let observations = world.probe(requests)?;
        self.waited += observations.iter().map(|it| it.waited).sum::<Duration>();
        Ok(observations)
    }

    /// Writes a check down; one that is not as expected is probed once more for the packet's path.
    fn record(
        &mut self,
        world: &mut World,
        step: &Step,
        expectation: &Expectation,
        request: &ProbeRequest,
        found: Found<'_>,
    ) -> Result<(), HarnessError> {
        let Found { phase, expected, judgement, observation, denials } = found;
        let snapshot = world.snapshot();
        let (path, traced) = match judgement.status {
            Status::Passed | Status::Skipped => (Vec::new(), Ok(())),
            Status::Failed | Status::Errored => match world.trace(request) {
                Ok(observation) => (observation.sightings, Ok(())),
                Err(error) => (Vec::new(), Err(error)),
            },
        };
        let prefix = match phase {
            Phase::Run => "",
            Phase::Rehearsal => "rehearsal/",
            Phase::Cleanup => "cleanup/",
        };
        self.checks.push(Check {
            name: format!("{prefix}{}", expectation.name),
            location: expectation.location.clone(),
            phase,
            step: step.name.clone(),
            flow: expectation.flow.to_string(),
            family: Some(expectation.family),
            expected,
            observed: judgement.observed,
            outcome: Some(observation.outcome),
            status: judgement.status,
            messages: judgement.messages,
            denials,
            served_by: observation.served_by.clone(),
            seen_source: observation.seen_source.map(|it| judge::address_name(it, &snapshot)),
            via: None,
            policy_sees: None,
            path,
            elapsed: observation.elapsed,
        });
        traced
    }
}

/// What a check is written from.
struct Found<'a> {
    phase: Phase,
    expected: String,
    judgement: Judgement,
    observation: &'a Observation,
    denials: Vec<Denial>,
}

/// The changes, with or without those of policy objects.
fn chosen(changes: &[Change], rehearsal: bool) -> Vec<Change> {
    changes.iter().filter(|change| !(rehearsal && is_policy(change))).cloned().collect()
}

/// The probe of an expectation in the run itself.
fn run_request(expectation: &Expectation) -> ProbeRequest {
    let patience = if expectation.expected.is_denial() { Patience::Settle } else { Patience::ForAnswer };
    request(expectation, patience)
}

/// The probe of an expectation where no policy is in force: an answer is expected.
fn rehearsal_request(expectation: &Expectation) -> ProbeRequest {
    request(expectation, Patience::ForAnswer)
}

fn request(expectation: &Expectation, patience: Patience) -> ProbeRequest {
    let request = &expectation.request;
    ProbeRequest {
        source: request.source.clone(),
        family: expectation.family,
        target: match &request.target {
            RequestTarget::Address(address) => Target::Address(*address),
            RequestTarget::Name { name, search, server } => {
                Target::Name { name: name.clone(), search: search.clone(), server: *server }
            }
        },
        port: match request.port {
            RequestPort::Icmp => ProbePort::Icmp,
            RequestPort::Port { port, protocol } => ProbePort::Transport { port, protocol },
        },
        patience,
        keep: expectation.keep,
    }
}

/// The backends that an expectation names, each of which must be reached.
fn named_backends(expectation: &Expectation) -> BTreeSet<&Place> {
    let by_verdict = match &expectation.expected {
        Expected::PerBackend(verdicts) => Some(verdicts.keys()),
        _ => None,
    };
    by_verdict.into_iter().flatten().chain(expectation.served_by.iter().flatten()).collect()
}

/// How often an expectation is tried: once, or so often that missing one of several backends has a
/// chance below 1e-9 (union bound over the n backends, each missed with a chance of (1 - 1/n)^tries).
pub(super) fn tries(expectation: &Expectation) -> usize {
    let backends = named_backends(expectation).len();
    if backends < 2 {
        return 1;
    }
    let n = backends as f64;
    // A few dozen for a few backends: the cast loses nothing.
    ((1e-9 / n).ln() / (1.0 - 1.0 / n).ln()).ceil() as usize
}

/// Which backend a try reached: who answered, or to whom the denied packet was addressed.
fn backend(
    observation: &Observation,
    denials: &[Denial],
    snapshot: &netproof_controlplane::Snapshot,
) -> Option<Place> {
    if observation.outcome == Outcome::Connected {
        return observation.served_by.clone();
    }
    snapshot.place_of_address(denials.first()?.packet.destination)
}

/// What is expected of a try that reached `backend`; a backend that the expectation does not name is
/// a failure of its own.
fn expected_of(expectation: &Expectation, backend: Option<&Place>) -> Result<Expected, Judgement> {
    let named = named_backends(expectation);
    match backend {
        Some(place) if !named.is_empty() && !named.contains(place) => Err(Judgement {
            status: Status::Failed,
            observed: place.to_string(),
            messages: vec![format!("{place} was reached, which the expectation does not name")],
        }),
        Some(place) => Ok(match &expectation.expected {
            Expected::PerBackend(verdicts) => match verdicts.get(place) {
                Some(verdict) => Expected::from(*verdict),
                None => expectation.expected.clone(),
            },
            expected => expected.clone(),
        }),
        None => Ok(expectation.expected.clone()),
    }
}

/// Backends that the expectation names and no try reached.
pub(super) fn missing_backends<'a>(
    expectation: &Expectation,
    reached: impl Iterator<Item = &'a Place>,
) -> Vec<String> {
    let reached: BTreeSet<&Place> = reached.collect();
    named_backends(expectation).difference(&reached).map(ToString::to_string).collect()
}
