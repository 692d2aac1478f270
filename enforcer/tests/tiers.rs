//! Tiers, actions and negations as nftables says them: random programs, rendered and traced, against the plain
//! meaning of the program.

#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a test says what went wrong by panicking")]

mod tracer;
mod world;

use netproof_enforcer::Numbers;
use netproof_enforcer::backend::nft::policies;
use netproof_enforcer::program::{
    AddressRange, AddressTest, Denial, End, Endpoint, IcmpTest, Match, NamedPort, Policy, PortRange,
    PortTest, Program, ProtocolTest, Rule, RuleAction, Tier,
};
use netproof_model::{
    Direction, Families, Family, Hook, NamespacedName, PolicyKey, PolicyStage, Protocol, Wiring,
};
use netproof_netfilter::nft::Table;
use proptest::prelude::*;
use std::net::IpAddr;
use tracer::{Fate, Packet, Tracer};
use world::World;

/// The addresses of the pod, and of four others in each family.
const OWN: [&str; 2] = ["10.244.1.10", "fd00::10"];
const OTHERS: [&str; 8] =
    ["10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4", "fd00:1::1", "fd00:1::2", "fd00:1::3", "fd00:1::4"];
const PROTOCOLS: [Protocol; 3] = [Protocol::Tcp, Protocol::Udp, Protocol::Icmp];

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// What becomes of a packet at the endpoint, by the meaning of a program.
fn meant(program: &Program, direction: Direction, packet: &Packet) -> Option<Denial> {
    let endpoint = &program.endpoints[0];
    'tiers: for tier in endpoint.tiers.get(&(PolicyStage::Local, direction)).into_iter().flatten() {
        for rule in tier.policies.iter().flat_map(|id| &program.policy(*id).unwrap().rules) {
            if holds(&rule.matches, packet) {
                match rule.action {
                    RuleAction::Allow => return None,
                    RuleAction::Deny(denial) => return Some(denial),
                    RuleAction::Pass => continue 'tiers,
                    RuleAction::Log => {}
                }
            }
        }
        match tier.end {
            End::Pass => {}
            End::Deny(denial) => return Some(denial),
            End::Isolation => return Some(Denial::Drop),
        }
    }
    None
}

fn holds(matches: &Match, packet: &Packet) -> bool {
    matches.family.is_none_or(|family| family == Family::of(packet.source))
        && matches.source.iter().all(|test| test.holds(packet.source))
        && matches.destination.iter().all(|test| test.holds(packet.destination))
        && matches.protocols.iter().all(|test| test.numbers.contains(&packet.protocol) != test.negated)
        && matches.source_ports.iter().all(|test| has_port(test, packet, packet.source, packet.source_port))
        && matches
            .destination_ports
            .iter()
            .all(|test| has_port(test, packet, packet.destination, packet.port))
        && matches.icmp.iter().all(|test| {
            let family = Family::of(packet.source) == test.family;
            let icmp = family && packet.protocol == Protocol::Icmp.number(test.family);
            let code = test.code.is_none_or(|code| code == packet.icmp.1);
            (icmp && packet.icmp.0 == test.kind && code) != test.negated
        })
}

fn has_port(test: &PortTest, packet: &Packet, end: IpAddr, port: u16) -> bool {
    let protocol = |it: Protocol| it.number(Family::of(packet.source)) == packet.protocol;
    let number = test.numbers.iter().any(|it| protocol(it.protocol) && it.first <= port && port <= it.last);
    let mut names = test.names.iter().flatten();
    let name = names.any(|it| it.address == end && protocol(it.protocol) && it.port == port);
    (number || name) != test.negated
}

/// The rendered table, without the check of source addresses, which is not what this is about.
fn rendered(program: &Program) -> Table {
    let topology = World::new(Families::Dual, Wiring::Routed).snapshot().topology.clone();
    let mut ruleset = policies::render(program, &topology, &mut Numbers::odd()).unwrap();
    let mut table = ruleset.tables.remove(&policies::TABLE).unwrap();
    table.chains.retain(|_, chain| chain.base.is_none_or(|base| base.hook == Hook::Forward));
    table
}

/// What becomes of a packet by the table.
fn traced(table: &Table, packet: &Packet) -> Option<Denial> {
    let fates = Tracer { table, locals: &[], torn: false }.trace(packet);
    assert_eq!(fates.len(), 1, "{packet:?}");
    match fates.first().unwrap() {
        Fate::Sent { .. } => None,
        Fate::Dropped(_) => Some(Denial::Drop),
        Fate::Rejected(_) => Some(Denial::Reject),
    }
}

fn one_of<T: Clone + std::fmt::Debug + 'static>(values: &[T]) -> impl Strategy<Value = T> + use<T> {
    proptest::sample::select(values.to_vec())
}

fn any_address() -> impl Strategy<Value = IpAddr> {
    one_of(&OTHERS).prop_map(address)
}

fn address_test() -> impl Strategy<Value = AddressTest> {
    let members = proptest::option::of(proptest::collection::btree_set(any_address(), 0..4));
    // Some of one family, some of both; disjoint and in order.
    let blocks = [("10.0.0.2", "10.0.0.3"), ("10.0.0.4", "10.0.0.9"), ("fd00:1::2", "fd00:1::3")];
    let blocks = blocks.map(|(first, last)| AddressRange { first: address(first), last: address(last) });
    let blocks = proptest::sample::subsequence(blocks.to_vec(), 0..=3);
    (any::<bool>(), members, blocks).prop_map(|(negated, members, blocks)| AddressTest {
        negated,
        members,
        blocks,
    })
}

fn port_test() -> impl Strategy<Value = PortTest> {
    let ranges = [
        (Protocol::Tcp, 79, 80),
        (Protocol::Tcp, 82, 82),
        (Protocol::Udp, 80, 80),
        (Protocol::Udp, 0, 65535),
    ];
    let ranges = ranges.map(|(protocol, first, last)| PortRange { protocol, first, last });
    // The two of UDP overlap, so one of them at most.
    let numbers = proptest::sample::subsequence(ranges.to_vec(), 0..=3)
        .prop_filter("disjoint", |it| it.iter().filter(|range| range.protocol == Protocol::Udp).count() < 2);
    let named = (any_address(), one_of(&PROTOCOLS[..2]), 79..83u16);
    let named = named.prop_map(|(address, protocol, port)| NamedPort { address, protocol, port });
    let names = proptest::option::of(proptest::collection::btree_set(named, 0..3));
    (any::<bool>(), numbers, names).prop_map(|(negated, numbers, names)| PortTest { negated, numbers, names })
}

fn protocol_test() -> impl Strategy<Value = ProtocolTest> {
    let numbers = proptest::collection::btree_set(one_of(&[1, 6, 17, 58]), 0..3);
    (any::<bool>(), numbers).prop_map(|(negated, numbers)| ProtocolTest { negated, numbers })
}

fn icmp_test() -> impl Strategy<Value = IcmpTest> {
    let code = proptest::option::of(0..2u8);
    (any::<bool>(), one_of(&Family::ALL), one_of(&[8, 128]), code)
        .prop_map(|(negated, family, kind, code)| IcmpTest { negated, family, kind, code })
}

fn matches() -> impl Strategy<Value = Match> {
    let addresses = || proptest::collection::vec(address_test(), 0..3);
    let ports = || proptest::collection::vec(port_test(), 0..2);
    let protocols = proptest::collection::vec(protocol_test(), 0..2);
    let icmp = proptest::collection::vec(icmp_test(), 0..2);
    let family = one_of(&[None, None, None, Some(Family::Ipv4), Some(Family::Ipv6)]);
    (family, addresses(), addresses(), protocols, ports(), ports(), icmp).prop_map(
        |(family, source, destination, protocols, source_ports, destination_ports, icmp)| Match {
            family,
            source,
            destination,
            protocols,
            source_ports,
            destination_ports,
            icmp,
        },
    )
}

fn action() -> impl Strategy<Value = RuleAction> {
    let deny = [Denial::Drop, Denial::Reject].map(RuleAction::Deny);
    one_of(&[RuleAction::Allow, deny[0], deny[1], RuleAction::Pass, RuleAction::Log])
}

/// A pod with up to three tiers, each with up to two policies.
fn program(direction: Direction) -> impl Strategy<Value = Program> {
    let rule = (action(), matches()).prop_map(|(action, matches)| Rule { action, matches });
    let rules = proptest::collection::vec(rule, 0..3);
    let ends = one_of(&[End::Pass, End::Deny(Denial::Drop), End::Deny(Denial::Reject), End::Isolation]);
    let tiers = proptest::collection::vec((proptest::collection::vec(rules, 1..3), ends), 0..4);
    tiers.prop_map(move |tiers| {
        let mut program = Program::default();
        let addresses = OWN.map(address).to_vec();
        let mut endpoint = Endpoint::pod(NamespacedName::new("default", "web"), "np0".into(), addresses);
        let mut built = Vec::new();
        for (position, (policies, end)) in tiers.into_iter().enumerate() {
            let name = format!("tier{position}");
            let policies = policies.into_iter().enumerate().map(|(nth, rules)| {
                let policy = PolicyKey::network_policy("default", format!("{name}-{nth}"));
                let (tier, stage) = (name.clone(), PolicyStage::Local);
                program.add(Policy { policy, tier, stage, direction, rules })
            });
            let policies = policies.collect();
            built.push(Tier { name, policies, end });
        }
        if !built.is_empty() {
            endpoint.tiers.insert((PolicyStage::Local, direction), built);
        }
        program.endpoints.push(endpoint);
        program
    })
}

/// Packets between the pod and everybody, of every protocol, port and ICMP type that tests speak of.
fn packets(direction: Direction) -> Vec<Packet> {
    let mut packets = Vec::new();
    for other in OTHERS.map(address) {
        let family = Family::of(other);
        let own = OWN.map(address).into_iter().find(|own| Family::of(*own) == family).unwrap();
        let (source, destination) = match direction {
            Direction::Ingress => (other, own),
            Direction::Egress => (own, other),
        };
        for protocol in PROTOCOLS {
            for (port, source_port, icmp) in [(80, 81, (8, 0)), (81, 80, (128, 1)), (82, 79, (3, 1))] {
                let mut packet = Packet::new(source, destination, protocol.number(family), port);
                (packet.source_port, packet.icmp) = (source_port, icmp);
                packets.push(packet);
            }
        }
    }
    packets
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_ruleset_does_what_its_program_means(
        (direction, program) in one_of(&[Direction::Ingress, Direction::Egress])
            .prop_flat_map(|direction| (Just(direction), program(direction)))
    ) {
        let table = rendered(&program);
        for packet in packets(direction) {
            let (traced, meant) = (traced(&table, &packet), meant(&program, direction, &packet));
            prop_assert_eq!(traced, meant, "{}\n{:?}", program, packet);
        }
    }
}
