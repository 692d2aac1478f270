//! A topology that fits manifests which say where things are: the nodes that they name, and the addresses
//! that nodes, pods and services had where the manifests come from.
//!
//! Given addresses are kept, so that an ipBlock means the same pods and nodes as there. What has none gets
//! one of a range that nobody has an address in, or of its node's own range where the pods of that node
//! keep to it.

use crate::room::{Room, USUAL_PREFIX};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use netproof_api::manifest::Located;
use netproof_api::{Node, Object, Pod, Service};
use netproof_model::topology::{ExternalHost, PerFamily, Ranges, TopologyNode};
use netproof_model::{Families, Family, Topology, Wiring};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// The first addresses of a node's range are the network's and its gateway's.
const FIRST_OF_A_POD: u128 = 2;

/// How many ranges are tried for a spare one.
const MOST_STEPS: u128 = 4096;

/// What the manifests say about places.
struct StatedPlaces<'a> {
    /// In the order in which they are written.
    nodes: Vec<&'a Node>,
    pods: Vec<&'a Pod>,
    services: Vec<&'a Service>,
    /// Every node that something runs on, or is to run on, by name.
    named: BTreeSet<&'a str>,
}

/// A topology for manifests.
pub(super) struct Fit {
    pub(super) topology: Topology,
    /// Whether the manifests say where things are.
    pub(super) is_said: bool,
    /// What a person should know about it.
    pub(super) notes: Vec<String>,
}

/// The usual topology, changed as far as the manifests say where things are, with this wiring and with these
/// families, or those that the addresses have; with as many nodes as the pods need, if none is named.
pub(super) fn topology(
    usual: &Topology,
    objects: &[Located],
    wiring: Wiring,
    family: Option<Families>,
) -> Fit {
    let stated = StatedPlaces::of(objects);
    let room = Room::of(objects);
    let mut topology = Topology {
        name: "of the manifests".to_owned(),
        description: "What the manifests say of nodes and addresses.".to_owned(),
        wiring,
        family: family.or_else(|| stated.families()).unwrap_or(usual.family),
        ..usual.clone()
    };
    let named = !stated.nodes.is_empty() || !stated.named.is_empty();
    let prefix = if named {
        topology.nodes = stated.topology_nodes(topology.family, &room);
        room.prefix(topology.nodes.len())
    } else {
        let (count, prefix) = room.made_up(topology.family.list());
        let more = topology.nodes.len() + 1..=count;
        topology.nodes.extend(
            more.map(|number| TopologyNode { name: format!("node{number}"), ..TopologyNode::default() }),
        );
        prefix
    };
    let made_up = topology.nodes.len();
    if stated.is_nothing() && made_up == usual.nodes.len() && prefix == USUAL_PREFIX {
        let topology = Topology { wiring, family: topology.family, ..usual.clone() };
        return Fit { topology, is_said: false, notes: Vec::new() };
    }
    let other_pods = stated.pod_ranges(&topology);
    let mut taken: Vec<IpNet> = other_pods.clone();
    taken.extend(topology.nodes.iter().flat_map(|node| &node.addresses).copied().map(IpNet::from));
    taken.extend(stated.services.iter().flat_map(|service| outside(service)).map(IpNet::from));
    let cluster_ips: Vec<IpAddr> =
        stated.services.iter().flat_map(|service| service.cluster_ips.iter().copied()).collect();
    let (usual_nodes, usual, count) = (usual.nodes.len(), &usual.ranges, topology.nodes.len());
    let services = per_family(|family| {
        let around = around_cluster_ips(&cluster_ips, family, &taken);
        around.unwrap_or_else(|| spare(*usual.services.get(family), &taken))
    });
    taken.extend([services.ipv4, services.ipv6]);
    // The first part is left out.
    let pods = per_family(|family| {
        let part = if family == Family::Ipv4 { prefix } else { 64 };
        spare(with_parts(*usual.pods.get(family), part, count + 1), &taken)
    });
    taken.extend([pods.ipv4, pods.ipv6]);
    if prefix != USUAL_PREFIX && topology.family.contains(Family::Ipv4) {
        larger_parts(&mut topology.nodes, pods.ipv4, prefix);
    }
    // The addresses of the network and of the router come first, and IPv4's broadcast last.
    let nodes = per_family(|family| {
        let range = *usual.nodes.get(family);
        spare(with_parts(range, range.max_prefix_len(), count + 3), &taken)
    });
    taken.extend([nodes.ipv4, nodes.ipv6]);
    topology.ranges = Ranges { pods, other_pods, services, nodes };
    for host in &mut topology.externals {
        step_aside(host, &taken);
    }
    let mut notes = Vec::new();
    if !stated.is_nothing() {
        notes.push(stated.note(&topology, &cluster_ips));
    }
    if !named && made_up != usual_nodes {
        notes.push(format!("no manifest names a node, and the pods are on {made_up} made-up ones"));
    }
    Fit { topology, is_said: !stated.is_nothing(), notes }
}

/// Gives the pods of each node that has no range of IPv4 a part of this range, larger than the usual one.
fn larger_parts(nodes: &mut [TopologyNode], range: IpNet, prefix: u8) {
    let IpNet::V4(range) = range else { return };
    // The first part is left out, as with usual ones.
    let parts = range.subnets(prefix).into_iter().flatten().skip(1);
    for (node, part) in nodes.iter_mut().zip(parts) {
        if !node.pod_ranges.iter().any(|range| Family::of(range.addr()) == Family::Ipv4) {
            node.pod_ranges.insert(0, part.into());
        }
    }
}

impl<'a> StatedPlaces<'a> {
    fn of(objects: &'a [Located]) -> StatedPlaces<'a> {
        let mut stated = StatedPlaces {
            nodes: Vec::new(),
            pods: Vec::new(),
            services: Vec::new(),
            named: BTreeSet::new(),
        };
        for located in objects {
            match &located.object {
                Object::Node(node) => stated.nodes.push(node),
                Object::Pod(pod) => {
                    stated.named.extend(pod.node_name.as_deref().filter(|_| !pod.phase.has_ended()));
                    stated.pods.push(pod);
                }
                Object::Service(service) => stated.services.push(service),
                Object::Workload(workload) => stated.named.extend(workload.template.node_name.as_deref()),
                Object::Namespace(_) | Object::EndpointSlice(_) | Object::Policy(_) => {}
            }
        }
        stated
    }

    fn is_nothing(&self) -> bool {
        self.nodes.is_empty()
            && self.named.is_empty()
            && self.pods.iter().all(|pod| pod.pod_ips.is_empty())
            && self.services.iter().all(|service| service.cluster_ips.is_empty())
    }

    /// The families that pods have addresses of; if they have none, those of the nodes' ranges, of services,
    /// or of nodes.
    fn families(&self) -> Option<Families> {
        let own = self.own_network().flat_map(|pod| pod.pod_ips.iter().copied()).collect();
        let ranges = self.nodes.iter().flat_map(|node| node.pod_cidrs.iter().map(IpNet::addr)).collect();
        let services = self.services.iter().flat_map(|it| it.cluster_ips.iter().copied()).collect();
        let nodes = self.nodes.iter().flat_map(|node| node.addresses.iter().copied()).collect();
        let all: [Vec<IpAddr>; 4] = [own, ranges, services, nodes];
        let first = all.into_iter().find(|addresses| !addresses.is_empty())?;
        let has = |family| first.iter().any(|address| Family::of(*address) == family);
        Some(match (has(Family::Ipv4), has(Family::Ipv6)) {
            (true, true) => Families::Dual,
            (false, true) => Families::Ipv6,
            _ => Families::Ipv4,
        })
    }

    /// Pods with a network of their own.
    fn own_network(&self) -> impl Iterator<Item = &'a Pod> {
        self.pods.iter().copied().filter(|pod| !pod.host_network)
    }

    /// The declared nodes, then those that are only named.
    fn topology_nodes(&self, families: Families, room: &Room<'_>) -> Vec<TopologyNode> {
        let declared: BTreeSet<&str> = self.nodes.iter().map(|node| node.metadata.name.as_str()).collect();
        let names = self.nodes.iter().map(|node| (node.metadata.name.as_str(), Some(*node)));
        let others = self.named.iter().filter(|name| !declared.contains(*name)).map(|name| (*name, None));
        let mut found: BTreeMap<&str, Vec<IpAddr>> = BTreeMap::new();
        for pod in &self.pods {
            let of_host = pod.host_network.then_some(&pod.pod_ips).into_iter().flatten();
            let node = found.entry(pod.node_name.as_deref().unwrap_or_default()).or_default();
            node.extend(pod.host_ips.iter().chain(of_host));
        }
        let mut left = 0usize;
        let mut nodes: Vec<TopologyNode> = names
            .chain(others)
            .map(|(name, node)| {
                let stated = node.map(|node| node.addresses.as_slice()).unwrap_or_default();
                let found = found.get(name).map(Vec::as_slice).unwrap_or_default();
                let address = |family: &Family| {
                    stated.iter().chain(found).copied().find(|address| Family::of(*address) == *family)
                };
                let range = |family: &Family| {
                    let ranges = node.map(|node| node.pod_cidrs.as_slice()).unwrap_or_default().iter();
                    let mut ranges = ranges.copied().filter(|range| Family::of(range.addr()) == *family);
                    let range = ranges.next().filter(|range| self.keeps_to(name, range))?;
                    let has =
                        self.own_network().filter(|pod| pod.pod_ips.iter().any(|it| range.contains(it)));
                    let more = room.left(name, &range, has.count())?;
                    // A node with taints may take nobody else.
                    let counts = *family == Family::Ipv4 && node.is_some_and(|node| node.taints.is_empty());
                    left = left.saturating_add(if counts { more } else { 0 });
                    Some(range)
                };
                TopologyNode {
                    name: name.to_owned(),
                    addresses: families.list().iter().filter_map(address).collect(),
                    pod_ranges: families.list().iter().filter_map(range).collect(),
                    ..TopologyNode::default()
                }
            })
            .collect();
        let of_ipv4 = |range: &IpNet| Family::of(range.addr()) == Family::Ipv4;
        let without = |node: &TopologyNode| !node.pod_ranges.iter().any(of_ipv4);
        if families.contains(Family::Ipv4) && left < room.anywhere() && !nodes.iter().any(without) {
            nodes.iter_mut().for_each(|node| node.pod_ranges.retain(|range| !of_ipv4(range)));
        }
        nodes
    }

    /// Whether a node's pods have their addresses from its range, and nobody else has one there. Where the
    /// network gives them out by itself, the range means nothing.
    fn keeps_to(&self, node: &str, range: &IpNet) -> bool {
        let family = Family::of(range.addr());
        let usable = |address: &IpAddr| {
            let offset = number(*address).saturating_sub(number(range.network()));
            let is_last = family == Family::Ipv4 && *address == range.broadcast();
            range.contains(address) && offset >= FIRST_OF_A_POD && !is_last
        };
        let of_pods = self.own_network().filter(|pod| !pod.phase.has_ended()).all(|pod| {
            let mut addresses = pod.pod_ips.iter().filter(|address| Family::of(**address) == family);
            match pod.node_name.as_deref() == Some(node) {
                true => addresses.all(usable),
                false => !addresses.any(|address| range.contains(address)),
            }
        });
        let others = self.nodes.iter().filter(|other| other.metadata.name != node);
        let mut other_ranges = others.flat_map(|other| &other.pod_cidrs);
        let mut addresses = self.nodes.iter().flat_map(|node| &node.addresses);
        of_pods
            && !other_ranges.any(|other| other.contains(range) || range.contains(other))
            && !addresses.any(|address| range.contains(address))
    }

    /// Where pods have addresses: in each /16 of IPv4 and each /48 of IPv6 the smallest range that holds
    /// them, and the nodes' ranges there.
    fn pod_ranges(&self, topology: &Topology) -> Vec<IpNet> {
        let addresses = self.own_network().flat_map(|pod| &pod.pod_ips).copied().map(IpNet::from);
        let ranges = topology.nodes.iter().flat_map(|node| &node.pod_ranges).copied();
        let mut found: BTreeMap<IpNet, IpNet> = BTreeMap::new();
        for range in addresses.chain(ranges) {
            let family = Family::of(range.addr());
            if topology.family.contains(family) {
                let length = if family == Family::Ipv4 { 16 } else { 48 };
                let around = found.entry(widened(range, length)).or_insert(range);
                *around = around_both(*around, range);
            }
        }
        IpNet::aggregate(&found.into_values().collect())
    }

    /// What was taken over, in one line.
    fn note(&self, topology: &Topology, cluster_ips: &[IpAddr]) -> String {
        let mut parts = Vec::new();
        if !self.nodes.is_empty() || !self.named.is_empty() {
            parts.push(match topology.nodes.as_slice() {
                [node] => format!("the node {}", node.name),
                nodes => format!("{} nodes", nodes.len()),
            });
        }
        let list = |ranges: Vec<IpNet>| ranges.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        if !topology.ranges.other_pods.is_empty() {
            parts.push(format!("pods in {}", list(topology.ranges.other_pods.clone())));
        }
        let families = topology.family.list().iter();
        let families =
            families.filter(|family| cluster_ips.iter().any(|address| Family::of(*address) == **family));
        let services: Vec<IpNet> = families.map(|family| *topology.ranges.services.get(*family)).collect();
        if !services.is_empty() {
            parts.push(format!("services in {}", list(services)));
        }
        format!(
            "the cluster is as the manifests say: {}; what has no address gets a free one",
            parts.join(", ")
        )
    }
}

/// The addresses that a service has outside the cluster.
fn outside(service: &Service) -> impl Iterator<Item = IpAddr> {
    let balancer = service.load_balancer_ingress.iter().map(|entry| entry.ip);
    service.external_ips.iter().copied().chain(balancer)
}

fn per_family(range: impl Fn(Family) -> IpNet) -> PerFamily<IpNet> {
    PerFamily { ipv4: range(Family::Ipv4), ipv6: range(Family::Ipv6) }
}

/// The smallest range around these cluster IPs that has room for others, as long as nobody else is in it;
/// neither its first nor its last address is one of them. `None` without any.
fn around_cluster_ips(given: &[IpAddr], family: Family, taken: &[IpNet]) -> Option<IpNet> {
    let given: Vec<IpAddr> = given.iter().copied().filter(|it| Family::of(*it) == family).collect();
    let on_edge = |range: &IpNet| given.iter().any(|it| *it == range.network() || *it == range.broadcast());
    let mut range = given.iter().copied().map(IpNet::from).reduce(around_both)?;
    while on_edge(&range)
        && let Some(wider) = range.supernet()
    {
        range = wider;
    }
    let roomy = widened(range, range.max_prefix_len() - 8);
    Some(if is_free(&roomy, taken) && !on_edge(&roomy) { roomy } else { range })
}

/// The range, or the nearest one of its size below it in which nobody has an address; the range if there is
/// none.
fn spare(range: IpNet, taken: &[IpNet]) -> IpNet {
    let (first, length) = (number(range.network()), range.prefix_len());
    let size = 1u128.checked_shl(u32::from(range.max_prefix_len() - length)).unwrap_or(u128::MAX);
    let mut below = (0..MOST_STEPS).map_while(|steps| {
        let network = first.checked_sub(size.checked_mul(steps)?)?;
        IpNet::new(address(Family::of(range.addr()), network), length).ok()
    });
    below.find(|range| is_free(range, taken)).unwrap_or(range)
}

/// The range, made so wide that it has at least so many parts of this prefix length.
fn with_parts(range: IpNet, part: u8, count: usize) -> IpNet {
    let bits = usize::BITS - count.saturating_sub(1).leading_zeros();
    widened(range, part.saturating_sub(u8::try_from(bits).unwrap_or(u8::MAX)))
}

fn is_free(range: &IpNet, taken: &[IpNet]) -> bool {
    !taken.iter().any(|other| other.contains(range) || range.contains(other))
}

/// A host outside the cluster makes room for whoever has its address.
fn step_aside(host: &mut ExternalHost, taken: &[IpNet]) {
    for address in &mut host.addresses {
        let mut next = *address;
        for _ in 0..=u8::MAX {
            match taken.iter().any(|range| range.contains(&next)) {
                true => next = self::address(Family::of(next), number(next).wrapping_add(1)),
                false => break,
            }
        }
        *address = next;
    }
}

/// The smallest range that holds two of one family.
fn around_both(one: IpNet, other: IpNet) -> IpNet {
    let mut range = one;
    while !range.contains(&other)
        && let Some(wider) = range.supernet()
    {
        range = wider;
    }
    range
}

/// The range of this prefix length that a range is in; itself, if it is larger.
fn widened(range: IpNet, length: u8) -> IpNet {
    let length = length.min(range.prefix_len());
    match range {
        IpNet::V4(range) => Ipv4Net::new(range.addr(), length).map_or(range, |net| net.trunc()).into(),
        IpNet::V6(range) => Ipv6Net::new(range.addr(), length).map_or(range, |net| net.trunc()).into(),
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The address of a number; of IPv4 its last 32 bits.
fn address(family: Family, number: u128) -> IpAddr {
    match family {
        Family::Ipv4 => IpAddr::V4((number as u32).into()),
        Family::Ipv6 => IpAddr::V6(number.into()),
    }
}
