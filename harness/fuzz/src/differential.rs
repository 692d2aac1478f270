//! The run over many cases, and what is told of it.

use crate::case::Case;
use crate::generate::{Fixed, generate};
use crate::random::Random;
use crate::shrink::{Limits, shrink};
use crate::text::{About, text};
use crate::trial::{Finding, Trial, try_text};
use crate::visits::{self, Visit};
use crate::without::{Feature, without};
use netproof_documents::options::Options;
use netproof_model::Families;
use netproof_model::event::Cells;
use netproof_oracle::Profile;
use netproof_runner::{EnforcerChoice, ProxyChoice, RunOptions, Worlds};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// So many states has a case: enough for the world to be cheap, few enough for its connection tables.
const STATES: usize = 25;

/// What a case may cost that is made smaller.
const SHRINK_TRIES: usize = 1000;
const SHRINK_TIME: Duration = Duration::from_secs(60);
/// The same where a try takes seconds: under agents, which are slow to change and, after each try that fails, to start.
const SLOW_SHRINK_TIME: Duration = Duration::from_secs(300);

/// What to run.
#[derive(Clone, Debug)]
pub struct FuzzOptions {
    /// The seed of everything.
    pub seed: u64,
    /// So many pairs of cluster and policies.
    pub pairs: Option<usize>,
    /// No case is begun after this time.
    pub time: Option<Duration>,
    /// After so many failures no further case is begun.
    pub failures: usize,
    /// What the command line fixes.
    pub fixed: Fixed,
    /// What cases are without.
    pub without: Vec<Feature>,
    /// How the text of a case is loaded.
    pub loading: Options,
    /// How each case is run, and how many at once.
    pub run: RunOptions,
}

impl FuzzOptions {
    /// How what the API leaves open is read.
    fn profile(&self) -> Profile {
        self.run.profile.unwrap_or_else(|| self.run.enforcer.profile())
    }

    /// The command that makes and tries the cases up to the one of a number.
    fn command(&self, number: usize) -> String {
        let mut command = format!("netproof fuzz --seed {} --pairs {}", self.seed, (number + 1) * STATES);
        let mut option = |name: &str, value: Option<String>| {
            if let Some(value) = value {
                command.push_str(&format!(" {name} {value}"));
            }
        };
        option("--wiring", self.fixed.wiring.map(|wiring| wiring.to_string()));
        option("--family", self.fixed.family.map(|family| family.to_string()));
        let words: Vec<&str> = self.without.iter().map(|feature| feature.word()).collect();
        option("--without", (!words.is_empty()).then(|| words.join(",")));
        let enforcer = &self.run.enforcer;
        let is_ours = *enforcer == EnforcerChoice::default();
        option("--enforcer", (!is_ours).then(|| format!("'{}'", enforcer.name())));
        let proxy = &self.run.proxy;
        option("--proxy", (*proxy != ProxyChoice::default()).then(|| format!("'{}'", proxy.name())));
        let usual = self.profile().name == enforcer.profile().name;
        option("--profile", (!usual).then(|| self.profile().name.to_owned()));
        command
    }
}

/// What was done so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Cases.
    pub cases: usize,
    /// Pairs of cluster and policies.
    pub pairs: usize,
    /// Cells that were tried.
    pub cells: usize,
    /// Of them: allowed, as the API says.
    pub allowed: usize,
    /// Of them: denied by policy, as the API says.
    pub denied: usize,
    /// Of them: anything else, as the API says.
    pub other: usize,
    /// Of them: left open by the API in the profile.
    pub undefined: usize,
    /// Of those denied: did not connect without policy either.
    pub unproven: usize,
    /// Cases that this machine or the enforcer cannot run.
    pub skipped: usize,
    /// Why, of the first of them.
    pub lacks: Option<String>,
}

impl Totals {
    fn add(&mut self, cells: &Cells) {
        self.pairs += 1;
        self.cells += cells.total;
        self.allowed += cells.predicted.allowed;
        self.denied += cells.predicted.denied;
        self.other += cells.predicted.other;
        self.undefined += cells.predicted.undefined.values().sum::<usize>();
        self.unproven += cells.unproven;
    }
}

/// A case that was not as it should be, made as small as it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The name of the scenario, and of a file for it: `fuzz-SEED-NUMBER`.
    pub name: String,
    /// The scenario.
    pub text: String,
    /// Whether packets and API differ; otherwise the harness had trouble.
    pub is_disagreement: bool,
    /// Whether the text fails when it is run again.
    pub is_repeatable: bool,
    /// What was found.
    pub what: String,
    /// Of how many pods, policies and states it is.
    pub size: [usize; 3],
}

/// What is told of a run while it goes on.
#[derive(Clone, Debug)]
pub enum Progress {
    /// A case is done; this is what was done so far.
    Done(Totals),
    /// A case failed and is being made smaller.
    Failed(String),
    /// That was made of it.
    Failure(Box<Failure>),
}

/// Runs cases until there are enough, hands what comes of them to `sink`, and gives what was done. A seed gives the
/// same cases in every run; which of them are done until the time is over is another question. The calling thread
/// must be inside a sandbox (`netproof_cluster::sandbox`).
pub fn fuzz(options: &FuzzOptions, sink: &mut dyn FnMut(Progress)) -> Totals {
    let begin = Instant::now();
    let late = || options.time.is_some_and(|time| begin.elapsed() >= time);
    let (next, failures, stop) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicBool::new(false));
    let (sender, receiver) = mpsc::channel();
    let jobs = options.run.jobs.max(1);
    let worlds = Worlds::of_random_runs(jobs);
    let mut totals = Totals::default();
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            let (sender, next, failures, stop, worlds) = (sender.clone(), &next, &failures, &stop, &worlds);
            scope.spawn(move || {
                while !stop.load(Ordering::Relaxed) && !late() {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let states = options.pairs.map_or(STATES, |pairs| pairs.saturating_sub(number * STATES));
                    if states == 0 {
                        break;
                    }
                    let worker = Worker { options, worlds, number };
                    let case = generate(options.seed, number, states.min(STATES), options.fixed);
                    let case = without(case, &options.without);
                    let visits = visits::choose(&case, &mut Random::of_case(!options.seed, number));
                    let trial = worker.try_case(&case, &visits);
                    let finding = trial.findings.first().cloned();
                    // The receiver outlives the workers; if it is gone, so is the run.
                    if sender.send(Message::Trial(trial)).is_err() {
                        break;
                    }
                    if let Some(finding) = finding {
                        let failed = Progress::Failed(format!("{}: {}", worker.name(), finding.told()));
                        let _ = sender.send(Message::Progress(failed));
                        let failure = Progress::Failure(Box::new(worker.failure(case, &visits, finding)));
                        let _ = sender.send(Message::Progress(failure));
                        if failures.fetch_add(1, Ordering::Relaxed) + 1 >= options.failures {
                            stop.store(true, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
        drop(sender);
        for told in receiver {
            match told {
                Message::Progress(progress) => sink(progress),
                Message::Trial(trial) => {
                    totals.cases += 1;
                    trial.cells.iter().for_each(|cells| totals.add(cells));
                    if let Some(lacks) = trial.skipped {
                        totals.skipped += 1;
                        totals.lacks.get_or_insert(lacks);
                    }
                    sink(Progress::Done(totals.clone()));
                }
            }
        }
    });
    totals
}

/// What workers send.
enum Message {
    Trial(Trial),
    Progress(Progress),
}

/// A case at work.
struct Worker<'a> {
    options: &'a FuzzOptions,
    worlds: &'a Worlds,
    number: usize,
}

impl Worker<'_> {
    fn name(&self) -> String {
        format!("fuzz-{}-{}", self.options.seed, self.number)
    }

    fn about(&self) -> About {
        let description = format!("Found by: {}", self.options.command(self.number));
        About { name: self.name(), description, ..About::default() }
    }

    fn try_case(&self, case: &Case, visits: &[Vec<Visit>]) -> Trial {
        match visits::expectations(case, visits, self.options.profile()) {
            Ok(expectations) => {
                let text = text(case, &About { expectations, ..self.about() });
                try_text(&self.name(), &text, &self.options.loading, &self.options.run, self.worlds)
            }
            Err(why) => Trial { findings: vec![Finding::Invalid(why)], ..Trial::default() },
        }
    }

    /// Makes a case that failed smaller, and a scenario of what remains.
    fn failure(&self, case: Case, visits: &[Vec<Visit>], finding: Finding) -> Failure {
        let time = if self.options.run.keeps_worlds() { SLOW_SHRINK_TIME } else { SHRINK_TIME };
        let until = Some(Instant::now() + time);
        let limits = Limits { tries: SHRINK_TRIES, until };
        let kind = finding.kind();
        let state = finding.state().unwrap_or(case.states.len().saturating_sub(1));
        let visit = visits.iter().flatten().find(|visit| finding.is_about(&visit.to_string()));
        let mut found = None;
        let mut fails = |case: &Case, visits: &[Vec<Visit>]| {
            // A policy with less in it may be one of both directions.
            if without(case.clone(), &self.options.without) != *case {
                return false;
            }
            let trial = self.try_case(case, visits);
            let same = trial.findings.into_iter().find(|finding| finding.kind() == kind);
            same.map(|same| found = Some(same)).is_some()
        };
        let whole = case.clone();
        let mut case =
            shrink(case, state, limits, &mut |case| fails(case, &visits::in_every_state(case, visit)));
        // Once more: this is what is kept.
        let mut shown = visits::in_every_state(&case, visit);
        let mut is_repeatable = fails(&case, &shown);
        if !is_repeatable {
            // It may take more than the one visit: the case as it was.
            (case, shown) = (whole, visits.to_vec());
            is_repeatable = fails(&case, &shown);
        }
        let found = found.unwrap_or(finding);
        let visits = shown;
        // Without them, where it is they that are wrong.
        let expectations = visits::expectations(&case, &visits, self.options.profile()).unwrap_or_default();
        let about = About { expectations, ..self.about() };
        let mut written = text(&case, &about);
        // The flow by itself says it best, if it fails by itself.
        let dual = case.cluster.family == Families::Dual;
        let state = found.state().unwrap_or(case.states.len().saturating_sub(1));
        let is_kept = visit.is_some_and(|visit| visit.keep);
        if let Some(expected) = found.expectation(dual).filter(|_| !is_kept) {
            let expectations = BTreeMap::from([(state, vec![expected])]);
            let alone = text(&case, &About { expectations, only_expectations: true, ..about });
            let trial = try_text(&self.name(), &alone, &self.options.loading, &self.options.run, self.worlds);
            let same = |other: &Finding| match found.is_disagreement() {
                true => other.is_disagreement(),
                false => other.kind() == kind,
            };
            if trial.findings.iter().any(same) {
                (written, is_repeatable) = (alone, true);
            }
        }
        let size = case.states.get(state).map(|it| [it.pods.len(), it.policies.len(), case.states.len()]);
        Failure {
            name: self.name(),
            text: written,
            is_disagreement: found.is_disagreement(),
            is_repeatable,
            what: found.told(),
            size: size.unwrap_or_default(),
        }
    }
}
