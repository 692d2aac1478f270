//! The plan: what a scenario run does, with its variant chosen and every name resolved.
//!
//! Plain data. The format (`netproof_format`) makes plans and the runner walks them; the runner needs
//! nothing of the format.

mod expected;
mod matrix;

pub use expected::Expected;
pub use matrix::{MatrixDestination, MatrixPlan};

use crate::states::States;
use netproof_api::suggest::did_you_mean;
use netproof_controlplane::{Change, ControlPlane, Snapshot};
use netproof_model::event::{Event, Location, Never, ScenarioId, WrittenObject};
use netproof_model::flow::Flow;
use netproof_model::request::Request;
use netproof_model::{DecidedBy, Family, Place, Rejection, Topology, Verdict};
use netproof_oracle::Profile;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::IpAddr;
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

/// One flow in one family, and what is expected of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expectation {
    /// Unique within the plan and the same in every run: `STEP/FLOW`, followed by ` FAMILY` in a
    /// dual-stack topology and by ` (2)` where the same flow stands twice in a step.
    pub name: String,
    /// Where it is written.
    pub location: Location,
    /// The step's name.
    pub step: String,
    /// The flow, namespace and port filled in.
    pub flow: Flow,
    /// The family to try it on.
    pub family: Family,
    /// What to send, resolved against the objects of this step.
    pub request: Request,
    /// What must come of it.
    pub expected: Expected,
    /// Who must have decided: of what is allowed who allowed, else who denied.
    pub decided_by: Option<DecidedBy>,
    /// The source address that the server must have seen.
    pub sees: Option<AddressName>,
    /// Which places may answer, and over enough tries do; with `sticky` or `keep` one of them.
    pub served_by: Option<BTreeSet<Place>>,
    /// Every place that could answer, as far as the objects of the step say: a traffic policy or a policy
    /// may leave fewer. So many tries that each of them would be reached are made.
    pub backends: BTreeSet<Place>,
    /// Whether every try must be answered by the same backend.
    pub sticky: bool,
    /// The nodes one of which must have chosen the backend.
    pub via: Option<BTreeSet<String>>,
    /// The addresses that policy must have seen.
    pub policy_sees: Option<PolicySees>,
    /// How a rejection must look to the client.
    pub rejected_with: Option<Rejection>,
    /// The addresses to which the name must resolve, all of them.
    pub resolves_to: Option<Vec<AddressName>>,
    /// Whether the connection is opened once and kept for later steps that say the same.
    pub keep: bool,
    /// What the flow does without policy, where that is not connecting.
    pub baseline: Option<Baseline>,
}

impl Expectation {
    /// Whether it counts as a deny by policy, which only counts where the flow connects without policy. A name server
    /// that cannot be reached is one: without policy, it can.
    pub fn expects_denial_by_policy(&self) -> bool {
        match &self.expected {
            Expected::All(Verdict::NameServerUnreachable) => true,
            expected => expected.is_denial() && self.decided_by != Some(DecidedBy::Service),
        }
    }

    /// What must come of the flow without policy; `None` where that is not judged.
    pub fn expected_without_policy(&self) -> Option<Expected> {
        match &self.baseline {
            Some(baseline) => Some(Expected::All(baseline.outcome)),
            None => self.expects_denial_by_policy().then_some(Expected::All(Verdict::Allow)),
        }
    }
}

/// What policy must have seen, where it decided: on the node of the backend, or where the flow was denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicySees {
    /// The source address.
    pub source: Option<AddressName>,
    /// The destination address.
    pub destination: Option<AddressName>,
}

/// An address by the name of who has it, or as such.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressName {
    /// Any address of a place, a node's end of the overlay included. The place exists and has one in the
    /// expectation's family.
    Place(Place),
    /// `tunnel/NODE`: the node's end of the overlay.
    Tunnel(String),
    /// This address.
    Address(IpAddr),
}

impl fmt::Display for AddressName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AddressName::Place(place) => place.fmt(f),
            AddressName::Tunnel(node) => write!(f, "tunnel/{node}"),
            AddressName::Address(address) => write!(f, "ip/{address}"),
        }
    }
}

/// What a flow does without policy, where that is not connecting. Such a flow proves no deny.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Baseline {
    /// What must be observed without policy.
    pub outcome: Verdict,
    /// Why, in the scenario's words.
    pub because: String,
}
