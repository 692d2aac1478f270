//! One file for each command.

mod agents;
pub mod doctor;
pub mod explain;
pub mod fuzz;
pub mod list;
pub mod matrix;
mod notes;
pub mod run;
pub mod validate;

use crate::args::{Choice, Selection};
use crate::exit::Exit;
use crate::outputs;
use agents::Chosen;
use netproof_documents::Options;
use netproof_oracle::Profile;
use netproof_plan::{Loaded, NotApplicable};
use netproof_plan::{MatrixDestination, Plan};
use serde::Serialize;
use std::collections::BTreeSet;

/// When expectations are compared with the API, as a profile reads it.
#[derive(Clone, Copy)]
enum Held {
    /// Never.
    Never,
    /// Only if the scenarios have other errors: then the run, which would compare them, does not begin.
    BesideMistakes(Profile),
    /// Always.
    Always(Profile),
}

/// Reads the chosen scenarios, for an enforcer and a proxy; `destinations`, if given, are those of every matrix. On
/// failure the errors have been printed.
fn load(
    selection: &Selection,
    chosen: &Chosen,
    held: Held,
    destinations: &[MatrixDestination],
) -> Result<Loaded, Exit> {
    let (first, second) = match held {
        Held::Never => (None, None),
        Held::BesideMistakes(profile) => (None, Some(profile)),
        Held::Always(profile) => (Some(profile), None),
    };
    let destinations = destinations.iter().copied().collect();
    let options = Options { against: first, destinations, ..chosen.options(options(&selection.choice)) };
    let loaded = netproof_format::load(&selection.paths, &options).or_else(|errors| match second {
        Some(_) => netproof_format::load(&selection.paths, &Options { against: second, ..options }),
        None => Err(errors),
    });
    loaded.map_err(bad_input)
}

fn options(choice: &Choice) -> Options {
    Options {
        root: choice.root.clone(),
        filter: choice.filter.clone(),
        topology: choice.topology.clone(),
        wiring: choice.wiring.map(Into::into),
        family: choice.family.map(Into::into),
        kube_proxy_mode: choice.kube_proxy_mode,
        ..Options::default()
    }
}

fn bad_input(what: impl std::fmt::Display) -> Exit {
    outputs::complain(what);
    Exit::BadInput
}

/// The input of a command that builds nothing: scenarios, or plain manifests.
struct Subject {
    /// Every variant of each scenario, or the one plan of the manifests.
    loaded: Loaded,
    /// Whether it is manifests.
    manifests: bool,
    /// Whether to print all warnings and names.
    verbose: bool,
}

impl Subject {
    /// Reads scenarios, or manifests if there is no scenario, for an enforcer and a proxy. Prints errors and notes.
    fn load(selection: &Selection, chosen: &Chosen, namespace: &str, verbose: bool) -> Result<Subject, Exit> {
        let manifests = !netproof_manifests::has_scenarios(&selection.paths);
        let namespace = Some(namespace.to_owned());
        let options = Options { namespace, ..chosen.options(options(&selection.choice)) };
        let loaded = match manifests {
            true if selection.choice.filter.is_some() => {
                return Err(bad_input("error: --filter chooses among scenarios, and these are manifests"));
            }
            true => netproof_manifests::load(&selection.paths, &options),
            false => netproof_format::load(&selection.paths, &options),
        };
        let loaded = loaded.map_err(bad_input)?;
        if loaded.plans.is_empty() && !manifests {
            return Err(nothing_matched(&loaded));
        }
        if manifests {
            notes::warn(&loaded.warnings, verbose);
        }
        notes::say(&loaded, manifests, verbose);
        let subject = Subject { loaded, manifests, verbose };
        if subject.loaded.plans.is_empty() {
            let error = bad_input(format_args!("error: {}", notes::only(&subject.loaded.ignored)));
            return Err(subject.end(error));
        }
        Ok(subject)
    }

    /// Ends a command: warnings that its answers differ from the real cluster's come last.
    fn end(&self, exit: Exit) -> Exit {
        notes::say_last(&self.loaded.ignored, self.verbose);
        exit
    }

    /// One plan of each scenario. Variants differ only in placement and wiring, so the first represents all.
    fn plans(&self) -> impl Iterator<Item = &Plan> {
        let mut seen = BTreeSet::new();
        self.loaded.plans.iter().filter(move |plan| seen.insert((&plan.id.suite, &plan.id.name)))
    }
}

/// Writes a value as indented JSON.
fn print_json(value: &impl Serialize) -> Exit {
    match serde_json::to_string_pretty(value) {
        Ok(text) => print(&(text + "\n")),
        Err(error) => {
            outputs::complain(format_args!("error: cannot write JSON: {error}"));
            Exit::NotDone
        }
    }
}

/// Writes text.
fn print(text: &str) -> Exit {
    match outputs::print(text) {
        Ok(()) => Exit::AsExpected,
        Err(error) => {
            outputs::complain(format_args!("error: cannot write to standard output: {error}"));
            Exit::NotDone
        }
    }
}

/// Prints that nothing is left to do, and why.
fn nothing_matched(loaded: &Loaded) -> Exit {
    let reason = match loaded.not_applicable.first() {
        Some(NotApplicable { id, location, because }) => {
            format!("no variant that was asked for applies; {id}: {because} ({location})")
        }
        None if loaded.filtered_out > 0 => {
            format!("--filter leaves out every scenario run ({} of them)", loaded.filtered_out)
        }
        None => "there is no scenario run".to_owned(),
    };
    let help = loaded.filter_help.as_ref().map(|help| format!("\nhelp: {help}")).unwrap_or_default();
    bad_input(format_args!("error: nothing to do: {reason}{help}"))
}
