//! One rule as a match: families, protocols, ICMP, and for each end ranges, selections, services and ports.

use super::policy::{OfEnd, RuleEntry, service};
use crate::program::index::{Index, PodEntry, SelectionId};
use crate::program::ranges::{Range, union};
use crate::program::{
    AddressRange, AddressTest, Denial, IcmpTest, Match, NamedPort, PortRange, PortTest, ProtocolTest, Rule,
    RuleAction,
};
use netproof_api::Cidr;
use netproof_api::calico::{CalicoAction, CalicoRule, EntityRule, IcmpMatch, PortMatch, ProtocolNumber};
use netproof_model::{Direction, Family, Protocol};
use std::collections::BTreeSet;

/// What the rules of one policy are compiled against.
pub(super) struct Scoped<'c> {
    pub(super) pods: &'c Index,
    pub(super) direction: Direction,
    /// The pods of the node that the policy selects.
    pub(super) selected: &'c [&'c PodEntry],
}

/// One end of the packets of a rule.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    Source,
    Destination,
}

impl Scoped<'_> {
    pub(super) fn rule(&self, entry: RuleEntry<'_>) -> Rule {
        let rule = entry.rule;
        let action = match rule.action {
            CalicoAction::Allow => RuleAction::Allow,
            CalicoAction::Deny => RuleAction::Deny(Denial::Drop),
            CalicoAction::Log => RuleAction::Log,
            CalicoAction::Pass => RuleAction::Pass,
        };
        Rule { action, matches: self.matches(entry) }
    }

    fn matches(&self, RuleEntry { rule, source, destination }: RuleEntry<'_>) -> Match {
        let protocol =
            |number: ProtocolNumber, negated| ProtocolTest { negated, numbers: [number.get()].into() };
        let is = rule.protocol.map(|number| protocol(number, false));
        let is_not = rule.not_protocol.map(|number| protocol(number, true));
        let is_icmp = rule.icmp.map(|it| icmp(rule.protocol, it, false));
        let is_no_icmp = rule.not_icmp.map(|it| icmp(rule.protocol, it, true));
        let mut matches = Match {
            source: self.addresses(&rule.source, source, End::Source),
            destination: self.addresses(&rule.destination, destination, End::Destination),
            protocols: is.into_iter().chain(is_not).collect(),
            source_ports: self.ports(rule, End::Source, source),
            destination_ports: self.ports(rule, End::Destination, destination),
            icmp: is_icmp.into_iter().chain(is_no_icmp).flatten().collect(),
            ..Match::default()
        };
        match families(rule).as_slice() {
            // A rule that is for no family matches nothing.
            [] => matches.source.push(AddressTest::default()),
            [family] => matches.family = Some(*family),
            _ => {}
        }
        matches
    }

    /// Every test must hold: ranges, whoever a selector matches, the service.
    fn addresses(&self, entity: &EntityRule, of_end: OfEnd, end: End) -> Vec<AddressTest> {
        let mut tests = Vec::new();
        tests.extend(self.ranges(&entity.nets, false));
        tests.extend(self.ranges(&entity.not_nets, true));
        tests.extend(of_end.among.map(|selection| self.members(selection, false)));
        tests.extend(of_end.not_among.map(|selection| self.members(selection, true)));
        if entity.services.is_some() && end == End::Source {
            // Of a source the addresses alone: its port is the client's.
            let addresses = service(entity).into_iter().flat_map(|it| self.pods.services.addresses(&it));
            let addresses = addresses.filter(|it| self.pods.has_family(Family::of(*it)));
            tests.push(AddressTest { members: Some(addresses.collect()), ..AddressTest::default() });
        }
        tests
    }

    /// ANY of the ranges, or none of them. No range at all is no test.
    fn ranges(&self, nets: &[Cidr], negated: bool) -> Option<AddressTest> {
        (!nets.is_empty()).then(|| AddressTest { negated, members: None, blocks: self.blocks(nets.iter()) })
    }

    /// The addresses of pods, and the ranges of network sets.
    fn members(&self, selection: SelectionId, negated: bool) -> AddressTest {
        let addresses = self.pods.members(selection).flat_map(|pod| &pod.addresses).copied();
        let blocks = self.blocks(self.pods.sets(selection).flat_map(|set| &set.nets));
        AddressTest { negated, members: Some(addresses.collect()), blocks }
    }

    fn blocks<'n>(&self, nets: impl Iterator<Item = &'n Cidr>) -> Vec<AddressRange> {
        let nets = nets.map(|net| net.net()).filter(|net| self.pods.has_family(Family::of(net.addr())));
        let ranges = nets.map(|net| Range { first: net.network(), last: net.broadcast() }).collect();
        let range = |range: Range<_>| AddressRange { first: range.first, last: range.last };
        union(ranges).into_iter().map(range).collect()
    }

    fn ports(&self, rule: &CalicoRule, end: End, of_end: OfEnd) -> Vec<PortTest> {
        let entity = match end {
            End::Source => &rule.source,
            End::Destination => &rule.destination,
        };
        let mut tests = Vec::new();
        for (ports, negated) in [(&entity.ports, false), (&entity.not_ports, true)] {
            if !ports.is_empty() {
                tests.push(self.listed(ports, negated, rule.protocol, end, of_end));
            }
        }
        if entity.services.is_some() && end == End::Destination {
            // The endpoints' own addresses and ports: policy sees destinations after they are translated.
            let ports = service(entity).into_iter().flat_map(|it| self.pods.services.ports(&it));
            let ports = ports.filter(|(address, ..)| self.pods.has_family(Family::of(*address)));
            let ports = ports.map(|(address, protocol, port)| NamedPort { address, protocol, port });
            tests.push(PortTest { names: Some(ports.collect()), ..PortTest::default() });
        }
        tests
    }

    /// ANY of the ports, or none of them. Numbers are of the rule's protocol, which stands beside them always.
    fn listed(
        &self,
        ports: &[PortMatch],
        negated: bool,
        protocol: Option<ProtocolNumber>,
        end: End,
        of_end: OfEnd,
    ) -> PortTest {
        let transport = protocol.and_then(transport);
        let (mut numbers, mut names) = (Vec::new(), BTreeSet::new());
        for port in ports {
            match port {
                PortMatch::Range { first, last } => numbers.extend(Range::new(*first, *last)),
                PortMatch::Named(name) => drop(names.insert(name.as_str())),
            }
        }
        let range = |protocol| move |Range { first, last }| PortRange { protocol, first, last };
        let numbers = transport.map(|protocol| union(numbers).into_iter().map(range(protocol)).collect());
        debug_assert!(numbers.is_some() || ports.len() == names.len(), "a port by number has a protocol");
        PortTest {
            negated,
            numbers: numbers.into_iter().flat_map(|it: Vec<PortRange>| it).collect(),
            names: (!names.is_empty()).then(|| self.named(&names, transport, end, of_end)),
        }
    }

    /// A named port is looked up on whoever has the address: those that the end's selector matches, else anybody. Network
    /// sets declare none.
    fn named(
        &self,
        wanted: &BTreeSet<&str>,
        transport: Option<Protocol>,
        end: End,
        of_end: OfEnd,
    ) -> BTreeSet<NamedPort> {
        let near = match self.direction {
            Direction::Ingress => End::Destination,
            Direction::Egress => End::Source,
        };
        let declare: Box<dyn Iterator<Item = &PodEntry>> = match of_end.among {
            Some(selection) => Box::new(self.pods.members(selection)),
            None if end == near => Box::new(self.selected.iter().copied()),
            None => Box::new(self.pods.pods()),
        };
        let mut found = BTreeSet::new();
        for entry in declare {
            for port in entry.pod.ports() {
                let protocol = port.protocol.into();
                let is_named = port.name.as_deref().is_some_and(|name| wanted.contains(name));
                if is_named && transport.is_none_or(|it| it == protocol) {
                    let port = port.container_port;
                    found.extend(entry.addresses.iter().map(|it| NamedPort { address: *it, protocol, port }));
                }
            }
        }
        found
    }
}

/// The families that a rule is for. One without ranges of a family where it has ranges is not for that family, whether it
/// wants them or excludes them; ICMP is IPv4's, and ICMPv6 is IPv6's.
fn families(rule: &CalicoRule) -> Vec<Family> {
    let ends = [&rule.source, &rule.destination];
    let lists = ends.into_iter().flat_map(|entity| [&entity.nets, &entity.not_nets]);
    let lists: Vec<_> = lists.filter(|nets| !nets.is_empty()).collect();
    let protocol = rule.protocol.map(ProtocolNumber::get);
    let is_for = |family: &Family| {
        rule.family.is_none_or(|own| own == *family)
            && Family::ALL
                .into_iter()
                .all(|other| other == *family || protocol != Some(Protocol::Icmp.number(other)))
            && lists.iter().all(|nets| nets.iter().any(|net| Family::of(net.net().addr()) == *family))
    };
    Family::ALL.into_iter().filter(is_for).collect()
}

/// Tests of the ICMP messages of the rule's protocol, or where it has none of both families'. Without a type every
/// message is meant, which the protocol says already.
fn icmp(protocol: Option<ProtocolNumber>, wanted: IcmpMatch, negated: bool) -> Vec<IcmpTest> {
    let Some(kind) = wanted.icmp_type else { return Vec::new() };
    let of_protocol = Family::ALL
        .into_iter()
        .filter(|it| protocol.map(ProtocolNumber::get) == Some(Protocol::Icmp.number(*it)));
    let mut families: Vec<Family> = of_protocol.collect();
    if families.is_empty() {
        families.extend(Family::ALL);
    }
    families.into_iter().map(|family| IcmpTest { negated, family, kind, code: wanted.code }).collect()
}

/// The protocol of ports.
fn transport(protocol: ProtocolNumber) -> Option<Protocol> {
    let transports = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];
    transports.into_iter().find(|it| it.number(Family::Ipv4) == protocol.get())
}
