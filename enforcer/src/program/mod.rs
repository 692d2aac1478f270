//! The program of a node: what its policies mean, independent of any backend.
//!
//! Endpoint -> direction -> policies -> rules -> matches over sets of addresses, ranges and ports.
//! Selectors, peers, exceptions and named ports are evaluated here and nowhere else in the enforcer; a
//! backend only says the result in its own words.

mod compile;
mod index;
mod ranges;
pub(crate) mod selector;

pub use compile::Compiler;
pub(crate) use compile::protocol;
pub use ranges::{Range, subtract, union};

use netproof_model::{Direction, Family, NamespacedName, PolicyRef, Protocol};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What one node enforces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// Every pod of the node, sorted by name.
    pub endpoints: Vec<Endpoint>,
    /// The policies that select at least one of them, once for each direction that they isolate, in
    /// the order of their names.
    pub policies: Vec<Policy>,
}

/// A pod's interface on its node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// The pod.
    pub pod: NamespacedName,
    /// The node's end of its veth.
    pub interface: String,
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// Positions in [`Program::policies`] of the policies that isolate it, for each direction in which
    /// any does.
    pub isolation: BTreeMap<Direction, Vec<usize>>,
}

/// One direction of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The object.
    pub policy: PolicyRef,
    /// Which of its lists of rules.
    pub direction: Direction,
    /// What it allows; every rule of the list, those that match nothing too.
    pub rules: Vec<Rule>,
}

/// One rule: a packet that both matches hold for is allowed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The other end.
    pub peers: Peers,
    /// The destination's port.
    pub ports: Ports,
}

/// Which addresses the other end may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peers {
    /// Every address, inside the cluster or outside.
    Any,
    /// Those that are in either set. Both may be empty: then nobody is allowed.
    Of {
        /// The pods that selectors match now; `None` if the rule has no selector.
        pods: Option<BTreeSet<IpAddr>>,
        /// The ipBlocks less their exceptions, IPv4 before IPv6, disjoint.
        blocks: Vec<AddressRange>,
    },
}

/// Which ports the destination may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ports {
    /// Every port of every protocol.
    Any,
    /// Those that are in either set.
    Of {
        /// Ports by number, disjoint within a protocol.
        numbers: Vec<PortRange>,
        /// Ports by name, as found on the destination pods; `None` if the rule names none. In an
        /// egress rule only the ports of pods that are its peers, so that nothing else need match.
        names: Option<BTreeSet<NamedPort>>,
    },
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

/// A port that a name stands for on one pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NamedPort {
    /// The pod's address.
    pub address: IpAddr,
    /// TCP, UDP or SCTP.
    pub protocol: Protocol,
    /// The number.
    pub port: u16,
}

/// An address as a number.
fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

/// The address of a family that a number stands for.
fn address(family: Family, number: u128) -> IpAddr {
    match family {
        Family::Ipv4 => IpAddr::V4(Ipv4Addr::from(u32::try_from(number).unwrap_or(u32::MAX))),
        Family::Ipv6 => IpAddr::V6(Ipv6Addr::from(number)),
    }
}
