//! Fields of packets, and the values that they are compared with.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A field of a packet.
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
    /// The number of the transport protocol.
    Protocol,
    /// The source port, for any transport protocol.
    SourcePort,
    /// The destination port, for any transport protocol.
    DestinationPort,
    /// The name of the input interface.
    InputInterface,
    /// The type of an ICMP message; another protocol does not match.
    IcmpType,
    /// The type of an ICMPv6 message; another protocol does not match.
    Icmpv6Type,
    /// The code of an ICMP message; another protocol does not match.
    IcmpCode,
    /// The code of an ICMPv6 message; another protocol does not match.
    Icmpv6Code,
    /// Four bytes at this offset in the transport header.
    TransportWord(u8),
}

impl Field {
    /// The type of this field in a set's key.
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
    /// This value.
    One(Value),
    /// From the first to the last value, both included.
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
    /// A 32-bit number.
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
    /// `mark`, used for any number in the machine's byte order.
    Number,
}
