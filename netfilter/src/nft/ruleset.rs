//! A ruleset as data: tables of chains and sets, rules as statements.
//!
//! Only what policy and proxy need of nftables, in nftables' words. Names are logical: the kernel may
//! hold them with a suffix (see [`Agent`](super::Agent)).

use super::names;
use super::values::{Field, KeyType, Part, Value};
use netproof_model::{Family, Hook, Protocol};
use nix::libc;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Everything that one component has in one node's kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ruleset {
    /// Its tables.
    pub tables: BTreeMap<TableId, Table>,
}

/// The address family of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TableFamily {
    /// IPv4 and IPv6.
    Inet,
    /// IPv4.
    Ip,
    /// IPv6.
    Ip6,
    /// Frames on the ports of a bridge.
    Bridge,
}

impl TableFamily {
    /// The kernel's number of it, `NFPROTO_...`.
    pub(super) fn number(self) -> libc::c_int {
        match self {
            TableFamily::Inet => libc::NFPROTO_INET,
            TableFamily::Ip => libc::NFPROTO_IPV4,
            TableFamily::Ip6 => libc::NFPROTO_IPV6,
            TableFamily::Bridge => libc::NFPROTO_BRIDGE,
        }
    }
}

/// Family and name, which identify a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TableId {
    /// The family.
    pub family: TableFamily,
    /// The name.
    pub name: &'static str,
}

/// One table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// Its sets and maps by name.
    pub sets: BTreeMap<String, Set>,
    /// Its chains by name.
    pub chains: BTreeMap<String, Chain>,
}

/// One chain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chain {
    /// Where packets enter it by themselves; `None` if only jumps lead to it.
    pub base: Option<Base>,
    /// Its rules in order.
    pub rules: Vec<Rule>,
}

/// The hook of a base chain. Its policy is always accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Base {
    /// Filter or nat.
    pub chain_type: ChainType,
    /// The hook.
    pub hook: Hook,
    /// The order at that hook, lowest first.
    pub priority: i32,
}

/// The type of a base chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChainType {
    /// Every packet.
    Filter,
    /// The first packet of a connection.
    Nat,
}

/// One rule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// Matches and statements, in order.
    pub statements: Vec<Statement>,
    /// What a person reads beside it; empty for none. The kernel keeps its first 127 bytes.
    pub comment: String,
}

impl Rule {
    /// A rule without a comment.
    pub fn new(statements: impl IntoIterator<Item = Statement>) -> Rule {
        Rule { statements: statements.into_iter().collect(), comment: String::new() }
    }

    /// With this comment.
    #[must_use]
    pub fn comment(mut self, comment: impl Into<String>) -> Rule {
        self.comment = comment.into();
        self
    }
}

/// A part of a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Statement {
    /// Goes on only if the fields, side by side, pass the test.
    Match(Vec<Field>, Test),
    /// Goes on only if the packet is of this family.
    Family(Family),
    /// Goes on only if the destination port of this protocol is within the part.
    DestinationPort(Protocol, Part),
    /// Goes on only if conntrack knows the packet as (part of) an existing connection.
    Established,
    /// Goes on only if conntrack sees the connection's first packet.
    New,
    /// Goes on only if that, or if conntrack leaves the packet alone.
    NewOrUntracked,
    /// Goes on only if conntrack can make nothing of the packet.
    Invalid,
    /// Goes on only if this node translates the destination of the packet's connection.
    Translated,
    /// Goes on only if the source is an address of this node.
    FromThisNode,
    /// Goes on only if the destination is an address of this node.
    ToThisNode,
    /// Goes on only if no route leads to the destination, whoever sends the packet.
    NoRoute,
    /// Adds the field to the set of what is remembered, or remembers it from now on anew.
    Remember(Field, String),
    /// Follows the map's verdict for the fields; goes on if it has none.
    VerdictMap(Vec<Field>, String),
    /// Follows the map's verdict for a random number below the modulus.
    RandomMap(u32, String),
    /// Goes on only if none of these bits of the packet mark is set.
    MarkUnset(u32),
    /// Goes on only if all of these bits of the packet mark are set.
    HasMark(u32),
    /// Sets these bits of the packet mark.
    SetMark(u32),
    /// Inverts these bits of the packet mark.
    FlipMark(u32),
    /// Sends the packet to the NFLOG group, with the rule's number.
    Log(u32),
    /// Sends the packet to the NFLOG group, with a word: evidence of nobody's decision.
    Note(&'static str),
    /// Answers "port unreachable" by ICMP and drops.
    Reject,
    /// Answers "host unreachable" by ICMP, as a host without a route does, and drops. IPv4 only.
    Unreachable,
    /// Changes the destination.
    Dnat(IpAddr, u16),
    /// Changes the destination to the address and port that the map has for a random
    /// number below the modulus.
    RandomDnat(u32, String),
    /// Changes the source to the node's address, with a random port.
    Masquerade,
    /// Has the kernel tell of every rule that the packet meets from here on (`NFNLGRP_NFTRACE`).
    Trace,
    /// Decides.
    Verdict(Verdict),
}

/// A verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No further rule of this base chain sees the packet.
    Accept,
    /// The packet vanishes.
    Drop,
    /// Back to the chain that jumped here.
    Return,
    /// To that chain, and back when it ends.
    Jump(String),
    /// To that chain; when it ends, back to where the last jump came from.
    Goto(String),
}

impl Verdict {
    /// The chain that it leads to.
    pub fn chain(&self) -> Option<&str> {
        match self {
            Verdict::Jump(chain) | Verdict::Goto(chain) => Some(chain),
            _ => None,
        }
    }
}

/// What fields are compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// Within the part (a single field only).
    Is(Part),
    /// Not within the part (a single field only).
    IsNot(Part),
    /// An element of the set.
    In(String),
    /// No element of the set.
    NotIn(String),
    /// An element of a set of what is remembered ([`Set::remembering`]).
    Remembered(String),
}

/// The key of one element: a part for each field of the set's key.
pub type Element = Vec<Part>;

/// What a map has for a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// A verdict.
    Verdict(Verdict),
    /// Values side by side.
    Values(Vec<Value>),
}

impl From<Verdict> for Data {
    fn from(verdict: Verdict) -> Data {
        Data::Verdict(verdict)
    }
}

/// The type of what a map has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataType {
    /// Verdicts.
    Verdict,
    /// Values of these types, side by side.
    Values(Vec<KeyType>),
}

/// A set, or a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// The fields of the key.
    pub key: Vec<KeyType>,
    /// Whether elements may be ranges. Such a set never changes in place: another is made, and the rules that
    /// refer to it with it. So that the other can be filled before any rule refers to it, each has a name of
    /// its own ([`Set::name`]).
    pub interval: bool,
    /// Of a map: what its elements have.
    pub data: Option<DataType>,
    /// Of a set of what packets had: for how many seconds. Its elements are the kernel's, not ours:
    /// whatever else changes, they stay.
    pub remembers: Option<u32>,
    /// The elements, each with its data if it is a map.
    pub elements: BTreeMap<Element, Option<Data>>,
}

impl Set {
    /// An empty set of single values.
    pub fn new(key: &[KeyType]) -> Set {
        Set { key: key.to_vec(), interval: false, data: None, remembers: None, elements: BTreeMap::new() }
    }

    /// An empty set of ranges.
    pub fn intervals(key: &[KeyType]) -> Set {
        Set { interval: true, ..Set::new(key) }
    }

    /// A set to which [`Statement::Remember`] adds, each element for so many seconds.
    pub fn remembering(key: KeyType, seconds: u32) -> Set {
        Set { remembers: Some(seconds), ..Set::new(&[key]) }
    }

    /// An empty verdict map.
    pub fn map(key: &[KeyType]) -> Set {
        Set { data: Some(DataType::Verdict), ..Set::new(key) }
    }

    /// An empty map to values of these types.
    pub fn data_map(key: &[KeyType], data: &[KeyType]) -> Set {
        Set { data: Some(DataType::Values(data.to_vec())), ..Set::new(key) }
    }

    /// The set's name: of a set of ranges one that others of the kind have only if they hold the same.
    pub fn name(&self, kind: String) -> String {
        if !self.interval {
            return kind;
        }
        let elements: Vec<_> = self.elements.keys().collect();
        format!("{kind}-{:08x}", names::hash(&format!("{elements:?}")) as u32)
    }

    /// With these elements.
    #[must_use]
    pub fn with(mut self, elements: impl IntoIterator<Item = Element>) -> Set {
        self.elements.extend(elements.into_iter().map(|element| (element, None)));
        self
    }
}
