//! Follows a packet through a ruleset as data, on every way that a random choice may take.
//!
//! Knows no connections: every packet is the first of its own. A statement that it does not know is a
//! test's failure.

#![allow(
    clippy::allow_attributes,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says what went wrong by panicking"
)]

use netproof_model::{Family, Hook, Protocol};
use netproof_netfilter::nft::{
    Chain, ChainType, Data, Element, Field, Part, Rule, Statement, Table, Test, Value, Verdict,
};
use std::collections::BTreeSet;
use std::net::IpAddr;

#[derive(Clone, Debug)]
pub struct Packet {
    pub source: IpAddr,
    pub destination: IpAddr,
    pub protocol: u8,
    pub port: u16,
    pub source_port: u16,
    /// The type and code of an ICMP message.
    pub icmp: (u8, u8),
    /// The sets that remember its source.
    pub remembered: BTreeSet<String>,
    translated: bool,
    mark: u32,
}

impl Packet {
    pub fn new(source: IpAddr, destination: IpAddr, protocol: u8, port: u16) -> Packet {
        Packet {
            source,
            destination,
            protocol,
            port,
            source_port: 40_000,
            icmp: (0, 0),
            remembered: BTreeSet::new(),
            translated: false,
            mark: 0,
        }
    }
}

impl Packet {
    fn translated_to(self, destination: IpAddr, port: u16) -> Packet {
        Packet { destination, port, translated: true, ..self }
    }

    fn translated_to_values(self, values: &[Value]) -> Packet {
        match values {
            [Value::Ipv4(address), Value::Port(port)] => self.translated_to((*address).into(), *port),
            [Value::Ipv6(address), Value::Port(port)] => self.translated_to((*address).into(), *port),
            _ => panic!("no address and port: {values:?}"),
        }
    }
}

/// Where a packet ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    Dropped(Hook),
    Rejected(Hook),
    Sent { to: IpAddr, port: u16, masqueraded: bool },
}

enum End {
    Fell,
    Accepted,
    Masqueraded,
    Dropped,
    Rejected,
}

/// One node's table, and the addresses of the node.
pub struct Tracer<'a> {
    pub table: &'a Table,
    pub locals: &'a [IpAddr],
    /// Whether the chains are of one ruleset and the maps of the next, so that a choice may find nothing.
    pub torn: bool,
}

impl Tracer<'_> {
    /// Every fate that a packet may have which comes to the node, or which the node itself sends.
    pub fn trace(&self, packet: &Packet) -> BTreeSet<Fate> {
        let first = if self.locals.contains(&packet.source) { Hook::Output } else { Hook::Prerouting };
        self.at(first, packet)
    }

    fn at(&self, hook: Hook, packet: &Packet) -> BTreeSet<Fate> {
        let mut chains: Vec<_> = self
            .table
            .chains
            .values()
            .filter(|chain| chain.base.is_some_and(|base| base.hook == hook))
            .collect();
        chains.sort_by_key(|chain| chain.base.unwrap().priority);
        self.through(hook, &chains, packet)
    }

    fn through(&self, hook: Hook, chains: &[&Chain], packet: &Packet) -> BTreeSet<Fate> {
        let Some((chain, rest)) = chains.split_first() else {
            let here = self.locals.contains(&packet.destination);
            return match hook {
                Hook::Prerouting if here => self.at(Hook::Input, packet),
                Hook::Prerouting => self.at(Hook::Forward, packet),
                Hook::Forward | Hook::Output if !here => self.at(Hook::Postrouting, packet),
                _ => BTreeSet::from([Fate::Sent {
                    to: packet.destination,
                    port: packet.port,
                    masqueraded: false,
                }]),
            };
        };
        let mut fates = BTreeSet::new();
        for (packet, end) in self.chain(&chain.rules, packet.clone()) {
            match end {
                End::Dropped => drop(fates.insert(Fate::Dropped(hook))),
                End::Rejected => {
                    assert_ne!(chain.base.unwrap().chain_type, ChainType::Nat, "reject in a nat chain");
                    fates.insert(Fate::Rejected(hook));
                }
                End::Masqueraded => {
                    fates.insert(Fate::Sent { to: packet.destination, port: packet.port, masqueraded: true });
                }
                End::Fell | End::Accepted => fates.extend(self.through(hook, rest, &packet)),
            }
        }
        fates
    }

    fn chain(&self, rules: &[Rule], mut packet: Packet) -> Vec<(Packet, End)> {
        let Some((rule, rest)) = rules.split_first() else { return vec![(packet, End::Fell)] };
        let (mut verdicts, mut ends) = (Vec::new(), Vec::new());
        for statement in &rule.statements {
            let goes_on = match statement {
                Statement::Match(fields, test) => self.matches(&packet, fields, test),
                Statement::New => true,
                Statement::Invalid | Statement::Established => false,
                Statement::Family(family) => Family::of(packet.source) == *family,
                Statement::DestinationPort(protocol, part) => {
                    packet.protocol == protocol.number(Family::Ipv4)
                        && within(part, &Value::Port(packet.port))
                }
                Statement::Translated => packet.translated,
                Statement::FromThisNode => self.locals.contains(&packet.source),
                Statement::ToThisNode => self.locals.contains(&packet.destination),
                Statement::MarkUnset(bits) => packet.mark & bits == 0,
                Statement::HasMark(bits) => packet.mark & bits == *bits,
                Statement::SetMark(bits) => {
                    packet.mark |= bits;
                    true
                }
                Statement::FlipMark(bits) => {
                    packet.mark ^= bits;
                    true
                }
                Statement::Log(_) | Statement::LogOnly(_) => true,
                Statement::Remember(_, set) => {
                    packet.remembered.insert(set.clone());
                    true
                }
                Statement::Dnat(address, port) => {
                    return vec![(packet.translated_to(*address, *port), End::Accepted)];
                }
                Statement::RandomDnat(modulus, map) => {
                    let ends = self.choices(*modulus, map).flat_map(|data| match data {
                        Some(Data::Values(values)) => {
                            vec![(packet.clone().translated_to_values(values), End::Accepted)]
                        }
                        Some(Data::Verdict(verdict)) => panic!("a verdict is no address: {verdict}"),
                        None => self.chain(rest, packet.clone()),
                    });
                    return ends.collect();
                }
                Statement::Masquerade => return vec![(packet, End::Masqueraded)],
                Statement::Reject => return vec![(packet, End::Rejected)],
                Statement::VerdictMap(fields, map) => {
                    verdicts.extend(self.lookup(&packet, fields, map));
                    !verdicts.is_empty()
                }
                Statement::RandomMap(modulus, map) => {
                    let choices: Vec<_> = self.choices(*modulus, map).collect();
                    if choices.contains(&None) {
                        ends.extend(self.chain(rest, packet.clone()));
                    }
                    verdicts.extend(choices.into_iter().flatten().map(verdict));
                    true
                }
                Statement::Verdict(verdict) => {
                    verdicts.push(verdict.clone());
                    true
                }
                other => panic!("unknown: {other}"),
            };
            if !goes_on {
                return self.chain(rest, packet);
            }
        }
        if verdicts.is_empty() {
            return self.chain(rest, packet);
        }
        for verdict in verdicts {
            let into = |name: &String| self.chain(&self.table.chains[name].rules, packet.clone());
            match &verdict {
                Verdict::Accept => ends.push((packet.clone(), End::Accepted)),
                Verdict::Drop => ends.push((packet.clone(), End::Dropped)),
                Verdict::Return => ends.push((packet.clone(), End::Fell)),
                Verdict::Goto(name) => ends.extend(into(name)),
                Verdict::Jump(name) => {
                    for (packet, end) in into(name) {
                        match end {
                            End::Fell => ends.extend(self.chain(rest, packet)),
                            end => ends.push((packet, end)),
                        }
                    }
                }
            }
        }
        ends
    }

    fn matches(&self, packet: &Packet, fields: &[Field], test: &Test) -> bool {
        if !fields.iter().all(|field| has(packet, *field)) {
            return false;
        }
        let values: Vec<Value> = fields.iter().map(|field| value(packet, *field)).collect();
        let is_in = |set: &String| self.table.sets[set].elements.keys().any(|it| is_element(it, &values));
        match test {
            Test::NotIn(set) => !is_in(set),
            Test::Is(part) => within(part, &values[0]),
            Test::IsNot(part) => !within(part, &values[0]),
            Test::In(set) => is_in(set),
            Test::Remembered(set) => {
                assert!(self.table.sets.contains_key(set), "{set}");
                packet.remembered.contains(set)
            }
        }
    }

    fn lookup(&self, packet: &Packet, fields: &[Field], map: &str) -> Option<Verdict> {
        if !fields.iter().all(|field| has(packet, *field)) {
            return None;
        }
        let values: Vec<Value> = fields.iter().map(|field| value(packet, *field)).collect();
        let mut elements = self.table.sets[map].elements.iter();
        elements.find(|(element, _)| is_element(element, &values))?.1.as_ref().map(verdict)
    }

    /// What the map has for every number below the modulus.
    fn choices(&self, modulus: u32, map: &str) -> impl Iterator<Item = Option<&Data>> {
        let elements = &self.table.sets[map].elements;
        (0..modulus).map(move |number| {
            let found = elements.get(&vec![Part::One(Value::Number(number))]);
            assert!(self.torn || found.is_some(), "{map} has nothing for {number} of {modulus}");
            found.map(|data| data.as_ref().unwrap())
        })
    }
}

fn verdict(data: &Data) -> Verdict {
    match data {
        Data::Verdict(verdict) => verdict.clone(),
        Data::Values(values) => panic!("no verdict: {values:?}"),
    }
}

fn is_element(element: &Element, values: &[Value]) -> bool {
    element.iter().zip(values).all(|(part, value)| within(part, value))
}

fn within(part: &Part, value: &Value) -> bool {
    match part {
        Part::One(one) => one == value,
        Part::Range(first, last) => first <= value && value <= last,
    }
}

/// Whether a packet has the field: what nft guards by the family and by the protocol.
fn has(packet: &Packet, field: Field) -> bool {
    let of = |family| Family::of(packet.source) == family;
    let icmp = |family| of(family) && packet.protocol == Protocol::Icmp.number(family);
    match field {
        Field::SourceV4 | Field::DestinationV4 => of(Family::Ipv4),
        Field::SourceV6 | Field::DestinationV6 => of(Family::Ipv6),
        Field::IcmpType | Field::IcmpCode => icmp(Family::Ipv4),
        Field::Icmpv6Type | Field::Icmpv6Code => icmp(Family::Ipv6),
        Field::Protocol
        | Field::SourcePort
        | Field::DestinationPort
        | Field::InputInterface
        | Field::TransportWord(_) => true,
    }
}

fn value(packet: &Packet, field: Field) -> Value {
    match field {
        Field::SourceV4 | Field::SourceV6 => packet.source.into(),
        Field::DestinationV4 | Field::DestinationV6 => packet.destination.into(),
        Field::Protocol => Value::Protocol(packet.protocol),
        Field::SourcePort => Value::Port(packet.source_port),
        Field::DestinationPort => Value::Port(packet.port),
        Field::IcmpType | Field::Icmpv6Type => Value::Icmp(packet.icmp.0),
        Field::IcmpCode | Field::Icmpv6Code => Value::Icmp(packet.icmp.1),
        Field::InputInterface | Field::TransportWord(_) => panic!("{field:?}"),
    }
}
