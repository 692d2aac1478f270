//! `netproof validate`: everything that can be known of scenarios without building anything.

use super::{bad_input, load, print};
use crate::args::ValidateArguments;
use crate::exit::Exit;
use crate::outputs;

pub fn validate(arguments: &ValidateArguments) -> Exit {
    let loaded = match load(&arguments.selection, Some(arguments.profile), &[]) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    for warning in &loaded.warnings {
        outputs::complain(warning);
    }
    if loaded.plans.is_empty() {
        return super::nothing_matched(&loaded);
    }
    let count = |n: usize, noun: &str| format!("{n} {noun}{}", if n == 1 { "" } else { "s" });
    let warnings = loaded.warnings.len();
    if arguments.strict && warnings > 0 {
        let warnings = count(warnings, "warning");
        return bad_input(format_args!("error: {warnings}, and --strict lets none pass"));
    }
    let mut text =
        format!("valid: {}, {}", count(loaded.files, "file"), count(loaded.plans.len(), "scenario run"));
    if !loaded.not_applicable.is_empty() {
        text.push_str(&format!(", {} not applicable", loaded.not_applicable.len()));
    }
    if warnings > 0 {
        text.push_str(&format!(", {}", count(warnings, "warning")));
    }
    text.push('\n');
    if let Some(note) = super::passed_over(&loaded) {
        text.push_str(&format!("{note}\n"));
    }
    print(&text)
}
