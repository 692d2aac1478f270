//! Host ports, in a table of their own beside the services', as the port mapping of the CNI plugins has it: the chains
//! of the services come first.

use crate::services::HostPort;
use netproof_model::{Families, Family, Hook};
use netproof_netfilter::nft::{
    Base, Chain, ChainType, Field, Part, Rule, Ruleset, Set, Statement, Table, TableFamily, TableId, Test,
    Value,
};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, Ipv6Addr};

/// After the services' chains, which are at -100.
const DNAT: i32 = -99;
const SOURCE_NAT: i32 = 100;
const OWN_PODS: &str = "own-pods";

/// Adds their tables to a node's ruleset.
pub(super) fn add(ruleset: &mut Ruleset, ports: &BTreeSet<HostPort>, families: Families) {
    for family in families.list() {
        let of_family: Vec<&HostPort> = ports.iter().filter(|port| Family::of(port.pod) == *family).collect();
        if !of_family.is_empty() {
            let id = TableId { family: TableFamily::of(*family), name: "netproof-hostports" };
            ruleset.tables.insert(id, table(&of_family, *family));
        }
    }
}

fn table(ports: &[&HostPort], family: Family) -> Table {
    let (source, destination) = (Field::source(family), Field::destination(family));
    let loopback = match family {
        Family::Ipv4 => {
            let (first, last) = (Ipv4Addr::new(127, 0, 0, 0), Ipv4Addr::new(127, 255, 255, 255));
            Part::Range(Value::Ipv4(first), Value::Ipv4(last))
        }
        Family::Ipv6 => Part::One(Value::Ipv6(Ipv6Addr::LOCALHOST)),
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
