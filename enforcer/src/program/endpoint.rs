//! Where policy is asked: at the interfaces of pods and of the node, in stages, by tiers.

use super::Denial;
use netproof_model::{Direction, Family, NamespacedName, PolicyStage};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// An interface at which policy is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Which interface.
    pub attachment: Attachment,
    /// Its addresses. A pod's name it in packets; those of a host's interface are what selectors of peers find.
    pub addresses: Vec<IpAddr>,
    /// Its tiers in order, for each stage and direction that has any.
    pub tiers: BTreeMap<(PolicyStage, Direction), Vec<Tier>>,
}

/// What an endpoint is.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Attachment {
    /// A pod's interface.
    Pod {
        /// The pod.
        pod: NamespacedName,
        /// The node's end of its veth.
        interface: String,
    },
    /// One interface of the node.
    HostInterface(String),
    /// Every interface of the node that is no pod's.
    AllOfHost,
}

/// A group of policies that is asked as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tier {
    /// Its name, unique for the endpoint.
    pub name: String,
    /// The policies of the tier that select the endpoint, in order.
    pub policies: Vec<PolicyId>,
    /// What becomes of a packet that none of them decided.
    pub end: End,
}

/// The end of a tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// The next tier decides.
    Pass,
    /// The packet is denied.
    Deny(Denial),
    /// The packet is dropped: NetworkPolicies isolate the endpoint, and none of their rules matched.
    Isolation,
}

impl End {
    /// The end of a tier for which two front ends have one each. A tier that denies says so itself, whether or not
    /// NetworkPolicies of it isolate.
    pub(super) fn joined(self, other: End) -> End {
        match (self, other) {
            (End::Isolation, end) | (end, End::Isolation) => end,
            (deny @ End::Deny(_), _) | (End::Pass, deny) => deny,
        }
    }
}

/// A policy of a [`Program`](super::Program), which alone gives these out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PolicyId(pub(super) usize);

impl Endpoint {
    /// A pod's interface that no policy selects yet.
    pub fn pod(pod: NamespacedName, interface: String, addresses: Vec<IpAddr>) -> Endpoint {
        Endpoint { attachment: Attachment::Pod { pod, interface }, addresses, tiers: BTreeMap::new() }
    }

    /// The pod, if it is one's.
    pub fn pod_name(&self) -> Option<&NamespacedName> {
        match &self.attachment {
            Attachment::Pod { pod, .. } => Some(pod),
            Attachment::HostInterface(_) | Attachment::AllOfHost => None,
        }
    }

    /// Its addresses of one family.
    pub fn addresses_of(&self, family: Family) -> impl Iterator<Item = IpAddr> {
        self.addresses.iter().copied().filter(move |address| Family::of(*address) == family)
    }
}
