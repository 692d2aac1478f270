//! A ruleset as data: tables of chains and sets, rules as statements.
//!
//! It has only the parts of nftables that policy and proxy need, in nftables' terms. Names are logical: the
//! kernel's names may have a suffix (see [`Agent`](super::Agent)).

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
    /// Frames on a bridge's ports.
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
    /// The hook of a base chain; `None` if the chain is reached only by jumps.
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
    /// The priority at that hook, lowest first.
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
    /// The comment; empty for none. The kernel keeps its first 127 bytes.
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
    /// Continues only if the concatenated fields pass the test.
    Match(Vec<Field>, Test),
    /// Continues only if the packet is of this family.
    Family(Family),
    /// Continues only if the destination port of this protocol is within the part.
    DestinationPort(Protocol, Part),
    /// Continues only if the packet belongs or relates to an existing connection of conntrack.
    Established,
    /// Continues only if conntrack's state is new.
    New,
    /// Continues only if conntrack's state is new or untracked.
    NewOrUntracked,
    /// Continues only if conntrack's state is invalid.
    Invalid,
    /// Continues only if this node translates the destination of the packet's connection.
    Translated,
    /// Continues only if the source is an address of this node.
    FromThisNode,
    /// Continues only if the destination is an address of this node.
    ToThisNode,
    /// Continues only if there is no route to the destination, whatever the source.
    NoRoute,
    /// Adds the field to a remembering set, or renews its timeout.
    Remember(Field, String),
    /// Follows the map's verdict for the fields; continues if it has none.
    VerdictMap(Vec<Field>, String),
    /// Follows the map's verdict for a random number below the modulus.
    RandomMap(u32, String),
    /// Continues only if none of these bits of the packet mark is set.
    MarkUnset(u32),
    /// Continues only if all of these bits of the packet mark are set.
    HasMark(u32),
    /// Sets these bits of the packet mark.
    SetMark(u32),
    /// Inverts these bits of the packet mark.
    FlipMark(u32),
    /// Sends the packet to the NFLOG group, with the rule's number.
    Log(u32),
    /// Sends the packet to the NFLOG group, with the rule's number after a word that says that it denies nothing.
    LogOnly(u32),
    /// Sends the packet to the NFLOG group, with a word: an observation, not a decision.
    Note(&'static str),
    /// Answers "port unreachable" by ICMP and drops.
    Reject,
    /// Answers "host unreachable" by ICMP, as a host without a route does, and drops. IPv4 only.
    Unreachable,
    /// Changes the destination.
    Dnat(IpAddr, u16),
    /// Changes the destination to the map's address and port for a random number below the modulus.
    RandomDnat(u32, String),
    /// Changes the source to the node's address, with a random port.
    Masquerade,
    /// Makes the kernel trace every later rule that the packet meets (`NFNLGRP_NFTRACE`).
    Trace,
    /// Ends with a verdict.
    Verdict(Verdict),
}

/// A verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Accepts: no further rule of this base chain sees the packet.
    Accept,
    /// Drops the packet.
    Drop,
    /// Returns to the chain that jumped here.
    Return,
    /// Jumps to that chain, and returns when it ends.
    Jump(String),
    /// Goes to that chain; when it ends, returns to where the last jump came from.
    Goto(String),
}

impl Verdict {
    /// The chain that it jumps or goes to.
    pub fn chain(&self) -> Option<&str> {
        match self {
            Verdict::Jump(chain) | Verdict::Goto(chain) => Some(chain),
            _ => None,
        }
    }
}

/// A test of fields.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// Within the part (a single field only).
    Is(Part),
    /// Not within the part (a single field only).
    IsNot(Part),
    /// In the set.
    In(String),
    /// Not in the set.
    NotIn(String),
    /// In a remembering set ([`Set::remembering`]).
    Remembered(String),
}

/// The key of one element: one part for each field of the set's key.
pub type Element = Vec<Part>;

/// The data of a map's element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Data {
    /// A verdict.
    Verdict(Verdict),
    /// Concatenated values.
    Values(Vec<Value>),
}

impl From<Verdict> for Data {
    fn from(verdict: Verdict) -> Data {
        Data::Verdict(verdict)
    }
}

/// The type of a map's data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataType {
    /// Verdicts.
    Verdict,
    /// Concatenated values of these types.
    Values(Vec<KeyType>),
}

/// A set, or a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set {
    /// The fields of the key.
    pub key: Vec<KeyType>,
    /// Whether it is an interval set, whose elements may be ranges. Such a set never changes in place: a new
    /// one is made, and the rules that refer to it are made anew. Each has its own name ([`Set::name`]), so
    /// that the new one can be filled before a rule refers to it.
    pub interval: bool,
    /// The type of a map's data; `None` for a set.
    pub data: Option<DataType>,
    /// The timeout of a remembering set's elements, in seconds. Packets add its elements, and no change of
    /// ours removes them.
    pub remembers: Option<u32>,
    /// The elements, each with its data if it is a map.
    pub elements: BTreeMap<Element, Option<Data>>,
}

impl Set {
    /// An empty set of single values.
    pub fn new(key: &[KeyType]) -> Set {
        Set { key: key.to_vec(), interval: false, data: None, remembers: None, elements: BTreeMap::new() }
    }

    /// An empty interval set.
    pub fn intervals(key: &[KeyType]) -> Set {
        Set { interval: true, ..Set::new(key) }
    }

    /// A set to which [`Statement::Remember`] adds elements that stay for this many seconds.
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

    /// Name of the set. Interval sets carry a hash of their content: same name, same elements.
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
