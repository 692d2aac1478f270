//! What every node has whatever its policies say: the hooks that lead to the chains of endpoints, and the check of
//! source addresses before them.

use super::render::deny_rule;
use super::rules::short;
use crate::identities::Numbers;
use crate::program::Denial;
use netproof_model::{Decision, Direction, Family, Hook};
use netproof_netfilter::nft::{
    Base, Chain, ChainType, Field, KeyType, Part, Rule, Set, Statement, Table, Test, Value, Verdict,
};
use std::net::{IpAddr, Ipv6Addr};

/// Where policies stand among the hooks: after DNAT, before masquerade.
const FILTER: i32 = 0;
/// Where the source check stands: before anything remembers the packet.
const SOURCE_CHECK: i32 = -300;

/// What a pod says from an address of its link only: multicast listener discovery, and neighbour
/// discovery beside it.
const LINK_MESSAGES: [Part; 2] =
    [Part::Range(Value::Icmp(130), Value::Icmp(137)), Part::One(Value::Icmp(143))];
/// Neighbour discovery: router and neighbour solicitations and advertisements, redirects.
const NEIGHBOUR_DISCOVERY: Part = Part::Range(Value::Icmp(133), Value::Icmp(137));

/// Addresses of the link, and none at all: a pod speaks to its neighbours from these before it has
/// another, and from its own address afterwards.
const LINK_SOURCES: [(Ipv6Addr, Ipv6Addr); 2] = [
    (Ipv6Addr::UNSPECIFIED, Ipv6Addr::UNSPECIFIED),
    (
        Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0),
        Ipv6Addr::new(0xfebf, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff),
    ),
];

/// The base chains that ask endpoints' policies: name, hook, order there, whose policies.
const HOOKS: [(&str, Hook, i32, Direction); 3] = [
    ("forward-egress", Hook::Forward, FILTER, Direction::Egress),
    ("forward-ingress", Hook::Forward, FILTER + 1, Direction::Ingress),
    ("input-egress", Hook::Input, FILTER, Direction::Egress),
];

/// The interfaces of the node's pods.
const INTERFACES: &str = "pod-interfaces";

/// A pod's egress policies hold towards other pods, the world and its own node; ingress
/// policies for what is forwarded, so that a node always reaches its own pods.
pub(super) fn base_chains(families: &[Family]) -> [(String, Chain); 3] {
    HOOKS.map(|(name, hook, priority, direction)| {
        // Existing connections and their answers stay.
        let mut rules = vec![Rule::new([Statement::Established, Statement::Verdict(Verdict::Accept)])];
        if hook == Hook::Input && families.contains(&Family::Ipv6) {
            // Neighbour discovery ends on its link: there is none to forward.
            let of_type = Statement::Match(vec![Field::Icmpv6Type], Test::Is(NEIGHBOUR_DISCOVERY));
            rules.push(
                Rule::new([of_type, Statement::Verdict(Verdict::Accept)]).comment("neighbour discovery"),
            );
        }
        for family in families {
            let near = near(direction, *family);
            rules.push(Rule::new([Statement::VerdictMap(vec![near], endpoints_map(direction, *family))]));
        }
        let base = Some(Base { chain_type: ChainType::Filter, hook, priority });
        (name.to_owned(), Chain { base, rules })
    })
}

/// In which direction a base chain asks endpoints' policies, if it does.
pub(super) fn direction_of(base_chain: &str) -> Option<Direction> {
    HOOKS.iter().find(|(name, ..)| *name == base_chain).map(|(.., direction)| *direction)
}

/// The maps from the addresses of endpoints to their chains, empty.
pub(super) fn endpoint_maps(families: &[Family]) -> impl Iterator<Item = (String, Set)> {
    let of = move |direction| {
        families.iter().map(move |family| (endpoints_map(direction, *family), endpoints(direction, *family)))
    };
    [Direction::Egress, Direction::Ingress].into_iter().flat_map(of)
}

/// A map from addresses to chains, empty.
fn endpoints(direction: Direction, family: Family) -> Set {
    Set::map(&[near(direction, family).key_type()])
}

/// Leads what comes from or goes to an endpoint to its chain.
pub(super) fn add_endpoint(table: &mut Table, direction: Direction, addresses: &[IpAddr], chain: &str) {
    for address in addresses {
        let family = Family::of(*address);
        let map = table.sets.entry(endpoints_map(direction, family));
        let map = map.or_insert_with(|| endpoints(direction, family));
        let way = Verdict::Goto(chain.to_owned());
        map.elements.insert(vec![Part::One((*address).into())], Some(way.into()));
    }
}

/// The sets of the check of source addresses, empty.
pub(super) fn source_sets(families: &[Family]) -> impl Iterator<Item = (String, Set)> {
    let sources = families.iter().map(|family| (sources(*family), source_set(*family)));
    std::iter::once((INTERFACES.to_owned(), interfaces())).chain(sources)
}

fn interfaces() -> Set {
    Set::new(&[KeyType::Interface])
}

fn source_set(family: Family) -> Set {
    Set::new(&[KeyType::Interface, Field::source(family).key_type()])
}

/// Lets a pod's interface send from the pod's addresses.
pub(super) fn add_source(table: &mut Table, interface: &str, addresses: &[IpAddr]) {
    let interface = Part::One(Value::Interface(interface.to_owned()));
    let interfaces = table.sets.entry(INTERFACES.to_owned()).or_insert_with(interfaces);
    interfaces.elements.insert(vec![interface.clone()], None);
    for address in addresses {
        let family = Family::of(*address);
        let set = table.sets.entry(sources(family)).or_insert_with(|| source_set(family));
        set.elements.insert(vec![interface.clone(), Part::One((*address).into())], None);
    }
}

/// A packet from a pod's interface must have an address of that pod.
pub(super) fn source_check(families: &[Family], numbers: &mut Numbers) -> [(String, Chain); 2] {
    let mut rules = Vec::new();
    if families.contains(&Family::Ipv6) {
        for types in LINK_MESSAGES {
            rules.extend(LINK_SOURCES.map(|(first, last)| {
                let part = match first == last {
                    true => Part::One(Value::Ipv6(first)),
                    false => Part::Range(Value::Ipv6(first), Value::Ipv6(last)),
                };
                let from_the_link = Statement::Match(vec![Field::SourceV6], Test::Is(part));
                let of_type = Statement::Match(vec![Field::Icmpv6Type], Test::Is(types.clone()));
                Rule::new([from_the_link, of_type, Statement::Verdict(Verdict::Return)])
                    .comment("neighbour discovery")
            }));
        }
    }
    for family in families {
        let fields = vec![Field::InputInterface, Field::source(*family)];
        let found = Statement::Match(fields, Test::In(sources(*family)));
        rules.push(Rule::new([found, Statement::Verdict(Verdict::Return)]));
    }
    // ARP has no such address, and a family that the cluster does not have goes nowhere.
    for family in families {
        let mut rule = deny_rule(Decision::Spoofed { endpoint: None }, Denial::Drop, numbers);
        rule.statements.insert(0, Statement::Family(*family));
        rules.push(rule);
    }
    let check = Chain { base: None, rules };
    let base = Base { chain_type: ChainType::Filter, hook: Hook::Prerouting, priority: SOURCE_CHECK };
    let from_a_pod = Statement::Match(vec![Field::InputInterface], Test::In(INTERFACES.to_owned()));
    let rules = vec![Rule::new([from_a_pod, Statement::Verdict(Verdict::Jump("source-check".to_owned()))])];
    let hook = Chain { base: Some(base), rules };
    [("source-check".to_owned(), check), ("prerouting-source".to_owned(), hook)]
}

fn sources(family: Family) -> String {
    format!("pod-sources-{}", short(family))
}

fn endpoints_map(direction: Direction, family: Family) -> String {
    format!("{direction}-pods-{}", short(family))
}

/// The address of the endpoint whose policies are asked.
fn near(direction: Direction, family: Family) -> Field {
    match direction {
        Direction::Egress => Field::source(family),
        Direction::Ingress => Field::destination(family),
    }
}

/// The address of the other end.
pub(super) fn far(direction: Direction, family: Family) -> Field {
    match direction {
        Direction::Egress => Field::destination(family),
        Direction::Ingress => Field::source(family),
    }
}
