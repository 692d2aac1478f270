//! The three walks over a plan: the rehearsal without policy, the run as written, and the clean-up.

use super::judge::{self, Judgement};
use super::reaper::Reaper;
use super::rehearsal::{fresh_requests, is_rehearsed, judge_rehearsal};
use super::tries::{Try, backend, expected_of, together, tries};
use super::world::{HarnessError, World, is_policy, policies};
use super::{ProxyMode, RunOptions, agreement, evidence};
use crate::plan::{Expectation, Plan, RequestPort, RequestTarget, Step};
use crate::prediction::{Answer, Answers, Kept};
use netproof_controlplane::{Change, ControlPlane};
use netproof_model::event::{Check, Denial, Phase, Status};
use netproof_model::{Observation, Place, Sighting};
use netproof_probe::{Patience, ProbePort, ProbeRequest, Target};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// One scenario run under way.
pub(crate) struct Walk<'a> {
    plan: &'a Plan,
    options: &'a RunOptions,
    begin: Instant,
    pub(crate) checks: Vec<Check>,
    pub(crate) waited: Duration,
}

/// All tries of each expectation of a step.
type Tries = Vec<Vec<Observation>>;

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
        // A connection is kept from step to step, and not from walk to walk.
        world.release();
        world.restart(self.initial(false)?)?;
        self.walk_steps(world)?;
        world.release();
        self.clean_up(world, &rehearsed)?;
        world.release();
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

    /// What the flows of the last step did, which the clean-up compares with.
    fn rehearse(&mut self, world: &mut World) -> Result<Tries, HarnessError> {
        let mut rehearsed = Tries::new();
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
            rehearsed = requests.iter().map(|it| known.get(it).cloned().unwrap_or_default()).collect();
            for ((expectation, request), tries) in step.expectations.iter().zip(&requests).zip(&rehearsed) {
                if let Some(first) = tries.first().filter(|_| is_rehearsed(expectation)) {
                    let (observation, judgement) = judge_rehearsal(expectation, first, tries);
                    let expected = match &expectation.baseline {
                        Some(baseline) => baseline.outcome.to_string(),
                        None => "allow".to_owned(),
                    };
                    let phase = Phase::Rehearsal;
                    let denials = Vec::new();
                    let found = Found { phase, expected, predicted: None, judgement, observation, denials };
                    self.record(world, step, expectation, request, found)?;
                }
            }
        }
        Ok(rehearsed)
    }

    fn walk_steps(&mut self, world: &mut World) -> Result<(), HarnessError> {
        let mut kept = Kept::default();
        for step in &self.plan.steps {
            for changes in &step.change_sets {
                world.change(changes)?;
            }
            let tries = self.try_all(world, step, run_request)?;
            let snapshot = world.snapshot();
            let answers = Answers::new(&snapshot, self.options.enforcer.profile());
            for (expectation, tries) in step.expectations.iter().zip(tries) {
                let answer = answers.answer(expectation, &mut kept).filter(|it| self.speaks_of(it));
                self.judge_step(world, step, expectation, answer.as_ref(), &tries)?;
            }
        }
        Ok(())
    }

    /// The oracle's proxy refuses as kube-proxy does in its mode nftables; in the other it does so elsewhere.
    fn speaks_of(&self, answer: &Answer) -> bool {
        self.options.proxy_mode == ProxyMode::Nftables || !answer.is_refused()
    }

    /// Makes all tries of a step, in one batch: whatever is dropped in silence shares one settle window.
    fn try_all(
        &mut self,
        world: &mut World,
        step: &Step,
        request: impl Fn(&Expectation) -> ProbeRequest,
    ) -> Result<Tries, HarnessError> {
        let requests: Vec<ProbeRequest> = step
            .expectations
            .iter()
            .flat_map(|expectation| std::iter::repeat_n(request(expectation), tries(expectation)))
            .collect();
        let mut observations = self.probe(world, &requests)?.into_iter();
        let counts = step.expectations.iter().map(tries);
        Ok(counts.map(|count| observations.by_ref().take(count).collect()).collect())
    }

    /// Judges all tries of one expectation, and holds the three answers against each other.
    fn judge_step(
        &mut self,
        world: &mut World,
        step: &Step,
        expectation: &Expectation,
        answer: Option<&Answer>,
        tries: &[Observation],
    ) -> Result<(), HarnessError> {
        let snapshot = world.snapshot();
        let request = run_request(expectation);
        let judge_one = |observation| {
            let denials = world.denials(&request, observation);
            let backend = backend(expectation, observation, &denials, &snapshot);
            let judgement = match expected_of(expectation, backend.as_ref()) {
                Ok(expected) => judge::judge(expectation, &expected, observation, &denials, &snapshot),
                Err(stranger) => stranger,
            };
            Try { observation, denials, backend, judgement }
        };
        let tries: Vec<Try<'_>> = tries.iter().map(judge_one).collect();
        let agree = answer.is_none_or(|answer| tries.iter().all(|it| agreement::of_try(answer, it)));
        let Some(told) = together(expectation, tries) else {
            return Ok(());
        };
        let Try { observation, denials, mut judgement, .. } = told;
        if let Some(answer) = answer {
            agreement::of_three(expectation, answer, agree, &snapshot, &mut judgement);
        }
        let predicted = answer.map(ToString::to_string);
        let expected = expectation.expected.to_string();
        let unchecked = judge::unchecked_decider(expectation, &judgement, &denials);
        let found = Found { phase: Phase::Run, expected, predicted, judgement, observation, denials };
        self.record(world, step, expectation, &request, found)?;
        if let (Some(why), Some(checked)) = (unchecked, self.checks.last()) {
            self.checks.push(decider_skipped(checked, expectation, why));
        }
        Ok(())
    }

    fn clean_up(&mut self, world: &mut World, rehearsed: &Tries) -> Result<(), HarnessError> {
        let Some(step) = self.plan.steps.last() else { return Ok(()) };
        let leftover: Vec<Change> = policies(&world.snapshot()).into_iter().map(Change::Delete).collect();
        if leftover.is_empty() {
            return Ok(());
        }
        world.change(&leftover)?;
        let tries = self.try_all(world, step, rehearsal_request)?;
        for ((expectation, tries), rehearsed) in step.expectations.iter().zip(&tries).zip(rehearsed) {
            let judgement = judge::judge_cleanup(rehearsed, tries, world.explains());
            let expected = judge::outcomes(rehearsed);
            let Some(observation) = judge::told_of_cleanup(rehearsed, tries) else { continue };
            let request = rehearsal_request(expectation);
            let denials = world.denials(&request, observation);
            let predicted = None;
            let found = Found { phase: Phase::Cleanup, expected, predicted, judgement, observation, denials };
            self.record(world, step, expectation, &request, found)?;
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
        let Found { phase, expected, predicted, judgement, observation, denials } = found;
        let snapshot = world.snapshot();
        let (path, traced) = match judgement.status {
            Status::Passed | Status::Skipped => (Vec::new(), Ok(())),
            Status::Failed | Status::Errored => match trace(world, expectation, request, observation) {
                Ok(path) => (path, Ok(())),
                Err(error) => (Vec::new(), Err(error)),
            },
        };
        let prefix = match phase {
            Phase::Run => "",
            Phase::Rehearsal => "rehearsal/",
            Phase::Cleanup => "cleanup/",
        };
        let decided = evidence::decided(observation, &denials, &snapshot);
        let policy_sees = decided.map(|it| evidence::policy_sees(it, &snapshot));
        self.checks.push(Check {
            name: format!("{prefix}{}", expectation.name),
            location: expectation.location.clone(),
            phase,
            step: step.name.clone(),
            flow: expectation.flow.to_string(),
            family: Some(expectation.family),
            expected,
            observed: judgement.observed,
            predicted,
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
        });
        traced
    }
}

/// The path of a request, tried again until it ends as it did before: another try may go to another backend.
fn trace(
    world: &mut World,
    expectation: &Expectation,
    request: &ProbeRequest,
    before: &Observation,
) -> Result<Vec<Sighting>, HarnessError> {
    let mut path = Vec::new();
    // No answer is expected where none came: that it was waited for once is enough.
    let patience = if before.outcome.is_denial() { Patience::Settle } else { request.patience };
    let request = ProbeRequest { patience, ..request.clone() };
    for _ in 0..tries(expectation) {
        let again = world.trace(&request)?;
        path = again.sightings;
        if again.outcome == before.outcome && again.served_by == before.served_by {
            break;
        }
    }
    Ok(path)
}

/// That it was not checked who decided, as a check of its own: all else was, and was as expected.
fn decider_skipped(checked: &Check, expectation: &Expectation, why: &str) -> Check {
    Check {
        name: format!("{} decidedBy", checked.name),
        expected: expectation.decided_by.iter().map(|it| format!("decided by {it}")).collect(),
        observed: String::new(),
        predicted: None,
        status: Status::Skipped,
        messages: vec![why.to_owned()],
        elapsed: Duration::ZERO,
        ..checked.clone()
    }
}

/// What a check is written from.
struct Found<'a> {
    phase: Phase,
    expected: String,
    predicted: Option<String>,
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
    let denial = expectation.expected.is_denial() || judge::expects_denial(expectation);
    let patience = if denial { Patience::Settle } else { Patience::ForAnswer };
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
            RequestTarget::Name { name, search, server, .. } => {
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
