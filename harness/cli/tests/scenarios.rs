//! Every scenario run as one test: `cargo test recipes::`, `cargo test -- --list`, `cargo nextest run`.
//!
//! The names are those of `netproof list`. A failed test prints what `netproof run` would print; a run that
//! does not apply, or that the machine cannot do, is ignored with the reason.

mod completion;

use libtest_mimic::{Arguments, Trial};
use netproof_documents::Options;
use netproof_model::event::Event;
use netproof_plan::Loaded;
use netproof_reports::{Reporter, Rerun, Terminal, TerminalOptions};
use netproof_runner::{RunOptions, Worlds, run_plan};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let options = Options { root: Some(root.clone()), ..Options::default() };
    let Loaded { plans, not_applicable, .. } =
        match netproof_format::load(&[root.join("scenarios")], &options) {
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
    let ruled_out = not_applicable.into_iter().map(|it| {
        Trial::ignorable_test(it.id.to_string(), move || Ok(completion::not_applicable(&it.because)))
    });
    let planned = plans.into_iter().map(|plan| {
        let worlds = Arc::clone(&worlds);
        Trial::ignorable_test(plan.id.to_string(), move || {
            let (events, result) = run_plan(&plan, &RunOptions::default(), &worlds);
            completion::of(&events, &result, || report(&events))
        })
    });
    libtest_mimic::run(&arguments, planned.chain(ruled_out).collect()).exit_code()
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
