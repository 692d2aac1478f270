//! What the policies of a namespace say about a packet to or from one of its pods.

use crate::flow::PortProtocol;
use crate::peers::{Peer, PeerMismatch, names};
use crate::ports::{PortMismatch, covers};
use crate::profile::{Icmp, Profile, Switch};
use crate::selector::{Unmet, unmet};
use crate::truth::Truth;
use crate::world::{World, namespace_of};
use netproof_api::{NetworkPolicy, NetworkPolicyRule, Pod, PolicyType};
use netproof_model::{Direction, NamespacedName};

/// What one policy of the pod's namespace says about a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyTrace {
    /// The policy.
    pub policy: NamespacedName,
    /// Whether it isolates the pod in the packet's direction.
    pub selection: Selection,
    /// Its rules of that direction, if it does.
    pub rules: Vec<RuleTrace>,
}

/// Whether a policy isolates a pod in one direction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// It does.
    Isolates,
    /// Its `policyTypes` lack the direction.
    OtherDirection,
    /// Its `podSelector` does not match the pod.
    NotSelected(Unmet),
}

/// What one rule says about a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleTrace {
    /// Its position among the policy's rules of the direction, from 0.
    pub index: usize,
    /// Whether it allows the packet.
    pub truth: Truth,
    /// Whether its `from` or `to` names the other end.
    pub peers: Entries<PeerMismatch>,
    /// Whether its `ports` cover what the packet asks for.
    pub ports: Entries<PortMismatch>,
}

/// The entries of one field of a rule, of which one must match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entries<M> {
    /// The field is empty or missing, which means everything.
    All,
    /// One matches: the first that does for certain, else the first that may.
    Match {
        /// Its position, from 0.
        index: usize,
        /// Whether any of them does.
        truth: Truth,
    },
    /// None matches: why, entry by entry.
    None(Vec<M>),
}

impl<M> Entries<M> {
    /// Whether the field matches.
    pub fn truth(&self) -> Truth {
        match self {
            Entries::All => Truth::Yes,
            Entries::Match { truth, .. } => *truth,
            Entries::None(_) => Truth::No,
        }
    }

    /// `answers` of the entries, where an `Ok` is never a no.
    fn collect(answers: impl ExactSizeIterator<Item = Result<Truth, M>>) -> Self {
        if answers.len() == 0 {
            return Entries::All;
        }
        let mut best: Option<(usize, Truth)> = None;
        let mut mismatches = Vec::new();
        for (index, answer) in answers.enumerate() {
            match (answer, best) {
                (Err(mismatch), _) => mismatches.push(mismatch),
                (Ok(truth), None) => best = Some((index, truth)),
                (Ok(Truth::Yes), Some((_, Truth::Either(_)))) => best = Some((index, Truth::Yes)),
                (Ok(truth), Some((first, so_far))) => best = Some((first, so_far.or(truth))),
            }
        }
        match best {
            Some((index, truth)) => Entries::Match { index, truth },
            None => Entries::None(mismatches),
        }
    }
}

/// A packet as one direction of policy sees it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sight<'a> {
    /// The other end.
    pub peer: Peer,
    /// What is asked for.
    pub port: PortProtocol,
    /// The pod that it goes to, where it is one: named ports are looked up there.
    pub destination: Option<&'a Pod>,
}

/// What policy says, and why.
#[derive(Clone, Debug)]
pub(crate) struct Ruling {
    pub truth: Truth,
    pub reason: Reason,
    pub policies: Vec<PolicyTrace>,
}

/// What settled a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No policy isolates the pod in this direction: everything is allowed.
    NotIsolated,
    /// The rules of the policies that isolate it.
    Rules,
    /// The node that a pod runs on always reaches it.
    OwnNode,
    /// The profile's choice where the API leaves the point open, whatever the rules say.
    Profile(Switch),
}

/// What the policies of the pod's namespace say about a packet.
pub(crate) fn rule_on(
    world: &World<'_>,
    profile: &Profile,
    pod: &Pod,
    direction: Direction,
    sight: Sight<'_>,
) -> Ruling {
    let namespace = namespace_of(pod);
    let policies: Vec<PolicyTrace> = world
        .policies(namespace)
        .iter()
        .map(|policy| trace(world, profile, policy, pod, direction, sight))
        .collect();
    // Each direction by itself: a pod is isolated if some policy of its namespace selects it and has the
    // direction in `policyTypes`. A pod that is not isolated is open.
    let mut isolating = policies.iter().filter(|trace| trace.selection == Selection::Isolates).peekable();
    if isolating.peek().is_none() {
        return Ruling { truth: Truth::Yes, reason: Reason::NotIsolated, policies };
    }
    // Policies only add to each other: what any rule of any policy that isolates the pod allows is allowed,
    // in whatever order they are read.
    let by_rules =
        isolating.flat_map(|trace| &trace.rules).fold(Truth::No, |truth, rule| truth.or(rule.truth));
    // The API speaks of TCP, UDP and SCTP; what it means for ICMP is open.
    let (truth, reason) = match (sight.port, profile.icmp) {
        (PortProtocol::Echo, Icmp::Allow) => (Truth::Yes, Reason::Profile(Switch::Icmp)),
        (PortProtocol::Echo, Icmp::Deny) => (Truth::No, Reason::Profile(Switch::Icmp)),
        (PortProtocol::Echo, Icmp::Either) => (Truth::open(Switch::Icmp), Reason::Profile(Switch::Icmp)),
        (PortProtocol::Echo, Icmp::PortlessRules) | (PortProtocol::Port { .. }, _) => {
            (by_rules, Reason::Rules)
        }
    };
    Ruling { truth, reason, policies }
}

fn trace(
    world: &World<'_>,
    profile: &Profile,
    policy: &NetworkPolicy,
    pod: &Pod,
    direction: Direction,
    sight: Sight<'_>,
) -> PolicyTrace {
    let selection = selection(policy, pod, direction);
    let namespace = policy.metadata.namespace.as_deref().unwrap_or_default();
    let rules = match selection {
        Selection::Isolates => rules_of(policy, direction)
            .iter()
            .enumerate()
            .map(|(index, rule)| rule_trace(world, profile, namespace, index, rule, sight))
            .collect(),
        _ => Vec::new(),
    };
    PolicyTrace { policy: NamespacedName::new(namespace, policy.metadata.name.as_str()), selection, rules }
}

/// The rules of one direction.
pub(crate) fn rules_of(policy: &NetworkPolicy, direction: Direction) -> &[NetworkPolicyRule] {
    match direction {
        Direction::Ingress => &policy.spec.ingress,
        Direction::Egress => &policy.spec.egress,
    }
}

/// Whether `policyTypes` has the direction; defaulting has filled the list in. Rules of a direction that
/// it lacks have no effect.
pub(crate) fn has_type(policy: &NetworkPolicy, direction: Direction) -> bool {
    policy.spec.policy_types.contains(&match direction {
        Direction::Ingress => PolicyType::Ingress,
        Direction::Egress => PolicyType::Egress,
    })
}

fn selection(policy: &NetworkPolicy, pod: &Pod, direction: Direction) -> Selection {
    // `spec.podSelector`: the pods of the policy's own namespace that it matches, all of them if it is empty.
    if let Some(unmet) = unmet(&policy.spec.pod_selector, &pod.metadata.labels) {
        return Selection::NotSelected(unmet);
    }
    if !has_type(policy, direction) {
        return Selection::OtherDirection;
    }
    Selection::Isolates
}

/// A rule allows what both its `from` (or `to`) and its `ports` match.
fn rule_trace(
    world: &World<'_>,
    profile: &Profile,
    namespace: &str,
    index: usize,
    rule: &NetworkPolicyRule,
    sight: Sight<'_>,
) -> RuleTrace {
    // `from`, `to`: one of the entries is enough; empty or absent means everybody.
    let peers =
        Entries::collect(rule.peers.iter().map(|entry| names(world, profile, namespace, entry, sight.peer)));
    // `ports`: one of the entries is enough; empty or absent means every port of every protocol.
    let ports = Entries::collect(
        rule.ports.iter().map(|entry| covers(profile, entry, sight.port, sight.destination)),
    );
    RuleTrace { index, truth: peers.truth().and(ports.truth()), peers, ports }
}

/// Whether any policy isolates the pod in a direction.
pub(crate) fn is_isolated(world: &World<'_>, pod: &Pod, direction: Direction) -> bool {
    let policies = world.policies(namespace_of(pod));
    policies.iter().any(|policy| selection(policy, pod, direction) == Selection::Isolates)
}
