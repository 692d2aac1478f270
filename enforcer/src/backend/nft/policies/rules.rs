//! A rule's match as nftables says it: the sets, and the combinations of statements of which one must hold.
//!
//! nft has no "or" within a rule, and a set has addresses of one family. So a test that several sets or ranges can
//! meet becomes as many options, and a match the combinations of its tests' options, each for one family or for
//! both.

use crate::program::{
    AddressRange, AddressTest, IcmpTest, Match, NamedPort, PortRange, PortTest, ProtocolTest,
};
use netproof_model::Family;
use netproof_netfilter::nft::{Field, KeyType, Part, Set, Statement, Test, Value};
use std::collections::BTreeMap;

/// Writes one rule of a policy.
pub(super) struct RuleWriter<'r> {
    sets: &'r mut BTreeMap<String, Set>,
    families: &'r [Family],
    /// The rule's number, which its sets have in their names.
    number: u32,
}

/// Statements that must all hold, and the family that they are limited to.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Alternative {
    family: Option<Family>,
    statements: Vec<Statement>,
}

/// At which end of a packet something is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Source,
    Destination,
}

impl<'r> RuleWriter<'r> {
    pub(super) fn new(sets: &'r mut BTreeMap<String, Set>, families: &'r [Family], number: u32) -> Self {
        RuleWriter { sets, families, number }
    }

    /// The combinations of statements of which one must hold. None, if no packet can match.
    pub(super) fn alternatives(&mut self, matches: &Match) -> Vec<Vec<Statement>> {
        let statements = matches.family.map(Statement::Family).into_iter().collect();
        let mut all = vec![Alternative { family: matches.family, statements }];
        all.retain(|it| it.family.is_none_or(|family| self.families.contains(&family)));
        for test in &matches.protocols {
            all = product(&all, &self.protocols(test));
        }
        for test in &matches.icmp {
            all = product(&all, &self.icmp(test));
        }
        for (side, tests) in [(Side::Source, &matches.source), (Side::Destination, &matches.destination)] {
            for test in tests {
                all = product(&all, &self.addresses(side, test));
            }
        }
        let ports = [(Side::Source, &matches.source_ports), (Side::Destination, &matches.destination_ports)];
        for (side, tests) in ports {
            for test in tests {
                all = product(&all, &self.ports(side, test));
            }
        }
        all.into_iter().map(|alternative| alternative.statements).collect()
    }

    fn addresses(&mut self, side: Side, test: &AddressTest) -> Vec<Alternative> {
        let mut options = Vec::new();
        for family in self.families {
            let field = side.address(*family);
            let mut tests = Vec::new();
            if let Some(members) = &test.members {
                let members = members.iter().filter(|address| Family::of(**address) == *family);
                let elements = members.map(|address| vec![Part::One((*address).into())]);
                let set = Set::new(&[field.key_type()]).with(elements);
                tests.push(within(self.set("pods", Some(*family), set), test.negated));
            }
            let blocks: Vec<&AddressRange> =
                test.blocks.iter().filter(|block| block.family() == *family).collect();
            let part = |block: &AddressRange| Part::Range(block.first.into(), block.last.into());
            match blocks.as_slice() {
                [] => {}
                [block] if test.negated => tests.push(Test::IsNot(part(block))),
                [block] => tests.push(Test::Is(part(block))),
                _ => {
                    let elements = blocks.iter().map(|block| vec![part(block)]);
                    let set = Set::intervals(&[field.key_type()]).with(elements);
                    tests.push(within(self.set("blocks", Some(*family), set), test.negated));
                }
            }
            let statements = tests.into_iter().map(|test| Statement::Match(vec![field], test));
            options.extend(combined(Some(*family), statements.collect(), test.negated));
        }
        options
    }

    fn ports(&mut self, side: Side, test: &PortTest) -> Vec<Alternative> {
        let numbers = self.numbers(side, &test.numbers, test.negated);
        let Some(names) = &test.names else {
            return match numbers {
                None if test.negated => vec![Alternative { family: None, statements: Vec::new() }],
                numbers => {
                    numbers.into_iter().map(|it| Alternative { family: None, statements: vec![it] }).collect()
                }
            };
        };
        let mut options = Vec::new();
        if !test.negated {
            options.extend(numbers.clone().map(|it| Alternative { family: None, statements: vec![it] }));
        }
        for family in self.families {
            let address = side.address(*family);
            let own = names.iter().filter(|port| Family::of(port.address) == *family);
            let elements = own.map(|port: &NamedPort| {
                vec![
                    Part::One(port.address.into()),
                    Part::One(Value::Protocol(port.protocol.number(*family))),
                    Part::One(Value::Port(port.port)),
                ]
            });
            let set = Set::new(&[address.key_type(), KeyType::Protocol, KeyType::Port]).with(elements);
            let name = self.set("named-ports", Some(*family), set);
            let fields = vec![address, Field::Protocol, side.port()];
            let named = Statement::Match(fields, within(name, test.negated));
            // Negated, neither the numbers nor the names may match.
            let numbers = numbers.clone().filter(|_| test.negated);
            let statements = numbers.into_iter().chain([named]).collect();
            options.push(Alternative { family: Some(*family), statements });
        }
        options
    }

    /// Ports by number: one statement, or none if there are no numbers.
    fn numbers(&mut self, side: Side, ports: &[PortRange], negated: bool) -> Option<Statement> {
        let protocol = |port: &PortRange| Part::One(Value::Protocol(port.protocol.number(Family::Ipv4)));
        let numbers = |port: &PortRange| match port.first == port.last {
            true => Part::One(Value::Port(port.first)),
            false => Part::Range(Value::Port(port.first), Value::Port(port.last)),
        };
        match ports {
            [] => None,
            [port] if port.is_whole_protocol() => {
                let test = if negated { Test::IsNot(protocol(port)) } else { Test::Is(protocol(port)) };
                Some(Statement::Match(vec![Field::Protocol], test))
            }
            [port] if side == Side::Destination && !negated => {
                Some(Statement::DestinationPort(port.protocol, numbers(port)))
            }
            _ => {
                let key = [KeyType::Protocol, KeyType::Port];
                let single = ports.iter().all(|port| port.first == port.last);
                let set = if single { Set::new(&key) } else { Set::intervals(&key) };
                let set = set.with(ports.iter().map(|port| vec![protocol(port), numbers(port)]));
                let test = within(self.set("ports", None, set), negated);
                Some(Statement::Match(vec![Field::Protocol, side.port()], test))
            }
        }
    }

    fn protocols(&mut self, test: &ProtocolTest) -> Vec<Alternative> {
        let part = |number: &u8| Part::One(Value::Protocol(*number));
        let statements = match (test.numbers.iter().collect::<Vec<_>>().as_slice(), test.negated) {
            ([], true) => Vec::new(),
            ([], false) => return Vec::new(),
            ([number], true) => vec![Statement::Match(vec![Field::Protocol], Test::IsNot(part(number)))],
            ([number], false) => vec![Statement::Match(vec![Field::Protocol], Test::Is(part(number)))],
            (numbers, negated) => {
                let set =
                    Set::new(&[KeyType::Protocol]).with(numbers.iter().map(|number| vec![part(number)]));
                let name = self.set("protocols", None, set);
                vec![Statement::Match(vec![Field::Protocol], within(name, negated))]
            }
        };
        vec![Alternative { family: None, statements }]
    }

    fn icmp(&mut self, test: &IcmpTest) -> Vec<Alternative> {
        let (kind, code) = match test.family {
            Family::Ipv4 => (Field::IcmpType, Field::IcmpCode),
            Family::Ipv6 => (Field::Icmpv6Type, Field::Icmpv6Code),
        };
        let part = |number: u8| Part::One(Value::Icmp(number));
        let is = |field, number| Statement::Match(vec![field], Test::Is(part(number)));
        let own = Some(test.family);
        if !test.negated {
            let code = test.code.map(|number| is(code, number));
            let statements = [is(kind, test.kind)].into_iter().chain(code).collect();
            return vec![Alternative { family: own, statements }];
        }
        // It is no ICMP message of that family, or one of another type, or of the type and of another code.
        let other = |field, number| Statement::Match(vec![field], Test::IsNot(part(number)));
        let protocol = Value::Protocol(netproof_model::Protocol::Icmp.number(test.family));
        let no_icmp = Statement::Match(vec![Field::Protocol], Test::IsNot(Part::One(protocol)));
        let mut options = vec![
            Alternative { family: None, statements: vec![no_icmp] },
            Alternative { family: own, statements: vec![other(kind, test.kind)] },
        ];
        options.extend(test.code.map(|number| Alternative {
            family: own,
            statements: vec![is(kind, test.kind), other(code, number)],
        }));
        options
    }

    /// Adds a set of this rule alone: elements of different rules never meet in one set.
    fn set(&mut self, kind: &str, family: Option<Family>, set: Set) -> String {
        let family = family.map(|family| format!("-{}", short(family))).unwrap_or_default();
        let mut name = set.name(format!("rule{}-{kind}{family}", self.number));
        // The first test of a kind has the plain name.
        let mut position = 2;
        while self.sets.contains_key(&name) {
            name = set.name(format!("rule{}-{kind}-{position}{family}", self.number));
            position += 1;
        }
        self.sets.insert(name.clone(), set);
        name
    }
}

impl Side {
    fn address(self, family: Family) -> Field {
        match self {
            Side::Source => Field::source(family),
            Side::Destination => Field::destination(family),
        }
    }

    fn port(self) -> Field {
        match self {
            Side::Source => Field::SourcePort,
            Side::Destination => Field::DestinationPort,
        }
    }
}

fn within(set: String, negated: bool) -> Test {
    if negated { Test::NotIn(set) } else { Test::In(set) }
}

/// Statements of which one must hold are an option each; those that must all hold are one option, which may have
/// to say no more than its family.
fn combined(family: Option<Family>, statements: Vec<Statement>, all: bool) -> Vec<Alternative> {
    match all {
        true if statements.is_empty() => {
            let statements = family.map(Statement::Family).into_iter().collect();
            vec![Alternative { family, statements }]
        }
        true => vec![Alternative { family, statements }],
        false => statements
            .into_iter()
            .map(|statement| Alternative { family, statements: vec![statement] })
            .collect(),
    }
}

/// Each with each, but for those of different families.
fn product(left: &[Alternative], right: &[Alternative]) -> Vec<Alternative> {
    let mut all = Vec::new();
    for one in left {
        for other in right {
            let family = match (one.family, other.family) {
                (Some(one), Some(other)) if one != other => continue,
                (one, other) => one.or(other),
            };
            all.push(Alternative {
                family,
                statements: [one.statements.as_slice(), &other.statements].concat(),
            });
        }
    }
    all
}

pub(super) fn short(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "v4",
        Family::Ipv6 => "v6",
    }
}
