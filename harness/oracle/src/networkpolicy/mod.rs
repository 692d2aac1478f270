//! NetworkPolicy (networking.k8s.io/v1): which policies isolate a pod, and what their rules allow.
//!
//! In the words of module `order` they are one tier. Its policies are those of the pod's namespace that isolate the
//! pod in the direction, their rules only allow, in any order, and its end denies. A pod that no policy isolates
//! has no such tier.

mod account;
mod many;
mod peers;
mod points;
mod ports;

use crate::flow::PortProtocol;
use crate::order::{RuleAction, TierWalk};
use crate::policy::many::{Many, Member};
use crate::policy::{Decider, Endpoint, Evaluator, PolicyAccount, Question, View};
use crate::profile::{Icmp, Switch};
use crate::selector::matches;
use crate::truth::Truth;
use crate::world::namespace_of;
pub(crate) use many::{Asked as NetworkPoliciesAt, ManyPolicies};
use netproof_api::{NetworkPolicy, NetworkPolicyRule, Pod, Policy, PolicyType};
use netproof_controlplane::Snapshot;
use netproof_model::{Decision, Direction, PolicyKey, PolicyKind, PolicyStage};
use peers::{Peer, names};
use ports::covers;
use std::collections::BTreeMap;

/// The tier's name, as enforcers give it.
const TIER: &str = PolicyKind::NetworkPolicy.word();

/// Every NetworkPolicy of a snapshot.
#[derive(Debug)]
pub(crate) struct NetworkPolicies<'a> {
    /// By namespace, and there by name.
    by_namespace: BTreeMap<&'a str, Vec<Named<'a>>>,
}

/// A policy and its name.
#[derive(Clone, Copy, Debug)]
struct Named<'a> {
    key: &'a PolicyKey,
    namespace: &'a str,
    policy: &'a NetworkPolicy,
}

impl<'a> NetworkPolicies<'a> {
    pub(crate) fn new(snapshot: &'a Snapshot) -> Self {
        let mut by_namespace: BTreeMap<&str, Vec<Named<'_>>> = BTreeMap::new();
        for (key, policy) in &snapshot.policies {
            if let (Policy::NetworkPolicy(policy), Some(namespace)) = (policy, &key.namespace) {
                by_namespace.entry(namespace).or_default().push(Named { key, namespace, policy });
            }
        }
        NetworkPolicies { by_namespace }
    }

    /// The policies of the pod's namespace: no other one selects it.
    fn of(&self, pod: &Pod) -> &[Named<'a>] {
        self.by_namespace.get(namespace_of(pod)).map_or(&[], Vec::as_slice)
    }
}

/// Of a question the pod whose NetworkPolicies are asked: they apply to pods, when a packet leaves or enters one.
fn pod_of<'a>(question: &Question<'a>) -> Option<&'a Pod> {
    match (question.endpoint, question.stage) {
        (Endpoint::Pod(pod), PolicyStage::Local) => Some(pod),
        _ => None,
    }
}

impl Evaluator for NetworkPolicies<'_> {
    fn ask<'a>(&self, view: View<'_, 'a>, question: &Question<'a>, tiers: &mut TierWalk<Decider>) {
        let Some(pod) = pod_of(question) else { return };
        let direction = question.direction;
        // Each direction by itself: a pod is isolated if some policy of its namespace selects it and has the
        // direction in `policyTypes`. A pod that is not isolated is open.
        let isolating = || self.of(pod).iter().filter(|it| isolates(it.policy, pod, direction));
        if isolating().next().is_none() {
            return;
        }
        for (allows, switch) in points::allow_all(view.profile, question) {
            tiers.rule(RuleAction::Allow, allows, || Decider::Profile(switch));
        }
        // The API speaks of TCP, UDP and SCTP; what it means for ICMP is open.
        let whatever_the_rules_say = match (question.packet.port, view.profile.icmp) {
            (PortProtocol::Port { .. }, _) | (PortProtocol::Echo, Icmp::PortlessRules) => None,
            (PortProtocol::Echo, Icmp::Allow) => Some(Truth::Yes),
            (PortProtocol::Echo, Icmp::Deny) => Some(Truth::No),
            (PortProtocol::Echo, Icmp::Either) => Some(Truth::open(Switch::Icmp)),
        };
        if let Some(allowed) = whatever_the_rules_say {
            let by_profile = || Decider::Profile(Switch::Icmp);
            tiers.rule(RuleAction::Allow, allowed, by_profile);
            tiers.end_of_tier(Truth::Yes, by_profile);
            return;
        }
        tell(view, question, isolating().map(|it| (it.key, it.policy)), tiers);
        tiers.end_of_tier(Truth::Yes, || {
            let policies = isolating().map(|it| it.key.clone()).collect();
            Decider::Decision(Decision::Isolation {
                endpoint: question.endpoint.place(),
                direction,
                policies,
            })
        });
    }

    fn accounts(&self, view: View<'_, '_>, question: &Question<'_>) -> Vec<PolicyAccount> {
        let Some(pod) = pod_of(question) else { return Vec::new() };
        self.of(pod).iter().map(|policy| account::account(view, *policy, pod, question)).collect()
    }

    fn is_about_nodes(&self) -> bool {
        false
    }

    fn for_many<'o>(&'o self, view: View<'o, 'o>, members: &[Member<'o>]) -> Box<dyn Many + 'o> {
        Box::new(self.many(view, members))
    }
}

impl NetworkPolicies<'_> {
    /// The same policies, to be asked about many members at once.
    pub(crate) fn many<'o>(&'o self, view: View<'o, 'o>, members: &[Member<'o>]) -> ManyPolicies<'o> {
        ManyPolicies::new(view, self.by_namespace.values().flatten().copied(), members)
    }
}

/// What a policy of the pod's namespace says.
pub(crate) fn account<'a>(
    view: View<'_, 'a>,
    key: &'a PolicyKey,
    policy: &'a NetworkPolicy,
    pod: &'a Pod,
    question: &Question<'a>,
) -> PolicyAccount {
    let namespace = namespace_of(pod);
    account::account(view, Named { key, namespace, policy }, pod, question)
}

/// Tells the rules of policies that isolate the pod.
///
/// Policies only add to each other: what any rule of any of them allows is allowed, in whatever order they are read.
pub(crate) fn tell<'p>(
    view: View<'_, '_>,
    question: &Question<'_>,
    policies: impl Iterator<Item = (&'p PolicyKey, &'p NetworkPolicy)>,
    tiers: &mut TierWalk<Decider>,
) {
    let Question { direction, stage, .. } = *question;
    let sight = Sight::of(view, question);
    let rules = policies.flat_map(|(key, policy)| {
        let namespace = key.namespace.as_deref().unwrap_or_default();
        rules_of(policy, direction).iter().enumerate().filter_map(move |(index, rule)| {
            let allows = allows(view, namespace, rule, sight);
            let decision = || Decision::Rule {
                policy: key.clone(),
                tier: TIER.to_owned(),
                stage,
                direction,
                rule: index,
            };
            (allows != Truth::No).then(|| (allows, Decider::Decision(decision())))
        })
    });
    tiers.allows_in_any_order(rules);
}

/// A packet as one direction of policy sees it.
#[derive(Clone, Copy, Debug)]
struct Sight<'a> {
    /// The other end.
    peer: Peer,
    /// What is asked for.
    port: PortProtocol,
    /// The pod that it goes to, where it is one: named ports are looked up there.
    destination: Option<&'a Pod>,
}

impl<'a> Sight<'a> {
    fn of(view: View<'_, 'a>, question: &Question<'a>) -> Self {
        let Question { direction, packet, before, .. } = *question;
        let address = match direction {
            Direction::Ingress => packet.source,
            Direction::Egress => packet.destination,
        };
        Sight {
            peer: Peer { direction, address, before },
            port: packet.port,
            destination: question.destination(view.world),
        }
    }
}

/// Whether a policy of the pod's namespace isolates it.
///
/// `spec.podSelector`: the pods of the policy's own namespace that it matches, all of them if it is empty.
pub(crate) fn isolates(policy: &NetworkPolicy, pod: &Pod, direction: Direction) -> bool {
    has_type(policy, direction) && matches(&policy.spec.pod_selector, &pod.metadata.labels)
}

/// Whether a rule allows a packet: what both its `from` (or `to`) and its `ports` match. Of either list one of the
/// entries is enough, and an empty or absent one means everybody, or every port of every protocol.
fn allows(view: View<'_, '_>, namespace: &str, rule: &NetworkPolicyRule, sight: Sight<'_>) -> Truth {
    let peers = any(rule.peers.iter().map(|entry| names(view, namespace, entry, sight.peer)));
    if peers == Truth::No {
        return peers;
    }
    peers.and(any(rule.ports.iter().map(|entry| covers(view.profile, entry, sight.port, sight.destination))))
}

/// Whether one of the entries matches, or there is none. An `Ok` is never a no.
fn any<M>(answers: impl ExactSizeIterator<Item = Result<Truth, M>>) -> Truth {
    if answers.len() == 0 {
        return Truth::Yes;
    }
    let mut any = Truth::No;
    for answer in answers {
        any = any.or(answer.unwrap_or(Truth::No));
        if any == Truth::Yes {
            break;
        }
    }
    any
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
