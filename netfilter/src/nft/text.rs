//! A ruleset as text in nft's syntax, for people.

use super::ruleset::{
    Base, Chain, ChainType, Data, DataType, Rule, Ruleset, Set, Statement, Table, TableFamily, Test, Verdict,
};
use super::values::{Field, KeyType, Part, Value};
use crate::{LOG_ONLY, NFLOG_GROUP, NFLOG_PREFIX, NFLOG_SNAPLEN};
use netproof_model::{Family, Protocol};
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

impl fmt::Display for Ruleset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, (id, table)) in self.tables.iter().enumerate() {
            if position > 0 {
                writeln!(f)?;
            }
            writeln!(f, "table {} {} {{", id.family, id.name)?;
            write_table(f, table)?;
            writeln!(f, "}}")?;
        }
        Ok(())
    }
}

fn write_table(f: &mut fmt::Formatter<'_>, table: &Table) -> fmt::Result {
    let mut first = true;
    let mut separate = |f: &mut fmt::Formatter<'_>| {
        if std::mem::take(&mut first) { Ok(()) } else { writeln!(f) }
    };
    for (name, set) in &table.sets {
        separate(f)?;
        write_set(f, name, set)?;
    }
    for (name, chain) in &table.chains {
        separate(f)?;
        write_chain(f, name, chain)?;
    }
    Ok(())
}

fn write_set(f: &mut fmt::Formatter<'_>, name: &str, set: &Set) -> fmt::Result {
    let kind = if set.data.is_some() { "map" } else { "set" };
    let names = |types: &[KeyType]| types.iter().map(|it| it.name()).collect::<Vec<_>>().join(" . ");
    let data = match &set.data {
        Some(DataType::Verdict) => " : verdict".to_owned(),
        Some(DataType::Values(types)) => format!(" : {}", names(types)),
        None => String::new(),
    };
    writeln!(f, "\t{kind} {name} {{")?;
    writeln!(f, "\t\ttype {}{data}", names(&set.key))?;
    if set.interval {
        writeln!(f, "\t\tflags interval")?;
    }
    if let Some(seconds) = set.remembers {
        writeln!(f, "\t\tflags dynamic,timeout")?;
        writeln!(f, "\t\ttimeout {seconds}s")?;
    }
    if !set.elements.is_empty() {
        let elements: Vec<String> = set
            .elements
            .iter()
            .map(|(element, data)| match data {
                Some(data) => format!("{} : {data}", SideBySide(element)),
                None => SideBySide(element).to_string(),
            })
            .collect();
        writeln!(f, "\t\telements = {{ {} }}", elements.join(",\n\t\t             "))?;
    }
    writeln!(f, "\t}}")
}

fn write_chain(f: &mut fmt::Formatter<'_>, name: &str, chain: &Chain) -> fmt::Result {
    writeln!(f, "\tchain {name} {{")?;
    if let Some(Base { chain_type, hook, priority }) = chain.base {
        let chain_type = match chain_type {
            ChainType::Filter => "filter",
            ChainType::Nat => "nat",
        };
        writeln!(f, "\t\ttype {chain_type} hook {hook} priority {priority}; policy accept;")?;
    }
    for rule in &chain.rules {
        writeln!(f, "\t\t{rule}")?;
    }
    writeln!(f, "\t}}")
}

impl fmt::Display for TableFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TableFamily::Inet => "inet",
            TableFamily::Ip => "ip",
            TableFamily::Ip6 => "ip6",
            TableFamily::Bridge => "bridge",
        })
    }
}

impl KeyType {
    fn name(self) -> &'static str {
        match self {
            KeyType::Ipv4 => "ipv4_addr",
            KeyType::Ipv6 => "ipv6_addr",
            KeyType::Protocol => "inet_proto",
            KeyType::Port => "inet_service",
            KeyType::Interface => "ifname",
            KeyType::Icmp => "integer",
            KeyType::Number => "mark",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, statement) in self.statements.iter().enumerate() {
            let separator = if position == 0 { "" } else { " " };
            write!(f, "{separator}{statement}")?;
        }
        if !self.comment.is_empty() {
            write!(f, " comment \"{}\"", self.comment)?;
        }
        Ok(())
    }
}

impl fmt::Display for Statement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Statement::Match(fields, Test::Is(part)) => write!(f, "{} {part}", Fields(fields)),
            Statement::Match(fields, Test::IsNot(part)) => write!(f, "{} != {part}", Fields(fields)),
            Statement::Match(fields, Test::In(set) | Test::Remembered(set)) => {
                write!(f, "{} @{set}", Fields(fields))
            }
            Statement::Match(fields, Test::NotIn(set)) => write!(f, "{} != @{set}", Fields(fields)),
            Statement::Family(Family::Ipv4) => f.write_str("meta protocol ip"),
            Statement::Family(Family::Ipv6) => f.write_str("meta protocol ip6"),
            Statement::DestinationPort(protocol, part) => write!(f, "{protocol} dport {part}"),
            Statement::Established => f.write_str("ct state established,related"),
            Statement::New => f.write_str("ct state new"),
            Statement::NewOrUntracked => f.write_str("ct state new,untracked"),
            Statement::Invalid => f.write_str("ct state invalid"),
            Statement::Translated => f.write_str("ct status dnat"),
            Statement::FromThisNode => f.write_str("fib saddr type local"),
            Statement::ToThisNode => f.write_str("fib daddr type local"),
            Statement::Remember(field, set) => write!(f, "update @{set} {{ {} }}", Fields(&[*field])),
            Statement::VerdictMap(fields, map) => write!(f, "{} vmap @{map}", Fields(fields)),
            Statement::RandomMap(modulus, map) => write!(f, "numgen random mod {modulus} vmap @{map}"),
            Statement::MarkUnset(bits) => write!(f, "meta mark & {bits:#x} == 0"),
            Statement::HasMark(bits) => write!(f, "meta mark & {bits:#x} == {bits:#x}"),
            Statement::SetMark(bits) => write!(f, "meta mark set meta mark | {bits:#x}"),
            Statement::FlipMark(bits) => write!(f, "meta mark set meta mark ^ {bits:#x}"),
            Statement::Log(number) => write_log(f, number),
            Statement::LogOnly(number) => write_log(f, &format_args!("{LOG_ONLY} {number}")),
            Statement::Note(word) => write_log(f, word),
            Statement::NoRoute => f.write_str("fib daddr oif missing"),
            Statement::Unreachable => f.write_str("reject with icmp type host-unreachable"),
            Statement::Reject => f.write_str("reject"),
            Statement::Dnat(IpAddr::V4(address), port) => write!(f, "dnat to {address}:{port}"),
            Statement::Dnat(IpAddr::V6(address), port) => write!(f, "dnat to [{address}]:{port}"),
            Statement::RandomDnat(modulus, map) => {
                write!(f, "dnat to numgen random mod {modulus} map @{map}")
            }
            Statement::Masquerade => f.write_str("masquerade fully-random"),
            Statement::Trace => f.write_str("meta nftrace set 1"),
            Statement::Verdict(verdict) => verdict.fmt(f),
        }
    }
}

fn write_log(f: &mut fmt::Formatter<'_>, what: &dyn fmt::Display) -> fmt::Result {
    write!(
        f,
        "log prefix \"{NFLOG_PREFIX}{what}\" group {NFLOG_GROUP} snaplen {NFLOG_SNAPLEN} queue-threshold 1"
    )
}

struct SideBySide<'a, T>(&'a [T]);

impl<T: fmt::Display> fmt::Display for SideBySide<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, part) in self.0.iter().enumerate() {
            let separator = if position == 0 { "" } else { " . " };
            write!(f, "{separator}{part}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Data::Verdict(verdict) => verdict.fmt(f),
            Data::Values(values) => SideBySide(values).fmt(f),
        }
    }
}

struct Fields<'a>(&'a [Field]);

impl fmt::Display for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, field) in self.0.iter().enumerate() {
            let separator = if position == 0 { "" } else { " . " };
            f.write_str(separator)?;
            let name = match field {
                Field::SourceV4 => "ip saddr",
                Field::DestinationV4 => "ip daddr",
                Field::SourceV6 => "ip6 saddr",
                Field::DestinationV6 => "ip6 daddr",
                Field::Protocol => "meta l4proto",
                Field::SourcePort => "th sport",
                Field::DestinationPort => "th dport",
                Field::InputInterface => "iifname",
                Field::IcmpType => "icmp type",
                Field::Icmpv6Type => "icmpv6 type",
                Field::IcmpCode => "icmp code",
                Field::Icmpv6Code => "icmpv6 code",
                Field::TransportWord(place) => {
                    write!(f, "@th,{},32", u32::from(*place) * 8)?;
                    continue;
                }
            };
            f.write_str(name)?;
        }
        Ok(())
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Accept => f.write_str("accept"),
            Verdict::Drop => f.write_str("drop"),
            Verdict::Return => f.write_str("return"),
            Verdict::Jump(chain) => write!(f, "jump {chain}"),
            Verdict::Goto(chain) => write!(f, "goto {chain}"),
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Part::One(value) => value.fmt(f),
            Part::Range(Value::Ipv4(first), Value::Ipv4(last)) => {
                write_addresses(f, IpAddr::V4(*first), IpAddr::V4(*last))
            }
            Part::Range(Value::Ipv6(first), Value::Ipv6(last)) => {
                write_addresses(f, IpAddr::V6(*first), IpAddr::V6(*last))
            }
            Part::Range(first, last) => write!(f, "{first}-{last}"),
        }
    }
}

/// As `ADDRESS/LENGTH` where the range is one.
fn write_addresses(f: &mut fmt::Formatter<'_>, first: IpAddr, last: IpAddr) -> fmt::Result {
    let (bits, first_number, last_number) = match (first, last) {
        (IpAddr::V4(first), IpAddr::V4(last)) => {
            (32, u128::from(first.to_bits()), u128::from(last.to_bits()))
        }
        _ => (128, as_v6(first).to_bits(), as_v6(last).to_bits()),
    };
    let host = first_number ^ last_number;
    if host & host.wrapping_add(1) == 0 && first_number & host == 0 {
        return write!(f, "{first}/{}", bits - host.count_ones());
    }
    write!(f, "{first}-{last}")
}

fn as_v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Ipv4(address) => address.fmt(f),
            Value::Ipv6(address) => address.fmt(f),
            Value::Protocol(number) => {
                let known = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];
                match known.iter().find(|protocol| protocol.number(Family::Ipv4) == *number) {
                    Some(protocol) => protocol.fmt(f),
                    None => number.fmt(f),
                }
            }
            Value::Port(port) => port.fmt(f),
            Value::Interface(name) => write!(f, "\"{name}\""),
            Value::Icmp(number) => number.fmt(f),
            Value::Number(number) => number.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_addresses_are_prefixes_where_they_can_be() {
        let table = [
            ("10.0.0.0", "10.255.255.255", "10.0.0.0/8"),
            ("0.0.0.0", "255.255.255.255", "0.0.0.0/0"),
            ("10.0.0.1", "10.0.0.1", "10.0.0.1/32"),
            ("10.0.0.1", "10.0.0.2", "10.0.0.1-10.0.0.2"),
            ("10.0.0.4", "10.0.0.11", "10.0.0.4-10.0.0.11"),
            ("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::/0"),
            ("fd00::", "fd00::ffff", "fd00::/112"),
        ];
        for (first, last, expected) in table {
            let value = |text: &str| Value::from(text.parse::<IpAddr>().unwrap());
            assert_eq!(Part::Range(value(first), value(last)).to_string(), expected);
        }
    }
}
