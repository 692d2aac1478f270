//! `netproof run`: builds, probes, judges, reports.
//!
//! The order matters:
//!
//! 1. Files are read first, so that bad input gives the same error on every machine.
//! 2. Reports are opened once it is known that they overwrite no input, and before anything is built.
//! 3. The sandbox is entered before any thread exists.
//! 4. The runner works on another thread, so that this one can write the reports when a signal arrives.

use super::agents::Chosen;
use super::{Held, bad_input, load};
use crate::args::{Color, RunArguments};
use crate::exit::Exit;
use crate::outputs::{self, Outputs};
use crate::signals;
use netproof_api::Diagnostic;
use netproof_cluster::sandbox;
use netproof_model::event::{Counts, Event, Location, ScenarioOutcome, Status, Summary, Trouble};
use netproof_oracle::Profile;
use netproof_plan::Loaded;
use netproof_runner::RunOptions;
use nix::sys::signal::Signal;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

pub fn run(arguments: &RunArguments, color: Color) -> Exit {
    let (mut loaded, options) = match read(arguments) {
        Ok(read) => read,
        Err(exit) => return exit,
    };
    netproof_runner::set_aside(&mut loaded, &options);
    if loaded.plans.is_empty() {
        return super::nothing_matched(&loaded);
    }
    if let Some(problem) = reports_collide(arguments, &loaded) {
        return bad_input(format_args!("error: {problem}"));
    }
    let mut outputs = match Outputs::open(arguments, color) {
        Ok(outputs) => outputs,
        Err(error) => return bad_input(format_args!("error: {error}")),
    };
    let ready = match sandbox::enter() {
        Ok(sandbox) => enough_files(&loaded, sandbox.open_files),
        Err(error) => Err(format!("cannot build clusters here: {error}")),
    };
    if let Err(why) = ready {
        outputs::complain(format_args!("error: {why}"));
        outputs.silence_terminal();
        report_nothing_done(&loaded, &options, &why, &mut outputs);
        return Exit::NotDone.with_trouble(outputs.finish().is_err());
    }
    let ended = follow(loaded, options, &mut outputs);
    let trouble = outputs.finish().is_err();
    let exit = match ended {
        Ended::Run(summary) => {
            let skipped = summary.scenarios.skipped + summary.checks.skipped;
            if arguments.require_all && skipped > 0 {
                outputs::complain("error: --require-all lets nothing be skipped");
            }
            Exit::of_run(&summary, arguments.require_all)
        }
        Ended::Signal(signal) => Exit::Interrupted(signal),
        Ended::Broken(why) => {
            outputs::complain(format_args!("error: {why}"));
            Exit::NotDone
        }
    };
    exit.with_trouble(trouble)
}

/// Reads all input, and then looks for the programs that are needed. On failure the errors have been printed.
fn read(arguments: &RunArguments) -> Result<(Loaded, RunOptions), Exit> {
    let chosen = Chosen::read(&arguments.enforcer, &arguments.proxy)?;
    let held = Held::BesideMistakes(arguments.profile.unwrap_or(Profile::NETPROOF));
    let loaded = load(&arguments.selection, &chosen, held, &arguments.destination)?;
    Ok((loaded, options(arguments, chosen)?))
}

/// Why a report would overwrite an input, or another report. A file that a scenario names, or that the
/// filter left out, is recognised by its extension.
fn reports_collide(arguments: &RunArguments, loaded: &Loaded) -> Option<String> {
    let mut taken: Vec<(PathBuf, &str)> = Vec::new();
    for (format, path) in arguments.reports() {
        let option = format.option();
        let real =
            path.canonicalize().or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_owned());
        let same = |input: &Path| input.canonicalize().is_ok_and(|input| input == real);
        let yaml = real.extension().is_some_and(|ending| ending == "yaml" || ending == "yml");
        let read = loaded.plans.iter().any(|plan| same(Path::new(&plan.location.file)))
            || arguments.selection.paths.iter().any(|path| same(path));
        // Writing to a special file such as /dev/stdout destroys nothing.
        if real.is_file() && (read || yaml) {
            return Some(format!("{option} would overwrite {}; name another file", path.display()));
        }
        if let Some((_, other)) = taken.iter().find(|(other, _)| *other == real)
            && (real.is_file() || !real.exists())
        {
            return Some(format!("{other} and {option} name the same file; give each its own"));
        }
        taken.push((real, option));
    }
    None
}

fn options(arguments: &RunArguments, chosen: Chosen) -> Result<RunOptions, Exit> {
    let processors = || thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let enforcer_timeout = arguments.enforcer_timeout.unwrap_or_else(|| chosen.patience());
    let timeout = arguments.timeout.unwrap_or_else(|| chosen.timeout());
    let (enforcer, proxy) = chosen.find()?;
    Ok(RunOptions {
        enforcer,
        enforcer_timeout,
        proxy,
        jobs: arguments.jobs.unwrap_or_else(processors).get(),
        seed: arguments.seed,
        fail_fast: arguments.fail_fast,
        timeout,
        keep_worlds: false,
        profile: arguments.profile,
    })
}

/// Messages to the reporting thread.
enum Message {
    Event(Event),
    Signal(Signal),
    /// The runner returned, or panicked.
    Done(Option<Summary>),
}

/// How a run ended.
enum Ended {
    Run(Summary),
    Signal(Signal),
    Broken(String),
}

/// Runs everything on another thread and reports its events, until it is done or a signal arrives. The
/// process ends soon after, and with it everything that the runner has built.
fn follow(loaded: Loaded, options: RunOptions, outputs: &mut Outputs) -> Ended {
    let mut warnings: Vec<Event> = loaded.warnings.iter().map(warning).collect();
    let notes = super::notes::notes(&loaded.ignored, false).into_iter();
    warnings.extend(notes.map(|message| Event::Warning { location: None, message }));
    let (sender, receiver) = mpsc::channel();
    let signal = sender.clone();
    // The receiver may be gone when it has all it needs; this holds for every `send` here.
    let watched = signals::watch(move |what| drop(signal.send(Message::Signal(what))));
    if let Err(error) = watched {
        return Ended::Broken(format!("cannot wait for signals: {error}"));
    }
    let runner = move || {
        let mut sink = |event| drop(sender.send(Message::Event(event)));
        let summary = catch_unwind(AssertUnwindSafe(|| netproof_runner::run(&loaded, &options, &mut sink)));
        drop(sender.send(Message::Done(summary.ok())));
    };
    if let Err(error) = thread::Builder::new().name("runner".into()).spawn(runner) {
        return Ended::Broken(format!("cannot start a thread: {error}"));
    }
    for message in receiver {
        match message {
            Message::Event(event) => {
                outputs.event(&event);
                if matches!(event, Event::RunStarted { .. }) {
                    warnings.iter().for_each(|warning| outputs.event(warning));
                }
            }
            Message::Signal(signal) => return Ended::Signal(signal),
            Message::Done(Some(summary)) => return Ended::Run(summary),
            Message::Done(None) => break,
        }
    }
    Ended::Broken("the runner broke down, which is a bug of netproof's; please report it".into())
}

fn warning(diagnostic: &Diagnostic) -> Event {
    let location = diagnostic.source.as_ref().and_then(|source| {
        let (line, column) = diagnostic.location()?;
        Some(Location { file: source.name.clone(), line, column })
    });
    let message = match &diagnostic.help {
        Some(help) => format!("{}; {help}", diagnostic.message),
        None => diagnostic.message.clone(),
    };
    Event::Warning { location, message }
}

/// Checks that the limit of open files is not clearly too low, for one error instead of one for each
/// scenario run.
fn enough_files(loaded: &Loaded, limit: u64) -> Result<(), String> {
    // Less than the smallest runs needed (90 for 7 stacks): a run that could work is never refused.
    const FILES: usize = 16;
    const FILES_OF_A_PLACE: usize = 8;
    let places = loaded.plans.iter().map(|plan| plan.places).max().unwrap_or_default();
    let need = FILES + places * FILES_OF_A_PLACE;
    if u64::try_from(need).is_ok_and(|need| need <= limit) {
        return Ok(());
    }
    Err(format!(
        "the largest scenario run has {places} network stacks and needs more than {need} open files, and the limit \
         is {limit}: raise it with `ulimit -n 65536`"
    ))
}

/// If nothing can run, the reports say so for every scenario run.
fn report_nothing_done(loaded: &Loaded, options: &RunOptions, why: &str, outputs: &mut Outputs) {
    let zero = Duration::ZERO;
    outputs.event(&netproof_runner::started(loaded, options));
    for plan in &loaded.plans {
        let id = plan.id.clone();
        let message = Some(why.to_owned());
        let result = ScenarioOutcome {
            status: Status::Errored,
            message,
            trouble: Some(Trouble::Machine),
            elapsed: zero,
            waited: zero,
        };
        outputs.event(&plan.started());
        outputs.event(&Event::ScenarioFinished { id, result });
    }
    let scenarios = Counts { errored: loaded.plans.len(), ..Counts::default() };
    outputs.event(&Event::RunFinished { summary: Summary { scenarios, ..Summary::default() } });
}
