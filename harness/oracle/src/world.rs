//! The snapshot's objects as packets and policies meet them: by address and by namespace.

use ipnet::IpNet;
use netproof_api::{Labels, Node, Pod};
use netproof_controlplane::{GATEWAY_OFFSET, Snapshot};
use netproof_model::{Family, NamespacedName, Wiring};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

/// Who has an address.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Owner<'a> {
    /// A pod with a network of its own.
    Pod(&'a Pod),
    /// A node.
    Node(&'a Node),
    /// A host outside the cluster.
    External(&'a str),
}

/// A snapshot with its indexes.
#[derive(Debug)]
pub(crate) struct World<'a> {
    pub snapshot: &'a Snapshot,
    owners: HashMap<IpAddr, Owner<'a>>,
    host_pods: HashMap<&'a str, Vec<&'a Pod>>,
}

impl<'a> World<'a> {
    pub(crate) fn new(snapshot: &'a Snapshot) -> Self {
        let mut owners = HashMap::new();
        let mut host_pods: HashMap<&str, Vec<&Pod>> = HashMap::new();
        for host in snapshot.externals.values() {
            owners.extend(host.addresses.iter().map(|address| (*address, Owner::External(&host.name))));
        }
        for pod in snapshot.pods.values().map(Arc::as_ref) {
            // The network of a pod that has ended is gone, and its address may be another's.
            if pod.phase.has_ended() {
                continue;
            }
            if pod.host_network {
                host_pods.entry(pod.node_name.as_deref().unwrap_or_default()).or_default().push(pod);
            } else {
                owners.extend(pod.pod_ips.iter().map(|address| (*address, Owner::Pod(pod))));
            }
        }
        for node in snapshot.nodes.values().map(Arc::as_ref) {
            let addresses = node.addresses.iter().chain(&node.tunnel_addresses);
            owners.extend(addresses.map(|address| (*address, Owner::Node(node))));
            if snapshot.topology.wiring == Wiring::Bridge {
                let bridge = Family::ALL.into_iter().filter_map(|family| gateway(node, family));
                owners.extend(bridge.map(|address| (address, Owner::Node(node))));
            }
        }
        World { snapshot, owners, host_pods }
    }

    /// Who has the address.
    pub(crate) fn owner(&self, address: IpAddr) -> Option<Owner<'a>> {
        self.owners.get(&address).copied()
    }

    /// The pod that has the address for itself.
    pub(crate) fn pod_at(&self, address: IpAddr) -> Option<&'a Pod> {
        match self.owner(address) {
            Some(Owner::Pod(pod)) => Some(pod),
            _ => None,
        }
    }

    /// The node that has the address.
    pub(crate) fn node_at(&self, address: IpAddr) -> Option<&'a Node> {
        match self.owner(address) {
            Some(Owner::Node(node)) => Some(node),
            _ => None,
        }
    }

    /// The hostNetwork pods of a node.
    pub(crate) fn host_pods(&self, node: &str) -> &[&'a Pod] {
        self.host_pods.get(node).map_or(&[], Vec::as_slice)
    }

    /// The labels of a namespace.
    pub(crate) fn namespace_labels(&self, namespace: &str) -> &'a Labels {
        static NO_LABELS: Labels = Labels::new();
        self.snapshot.namespaces.get(namespace).map_or(&NO_LABELS, |object| &object.metadata.labels)
    }

    /// Whether the address is in one of the cluster's ranges of pods.
    pub(crate) fn is_pod_address(&self, address: IpAddr) -> bool {
        self.snapshot.topology.pod_ranges(Family::of(address)).any(|range| range.contains(&address))
    }

    /// The address that a node's masquerade gives what goes to `destination`.
    pub(crate) fn masquerade_source(&self, node: &Node, destination: IpAddr) -> Option<IpAddr> {
        let own_pod = self.pod_at(destination).is_some_and(|pod| self.is_local(pod, node));
        let tunnel = node.tunnel_addresses.iter().copied().find(IpAddr::is_ipv6);
        match tunnel.filter(|_| own_pod && destination.is_ipv6()) {
            // Of IPv6 a masquerade asks no route for its preferred source. Where the way out has no address, as
            // that to a pod, it takes the one that has most bits in common with the destination (RFC 6724, rule
            // 8): the end of the overlay is in the range of the node's pods.
            Some(tunnel) => Some(tunnel),
            None => self.node_source(node, destination),
        }
    }

    fn is_local(&self, pod: &Pod, node: &Node) -> bool {
        pod.node_name.as_deref() == Some(&node.metadata.name)
    }

    /// The address by which a node sends what goes to `destination`.
    pub(crate) fn node_source(&self, node: &Node, destination: IpAddr) -> Option<IpAddr> {
        let family = Family::of(destination);
        let of_family =
            |addresses: &[IpAddr]| addresses.iter().copied().find(|address| Family::of(*address) == family);
        if self.node_at(destination).is_some_and(|owner| owner.metadata.name == node.metadata.name) {
            return Some(destination);
        }
        let own = of_family(&node.addresses);
        let Some(pod) = self.pod_at(destination) else {
            return own;
        };
        match self.snapshot.topology.wiring {
            // Between nodes packets to pods travel in the overlay, whose end has an address of its own. (So
            // has a bridge; that one is set up so that the kernel never chooses it as a source.)
            Wiring::Vxlan if !self.is_local(pod, node) => of_family(&node.tunnel_addresses).or(own),
            _ => own,
        }
    }
}

/// The node's own address in its range of pods.
fn gateway(node: &Node, family: Family) -> Option<IpAddr> {
    let range = node.pod_cidrs.iter().find(|range| Family::of(range.addr()) == family)?;
    after_network(range, GATEWAY_OFFSET)
}

/// The address at some distance from the first one of a range, if it is in it.
pub(crate) fn after_network(range: &IpNet, distance: u128) -> Option<IpAddr> {
    let address = match range.network() {
        IpAddr::V4(first) => IpAddr::V4(first.to_bits().checked_add(distance.try_into().ok()?)?.into()),
        IpAddr::V6(first) => IpAddr::V6(first.to_bits().checked_add(distance)?.into()),
    };
    range.contains(&address).then_some(address)
}

/// The pod's namespace and name.
pub(crate) fn name_of(pod: &Pod) -> NamespacedName {
    NamespacedName::new(namespace_of(pod), pod.metadata.name.as_str())
}

/// The pod's namespace.
pub(crate) fn namespace_of(pod: &Pod) -> &str {
    pod.metadata.namespace.as_deref().unwrap_or_default()
}
