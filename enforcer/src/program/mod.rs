//! The program of a node: what its policies mean, independent of any API and of any backend.
//!
//! Endpoint -> stage and direction -> tiers -> policies -> rules -> matches over sets of addresses, ranges and
//! ports. A front end for each API makes it, and the [`Compiler`] joins what they say: selectors, peers, exceptions
//! and named ports are evaluated there and nowhere else in the enforcer. A backend only says the result in its own
//! words.
//!
//! A packet meets the tiers of an endpoint in order, the policies of a tier in order, and the rules of a policy in
//! order. The first rule that matches and does not only log decides: it allows, denies, or passes the packet to
//! the next tier. A packet that no rule of a tier decides meets the tier's end. One that no tier decides is
//! allowed.

mod calico;
mod clusternetworkpolicy;
mod compiler;
mod endpoint;
mod front_end;
mod index;
mod matches;
mod networkpolicy;
mod node;
mod ranges;
pub mod selector;
mod text;

pub use compiler::Compiler;
pub use endpoint::{Attachment, End, Endpoint, PolicyId, Tier};
pub use matches::{AddressRange, AddressTest, IcmpTest, Match, NamedPort, PortRange, PortTest, ProtocolTest};
pub use node::{Change, Changes, NodeProgram, Replaced, Slice};
pub use selector::Selector;

use netproof_model::{Direction, NamespacedName, PolicyKey, PolicyStage};
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// What one node enforces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Program {
    /// Every pod of the node, sorted by name, then the interfaces of the node that policy knows.
    pub endpoints: Vec<Endpoint>,
    /// The policies that select at least one of them, once for each direction.
    policies: BTreeMap<PolicyId, Policy>,
    /// How many identifiers were given.
    given: usize,
}

impl Program {
    /// Adds a policy that endpoints may name.
    pub fn add(&mut self, policy: Policy) -> PolicyId {
        let id = self.reserve();
        self.policies.insert(id, policy);
        id
    }

    /// An identifier for a policy that is still to come.
    fn reserve(&mut self) -> PolicyId {
        let id = PolicyId(self.given);
        self.given += 1;
        id
    }

    /// Puts a policy in the place of another, which it gives.
    fn replace(&mut self, id: PolicyId, policy: Policy) -> Option<Policy> {
        self.policies.insert(id, policy)
    }

    /// Removes a policy, which no endpoint names any more, or soon none will; gives it.
    fn remove(&mut self, id: PolicyId) -> Option<Policy> {
        self.policies.remove(&id)
    }

    /// The policy of an identifier that this program gave, if it is still there.
    pub fn policy(&self, id: PolicyId) -> Option<&Policy> {
        self.policies.get(&id)
    }

    /// Every policy with its identifier.
    pub fn policies(&self) -> impl Iterator<Item = (PolicyId, &Policy)> {
        self.policies.iter().map(|(id, policy)| (*id, policy))
    }

    /// Every policy, to be changed.
    pub fn policies_mut(&mut self) -> impl Iterator<Item = &mut Policy> {
        self.policies.values_mut()
    }

    /// The endpoint at an interface.
    pub fn endpoint(&self, attachment: &Attachment) -> Option<&Endpoint> {
        let position = self.endpoints.binary_search_by(|it| it.attachment.cmp(attachment)).ok()?;
        self.endpoints.get(position)
    }

    /// Adds an endpoint, or puts it in the place of another, which it gives.
    fn set_endpoint(&mut self, endpoint: Endpoint) -> Option<Endpoint> {
        let position = self.endpoints.partition_point(|it| it.attachment < endpoint.attachment);
        match self.endpoints.get_mut(position).filter(|it| it.attachment == endpoint.attachment) {
            Some(there) => Some(std::mem::replace(there, endpoint)),
            None => {
                self.endpoints.insert(position, endpoint);
                None
            }
        }
    }

    /// Removes the endpoint of a pod; gives it.
    fn remove_pod(&mut self, pod: &NamespacedName) -> Option<Endpoint> {
        let position = self.endpoints.binary_search_by(|it| match &it.attachment {
            Attachment::Pod { pod: own, .. } => own.cmp(pod),
            Attachment::HostInterface(_) | Attachment::AllOfHost => Ordering::Greater,
        });
        Some(self.endpoints.remove(position.ok()?))
    }
}

/// One direction of a policy at one stage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The object.
    pub policy: PolicyKey,
    /// The tier that it is in.
    pub tier: String,
    /// When it is asked.
    pub stage: PolicyStage,
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
