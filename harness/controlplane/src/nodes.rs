//! Nodes as the topology fixes them: addresses, pod ranges and labels; and whether the topology's
//! ranges are large enough for them.

use crate::addresses::{nth, part};
use crate::change::ChangeError;
use crate::snapshot::Snapshot;
use ipnet::IpNet;
use netproof_api::{Labels, Node, ObjectMeta};
use netproof_model::{Family, Topology, Wiring};

/// The place of the node's own end in its pod range, `.1` or `::1`: the gateway of its pods, where they hang
/// on a bridge, and the node's end of the overlay, where there is one.
pub const GATEWAY_OFFSET: u128 = 1;

/// The prefix length of a node's part of the pod range.
fn node_prefix(family: Family) -> u8 {
    match family {
        Family::Ipv4 => 24,
        Family::Ipv6 => 64,
    }
}

/// The part of the cluster's pod range that belongs to the node at `index` of the topology: counted from
/// 1, so that the first node of 10.244.0.0/16 has 10.244.1.0/24.
pub(crate) fn pod_range(topology: &Topology, family: Family, index: usize) -> Option<IpNet> {
    part(*topology.ranges.pods.get(family), node_prefix(family), index as u128 + 1)
}

/// Refuses ranges that are of the wrong family or overlap, and given addresses where services have theirs.
pub(crate) fn check_ranges(topology: &Topology) -> Result<(), ChangeError> {
    for family in topology.family.list() {
        let ranges = all_ranges(topology, *family);
        for (what, range) in &ranges {
            if Family::of(range.addr()) != *family {
                return Err(ChangeError::new(
                    format!("the {family} range of {what} is {range}"),
                    format!("write an {family} range there"),
                ));
            }
        }
        for (i, (what, range)) in ranges.iter().enumerate() {
            for (other, with) in &ranges[..i] {
                if overlap(range, with) {
                    return Err(ChangeError::new(
                        format!("the ranges of {other} ({with}) and {what} ({range}) overlap"),
                        "give each a range of its own",
                    ));
                }
            }
        }
        let services = topology.ranges.services.get(*family);
        let given = topology.nodes.iter().flat_map(|node| &node.addresses).copied().map(IpNet::from);
        let others = topology.ranges.other_pods.iter().copied();
        if let Some(range) = others.chain(given).find(|range| overlap(range, services)) {
            return Err(ChangeError::new(
                format!("{range}, of pods or of a node, and the range of services, {services}, overlap"),
                "no address can be a service's and somebody else's",
            ));
        }
    }
    Ok(())
}

/// Whether two ranges have an address in common.
pub(crate) fn overlap(one: &IpNet, other: &IpNet) -> bool {
    one.contains(other) || other.contains(one)
}

/// The cluster's ranges in one family, by their name in a topology.
pub(crate) fn ranges(topology: &Topology, family: Family) -> [(&'static str, IpNet); 3] {
    let ranges = &topology.ranges;
    [
        ("pods", *ranges.pods.get(family)),
        ("services", *ranges.services.get(family)),
        ("nodes", *ranges.nodes.get(family)),
    ]
}

/// Those, and the range of its load balancer.
pub(crate) fn all_ranges(topology: &Topology, family: Family) -> Vec<(&'static str, IpNet)> {
    let balancer = topology.load_balancer.iter();
    let balancer = balancer.map(|balancer| ("load balancer addresses", *balancer.range.get(family)));
    ranges(topology, family).into_iter().chain(balancer).collect()
}

/// The nodes of a topology with everything filled in.
pub(crate) fn nodes(topology: &Topology) -> Result<Vec<Node>, ChangeError> {
    if topology.nodes.is_empty() {
        return Err(ChangeError::new("the topology has no node", "list at least one under nodes"));
    }
    let mut nodes: Vec<Node> = Vec::new();
    for (index, node) in topology.nodes.iter().enumerate() {
        if nodes.iter().any(|other| other.metadata.name == node.name) {
            return Err(ChangeError::new(
                format!("two nodes are named `{}`", node.name),
                "give each node a name of its own",
            ));
        }
        let mut complete = Node { metadata: metadata(&node.name, &node.labels), ..Node::default() };
        for family in topology.family.list() {
            let range = *topology.ranges.nodes.get(*family);
            let given = node.addresses.iter().copied().find(|given| Family::of(*given) == *family);
            // The router has the first address.
            let address = given.or_else(|| nth(range, index as u128 + 2));
            let address = address.ok_or_else(|| too_small("nodes", range, topology))?;
            if let Some(other) = nodes.iter().find(|other| other.addresses.contains(&address)) {
                return Err(ChangeError::new(
                    format!("the nodes `{}` and `{}` both have {address}", other.metadata.name, node.name),
                    "give each node addresses of its own",
                ));
            }
            complete.addresses.push(address);
            let pods = *topology.ranges.pods.get(*family);
            let given = node.pod_ranges.iter().copied().find(|given| Family::of(given.addr()) == *family);
            let part = given.or_else(|| pod_range(topology, *family, index));
            let part = part.ok_or_else(|| too_small("pods", pods, topology))?;
            let shares = |other: &&Node| other.pod_cidrs.iter().any(|with| overlap(with, &part));
            if let Some(other) = nodes.iter().find(shares) {
                return Err(ChangeError::new(
                    format!(
                        "the pod ranges of the nodes `{}` and `{}` overlap at {part}",
                        other.metadata.name, node.name
                    ),
                    "give the pods of each node a range of their own",
                ));
            }
            complete.pod_cidrs.push(part);
            if topology.wiring == Wiring::Vxlan {
                let end = nth(part, GATEWAY_OFFSET).ok_or_else(|| too_small("pods", pods, topology))?;
                complete.tunnel_addresses.push(end);
            }
        }
        nodes.push(complete);
    }
    if let Some(balancer) = &topology.load_balancer
        && let Some(name) = balancer.nodes.iter().find(|name| topology.node_index(name).is_none())
    {
        let known: Vec<&str> = topology.nodes.iter().map(|node| node.name.as_str()).collect();
        return Err(ChangeError::new(
            format!("the load balancer sends to a node `{name}`, which the topology does not have"),
            format!("its nodes are {}", known.join(", ")),
        ));
    }
    Ok(nodes)
}

fn too_small(what: &str, range: IpNet, topology: &Topology) -> ChangeError {
    let count = match topology.nodes.len() {
        1 => "1 node".to_owned(),
        several => format!("{several} nodes"),
    };
    ChangeError::new(
        format!("the range of {what}, {range}, is too small for {count}"),
        match what {
            "pods" => {
                "each node takes a /24 of IPv4 or a /64 of IPv6, and the first one is left out: write a larger range"
            }
            _ => "each node takes an address, and the router the first one: write a larger range",
        },
    )
}

/// A node's metadata: what a kubelet labels its node with, and the given labels.
fn metadata(name: &str, labels: &Labels) -> ObjectMeta {
    let mut all: Labels =
        [("kubernetes.io/arch", "amd64"), ("kubernetes.io/hostname", name), ("kubernetes.io/os", "linux")]
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .into();
    all.extend(labels.clone());
    ObjectMeta { name: name.to_owned(), labels: all, ..ObjectMeta::default() }
}

/// A node with the labels and taints of one that is applied: all else of it is the topology's.
pub(crate) fn replaced(current: &Node, given: &Node) -> Result<Node, ChangeError> {
    let name = &given.metadata.name;
    let same = |is_same: bool, what: &str| match is_same {
        true => Ok(()),
        false => Err(ChangeError::new(
            format!("the {what} of node/{name} are the topology's and cannot be given"),
            "leave them out",
        )),
    };
    same(given.addresses.is_empty() || given.addresses == current.addresses, "addresses")?;
    same(given.pod_cidrs.is_empty() || given.pod_cidrs == current.pod_cidrs, "pod ranges")?;
    let mut metadata = metadata(name, &given.metadata.labels);
    metadata.annotations.clone_from(&given.metadata.annotations);
    Ok(Node { metadata, taints: given.taints.clone(), ..current.clone() })
}

/// The error for a node that the topology lacks.
pub(crate) fn unknown(cluster: &Snapshot, name: &str) -> ChangeError {
    let known: Vec<&str> = cluster.nodes.keys().map(String::as_str).collect();
    ChangeError::new(
        format!("there is no node `{name}` in topology `{}`", cluster.topology.name),
        format!("its nodes are {}", known.join(", ")),
    )
}
