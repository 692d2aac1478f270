//! The program of a node: what its policies mean, independent of any API and of any backend.
//!
//! Endpoint -> stage and direction -> tiers -> policies -> rules -> matches over sets of addresses, ranges and
//! ports. A front end for each API makes it ([`Compiler`] for NetworkPolicy): selectors, peers, exceptions and
//! named ports are evaluated there and nowhere else in the enforcer. A backend only says the result in its own
//! words.
//!
//! A packet meets the tiers of an endpoint in order, the policies of a tier in order, and the rules of a policy in
//! order. The first rule that matches and does not only log decides: it allows, denies, or passes the packet to
//! the next tier. A packet that no rule of a tier decides meets the tier's end. One that no tier decides is
//! allowed.

mod endpoint;
mod index;
mod matches;
mod networkpolicy;
mod ranges;
pub(crate) mod selector;
mod text;

pub use endpoint::{Attachment, End, Endpoint, PolicyId, Stage, Tier};
pub use matches::{AddressRange, AddressTest, IcmpTest, Match, NamedPort, PortRange, PortTest, ProtocolTest};
pub use networkpolicy::Compiler;
pub(crate) use networkpolicy::protocol;
pub use ranges::{Range, subtract, union};

use netproof_model::{Direction, Family, PolicyRef};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What one node enforces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// Every pod of the node, sorted by name, then the interfaces of the node that policy knows.
    pub endpoints: Vec<Endpoint>,
    /// The policies that select at least one of them, once for each direction, in the order of their names.
    policies: Vec<Policy>,
}

impl Program {
    /// Adds a policy that endpoints may name.
    pub fn add(&mut self, policy: Policy) -> PolicyId {
        self.policies.push(policy);
        PolicyId(self.policies.len() - 1)
    }

    /// The policy of an identifier that this program gave.
    pub fn policy(&self, id: PolicyId) -> &Policy {
        &self.policies[id.0]
    }

    /// Every policy with its identifier.
    pub fn policies(&self) -> impl Iterator<Item = (PolicyId, &Policy)> {
        self.policies.iter().enumerate().map(|(position, policy)| (PolicyId(position), policy))
    }

    /// Every policy, to be changed.
    #[cfg(feature = "mutants")]
    pub(crate) fn policies_mut(&mut self) -> impl Iterator<Item = &mut Policy> {
        self.policies.iter_mut()
    }
}

/// One direction of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The object.
    pub policy: PolicyRef,
    /// Which of its lists of rules.
    pub direction: Direction,
    /// Every rule of the list in order, those that match nothing too.
    pub rules: Vec<Rule>,
}

/// One rule: what becomes of the packets that match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What becomes of them.
    pub action: RuleAction,
    /// Which packets.
    pub matches: Match,
}

/// What a rule does with a packet that matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RuleAction {
    /// It is allowed, and no later tier is asked.
    Allow,
    /// It is denied.
    Deny(Denial),
    /// The rest of this tier is not asked, and its end does not apply: the next tier decides.
    Pass,
    /// It is logged, and the next rule decides.
    Log,
}

/// How a packet is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Denial {
    /// It vanishes.
    Drop,
    /// Its sender is told: by a TCP reset or an ICMP error.
    Reject,
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
