//! What packets have, and the values that it is compared with.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Something that a packet has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// The IPv4 source; a packet of another family does not match.
    SourceV4,
    /// The IPv4 destination.
    DestinationV4,
    /// The IPv6 source.
    SourceV6,
    /// The IPv6 destination.
    DestinationV6,
    /// The transport protocol's number.
    Protocol,
    /// The source port of whatever transport protocol.
    SourcePort,
    /// The destination port of whatever transport protocol.
    DestinationPort,
    /// The name of the interface that the packet came in by.
    InputInterface,
    /// The type of an ICMP message; another protocol does not match.
    IcmpType,
    /// The type of an ICMPv6 message; another protocol does not match.
    Icmpv6Type,
    /// The code of an ICMP message; another protocol does not match.
    IcmpCode,
    /// The code of an ICMPv6 message; another protocol does not match.
    Icmpv6Code,
    /// The four bytes at this place after the beginning of the transport header.
    TransportWord(u8),
}

impl Field {
    /// The type of a set's key that holds this field.
    pub fn key_type(self) -> KeyType {
        match self {
            Field::SourceV4 | Field::DestinationV4 => KeyType::Ipv4,
            Field::SourceV6 | Field::DestinationV6 => KeyType::Ipv6,
            Field::Protocol => KeyType::Protocol,
            Field::SourcePort | Field::DestinationPort => KeyType::Port,
            Field::InputInterface => KeyType::Interface,
            Field::IcmpType | Field::Icmpv6Type | Field::IcmpCode | Field::Icmpv6Code => KeyType::Icmp,
            Field::TransportWord(_) => KeyType::Number,
        }
    }
}

/// One value or a range of values.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// Just this value.
    One(Value),
    /// From the first to the last, both included.
    Range(Value, Value),
}

/// A value of a field.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    /// An IPv4 address.
    Ipv4(Ipv4Addr),
    /// An IPv6 address.
    Ipv6(Ipv6Addr),
    /// A transport protocol's number.
    Protocol(u8),
    /// A port.
    Port(u16),
    /// An interface's name, at most 15 bytes.
    Interface(String),
    /// An ICMP type or code.
    Icmp(u8),
    /// A plain number of 32 bits.
    Number(u32),
}

impl From<IpAddr> for Value {
    fn from(address: IpAddr) -> Value {
        match address {
            IpAddr::V4(address) => Value::Ipv4(address),
            IpAddr::V6(address) => Value::Ipv6(address),
        }
    }
}

/// The type of one field of a set's key, or of a map's data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KeyType {
    /// `ipv4_addr`
    Ipv4,
    /// `ipv6_addr`
    Ipv6,
    /// `inet_proto`
    Protocol,
    /// `inet_service`
    Port,
    /// `ifname`
    Interface,
    /// An ICMP type or code: `integer` of one byte.
    Icmp,
    /// `mark`, which stands for any number in the machine's byte order.
    Number,
}
