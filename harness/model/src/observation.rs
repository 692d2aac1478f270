//! What a probe saw, and the evidence that its packets left.

use crate::decision::Hook;
use crate::net::{Protocol, Token};
use crate::place::Place;
use crate::verdict::Verdict;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

/// How a packet was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Rejection {
    /// A TCP reset.
    TcpReset,
    /// ICMP destination unreachable: port.
    PortUnreachable,
    /// ICMP destination unreachable: administratively prohibited.
    AdminProhibited,
    /// Another ICMP destination unreachable.
    Unreachable,
}

impl Rejection {
    /// The word at `rejectedWith` in scenarios.
    pub fn word(self) -> &'static str {
        match self {
            Rejection::TcpReset => "tcp-reset",
            Rejection::PortUnreachable => "port-unreachable",
            Rejection::AdminProhibited => "admin-prohibited",
            Rejection::Unreachable => "unreachable",
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Rejection::TcpReset => "TCP reset",
            Rejection::PortUnreachable => "ICMP port unreachable",
            Rejection::AdminProhibited => "ICMP administratively prohibited",
            Rejection::Unreachable => "ICMP unreachable",
        })
    }
}

/// What a probe saw. `Connected`, `Dropped` and `Rejected` may be due to policy (and
/// `NameServerUnreachable`, if the packets to the name server were dropped); the others are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case", tag = "outcome", content = "how")]
pub enum Outcome {
    /// The request arrived and its answer came back.
    Connected,
    /// No answer, and the request never reached a destination.
    Dropped,
    /// The request reached the destination and the answer was lost.
    ReplyLost,
    /// A node on the path rejected it.
    Rejected(Rejection),
    /// The source's own stack refused to send (EPERM): a local drop or reject, which look alike.
    NotPermitted,
    /// The destination itself answered: nobody listens.
    Refused,
    /// No route to the destination (ENETUNREACH, EHOSTUNREACH).
    Unreachable,
    /// The name server answered that the name does not exist.
    NameNotFound,
    /// The name server gave no answer.
    NameServerUnreachable,
    /// Connected, and then no (or no proper) application answer came.
    NoAnswer,
}

impl Outcome {
    /// Whether this is what a policy's deny looks like.
    pub fn is_denial(self) -> bool {
        matches!(
            self,
            Outcome::Dropped
                | Outcome::ReplyLost
                | Outcome::Rejected(_)
                | Outcome::NotPermitted
                | Outcome::NameServerUnreachable
        )
    }

    /// The corresponding verdict; `None` if that depends on the rule that decided.
    pub fn verdict(self) -> Option<Verdict> {
        match self {
            Outcome::Connected => Some(Verdict::Allow),
            Outcome::Dropped => Some(Verdict::Drop),
            Outcome::ReplyLost => Some(Verdict::ReplyLost),
            Outcome::Rejected(_) => Some(Verdict::Reject),
            Outcome::NotPermitted => None,
            Outcome::Refused => Some(Verdict::Refused),
            Outcome::Unreachable => Some(Verdict::Unreachable),
            Outcome::NameNotFound => Some(Verdict::NameNotFound),
            Outcome::NameServerUnreachable => Some(Verdict::NameServerUnreachable),
            Outcome::NoAnswer => Some(Verdict::NoAnswer),
        }
    }

    /// Whether a scenario's outcome of this word matches it.
    pub fn is(self, verdict: Verdict) -> bool {
        self.verdict() == Some(verdict) || (verdict == Verdict::NoAnswer && self == Outcome::ReplyLost)
    }

    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Connected => "connected",
            Outcome::Dropped => "dropped",
            Outcome::ReplyLost => "reply-lost",
            Outcome::Rejected(_) => "rejected",
            Outcome::NotPermitted => "not-permitted",
            Outcome::Refused => "refused",
            Outcome::Unreachable => "unreachable",
            Outcome::NameNotFound => "name-not-found",
            Outcome::NameServerUnreachable => "name-server-unreachable",
            Outcome::NoAnswer => "no-answer",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Rejected(how) => write!(f, "rejected ({how})"),
            other => f.write_str(other.word()),
        }
    }
}

/// The stage that a probe by name had reached when its outcome was known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProbeStage {
    /// The query to the name server.
    Resolve,
    /// The first packet and its answer.
    Connect,
    /// The application's request and its answer.
    Answer,
}

/// A packet's addresses at some point of its path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PacketAddresses {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// Transport protocol.
    pub protocol: Protocol,
    /// Source port; 0 for ICMP.
    pub source_port: u16,
    /// Destination port; 0 for ICMP.
    pub destination_port: u16,
}

/// A rule on a node logged a packet (NFLOG): the packet was dropped or rejected there.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LogRecord {
    /// The node.
    pub node: String,
    /// The rule's number, to be looked up in the node's identity table.
    pub number: u32,
    /// The hook.
    pub hook: Hook,
    /// The packet's addresses there.
    pub packet: PacketAddresses,
    /// The probe that it belongs to.
    pub token: Option<Token>,
}

/// A probe's request passed a node's hook where policy decides: after DNAT, before masquerade. It was
/// neither dropped nor rejected before that hook.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Passage {
    /// The node.
    pub node: String,
    /// The hook: forward, or input or output for the node's own packets.
    pub hook: Hook,
    /// Whether this node chose the destination: it translated a service's address (DNAT).
    pub translated: bool,
    /// The packet's addresses there.
    pub packet: PacketAddresses,
    /// The probe that it belongs to.
    pub token: Token,
}

/// A packet was seen arriving somewhere.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Sighting {
    /// Where.
    pub place: Place,
    /// The interface on which it arrived.
    pub interface: String,
    /// The packet's addresses there.
    pub packet: PacketAddresses,
    /// The probe that it belongs to.
    pub token: Token,
}

/// Everything known about one probe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// What the probe saw.
    pub outcome: Outcome,
    /// How far it got.
    pub stage: ProbeStage,
    /// The destination address: as given, or as resolved.
    pub destination: Option<IpAddr>,
    /// The probe's token (of the last stage).
    pub token: Token,
    /// Who answered, or else who received the request.
    pub served_by: Option<Place>,
    /// The source address that the server saw.
    pub seen_source: Option<IpAddr>,
    /// Drops and rejects of this probe's packets.
    pub logs: Vec<LogRecord>,
    /// Where the request was seen arriving, in order.
    pub sightings: Vec<Sighting>,
    /// Where the request passed the hooks of policy; only if an observer runs on the nodes.
    pub passages: Vec<Passage>,
    /// Every address that the name server gave for the name, in its order; empty if none was queried.
    pub resolved: Vec<IpAddr>,
    /// From the first packet to the outcome.
    pub elapsed: Duration,
    /// How much of it was spent waiting for something that did not come.
    pub waited: Duration,
}
