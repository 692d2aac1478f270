//! One rule of a NetworkPolicy as a match: peers, blocks with their exceptions, ports by number and by name.

use super::{Peer, RuleEntry};
use crate::program::index::{Index, PodEntry};
use crate::program::ranges::{Range, subtract, union};
use crate::program::{AddressRange, AddressTest, Match, NamedPort, PortRange, PortTest, Rule, RuleAction};
use netproof_api::core::{IntOrString, TransportProtocol};
use netproof_api::{IpBlock, NetworkPolicyPort};
use netproof_model::{Direction, Family, Protocol};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// What the rules of one policy are compiled against.
pub(super) struct Scoped<'c> {
    pub(super) pods: &'c Index,
    pub(super) direction: Direction,
    /// The pods of the node that the policy selects.
    pub(super) selected: &'c [&'c PodEntry],
}

impl Scoped<'_> {
    pub(super) fn rule(&self, rule: &RuleEntry) -> Rule {
        let peers: Vec<AddressTest> = self.peers(&rule.peers).into_iter().collect();
        let ports = self.ports(&rule.ports, &peers);
        let mut matches = Match { destination_ports: ports.into_iter().collect(), ..Match::default() };
        *matches.peers_mut(self.direction) = peers;
        Rule { action: RuleAction::Allow, matches }
    }

    /// ANY of the peers. No peer at all means everybody: no test.
    fn peers(&self, peers: &[Peer]) -> Option<AddressTest> {
        if peers.is_empty() {
            return None;
        }
        let mut members: Option<BTreeSet<IpAddr>> = None;
        let mut blocks: Vec<Range<IpAddr>> = Vec::new();
        for peer in peers {
            match peer {
                Peer::Pods(selection) => {
                    let addresses = self.pods.members(*selection).flat_map(|pod| &pod.addresses);
                    members.get_or_insert_default().extend(addresses);
                }
                Peer::Block(block) if self.pods.has_family(Family::of(block.cidr.net().addr())) => {
                    blocks.extend(block_ranges(block));
                }
                Peer::Block(_) => {}
            }
        }
        let range = |range: Range<IpAddr>| AddressRange { first: range.first, last: range.last };
        Some(AddressTest { negated: false, members, blocks: union(blocks).into_iter().map(range).collect() })
    }

    /// ANY of the ports. No port at all means every port of every protocol: no test.
    fn ports(&self, ports: &[NetworkPolicyPort], peers: &[AddressTest]) -> Option<PortTest> {
        if ports.is_empty() {
            return None;
        }
        let mut numbers: BTreeMap<Protocol, Vec<Range<u16>>> = BTreeMap::new();
        let mut wanted: BTreeSet<(&str, TransportProtocol)> = BTreeSet::new();
        for entry in ports {
            let (first, last) = match (&entry.port, entry.end_port) {
                // No port: every port of the protocol.
                (None, _) => (0, u16::MAX),
                // Without an end: the port alone.
                (Some(IntOrString::Int(port)), end) => (*port, end.unwrap_or(*port)),
                (Some(IntOrString::String(name)), _) => {
                    wanted.insert((name, entry.protocol));
                    continue;
                }
            };
            numbers.entry(entry.protocol.into()).or_default().extend(Range::new(first, last));
        }
        let numbers = numbers
            .into_iter()
            .flat_map(|(protocol, ranges)| {
                let range = move |Range { first, last }| PortRange { protocol, first, last };
                union(ranges).into_iter().map(range)
            })
            .collect();
        let names = (!wanted.is_empty()).then(|| self.named_ports(&wanted, peers));
        Some(PortTest { negated: false, numbers, names })
    }

    /// A named port is looked up, by name and protocol, on the destination pod: the selected pods of an
    /// ingress rule, the peers of an egress rule. Where a pod has no such port it matches nothing.
    fn named_ports(
        &self,
        wanted: &BTreeSet<(&str, TransportProtocol)>,
        peers: &[AddressTest],
    ) -> BTreeSet<NamedPort> {
        let destinations: Box<dyn Iterator<Item = &PodEntry>> = match self.direction {
            Direction::Ingress => Box::new(self.selected.iter().copied()),
            Direction::Egress => Box::new(self.pods.pods()),
        };
        let is_destination = |address: IpAddr| match self.direction {
            Direction::Ingress => true,
            Direction::Egress => peers.iter().all(|test| test.holds(address)),
        };
        let mut found = BTreeSet::new();
        for entry in destinations {
            for port in entry.pod.ports() {
                let Some(name) = &port.name else { continue };
                if !wanted.contains(&(name.as_str(), port.protocol)) {
                    continue;
                }
                for address in entry.addresses.iter().copied().filter(|address| is_destination(*address)) {
                    let protocol = port.protocol.into();
                    found.insert(NamedPort { address, protocol, port: port.container_port });
                }
            }
        }
        found
    }
}

/// The addresses of a block that none of its own exceptions covers. An exception is no deny: another
/// block or rule may still allow it.
fn block_ranges(block: &IpBlock) -> Vec<Range<IpAddr>> {
    let range = |net: ipnet::IpNet| Range { first: net.network(), last: net.broadcast() };
    subtract(range(block.cidr.net()), block.except.iter().map(|except| range(except.net())).collect())
}
