//! When a change is in force: by the sentinel, hidden pods whose own policy (or service) changes with every change.
//!
//! An agent says nothing about when it is done, and none of what can be watched from outside says it either: a change
//! without effect on a node programs nothing there, an agent that waits for its own rate limit looks idle, and one that
//! programs chain by chain is half done after its first. So every change is followed by one of the sentinel's, with an
//! event in each stream of objects that decides about policy. Whoever has that one in force has read what came before
//! it in every stream.
//!
//! - For **policy** ([`policy`]) each node has two hidden pods, a source and a target. In generation `g` the target
//!   accepts the port `20000 + g % 10` alone, from pods and namespaces labelled with `g`. That port was denied in the
//!   generation before, so a connection to it is positive evidence.
//! - For **services** ([`service`]) each node has a hidden backend and a service of its own, whose port and target port
//!   move with `g`.
//!
//! Both are watched in each address family, since tables of families are programmed apart. A sentinel proves what it is
//! about: agents that handle objects in parallel and out of order can only be proved by a probe of the object itself.

pub(crate) mod policy;
pub(crate) mod service;
mod spot;
mod watch;

pub(crate) use spot::{Spot, within};
pub(crate) use watch::{Awaited, Unseen, Watch, port};

use netproof_api::{Namespace, ObjectMeta, Pod};
use netproof_controlplane::Snapshot;
use netproof_model::{Family, NamespacedName};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use thiserror::Error;

/// The namespace of hidden pods. No scenario may have one of that name.
pub const NAMESPACE: &str = "netproof-sentinel";

/// The label of hidden pods that says what they are for.
const ROLE_LABEL: &str = "netproof.io/sentinel";

/// The label that changes with every generation.
const GENERATION_LABEL: &str = "netproof.io/generation";

/// Which pods are hidden in a cluster: those of an agent that enforces policy, and those of one that is the proxy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hidden {
    /// A source and a target on each node.
    pub policy: bool,
    /// A backend on each node.
    pub services: bool,
}

/// What a hidden pod is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Source,
    Target,
    Backend,
}

impl Role {
    fn word(self) -> &'static str {
        match self {
            Role::Source => "source",
            Role::Target => "target",
            Role::Backend => "backend",
        }
    }

    /// The name of the pod of this role on a node.
    fn pod(self, node: &str) -> NamespacedName {
        NamespacedName::new(NAMESPACE, format!("{}-{node}", self.word()))
    }

    /// Its number among the hidden pods of a node.
    fn position(self) -> usize {
        match self {
            Role::Source => 1,
            Role::Target => 2,
            Role::Backend => 3,
        }
    }
}

impl Hidden {
    /// Whether there are any.
    pub fn any(self) -> bool {
        self.policy || self.services
    }

    /// The snapshot with the hidden pods and their namespace: what the cluster is built from, and what agents are told.
    /// The prober and the oracle know nothing of them. Without any, the same snapshot.
    pub fn among(self, snapshot: &Arc<Snapshot>) -> Result<Arc<Snapshot>, Clash> {
        if !self.any() {
            return Ok(Arc::clone(snapshot));
        }
        if snapshot.namespaces.contains_key(NAMESPACE) {
            return Err(Clash::Namespace);
        }
        let mut with = Snapshot::clone(snapshot);
        let labels = [("kubernetes.io/metadata.name".to_owned(), NAMESPACE.to_owned())].into();
        let metadata = ObjectMeta { name: NAMESPACE.to_owned(), labels, ..ObjectMeta::default() };
        with.namespaces.insert(NAMESPACE.to_owned(), Arc::new(Namespace { metadata }));
        let roles =
            [(Role::Source, self.policy), (Role::Target, self.policy), (Role::Backend, self.services)];
        for (index, node) in snapshot.topology.nodes.iter().enumerate() {
            for (role, _) in roles.iter().filter(|(_, wanted)| *wanted) {
                let pod = pod(snapshot, *role, &node.name, index);
                with.pods.insert(role.pod(&node.name), Arc::new(pod));
            }
        }
        let taken = snapshot.pods.values().flat_map(|pod| &pod.pod_ips);
        let taken = taken.chain(snapshot.externals.values().flat_map(|host| &host.addresses));
        let taken = taken.chain(snapshot.services.values().flat_map(|service| &service.cluster_ips));
        match taken.copied().find(|address| is_reserved(*address)) {
            Some(address) => Err(Clash::Address(address)),
            None => Ok(Arc::new(with)),
        }
    }
}

/// What a cluster has of its own that hidden pods need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Clash {
    /// A namespace of their name.
    #[error(
        "the namespace {NAMESPACE} is netproof's own where an agent runs; give the scenario's another name"
    )]
    Namespace,
    /// An address of their ranges.
    #[error(
        "{0} is of a range that netproof needs where an agent runs, {V4_RANGE} or {V6_RANGE}; \
         give the pod, service or external host another address"
    )]
    Address(IpAddr),
}

fn pod(snapshot: &Snapshot, role: Role, node: &str, index: usize) -> Pod {
    let name = role.pod(node);
    let labels = [(ROLE_LABEL.to_owned(), role.word().to_owned())].into();
    let metadata =
        ObjectMeta { name: name.name, namespace: Some(name.namespace), labels, ..ObjectMeta::default() };
    let families = snapshot.topology.family.list();
    Pod {
        metadata,
        node_name: Some(node.to_owned()),
        service_account: "default".to_owned(),
        pod_ips: families.iter().map(|family| address(*family, role, index)).collect(),
        host_ips: snapshot.nodes.get(node).map(|it| it.addresses.clone()).unwrap_or_default(),
        ready: true,
        ..Pod::default()
    }
}

/// The address of a hidden pod of the node at `index`.
fn address(family: Family, role: Role, index: usize) -> IpAddr {
    numbered(family, Range::Pods, 4 * index + role.position())
}

/// The cluster IP of the service of the node at `index`.
fn service_address(family: Family, index: usize) -> IpAddr {
    numbered(family, Range::Services, index + 1)
}

/// Addresses that are set aside for measurements of networks (RFC 2544, RFC 5180), which no cluster uses.
const V4_RANGE: &str = "198.19.0.0/16";
const V6_RANGE: &str = "2001:2::/48";

fn is_reserved(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.octets().starts_with(&[198, 19]),
        IpAddr::V6(address) => address.segments().starts_with(&[0x2001, 2, 0]),
    }
}

/// What the addresses are for.
#[derive(Clone, Copy)]
enum Range {
    Services,
    Pods,
}

/// An address by its number, of which there are 32,768: more than a machine has room for nodes.
fn numbered(family: Family, range: Range, number: usize) -> IpAddr {
    let number = u16::try_from(number).unwrap_or(u16::MAX) & 0x7fff;
    match (family, range) {
        (Family::Ipv4, range) => {
            let first = if matches!(range, Range::Pods) { 0x8000 } else { 0 };
            let [high, low] = (first | number).to_be_bytes();
            IpAddr::V4(Ipv4Addr::new(198, 19, high, low))
        }
        (Family::Ipv6, Range::Pods) => IpAddr::V6(Ipv6Addr::new(0x2001, 2, 0, 1, 0, 0, 0, number)),
        (Family::Ipv6, Range::Services) => IpAddr::V6(Ipv6Addr::new(0x2001, 2, 0, 2, 0, 0, 0, number)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_addresses_are_apart() {
        for family in [Family::Ipv4, Family::Ipv6] {
            let nodes = 0..200;
            let pods = nodes.clone().flat_map(|node| {
                [Role::Source, Role::Target, Role::Backend].map(|role| address(family, role, node))
            });
            let all: Vec<IpAddr> = pods.chain(nodes.map(|node| service_address(family, node))).collect();
            let apart: std::collections::BTreeSet<_> = all.iter().collect();
            assert_eq!(apart.len(), all.len());
            assert!(all.iter().all(|address| is_reserved(*address)));
        }
        assert_eq!(address(Family::Ipv4, Role::Target, 1).to_string(), "198.19.128.6");
        assert_eq!(service_address(Family::Ipv6, 2).to_string(), "2001:2:0:2::3");
    }
}
