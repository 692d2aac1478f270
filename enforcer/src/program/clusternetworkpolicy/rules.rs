//! One rule of a ClusterNetworkPolicy as a match: pods, nodes, ranges, ports by number and by name.

use super::{Peer, RuleEntry};
use crate::program::index::{Index, PodEntry};
use crate::program::ranges::{Range, union};
use crate::program::selector::matches;
use crate::program::{
    AddressRange, AddressTest, Denial, Match, NamedPort, PortRange, PortTest, Rule, RuleAction,
};
use netproof_api::core::TransportProtocol;
use netproof_api::{ClusterAction, ClusterPort, LabelSelector};
use netproof_model::{Direction, Family, Protocol};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// What the rules of one policy are compiled against.
pub(super) struct Scoped<'c> {
    pub(super) pods: &'c Index,
    pub(super) direction: Direction,
    /// The pods of the node that the policy is about.
    pub(super) subject: &'c [&'c PodEntry],
}

impl Scoped<'_> {
    pub(super) fn rule(&self, rule: &RuleEntry) -> Rule {
        match rule {
            RuleEntry::Written { action, peers, ports } => self.written(*action, peers, ports),
            RuleEntry::DenyAll => Rule { action: RuleAction::Deny(Denial::Drop), matches: Match::default() },
            RuleEntry::AcceptNothing => self.written(ClusterAction::Accept, &[], &[]),
        }
    }

    fn written(&self, action: ClusterAction, peers: &[Peer], ports: &[ClusterPort]) -> Rule {
        let mut matches = Match::default();
        matches.destination_ports.extend(self.ports(ports, peers));
        *matches.peers_mut(self.direction) = vec![self.peers(peers)];
        let action = match action {
            ClusterAction::Accept => RuleAction::Allow,
            // A drop: the sender is told nothing.
            ClusterAction::Deny => RuleAction::Deny(Denial::Drop),
            ClusterAction::Pass => RuleAction::Pass,
        };
        Rule { action, matches }
    }

    /// ANY of the peers, each of which is a set of addresses. Those that select nobody are nobody.
    fn peers(&self, peers: &[Peer]) -> AddressTest {
        let mut members: BTreeSet<IpAddr> = BTreeSet::new();
        let mut blocks: Vec<Range<IpAddr>> = Vec::new();
        for peer in peers {
            match peer {
                Peer::Pods(selection) => {
                    members.extend(self.pods.members(*selection).flat_map(|pod| &pod.addresses));
                }
                Peer::Nodes(selector) => members.extend(self.nodes(selector)),
                Peer::Networks(networks) => {
                    let nets = networks.iter().map(|network| network.net());
                    let nets = nets.filter(|net| self.pods.has_family(Family::of(net.addr())));
                    blocks.extend(nets.map(|net| Range { first: net.network(), last: net.broadcast() }));
                }
            }
        }
        let range = |range: Range<IpAddr>| AddressRange { first: range.first, last: range.last };
        let blocks = union(blocks).into_iter().map(range).collect();
        AddressTest { negated: false, members: Some(members), blocks }
    }

    /// The addresses in the status of the nodes that a selector matches, the own node's too.
    fn nodes(&self, selector: &LabelSelector) -> impl Iterator<Item = IpAddr> {
        let nodes = self.pods.nodes().filter(|node| matches(selector, &node.metadata.labels));
        let addresses = nodes.flat_map(|node| &node.addresses).copied();
        addresses.filter(|address| self.pods.has_family(Family::of(*address)))
    }

    /// ANY of the entries. Without any, all traffic: no test. What has no ports, as ICMP has none, is in no entry.
    fn ports(&self, ports: &[ClusterPort], peers: &[Peer]) -> Option<PortTest> {
        if ports.is_empty() {
            return None;
        }
        let mut numbers: BTreeMap<Protocol, Vec<Range<u16>>> = BTreeMap::new();
        let mut names: BTreeSet<&str> = BTreeSet::new();
        let mut add = |protocol: TransportProtocol, first, last| {
            // A range that is backwards has no port.
            numbers.entry(protocol.into()).or_default().extend(Range::new(first, last));
        };
        for entry in ports {
            match entry {
                ClusterPort::Number { protocol, number } => add(*protocol, *number, *number),
                ClusterPort::Range { protocol, start, end } => add(*protocol, *start, *end),
                ClusterPort::Named(name) => drop(names.insert(name)),
                // Of a rule that accepts: this entry accepts nothing.
                ClusterPort::Unknown => {}
            }
        }
        let ranges = |(protocol, ranges): (Protocol, Vec<Range<u16>>)| {
            let range = move |Range { first, last }| PortRange { protocol, first, last };
            union(ranges).into_iter().map(range)
        };
        let numbers = numbers.into_iter().flat_map(ranges).collect();
        let names = (!names.is_empty()).then(|| self.named_ports(&names, peers));
        Some(PortTest { negated: false, numbers, names })
    }

    /// What names stand for, with the protocol that the container port has: at the subject's pods, where they are the
    /// destination, or at each pod that a peer selects. An address that is matched as one of a node or of a range has
    /// no names.
    fn named_ports(&self, names: &BTreeSet<&str>, peers: &[Peer]) -> BTreeSet<NamedPort> {
        let mut found = BTreeSet::new();
        let mut add = |pod: &PodEntry| {
            let ports =
                pod.pod.ports().filter(|port| port.name.as_deref().is_some_and(|it| names.contains(it)));
            for port in ports {
                let (protocol, port) = (port.protocol.into(), port.container_port);
                found.extend(pod.addresses.iter().map(|address| NamedPort {
                    address: *address,
                    protocol,
                    port,
                }));
            }
        };
        match self.direction {
            Direction::Ingress => self.subject.iter().for_each(|pod| add(pod)),
            Direction::Egress => {
                for peer in peers {
                    if let Peer::Pods(selection) = peer {
                        self.pods.members(*selection).for_each(&mut add);
                    }
                }
            }
        }
        found
    }
}
