//! The runner: walks plans over real clusters and emits the events of the run.
//!
//! Scenario runs are independent, so each worker thread takes the next one, builds its cluster, and
//! hands the finished run's events over in one piece.

mod agreement;
pub mod cells;
mod changing;
mod evidence;
mod findings;
mod found;
mod judge;
mod reaper;
mod record;
mod rehearsal;
mod stage;
mod states;
mod stream;
mod tries;
mod walk;
mod world;

pub(crate) use evidence::{address_name, covers};
pub(crate) use findings::other_addresses;
pub(crate) use judge::decides;
#[cfg(test)]
pub(crate) use judge::tests as judging;
pub use netproof_enforcer_exec::{DEFAULT_PATIENCE, ExecCommand};
pub use stage::Worlds;
pub(crate) use states::without_policies;

use crate::format::{Loaded, NotApplicable};
use crate::plan::Plan;
use netproof_cluster::doctor;
use netproof_model::event::{Counts, Event, FORMAT, ScenarioOutcome, Status, Summary};
use netproof_oracle::Profile;
use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Who turns policy objects into packet rules.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum EnforcerChoice {
    /// netproof's own, on nftables.
    #[default]
    Nftables,
    /// Nobody: every policy is ignored.
    None,
    /// Processes of a command, one on each node.
    Exec(ExecCommand),
    /// netproof's own, wrong in one way.
    #[cfg(feature = "mutants")]
    Mutant(&'static netproof_enforcer_mutants::Mutant),
}

impl EnforcerChoice {
    /// As `--enforcer` names it.
    pub fn name(&self) -> Cow<'static, str> {
        match self {
            EnforcerChoice::Nftables => "nftables".into(),
            EnforcerChoice::None => "none".into(),
            EnforcerChoice::Exec(command) => format!("exec:{command}").into(),
            #[cfg(feature = "mutants")]
            EnforcerChoice::Mutant(mutant) => mutant.name.into(),
        }
    }

    /// How the API is read where it leaves something open: as our enforcer does; nothing is known of what
    /// another makes of it.
    pub fn profile(&self) -> Profile {
        match self {
            EnforcerChoice::Exec(_) => Profile::STRICT,
            _ => Profile::NETPROOF,
        }
    }
}

/// Who turns services into packet rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ProxyChoice {
    /// netproof's own, on nftables.
    #[default]
    Nftables,
    /// Nobody: service addresses lead nowhere.
    None,
}

impl ProxyChoice {
    /// As `--proxy` names it.
    pub fn name(self) -> &'static str {
        match self {
            ProxyChoice::Nftables => "nftables",
            ProxyChoice::None => "none",
        }
    }
}

/// How to run.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// The policy enforcer.
    pub enforcer: EnforcerChoice,
    /// How long an enforcer that is a command may take for each generation.
    pub enforcer_timeout: Duration,
    /// The service proxy.
    pub proxy: ProxyChoice,
    /// How many scenario runs at once; at least 1.
    pub jobs: usize,
    /// The seed of every random choice.
    pub seed: u64,
    /// Stop taking new scenario runs after one that failed or broke.
    pub fail_fast: bool,
    /// The longest that one scenario run may take.
    pub timeout: Duration,
    /// How to read what the API leaves open, for scenarios that do not say so themselves; the default is the
    /// enforcer's ([`EnforcerChoice::profile`]).
    pub profile: Option<Profile>,
}

impl RunOptions {
    /// How a plan's flows are read where the API leaves something open.
    pub(crate) fn profile_of(&self, plan: &Plan) -> Profile {
        plan.profile.or(self.profile).unwrap_or_else(|| self.enforcer.profile())
    }
}

impl Default for RunOptions {
    fn default() -> Self {
        RunOptions {
            enforcer: EnforcerChoice::default(),
            enforcer_timeout: DEFAULT_PATIENCE,
            proxy: ProxyChoice::default(),
            jobs: 1,
            seed: 0,
            fail_fast: false,
            timeout: Duration::from_secs(60),
            profile: None,
        }
    }
}

/// Runs every plan and hands each event to `sink`, in order. The calling thread must be inside a
/// sandbox (`netproof_cluster::sandbox`).
pub fn run(loaded: &Loaded, options: &RunOptions, sink: &mut dyn FnMut(Event)) -> Summary {
    let begin = Instant::now();
    let mut tally = Tally { summary: Summary::default(), sink };
    tally.event(Event::RunStarted {
        format: FORMAT.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        seed: options.seed,
        enforcer: options.enforcer.name().into_owned(),
        proxy: options.proxy.name().to_owned(),
        scenarios: loaded.plans.iter().map(|plan| plan.id.clone()).collect(),
    });
    for NotApplicable { id, location, because } in loaded.not_applicable.iter().cloned() {
        tally.event(Event::NotApplicable { id, location, because });
    }
    let next = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    let (sender, receiver) = mpsc::channel::<Vec<Event>>();
    let jobs = options.jobs.clamp(1, loaded.plans.len().max(1));
    let worlds = Worlds::new(jobs);
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            let (sender, next, stop, worlds) = (sender.clone(), &next, &stop, &worlds);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    let Some(plan) = loaded.plans.get(next.fetch_add(1, Ordering::Relaxed)) else { break };
                    let (events, result) = run_plan(plan, options, worlds);
                    if options.fail_fast && !matches!(result.status, Status::Passed | Status::Skipped) {
                        stop.store(true, Ordering::Relaxed);
                    }
                    // The receiver outlives the workers; if it is gone, so is the run.
                    if sender.send(events).is_err() {
                        break;
                    }
                }
            });
        }
        drop(sender);
        for events in receiver {
            events.into_iter().for_each(|event| tally.event(event));
        }
    });
    if let Some(message) = worlds.grace().notice() {
        tally.event(Event::Warning { location: None, message });
    }
    tally.summary.elapsed = begin.elapsed();
    let summary = tally.summary.clone();
    tally.event(Event::RunFinished { summary: summary.clone() });
    summary
}

/// Runs one plan, in a world that a run of its group has left, or in one of its own. The events are those of
/// the scenario run, from its start to its end.
pub fn run_plan(plan: &Plan, options: &RunOptions, worlds: &Worlds) -> (Vec<Event>, ScenarioOutcome) {
    let _span = tracing::info_span!("scenario", id = %plan.id).entered();
    let begin = Instant::now();
    let mut events = vec![Event::ScenarioStarted {
        id: plan.id.clone(),
        location: plan.location.clone(),
        description: plan.description.clone(),
    }];
    // Where the machine cannot be asked, building says what is wrong.
    if let Ok(Some(lack)) = doctor::lack(&plan.topology) {
        let result = ScenarioOutcome {
            status: Status::Skipped,
            message: Some(lack),
            elapsed: begin.elapsed(),
            waited: Duration::ZERO,
        };
        events.push(Event::ScenarioFinished { id: plan.id.clone(), result: result.clone() });
        return (events, result);
    }
    let mut walk = walk::Walk::new(plan, options);
    let broke = walk.run(worlds).err();
    // A run that broke is no failed test: what broke it may be what failed its checks.
    let status = match walk.checks {
        _ if broke.is_some() => Status::Errored,
        Counts { failed: 1.., .. } => Status::Failed,
        Counts { errored: 1.., .. } => Status::Errored,
        counts if counts.total() == 0 && walk.cells == 0 => Status::Skipped,
        _ => Status::Passed,
    };
    let nothing = "no step names a flow, and no cell of a matrix has a destination that was asked for";
    let nothing = (status == Status::Skipped).then(|| nothing.to_owned());
    let waited = walk.waited;
    events.append(&mut walk.events);
    drop(walk);
    let result = ScenarioOutcome {
        status,
        message: broke.map(|error| error.in_full()).or(nothing),
        elapsed: begin.elapsed(),
        waited,
    };
    events.push(Event::ScenarioFinished { id: plan.id.clone(), result: result.clone() });
    (events, result)
}

/// Adds up what passes by.
struct Tally<'a> {
    summary: Summary,
    sink: &'a mut dyn FnMut(Event),
}

impl Tally<'_> {
    fn event(&mut self, event: Event) {
        match &event {
            Event::CheckFinished { check, .. } => self.summary.checks.add(check.status),
            Event::StepFinished { cells, .. } => self.summary.cells += cells.total,
            Event::ScenarioFinished { result, .. } => {
                self.summary.scenarios.add(result.status);
                self.summary.waited += result.waited;
                self.summary.busy += result.elapsed;
            }
            _ => {}
        }
        (self.sink)(event);
    }
}
