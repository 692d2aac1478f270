//! Random policies, over everything that the API lets one write.

use crate::case::{Cluster, State};
use crate::policy::{Labels, Peer, Policy, PortEntry, PortName, Requirement, Rule, Selector};
use crate::random::Random;
use crate::vocabulary::{NAMESPACE_LABELS, POD_LABELS, PORT_NAMES, labels, protocol};
use ipnet::IpNet;
use netproof_api::core::TransportProtocol;
use netproof_api::networking::PolicyType;
use netproof_api::selector::Operator;
use std::net::IpAddr;

/// The label that every namespace has.
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// Where the cluster's DNS is.
const DNS_NAMESPACE: &str = "kube-system";

/// What there is for policies to speak about.
#[derive(Clone, Debug)]
pub struct Surroundings {
    addresses: Vec<IpAddr>,
    ports: Vec<(u16, TransportProtocol)>,
    namespaces: Vec<String>,
    names: bool,
}

impl Surroundings {
    /// Of a cluster in a state.
    pub fn new(cluster: &Cluster, state: &State) -> Surroundings {
        let pods = state.pods.values().flat_map(|pod| pod.addresses());
        let mut addresses: Vec<IpAddr> = pods.chain(cluster.addresses()).collect();
        // Policy sees none of them where it stands behind the proxy: a trap.
        addresses.extend(state.services.values().flat_map(|service| service.addresses()));
        let in_use = |address: &IpAddr| cluster.family.contains(netproof_model::Family::of(*address));
        addresses.retain(in_use);
        let pods = state.pods.values().flat_map(|pod| &pod.ports);
        let served = pods.chain(cluster.externals.values().flat_map(|host| &host.ports));
        let served = served.map(|port| (port.number, port.protocol));
        // What a service is called by is no port that policy sees: a trap.
        let called = state.services.values().flat_map(|service| &service.ports);
        let called = called.map(|port| (port.number, port.protocol));
        Surroundings {
            addresses,
            ports: served.chain(called).collect(),
            namespaces: state.namespaces.keys().cloned().chain([DNS_NAMESPACE.to_owned()]).collect(),
            names: cluster.names,
        }
    }
}

/// A policy.
pub fn policy(random: &mut Random, around: &Surroundings) -> Policy {
    let types = match random.weighted([30, 25, 20, 12, 8, 5]) {
        0 => None,
        1 => Some(vec![PolicyType::Ingress]),
        2 => Some(vec![PolicyType::Egress]),
        3 => Some(vec![PolicyType::Ingress, PolicyType::Egress]),
        4 => Some(vec![PolicyType::Egress, PolicyType::Ingress]),
        _ => Some(Vec::new()),
    };
    let pods = pod_selector(random);
    let (ingress, mut egress) = (rules(random, around), rules(random, around));
    // Names are no use to pods that do not reach the name server.
    if around.names
        && random.chance(60)
        && let Some(rules) = &mut egress
    {
        rules.push(to_name_server(random));
    }
    Policy { pods, types, ingress, egress }
}

/// A rule for queries, or for nearly all of them.
fn to_name_server(random: &mut Random) -> Rule {
    let labels = Labels::from([(NAME_LABEL.to_owned(), DNS_NAMESPACE.to_owned())]);
    let peer = Peer::Namespaces(Selector { labels: Some(labels), expressions: None });
    let protocol = random.pick(&[TransportProtocol::Udp, TransportProtocol::Udp, TransportProtocol::Tcp]);
    let port = PortEntry { protocol: Some(protocol), port: Some(PortName::Number(53)), end: None };
    let port = random.chance(80).then(|| vec![port]);
    Rule { peers: random.chance(60).then(|| vec![peer]), ports: port }
}

fn rules(random: &mut Random, around: &Surroundings) -> Option<Vec<Rule>> {
    let count = match random.weighted([22, 13, 35, 20, 10]) {
        0 => return None,
        count => count - 1,
    };
    Some((0..count).map(|_| rule(random, around)).collect())
}

fn rule(random: &mut Random, around: &Surroundings) -> Rule {
    let peers = random.weighted([18, 7, 40, 22, 13]).checked_sub(1);
    // Long lists, too.
    let ports = match random.weighted([35, 7, 32, 15, 9, 2]) {
        5 => Some(random.between(14, 18)),
        count => count.checked_sub(1),
    };
    let mut peers: Option<Vec<Peer>> = peers.map(|count| (0..count).map(|_| peer(random, around)).collect());
    if let Some(peers) = &mut peers
        && let Some(over) = peers.iter().find_map(|peer| over_the_hole(random, peer))
        && random.chance(40)
    {
        let at = random.between(0, peers.len());
        peers.insert(at, over);
    }
    Rule { peers, ports: ports.map(|count| (0..count).map(|_| port_entry(random, around)).collect()) }
}

fn peer(random: &mut Random, around: &Surroundings) -> Peer {
    match random.weighted([30, 15, 20, 35]) {
        0 => Peer::Pods(pod_selector(random)),
        1 => Peer::Namespaces(namespace_selector(random, around)),
        2 => Peer::PodsOfNamespaces(namespace_selector(random, around), pod_selector(random)),
        _ => block(random, around),
    }
}

fn pod_selector(random: &mut Random) -> Selector {
    selector(random, &POD_LABELS)
}

fn namespace_selector(random: &mut Random, around: &Surroundings) -> Selector {
    if random.chance(30)
        && let Some(name) = random.choose(&around.namespaces).cloned()
    {
        let values = vec![name.clone()];
        return match random.below(3) {
            0 => {
                let labels = Labels::from([(NAME_LABEL.to_owned(), name)]);
                Selector { labels: Some(labels), expressions: None }
            }
            one => {
                let operator = if one == 1 { Operator::In } else { Operator::NotIn };
                let requirement = Requirement { key: NAME_LABEL.to_owned(), operator, values };
                Selector { labels: None, expressions: Some(vec![requirement]) }
            }
        };
    }
    selector(random, &NAMESPACE_LABELS)
}

fn selector<const N: usize>(random: &mut Random, from: &[(&str, &str); N]) -> Selector {
    let one = |random: &mut Random| {
        let (key, value) = random.pick(from);
        Labels::from([(key.to_owned(), value.to_owned())])
    };
    let some = |random: &mut Random, most| {
        (0..random.between(1, most)).map(|_| requirement(random, from)).collect::<Vec<_>>()
    };
    let (labels, expressions) = match random.weighted([12, 3, 3, 30, 8, 28, 16]) {
        0 => (None, None),
        1 => (Some(Labels::new()), None),
        2 => (None, Some(Vec::new())),
        3 => (Some(one(random)), None),
        4 => (Some(labels(random, from, 3)), None),
        5 => (None, Some(some(random, 2))),
        _ => (Some(one(random)), Some(some(random, 1))),
    };
    Selector { labels, expressions }
}

fn requirement<const N: usize>(random: &mut Random, from: &[(&str, &str); N]) -> Requirement {
    let (key, value) = random.pick(from);
    let operator = random.pick(&[
        Operator::In,
        Operator::NotIn,
        Operator::NotIn,
        Operator::Exists,
        Operator::DoesNotExist,
    ]);
    let values = match operator {
        Operator::Exists | Operator::DoesNotExist => Vec::new(),
        Operator::In | Operator::NotIn => {
            let others = (0..random.below(3)).map(|_| random.pick(from).1);
            let mut values: Vec<String> = std::iter::once(value).chain(others).map(str::to_owned).collect();
            values.sort();
            values.dedup();
            values
        }
    };
    Requirement { key: key.to_owned(), operator, values }
}

/// A range around an address that somebody has, and holes in it around others.
fn block(random: &mut Random, around: &Surroundings) -> Peer {
    // Every cluster has a node, and so an address.
    let nowhere = IpAddr::from([203, 0, 113, 1]);
    let address = random.choose(&around.addresses).copied().unwrap_or(nowhere);
    let full = full_length(address);
    let middle = if address.is_ipv4() { [24, 16, 8] } else { [64, 48, 16] };
    let length = match random.weighted([22, 10, 10, 20, 15, 13, 10]) {
        0 => full,
        1 => full - 1,
        2 => full - 2,
        3 => full - random.between(3, 7) as u8,
        4 => random.pick(&middle),
        5 => 0,
        _ => random.between(1, full.into()) as u8,
    };
    let mut cidr = range(address, length);
    let except = random.weighted([45, 8, 25, 15, 7]).checked_sub(1).filter(|_| length < full);
    let except = except.map(|count| (0..count).filter_map(|_| hole(random, around, cidr)).collect());
    if random.chance(88) {
        cidr = cidr.trunc();
    }
    Peer::Block(cidr, except)
}

/// A range strictly inside another: around an address that somebody has there, or beside it.
fn hole(random: &mut Random, around: &Surroundings, cidr: IpNet) -> Option<IpNet> {
    let inside: Vec<IpAddr> = around.addresses.iter().copied().filter(|it| cidr.contains(it)).collect();
    let address = random.choose(&inside).copied()?;
    let full = full_length(address);
    let least = usize::from(cidr.prefix_len()) + 1;
    let length = match random.weighted([45, 20, 35]) {
        0 => full,
        1 => least.max(usize::from(full) - 1) as u8,
        _ => random.between(least, full.into()) as u8,
    };
    let hole = range(address, length).trunc();
    // Its neighbour of the same size, now and then.
    let beside = match hole.broadcast() {
        IpAddr::V4(last) => last.to_bits().checked_add(1).map(|next| IpAddr::V4(next.into())),
        IpAddr::V6(last) => last.to_bits().checked_add(1).map(|next| IpAddr::V6(next.into())),
    };
    let beside = beside.filter(|next| random.chance(15) && cidr.contains(next));
    Some(beside.map_or(hole, |next| range(next, length)))
}

/// Another block, over the first hole of one: what one block leaves out another one of the rule may let in.
fn over_the_hole(random: &mut Random, peer: &Peer) -> Option<Peer> {
    let Peer::Block(cidr, Some(holes)) = peer else { return None };
    let hole = holes.first()?;
    let length = random.between(cidr.prefix_len().saturating_sub(8).into(), hole.prefix_len().into());
    Some(Peer::Block(range(hole.addr(), length as u8).trunc(), None))
}

fn full_length(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn range(address: IpAddr, length: u8) -> IpNet {
    // The length is never longer than the address.
    IpNet::new(address, length).unwrap_or_else(|_| address.into())
}

fn port_entry(random: &mut Random, around: &Surroundings) -> PortEntry {
    let (number, served_by) = random.choose(&around.ports).copied().unwrap_or((80, TransportProtocol::Tcp));
    let protocol = match random.weighted([60, 25, 15]) {
        0 => Some(served_by),
        1 => None,
        _ => Some(protocol(random)),
    };
    let near = |by: i32| u16::try_from(i32::from(number) + by).unwrap_or(number).max(1);
    let (first, end) = match random.weighted([10, 35, 10, 22, 23]) {
        0 => return PortEntry { protocol, port: None, end: None },
        1 => (number, None),
        2 => (if random.chance(50) { near(1) } else { near(-1) }, None),
        3 => {
            let name = random.pick(&PORT_NAMES).to_owned();
            return PortEntry { protocol, port: Some(PortName::Name(name)), end: None };
        }
        _ => match random.below(6) {
            0 => (number, Some(near(3))),
            1 => (near(-3), Some(number)),
            2 => (near(1), Some(near(5))),
            3 => (near(-5), Some(near(-1))),
            4 => (1, Some(u16::MAX)),
            _ => (number, Some(number)),
        },
    };
    // At the ends of the numbers a range may have turned round.
    PortEntry { protocol, port: Some(PortName::Number(first)), end: end.map(|end| end.max(first)) }
}
