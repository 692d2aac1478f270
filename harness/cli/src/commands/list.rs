//! `netproof list`: the stable names of what would run, one a line; or the built-in topologies.

use super::load;
use crate::args::ListArguments;
use crate::exit::Exit;
use crate::outputs;
use netproof_scenario::format;
use std::fmt::Write as _;
use std::path::Path;

/// The word that stands for the built-in topologies, where no file has that name.
const TOPOLOGIES: &str = "topologies";

pub fn list(arguments: &ListArguments) -> Exit {
    let selection = &arguments.selection;
    let word = Path::new(TOPOLOGIES);
    let text = if selection.paths == [word] && !word.exists() {
        topologies()
    } else {
        let loaded = match load(selection) {
            Ok(loaded) => loaded,
            Err(exit) => return exit,
        };
        if loaded.plans.is_empty() {
            return super::nothing_matched(&loaded);
        }
        loaded.plans.iter().map(|plan| format!("{}\n", plan.id)).collect()
    };
    match outputs::print(&text) {
        Ok(()) => Exit::AsExpected,
        Err(error) => {
            outputs::complain(format_args!("error: cannot write to standard output: {error}"));
            Exit::NotDone
        }
    }
}

/// Each with what it is for.
fn topologies() -> String {
    let topologies = format::built_in_topologies();
    let width = topologies.iter().map(|topology| topology.name.len()).max().unwrap_or_default();
    let mut text = String::new();
    for topology in &topologies {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{:<width$}  {}", topology.name, topology.description);
    }
    text
}
