//! One expectation: a flow, and everything that must be so of it.

use super::Expected;
use netproof_model::event::Location;
use netproof_model::flow::Flow;
use netproof_model::request::Request;
use netproof_model::{DecidedBy, Family, Place, Rejection, Verdict};
use std::collections::BTreeSet;
use std::fmt;
use std::net::IpAddr;

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
