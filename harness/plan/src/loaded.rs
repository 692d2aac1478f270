//! Plans that were read together, and what was left out of them.

use crate::ignored::IgnoredObjects;
use crate::plan::Plan;
use netproof_api::Diagnostic;
use netproof_model::event::{Location, ScenarioId};

/// What was read.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// The scenario runs, in the order of their files, documents and variants.
    pub plans: Vec<Plan>,
    /// Variants that a scenario does not apply to, or with which an enforcer or proxy can do nothing.
    pub not_applicable: Vec<NotApplicable>,
    /// What a person should look at, and that refuses nothing.
    pub warnings: Vec<Diagnostic>,
    /// How many files have scenarios.
    pub files: usize,
    /// How many YAML files without scenarios were met in folders.
    pub passed_over_files: usize,
    /// Objects that are not kept.
    pub ignored: IgnoredObjects,
    /// Namespaces that manifests are in and none declares; they exist, with the API server's label only.
    pub implied_namespaces: Vec<String>,
    /// Of manifests: what was taken over from them, or not made again, a sentence each.
    pub notes: Vec<String>,
    /// How many runs the filter left out.
    pub filtered_out: usize,
    /// Where it leaves nothing: which of its conditions no run meets, and what may have been meant.
    pub filter_help: Option<String>,
}

/// A variant that a scenario does not apply to, or with which an enforcer or proxy can do nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotApplicable {
    /// Which.
    pub id: ScenarioId,
    /// Where the scenario says so, or where it is written.
    pub location: Location,
    /// Why, in the scenario's words or those of the agent's profile.
    pub because: String,
}
