//! `netproof validate`: checks scenarios, or manifests, without building anything.

use super::agents::Chosen;
use super::{Held, Subject, bad_input, load, notes, print};
use crate::args::ValidateArguments;
use crate::exit::Exit;
use crate::outputs;

pub fn validate(arguments: &ValidateArguments) -> Exit {
    match netproof_manifests::has_scenarios(&arguments.selection.paths) {
        true => scenarios(arguments),
        false => files_of_manifests(arguments),
    }
}

/// Manifests are read as `matrix` and `explain` read them.
fn files_of_manifests(arguments: &ValidateArguments) -> Exit {
    let Subject { loaded, .. } = match Subject::load(
        &arguments.selection,
        &Chosen::default(),
        &arguments.namespace,
        arguments.verbose,
    ) {
        Ok(subject) => subject,
        Err(exit) => return exit,
    };
    let missing = notes::say_last(&loaded.ignored, arguments.verbose);
    let text = format!("valid: {} of manifests", count(loaded.files, "file"));
    end(arguments, text, loaded.warnings.len() + missing)
}

fn scenarios(arguments: &ValidateArguments) -> Exit {
    let loaded = match load(&arguments.selection, &Chosen::default(), Held::Always(arguments.profile), &[]) {
        Ok(loaded) => loaded,
        Err(exit) => return exit,
    };
    for warning in &loaded.warnings {
        outputs::complain(warning);
    }
    if loaded.plans.is_empty() {
        return super::nothing_matched(&loaded);
    }
    for note in notes::notes(&loaded.ignored, arguments.verbose) {
        outputs::complain(format_args!("note: {note}"));
    }
    if loaded.passed_over_files > 0 {
        let files = count(loaded.passed_over_files, "other file");
        outputs::complain(format_args!(
            "note: {files} without a scenario: checked as far as scenarios name them"
        ));
    }
    let mut text =
        format!("valid: {}, {}", count(loaded.files, "file"), count(loaded.plans.len(), "scenario run"));
    if !loaded.not_applicable.is_empty() {
        text.push_str(&format!(", {} not applicable", loaded.not_applicable.len()));
    }
    end(arguments, text, loaded.warnings.len())
}

/// Prints that everything is valid, unless warnings are errors.
fn end(arguments: &ValidateArguments, mut text: String, warnings: usize) -> Exit {
    if arguments.strict && warnings > 0 {
        let warnings = count(warnings, "warning");
        return bad_input(format_args!("error: {warnings}, and --strict lets none pass"));
    }
    if warnings > 0 {
        text.push_str(&format!(", {}", count(warnings, "warning")));
    }
    print(&(text + "\n"))
}

fn count(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}
