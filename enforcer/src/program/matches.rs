//! Which packets a rule is for: tests of both ends, the protocol, ports and ICMP types, all of which must hold.

use netproof_model::{Direction, Family, Protocol};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// Tests that must all hold. Without any, every packet matches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Match {
    /// The only family of addresses; `None` for both.
    pub family: Option<Family>,
    /// Tests of the source's address.
    pub source: Vec<AddressTest>,
    /// Tests of the destination's address.
    pub destination: Vec<AddressTest>,
    /// Tests of the protocol.
    pub protocols: Vec<ProtocolTest>,
    /// Tests of the source's port.
    pub source_ports: Vec<PortTest>,
    /// Tests of the destination's port.
    pub destination_ports: Vec<PortTest>,
    /// Tests of the ICMP type.
    pub icmp: Vec<IcmpTest>,
}

impl Match {
    /// The tests of the end that is not the endpoint.
    pub fn peers_mut(&mut self, direction: Direction) -> &mut Vec<AddressTest> {
        match direction {
            Direction::Ingress => &mut self.source,
            Direction::Egress => &mut self.destination,
        }
    }

    /// The tests of the end that is not the endpoint.
    pub fn peers(&self, direction: Direction) -> &[AddressTest] {
        match direction {
            Direction::Ingress => &self.source,
            Direction::Egress => &self.destination,
        }
    }
}

/// Whether an address is one of these, or none of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressTest {
    /// It must be none of them.
    pub negated: bool,
    /// The addresses that selectors match now; `None` if no selector takes part. May be empty.
    pub members: Option<BTreeSet<IpAddr>>,
    /// Ranges, IPv4 before IPv6, disjoint.
    pub blocks: Vec<AddressRange>,
}

impl AddressTest {
    /// Whether no address is one of them.
    pub fn is_nobody(&self) -> bool {
        self.blocks.is_empty() && self.members.as_ref().is_none_or(BTreeSet::is_empty)
    }

    /// Whether the test holds for an address.
    pub fn holds(&self, address: IpAddr) -> bool {
        let member = self.members.as_ref().is_some_and(|members| members.contains(&address));
        let inside = member || self.blocks.iter().any(|block| block.contains(address));
        inside != self.negated
    }
}

/// Whether the protocol is one of these, or none of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProtocolTest {
    /// It must be none of them.
    pub negated: bool,
    /// Numbers of protocols (IANA).
    pub numbers: BTreeSet<u8>,
}

/// Whether a port is one of these, or none of them. A packet without ports has none of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortTest {
    /// It must be none of them.
    pub negated: bool,
    /// By number, disjoint within a protocol.
    pub numbers: Vec<PortRange>,
    /// By name or by service, as found on whoever has the address at this end; `None` if there are neither. May be empty.
    pub names: Option<BTreeSet<NamedPort>>,
}

/// Whether a packet is an ICMP message of a type, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpTest {
    /// It must not be such a message.
    pub negated: bool,
    /// ICMP or ICMPv6.
    pub family: Family,
    /// The type.
    pub kind: u8,
    /// The code; `None` for every one.
    pub code: Option<u8>,
}

/// The addresses from `first` to `last` of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressRange {
    /// The lowest address.
    pub first: IpAddr,
    /// The highest address, of the same family.
    pub last: IpAddr,
}

impl AddressRange {
    /// Its family.
    pub fn family(&self) -> Family {
        Family::of(self.first)
    }

    /// Whether an address lies within.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.family() == Family::of(address) && self.first <= address && address <= self.last
    }
}

/// Ports of one transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortRange {
    /// TCP, UDP or SCTP.
    pub protocol: Protocol,
    /// The lowest port.
    pub first: u16,
    /// The highest port.
    pub last: u16,
}

impl PortRange {
    /// Whether it is every port of the protocol.
    pub fn is_whole_protocol(&self) -> bool {
        self.first == 0 && self.last == u16::MAX
    }
}

/// A port that a name stands for on one pod, or a service on one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamedPort {
    /// The pod's or endpoint's address.
    pub address: IpAddr,
    /// TCP, UDP or SCTP.
    pub protocol: Protocol,
    /// The number.
    pub port: u16,
}
