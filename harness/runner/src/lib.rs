//! The runner: walks plans over real clusters and emits the events of the run.
//!
//! Scenario runs are independent, so each worker thread takes the next one, builds its cluster, and
//! hands the finished run's events over in one piece.

mod agents;
mod options;
mod stream;
mod walk;
mod world;

pub use agents::{not_applicable, set_aside};
pub use netproof_enforcer::Backend;
pub use netproof_enforcer_agent::Agent;
pub use netproof_enforcer_exec::{DEFAULT_PATIENCE, ExecCommand};
pub use options::{
    AGENT_PATIENCE, AGENT_TIMEOUT, DEFAULT_TIMEOUT, EnforcerChoice, ProxyChoice, RunOptions, profile_of_agent,
};
pub use walk::Worlds;

use netproof_cluster::doctor;
use netproof_model::event::{Counts, Event, FORMAT, ScenarioOutcome, Status, Summary};
use netproof_plan::{Loaded, NotApplicable, Plan};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};
use walk::Walk;
use world::HarnessError;

/// The event that a run begins with.
pub fn started(loaded: &Loaded, options: &RunOptions) -> Event {
    Event::RunStarted {
        format: FORMAT.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        seed: options.seed,
        enforcer: options.enforcer.name().into_owned(),
        proxy: options.proxy.name().into_owned(),
        scenarios: loaded.plans.iter().map(|plan| plan.id.clone()).collect(),
    }
}

/// Runs every plan and hands each event to `sink`, in order. The calling thread must be inside a
/// sandbox (`netproof_cluster::sandbox`).
pub fn run(loaded: &Loaded, options: &RunOptions, sink: &mut dyn FnMut(Event)) -> Summary {
    let begin = Instant::now();
    let mut tally = Tally { summary: Summary::default(), sink };
    tally.event(started(loaded, options));
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
    if let Some(message) = worlds.grace().notice(options.enforcer.data_path()) {
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
    let mut events = vec![plan.started()];
    // Where the machine cannot be asked, building says what is wrong.
    let lack = doctor::lack(&plan.topology).ok().flatten().or_else(|| agents::lack(options));
    if let Some(lack) = lack {
        let result = ScenarioOutcome {
            status: Status::Skipped,
            message: Some(lack),
            trouble: None,
            elapsed: begin.elapsed(),
            waited: Duration::ZERO,
        };
        events.push(Event::ScenarioFinished { id: plan.id.clone(), result: result.clone() });
        return (events, result);
    }
    let mut walk = Walk::new(plan, options);
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
        trouble: broke.as_ref().map(HarnessError::trouble),
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
