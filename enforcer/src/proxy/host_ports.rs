//! `hostPort`: ports of a node that lead to pods on it, in a table of their own beside the services', as the port
//! mapping of the CNI plugins has it. The client keeps its address, unless it is the pod itself: its answer would
//! not come back to it otherwise. What is a service's node port, too, is the service's, whose chains come first.

use super::program::NodeView;
use crate::program::protocol;
use netproof_controlplane::Snapshot;
use netproof_model::{Families, Family, Hook, Protocol};
use netproof_netfilter::nft::{
    Base, Chain, ChainType, Field, Part, Rule, Ruleset, Set, Statement, Table, TableFamily, TableId, Test,
    Value,
};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// After the services' chains, which are at -100.
const DNAT: i32 = -99;
const SOURCE_NAT: i32 = 100;
const OWN_PODS: &str = "own-pods";

/// One port of a node, in one family.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct HostPort {
    number: u16,
    protocol: Protocol,
    /// The only address at which it is, if there is one.
    at: Option<IpAddr>,
    pod: IpAddr,
    container_port: u16,
}

/// The host ports of the pods on a node. Pods that have ended have none, and those in the node's network need none.
pub(super) fn host_ports(snapshot: &Snapshot, node: &NodeView) -> BTreeSet<HostPort> {
    let mut found = BTreeSet::new();
    let here = snapshot.pods.values().filter(|pod| {
        !pod.host_network && !pod.phase.has_ended() && pod.node_name.as_deref() == Some(node.name.as_str())
    });
    for pod in here {
        for port in pod.ports() {
            let Some(host) = port.host_port else { continue };
            for address in &pod.pod_ips {
                let Some(at) = host.in_family(address.is_ipv4()) else { continue };
                found.insert(HostPort {
                    number: host.port,
                    protocol: protocol(port.protocol),
                    at,
                    pod: *address,
                    container_port: port.container_port,
                });
            }
        }
    }
    found
}

/// Adds their tables to a node's ruleset.
pub(super) fn add(ruleset: &mut Ruleset, ports: &BTreeSet<HostPort>, families: Families) {
    for family in families.list() {
        let of_family: Vec<&HostPort> = ports.iter().filter(|port| Family::of(port.pod) == *family).collect();
        if !of_family.is_empty() {
            let id = TableId { family: TableFamily::of(*family), name: "netproof-hostports" };
            ruleset.tables.insert(id, table(&of_family, id.family));
        }
    }
}

fn table(ports: &[&HostPort], family: TableFamily) -> Table {
    let (source, destination, loopback) = match family {
        TableFamily::Ip6 => {
            (Field::SourceV6, Field::DestinationV6, Part::One(Value::Ipv6(Ipv6Addr::LOCALHOST)))
        }
        _ => {
            let (first, last) = (Ipv4Addr::new(127, 0, 0, 0), Ipv4Addr::new(127, 255, 255, 255));
            (Field::SourceV4, Field::DestinationV4, Part::Range(Value::Ipv4(first), Value::Ipv4(last)))
        }
    };
    let is = |field, value| Statement::Match(vec![field], Test::Is(Part::One(value)));
    let rules = ports.iter().map(|port| {
        let number = port.protocol.number(Family::of(port.pod));
        let mut statements = vec![
            is(Field::Protocol, Value::Protocol(number)),
            is(Field::DestinationPort, Value::Port(port.number)),
        ];
        match port.at {
            Some(address) => statements.push(is(destination, address.into())),
            None => {
                statements.push(Statement::Match(vec![destination], Test::IsNot(loopback.clone())));
                statements.push(Statement::ToThisNode);
            }
        }
        statements.push(Statement::Dnat(port.pod, port.container_port));
        Rule::new(statements)
    });
    let rules: Vec<Rule> = rules.collect();
    let mut table = Table::default();
    let own = ports.iter().map(|port| vec![Part::One(port.pod.into()), Part::One(port.pod.into())]);
    table.sets.insert(OWN_PODS.into(), Set::new(&[source.key_type(), source.key_type()]).with(own));
    let to_itself = Rule::new([
        Statement::Translated,
        Statement::Match(vec![source, destination], Test::In(OWN_PODS.into())),
        Statement::Masquerade,
    ]);
    for (name, hook, priority, rules) in [
        ("prerouting", Hook::Prerouting, DNAT, rules.clone()),
        ("output", Hook::Output, DNAT, rules),
        ("postrouting", Hook::Postrouting, SOURCE_NAT, vec![to_itself]),
    ] {
        let base = Some(Base { chain_type: ChainType::Nat, hook, priority });
        table.chains.insert(name.to_owned(), Chain { base, rules });
    }
    table
}
