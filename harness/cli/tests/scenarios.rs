//! Every scenario run as one test: `cargo test recipes::`, `cargo test -- --list`, `cargo nextest run`.
//!
//! The names are those of `netproof list`. A test that fails prints what `netproof run` would print.

use libtest_mimic::{Arguments, Failed, Trial};
use netproof_model::event::{Event, Status};
use netproof_reports::{Reporter, Rerun, Terminal, TerminalOptions};
use netproof_scenario::format::{self, Loaded, Options};
use netproof_scenario::plan::Plan;
use netproof_scenario::run::{RunOptions, Worlds, run_plan};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let options = Options { root: Some(root.clone()), ..Options::default() };
    let Loaded { plans, .. } = match format::load(&[root.join("scenarios")], &options) {
        Ok(loaded) => loaded,
        Err(diagnostics) => {
            eprintln!("{diagnostics}");
            return ExitCode::from(2);
        }
    };
    if !arguments.list {
        // Before any thread exists: libtest-mimic starts them below.
        if let Err(error) = netproof_cluster::sandbox::enter() {
            eprintln!("cannot run scenarios here: {error}");
            return ExitCode::from(3);
        }
    }
    let worlds = Arc::new(Worlds::new(1));
    let trials = plans
        .into_iter()
        .map(|plan| {
            let worlds = Arc::clone(&worlds);
            Trial::test(plan.id.to_string(), move || run(&plan, &worlds))
        })
        .collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn run(plan: &Plan, worlds: &Worlds) -> Result<(), Failed> {
    let (events, result) = run_plan(plan, &RunOptions::default(), worlds);
    if result.status == Status::Passed {
        return Ok(());
    }
    Err(Failed::from(report(&events)))
}

/// The events as `netproof run` prints them.
fn report(events: &[Event]) -> String {
    let mut text = Vec::new();
    let mut terminal = Terminal::new(&mut text, TerminalOptions::default(), Rerun::default());
    for event in events {
        if let Err(error) = terminal.event(event) {
            return format!("cannot write the report: {error}");
        }
    }
    drop(terminal);
    String::from_utf8_lossy(&text).into_owned()
}
