//! The plan: what a scenario run does, with its variant chosen and every name resolved.
//!
//! Plain data. The format (`netproof_format`) makes plans and the runner walks them; the runner needs
//! nothing of the format.

mod expectation;
mod expected;
mod matrix;

pub use expectation::{AddressName, Baseline, Expectation, PolicySees};
pub use expected::Expected;
pub use matrix::{MatrixDestination, MatrixPlan};

use crate::states::States;
use netproof_api::suggest::did_you_mean;
use netproof_controlplane::{Change, ControlPlane, Snapshot};
use netproof_model::event::{Event, Location, Never, ScenarioId, WrittenObject};
use netproof_model::flow::Flow;
use netproof_model::request::Request;
use netproof_model::{Family, Topology};
use netproof_oracle::Profile;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use thiserror::Error;

/// One scenario run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Suite, name and variant; unique among the plans that were loaded together.
    pub id: ScenarioId,
    /// Where the scenario is written.
    pub location: Location,
    /// What it is about, and where it comes from.
    pub description: String,
    /// `metadata.labels`, for filters.
    pub labels: BTreeMap<String, String>,
    /// `metadata.tags`, for filters and lists; of a case of a table with their parents.
    pub tags: BTreeSet<String>,
    /// The topology with the variant's wiring and family.
    pub topology: Arc<Topology>,
    /// `spec.objects`: one change set, the first generation after the control plane's own.
    pub initial: Vec<Change>,
    /// Every object that the scenario makes, in the order in which it is written.
    pub written: Arc<[WrittenObject]>,
    /// What every cluster of the topology has, before any object of the plan.
    pub own: Arc<Snapshot>,
    /// The control plane after the initial objects.
    pub start: ControlPlane,
    /// The steps in order, at least one.
    pub steps: Vec<Step>,
    /// How many network stacks (pods, nodes, external hosts, the router) the largest step has.
    pub places: usize,
    /// Of plain manifests, hosts outside that were made up: they stand for addresses that policies tell apart.
    /// `None` where the author says who is outside.
    pub stand_ins: Option<BTreeSet<String>>,
    /// The matrix that every step tries beside its expectations.
    pub matrix: MatrixPlan,
    /// How to read what the API leaves open, where the scenario says so itself.
    pub profile: Option<Profile>,
    /// Runs of one group have the same topology (one `Arc`) and the same initial objects: they are walked in
    /// worlds that they share, and a rehearsal counts for all of them. The name is unique among the groups that
    /// were loaded together.
    pub group: Option<String>,
}

impl Plan {
    /// The step of a name.
    ///
    /// # Errors
    /// No step has that name.
    pub fn step(&self, name: &str) -> Result<&Step, UnknownStep> {
        self.steps.iter().find(|step| step.name == name).ok_or_else(|| {
            let names: Vec<&str> = self.steps.iter().map(|step| step.name.as_str()).collect();
            let help = match did_you_mean(name, names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("its steps are: {}", names.join(", ")),
            };
            UnknownStep { name: name.to_owned(), scenario: self.id.to_string(), help }
        })
    }

    /// How to read what the API leaves open: as was asked for, else as the scenario says, else as our own
    /// enforcer does.
    pub fn profile_or(&self, asked: Option<Profile>) -> Profile {
        asked.or(self.profile).unwrap_or(Profile::NETPROOF)
    }
}

impl Plan {
    /// The event that its run begins with.
    pub fn started(&self) -> Event {
        Event::ScenarioStarted {
            id: self.id.clone(),
            location: self.location.clone(),
            description: self.description.clone(),
            topology: Box::new(self.topology.as_ref().clone()),
            objects: self.written.to_vec(),
        }
    }
}

/// No step has that name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("there is no step `{name}` in {scenario}\nhelp: {help}")]
pub struct UnknownStep {
    /// The name.
    pub name: String,
    /// The scenario run.
    pub scenario: String,
    /// Those that there are.
    pub help: String,
}

/// Changes, then expectations.
#[derive(Clone, Debug)]
pub struct Step {
    /// Unique within the scenario.
    pub name: String,
    /// Where it is written.
    pub location: Location,
    /// Each its own generation, in order; empty where the step changes nothing.
    pub change_sets: Vec<Vec<Change>>,
    /// How often all of them are made, one round after the other; at least 1. A later round allocates no
    /// address and no port that the first did not.
    pub rounds: usize,
    /// What must hold all the time while they are made.
    pub streams: Vec<Stream>,
    /// What must hold after the last change set.
    pub expectations: Vec<Expectation>,
    /// The objects that its changes lead through.
    pub states: States,
}

/// One flow in one family that is probed without pause while a step's changes are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// Unique within the plan and the same in every run: `STEP/never allow/FLOW[ FAMILY]`, `STEP/never cut/...`,
    /// `STEP/never cut, kept/...`, followed by ` (2)` where that stands twice.
    pub name: String,
    /// Where it is written.
    pub location: Location,
    /// The flow, namespace and port filled in.
    pub flow: Flow,
    /// The family to try it on.
    pub family: Family,
    /// What to send: the same before the changes, between them and afterwards. The target is an address.
    pub request: Request,
    /// What must not happen to any probe.
    pub never: Never,
    /// Whether all probes are messages over one connection.
    pub keep: bool,
    /// After how many change sets of a round both ends are there for the first time, so that the flow can be
    /// rehearsed.
    pub complete_after: usize,
}
