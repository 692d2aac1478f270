//! `netproof fuzz`: compares packets with the API, under random clusters, policies and changes.
//!
//! As in `run`, the sandbox is entered before any thread exists, and another thread does the work, so that
//! this one can report what was done so far when a signal arrives.

use super::agents::Chosen;
use super::bad_input;
use crate::args::FuzzArguments;
use crate::exit::Exit;
use crate::outputs;
use crate::signals;
use netproof_cluster::sandbox;
use netproof_documents::Options;
use netproof_fuzz::{Failure, Fixed, FuzzOptions, Progress, Totals};
use netproof_model::{Families, Wiring};
use netproof_oracle::Profile;
use netproof_runner::RunOptions;
use nix::sys::signal::Signal;
use serde::Serialize;
use std::io::{self, IsTerminal, Write};
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// The default duration.
const DEFAULT_TIME: Duration = Duration::from_secs(60);
/// After this many failures no further cluster starts.
const MOST_FAILURES: usize = 5;

pub fn fuzz(arguments: &FuzzArguments) -> Exit {
    let options = match Chosen::read(&arguments.enforcer, &arguments.proxy) {
        Ok(chosen) => options(arguments, chosen),
        Err(exit) => return exit,
    };
    let (options, profile) = match options {
        Ok(options) => options,
        Err(exit) => return exit,
    };
    if let Err(error) = std::fs::create_dir_all(&arguments.out) {
        return bad_input(format_args!(
            "error: cannot write to the folder {}: {error}; name another one with --out",
            arguments.out.display()
        ));
    }
    if let Err(error) = sandbox::enter() {
        outputs::complain(format_args!("error: cannot build clusters here: {error}"));
        return Exit::NotDone;
    }
    let begin = Instant::now();
    let mut report = Report::new(arguments, profile);
    let ended = follow(options, &mut report);
    report.progress("");
    let trouble = report.finish(begin.elapsed()).is_err();
    let exit = match ended {
        Ended::Fuzzed => report.exit(),
        Ended::Signal(signal) => Exit::Interrupted(signal),
        Ended::Broken(why) => {
            outputs::complain(format_args!("error: {why}"));
            Exit::NotDone
        }
    };
    exit.with_trouble(trouble || report.trouble)
}

/// The options, and how they read what the API leaves open.
fn options(arguments: &FuzzArguments, chosen: Chosen) -> Result<(FuzzOptions, Profile), Exit> {
    let profile = arguments.profile.unwrap_or_else(|| chosen.profile());
    let loading = chosen.options(Options::default());
    let enforcer_timeout = arguments.enforcer_timeout.unwrap_or_else(|| chosen.patience());
    let timeout = arguments.timeout.unwrap_or_else(|| chosen.timeout());
    let (enforcer, proxy) = chosen.find()?;
    let processors = || thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let time = arguments.seconds.map(Duration::from_secs);
    let pairs = arguments.pairs.map(NonZeroUsize::get);
    let options = FuzzOptions {
        seed: arguments.seed,
        pairs,
        time: time.or(pairs.is_none().then_some(DEFAULT_TIME)),
        failures: MOST_FAILURES,
        fixed: Fixed {
            wiring: arguments.wiring.map(Wiring::from),
            family: arguments.family.map(Families::from),
        },
        without: arguments.without.clone(),
        loading,
        run: RunOptions {
            enforcer,
            enforcer_timeout,
            proxy,
            profile: Some(profile),
            jobs: arguments.jobs.unwrap_or_else(processors).get(),
            seed: arguments.seed,
            timeout,
            ..RunOptions::default()
        },
    };
    Ok((options, profile))
}

/// Messages to the reporting thread.
enum Message {
    Progress(Progress),
    Signal(Signal),
    /// The run returned, or panicked.
    Done(bool),
}

/// How a run ended.
enum Ended {
    Fuzzed,
    Signal(Signal),
    Broken(String),
}

fn follow(options: FuzzOptions, report: &mut Report<'_>) -> Ended {
    let (sender, receiver) = mpsc::channel();
    let signal = sender.clone();
    // The receiver may be gone when it has all it needs; this holds for every `send` here.
    if let Err(error) = signals::watch(move |what| drop(signal.send(Message::Signal(what)))) {
        return Ended::Broken(format!("cannot wait for signals: {error}"));
    }
    let runner = move || {
        let mut sink = |progress| drop(sender.send(Message::Progress(progress)));
        let done = catch_unwind(AssertUnwindSafe(|| netproof_fuzz::fuzz(&options, &mut sink)));
        drop(sender.send(Message::Done(done.is_ok())));
    };
    if let Err(error) = thread::Builder::new().name("fuzz".into()).spawn(runner) {
        return Ended::Broken(format!("cannot start a thread: {error}"));
    }
    for message in receiver {
        match message {
            Message::Progress(progress) => report.add(progress),
            Message::Signal(signal) => return Ended::Signal(signal),
            Message::Done(true) => return Ended::Fuzzed,
            Message::Done(false) => break,
        }
    }
    Ended::Broken("the run broke down, which is a bug of netproof's; please report it".into())
}

/// The text for a person.
struct Report<'a> {
    arguments: &'a FuzzArguments,
    profile: Profile,
    terminal: bool,
    totals: Totals,
    disagreements: Vec<String>,
    errors: Vec<String>,
    /// Whether a file could not be written.
    trouble: bool,
}

/// What was done, for `--json`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Done<'a> {
    seed: u64,
    profile: &'a str,
    /// Features that no policy had.
    without: Vec<&'a str>,
    seconds: f64,
    #[serde(flatten)]
    totals: &'a Totals,
    /// Files of cases where packets and API differ.
    disagreements: &'a [String],
    /// Files of cases where the harness had trouble.
    errors: &'a [String],
}

impl<'a> Report<'a> {
    fn new(arguments: &'a FuzzArguments, profile: Profile) -> Self {
        Report {
            arguments,
            profile,
            terminal: io::stderr().is_terminal(),
            totals: Totals::default(),
            disagreements: Vec::new(),
            errors: Vec::new(),
            trouble: false,
        }
    }

    fn add(&mut self, progress: Progress) {
        match progress {
            Progress::Done(totals) => {
                self.progress(&format!("{} pairs, {} cells", totals.pairs, totals.cells));
                self.totals = totals;
            }
            Progress::Failed(what) => {
                self.progress("");
                outputs::complain(format_args!("{what}\n  (looking for the smallest case of it)"));
            }
            Progress::Failure(failure) => self.failure(&failure),
        }
    }

    fn failure(&mut self, failure: &Failure) {
        self.progress("");
        let path = self.arguments.out.join(format!("{}.yaml", failure.name));
        let [pods, policies, states] = failure.size;
        let count = |n: usize, one: &str, many: &str| format!("{n} {}", if n == 1 { one } else { many });
        outputs::complain(format_args!(
            "{}: {}, {}, {}\n  {}",
            path.display(),
            count(pods, "pod", "pods"),
            count(policies, "policy", "policies"),
            count(states, "step", "steps"),
            failure.what
        ));
        if !failure.is_repeatable {
            outputs::complain("  it did not fail again: the file is the whole case");
        }
        if let Err(error) = std::fs::write(&path, &failure.text) {
            outputs::complain(format_args!("error: cannot write {}: {error}", path.display()));
            self.trouble = true;
        }
        let files = if failure.is_disagreement { &mut self.disagreements } else { &mut self.errors };
        files.push(path.display().to_string());
    }

    /// A line that is overwritten, on a terminal only.
    fn progress(&self, text: &str) {
        if self.terminal {
            let mut err = io::stderr().lock();
            // Ignore an error while showing progress.
            let _ = write!(err, "\r\x1b[K{text}").and_then(|()| err.flush());
        }
    }

    fn finish(&self, elapsed: Duration) -> io::Result<()> {
        let seconds = elapsed.as_secs_f64();
        if self.arguments.json {
            let done = Done {
                seed: self.arguments.seed,
                profile: self.profile.name,
                without: self.without(),
                seconds,
                totals: &self.totals,
                disagreements: &self.disagreements,
                errors: &self.errors,
            };
            let text = serde_json::to_string_pretty(&done).map_err(io::Error::other)?;
            return outputs::print(&(text + "\n"));
        }
        outputs::print(&self.summary(seconds))
    }

    fn without(&self) -> Vec<&'static str> {
        self.arguments.without.iter().map(|feature| feature.word()).collect()
    }

    fn summary(&self, seconds: f64) -> String {
        let Totals { cases, pairs, cells, allowed, denied, other, undefined, skipped, .. } = &self.totals;
        let mut text = format!(
            "{pairs} pairs of cluster and policies in {cases} clusters, {cells} cells: {allowed} allowed, {denied} denied, \
             {other} other, {undefined} undefined\n"
        );
        if let Some(lacks) = self.totals.lacks.as_ref() {
            text.push_str(&format!("{skipped} clusters were skipped: {lacks}\n"));
        }
        text.push_str(&format!(
            "{seconds:.1} s ({:.1} ms a pair), seed {}, profile {}\n",
            seconds * 1e3 / (*pairs).max(1) as f64,
            self.arguments.seed,
            self.profile.name
        ));
        if !self.arguments.without.is_empty() {
            text.push_str(&format!("without {}\n", self.without().join(", ")));
        }
        let mut list = |what: &str, files: &[String]| {
            if !files.is_empty() {
                text.push_str(&format!("{what}: {}\n", files.join(", ")));
            }
        };
        list("packets and API differ", &self.disagreements);
        list("without a verdict", &self.errors);
        if self.disagreements.is_empty() && self.errors.is_empty() && *pairs > 0 {
            text.push_str("the packets agree with the API\n");
        }
        text
    }

    fn exit(&self) -> Exit {
        if !self.disagreements.is_empty() {
            Exit::CheckFailed
        } else if !self.errors.is_empty() || self.totals.pairs == 0 {
            Exit::NotDone
        } else {
            Exit::AsExpected
        }
    }
}
