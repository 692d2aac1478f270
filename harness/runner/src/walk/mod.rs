//! The three walks over a plan: the rehearsal without policy, the run as written, and the clean-up.

mod cells;
mod found;
mod record;
mod rehearsal;
mod shared_world;

pub use shared_world::Worlds;

use crate::walk::cells::{Before, Choice, StepCells};
use crate::walk::found::found_in_clean_up;
use crate::walk::rehearsal::fresh_requests;
use crate::walk::shared_world::SharedWorld;
use crate::world::{HarnessError, World};
use crate::{ProxyChoice, RunOptions, stream};
use netproof_controlplane::{Change, Snapshot};
use netproof_model::event::{Counts, Event, Status};
use netproof_model::flow::FlowProtocol;
use netproof_model::request::{Request, RequestPort};
use netproof_model::{Observation, Verdict};
use netproof_oracle::Profile;
use netproof_plan::{Expectation, Plan, Step};
use netproof_probe::{Patience, Probe};
use netproof_verdict::allowed::{self, Traced};
use netproof_verdict::prediction::{Answers, Kept};
use netproof_verdict::tries::tries;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// One scenario run under way.
pub(crate) struct Walk<'a> {
    pub(super) plan: &'a Plan,
    pub(super) options: &'a RunOptions,
    pub(super) profile: Profile,
    begin: Instant,
    /// What is told of the run so far.
    pub(super) events: Vec<Event>,
    pub(super) checks: Counts,
    /// How many cells were tried.
    pub(super) cells: usize,
    pub(super) waited: Duration,
    probes: usize,
}

/// All tries of each expectation of a step.
pub(super) type Tries = Vec<Vec<Observation>>;

/// The objects that a step's expectations are about.
#[derive(Clone, Debug)]
struct State {
    /// All of them.
    snapshot: Arc<Snapshot>,
    /// Those of the rehearsal: none of policy.
    bare: Arc<Snapshot>,
}

/// What is known of a step before anything is built.
struct Prepared {
    state: State,
    matrix: Option<StepCells>,
    /// How many cells were rehearsed for it.
    rehearsed: usize,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(plan: &'a Plan, options: &'a RunOptions) -> Self {
        Walk {
            plan,
            options,
            profile: options.profile_of(plan),
            begin: Instant::now(),
            events: Vec::new(),
            checks: Counts::default(),
            cells: 0,
            waited: Duration::ZERO,
            probes: 0,
        }
    }

    /// All three walks. What was told before an error stays.
    pub(crate) fn run(&mut self, worlds: &Worlds) -> Result<(), HarnessError> {
        let mut prepared = self.prepare();
        let mut shared = match worlds.take(self.plan, self.options, self.seed())? {
            Some(shared) => shared,
            None => {
                let _span = tracing::info_span!("build").entered();
                let bare = self.plan.start.without_policies();
                SharedWorld::new(World::build(bare, self.options, self.seed(), worlds.grace())?)
            }
        };
        let result = self.walk(&mut shared, &mut prepared);
        shared.probes += self.probes;
        self.waited = shared.world.take_waited();
        match result {
            Ok(()) if self.leaves_its_world() => worlds.keep(self.plan, self.options, shared),
            _ => worlds.discard(shared),
        }
        result
    }

    /// Whether a later run may have the world of this one, which came to its end. Where worlds are kept beyond a
    /// group, an enforcer whose rules were wrong may have left some of them behind, and is not believed any further.
    fn leaves_its_world(&self) -> bool {
        !self.options.keeps_worlds() || (self.checks.failed == 0 && self.checks.errored == 0)
    }

    fn walk(&mut self, shared: &mut SharedWorld, prepared: &mut [Prepared]) -> Result<(), HarnessError> {
        let rehearsed = self.rehearse(shared, prepared)?;
        // A connection is kept from step to step, and not from walk to walk.
        shared.world.release();
        shared.world.restart(self.plan.start.clone())?;
        self.walk_steps(shared, prepared)?;
        shared.world.release();
        self.clean_up(shared, prepared, &rehearsed)?;
        shared.world.release();
        shared.world.full_health()
    }

    /// The objects of each step, and the cells that will be tried there.
    fn prepare(&self) -> Vec<Prepared> {
        let choice = Choice {
            profile: self.profile,
            seed: self.options.seed,
            services: self.options.proxy != ProxyChoice::None,
        };
        let prepared = self.plan.steps.iter().map(|step| {
            let snapshot = step.states.after();
            let bare = Arc::new(snapshot.without_policies());
            let state = State { snapshot, bare };
            let matrix = StepCells::new(self.plan, &state, &choice);
            Prepared { state, matrix, rehearsed: 0 }
        });
        prepared.collect()
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
    fn rehearse(
        &mut self,
        shared: &mut SharedWorld,
        prepared: &mut [Prepared],
    ) -> Result<Tries, HarnessError> {
        let _span = tracing::info_span!("rehearsal").entered();
        // Where all is known from an earlier run of the group, nothing has to be moved.
        let moves = self.plan.steps.iter().zip(&*prepared).any(|(step, Prepared { state, matrix, .. })| {
            let (_, known) = shared.rehearsal(&state.bare);
            let requests: Vec<_> = step.expectations.iter().map(rehearsal_request).collect();
            let fresh = fresh_requests(&requests, &step.expectations, &known.flows);
            !step.streams.is_empty()
                || !fresh.is_empty()
                || matrix.as_ref().is_some_and(|matrix| matrix.needs(&known.cells))
        });
        if moves {
            shared.world.restart(self.plan.start.without_policies())?;
        }
        let mut rehearsed = Tries::new();
        for (step, Prepared { state, matrix, rehearsed: tried }) in self.plan.steps.iter().zip(prepared) {
            let _span = tracing::info_span!("step", name = step.name).entered();
            if moves {
                self.rehearse_streams(&mut shared.world, step, 0)?;
            }
            for (index, changes) in step.change_sets.iter().enumerate().filter(|_| moves) {
                let changes: Vec<Change> = changes.iter().filter(|it| !it.is_policy()).cloned().collect();
                if !changes.is_empty() {
                    shared.world.change(&changes)?;
                }
                self.rehearse_streams(&mut shared.world, step, index + 1)?;
            }
            // Steps that change nothing but policy share a state, and with it the rehearsal of a flow.
            let (world, known) = shared.rehearsal(&state.bare);
            let requests: Vec<_> = step.expectations.iter().map(rehearsal_request).collect();
            let fresh = fresh_requests(&requests, &step.expectations, &known.flows);
            let observations = self.probe(world, &fresh)?;
            for (request, observation) in fresh.into_iter().zip(observations) {
                known.flows.entry(request).or_default().push(observation);
            }
            rehearsed = requests.iter().map(|it| known.flows.get(it).cloned().unwrap_or_default()).collect();
            let found = self.found_in_rehearsal(step, state, &rehearsed, moves);
            self.record(world, step, found)?;
            if let Some(matrix) = matrix {
                *tried = self.rehearse_cells(world, state, matrix, &mut known.cells)?;
                self.tell_rehearsal(world, step, state, matrix, &known.cells);
            }
        }
        Ok(rehearsed)
    }

    fn walk_steps(&mut self, shared: &mut SharedWorld, prepared: &[Prepared]) -> Result<(), HarnessError> {
        let mut kept = Kept::default();
        for (step, Prepared { state, matrix, rehearsed }) in self.plan.steps.iter().zip(prepared) {
            let _span = tracing::info_span!("step", name = step.name).entered();
            step.states.through().iter().for_each(|state| kept.follow(state));
            self.make_changes(&mut shared.world, step)?;
            let (world, known) = shared.rehearsal(&state.bare);
            let tries = self.try_all(world, step, run_request)?;
            let traced = self.trace_rules(world, step, &tries)?;
            let answers = Answers::new(&state.snapshot, self.profile);
            let strictly = self.reads_otherwise().then(|| Answers::new(&state.snapshot, Profile::STRICT));
            let judged = step.expectations.iter().zip(&tries).zip(&traced);
            let judged = judged.filter_map(|((expectation, tries), traced)| {
                let answer = answers.answer(expectation, &mut kept);
                let strictly = strictly.as_ref().filter(|_| !expectation.keep);
                let strictly = strictly.and_then(|it| it.fresh(&expectation.request));
                let (answer, traced) = (answer.as_ref(), traced.as_deref());
                let found =
                    self.found_in_step(world, expectation, answer, strictly.as_ref(), tries, traced)?;
                Some((expectation, found))
            });
            let judged: Vec<_> = judged.collect();
            let told = judged.iter().filter(|(_, found)| found.judgement.status != Status::Passed);
            let told: Vec<&Request> = told.map(|(expectation, _)| &expectation.request).collect();
            self.record(world, step, judged.into_iter().map(|(_, found)| found).collect())?;
            if let Some(matrix) = matrix {
                let before = Before { rehearsed: &known.cells, tried: *rehearsed, told: &told };
                self.try_cells(world, step, state, matrix, &before)?;
            }
        }
        Ok(())
    }

    /// Makes a step's changes, while its streams run if it has any.
    fn make_changes(&mut self, world: &mut World, step: &Step) -> Result<(), HarnessError> {
        if step.streams.is_empty() {
            for _ in 0..step.rounds {
                self.check_time()?;
                step.change_sets.iter().try_for_each(|changes| world.change(changes))?;
            }
            return Ok(());
        }
        let checks = stream::run(world, step, self.profile, &|| self.check_time())?;
        checks.into_iter().for_each(|check| self.check(check));
        Ok(())
    }

    /// The flows of a step's streams must connect without policy as soon as both ends are there.
    fn rehearse_streams(&mut self, world: &mut World, step: &Step, made: usize) -> Result<(), HarnessError> {
        let streams = stream::rehearsed(step, made);
        let requests: Vec<Probe> = streams.iter().map(|it| stream::request(it)).collect();
        let observations = self.probe(world, &requests)?;
        for (stream, observation) in streams.into_iter().zip(&observations) {
            self.check(stream::judge_rehearsal(step, stream, observation));
        }
        Ok(())
    }

    /// Whether what the API leaves open is read in another way than scenarios are written for.
    fn reads_otherwise(&self) -> bool {
        self.plan.profile.is_none() && ![Profile::NETPROOF, Profile::STRICT].contains(&self.profile)
    }

    fn check_time(&self) -> Result<(), HarnessError> {
        match self.begin.elapsed() > self.options.timeout {
            true => Err(HarnessError::Timeout(self.options.timeout)),
            false => Ok(()),
        }
    }

    /// Makes all tries of a step, in one batch: whatever is dropped in silence shares one settle window.
    fn try_all(
        &mut self,
        world: &mut World,
        step: &Step,
        request: impl Fn(&Expectation) -> Probe,
    ) -> Result<Tries, HarnessError> {
        let requests: Vec<Probe> = step
            .expectations
            .iter()
            .flat_map(|expectation| std::iter::repeat_n(request(expectation), tries(expectation)))
            .collect();
        let mut observations = self.probe(world, &requests)?.into_iter();
        let counts = step.expectations.iter().map(tries);
        Ok(counts.map(|count| observations.by_ref().take(count).collect()).collect())
    }

    /// Makes the tries of those flows once more that say who allows, to see who does. Nothing of the others, and of none
    /// where the enforcer does not say it.
    fn trace_rules(
        &mut self,
        world: &mut World,
        step: &Step,
        tries: &Tries,
    ) -> Result<Vec<Option<Vec<Traced>>>, HarnessError> {
        let asked = |(expectation, tries): (&Expectation, &Vec<Observation>)| {
            let count = if allowed::is_traced(expectation, tries) { tries.len() } else { 0 };
            (request(expectation, Patience::ForAnswer), count)
        };
        let asked: Vec<(Probe, usize)> = step.expectations.iter().zip(tries).map(asked).collect();
        let requests = asked.iter().flat_map(|(request, count)| std::iter::repeat_n(request.clone(), *count));
        let requests: Vec<Probe> = requests.collect();
        self.check_time()?;
        let traced = match requests.as_slice() {
            [] => None,
            requests => world.trace_rules(requests)?,
        };
        let Some(traced) = traced else { return Ok(vec![None; asked.len()]) };
        self.probes += requests.len();
        let mut traced = traced.into_iter();
        let each =
            asked.iter().map(|(_, count)| (*count > 0).then(|| traced.by_ref().take(*count).collect()));
        Ok(each.collect())
    }

    fn clean_up(
        &mut self,
        shared: &mut SharedWorld,
        prepared: &[Prepared],
        rehearsed: &Tries,
    ) -> Result<(), HarnessError> {
        let (Some(step), Some(Prepared { state, matrix, .. })) = (self.plan.steps.last(), prepared.last())
        else {
            return Ok(());
        };
        let (world, known) = shared.rehearsal(&state.bare);
        let leftover: Vec<Change> =
            world.snapshot().policies.keys().cloned().map(|key| Change::Delete(key.into())).collect();
        if leftover.is_empty() {
            return Ok(());
        }
        let _span = tracing::info_span!("clean-up").entered();
        world.change(&leftover)?;
        let tries = self.try_all(world, step, rehearsal_request)?;
        let found = found_in_clean_up(world, step, &tries, rehearsed);
        self.record(world, step, found)?;
        match matrix {
            Some(matrix) => self.try_cells_afterwards(world, step, matrix, &known.cells),
            None => Ok(()),
        }
    }

    pub(super) fn probe(
        &mut self,
        world: &mut World,
        requests: &[Probe],
    ) -> Result<Vec<Observation>, HarnessError> {
        self.check_time()?;
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        self.probes += requests.len();
        world.probe(requests)
    }
}

/// The probe of an expectation in the run itself.
pub(super) fn run_request(expectation: &Expectation) -> Probe {
    let denial = expectation.expected.is_denial() || expectation.expects_denial_by_policy();
    let patience = if denial || is_unanswered(expectation) { Patience::Settle } else { Patience::ForAnswer };
    request(expectation, patience)
}

/// The probe of an expectation where no policy is in force: an answer is expected, unless just that is what is
/// not to come.
pub(super) fn rehearsal_request(expectation: &Expectation) -> Probe {
    let baseline = expectation.baseline.as_ref().is_some_and(|it| it.outcome == Verdict::NoAnswer);
    let unanswered = is_unanswered(expectation) || (baseline && is_by_itself(expectation));
    request(expectation, if unanswered { Patience::Settle } else { Patience::ForAnswer })
}

/// Whether the request is to arrive and its answer to get lost, which nothing tells of.
fn is_unanswered(expectation: &Expectation) -> bool {
    expectation.expected.is_no_answer() && is_by_itself(expectation)
}

/// Whether the first packet is answered by the network stack itself. An application takes its time.
fn is_by_itself(expectation: &Expectation) -> bool {
    let by_application = |protocol| matches!(protocol, FlowProtocol::Http | FlowProtocol::Dns);
    !matches!(expectation.request.port, RequestPort::Port { protocol, .. } if by_application(protocol))
}

fn request(expectation: &Expectation, patience: Patience) -> Probe {
    let Expectation { request, family, keep, .. } = expectation;
    Probe { request: request.clone(), family: *family, patience, keep: *keep }
}
