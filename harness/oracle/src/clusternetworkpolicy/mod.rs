//! ClusterNetworkPolicy (policy.networking.k8s.io/v1alpha2): what its two tiers say about a packet of a pod.
//!
//! In the words of module `order` each is a tier before NetworkPolicies, or after them, and its end lets everything go
//! on: to be selected isolates nobody. Policies stand by priority, their rules as they are written, and the first rule
//! that matches ends the tier. Comments name what the API types (`apis/v1alpha2`) and the pages of
//! network-policy-api.sigs.k8s.io say.

mod account;
mod many;
mod peers;
mod ports;

use crate::flow::PortProtocol;
use crate::order::{RuleAction, TierWalk, interleaved};
use crate::policy::many::{Many, Member};
use crate::policy::{Decider, Endpoint, Evaluator, PolicyAccount, Question, View};
use crate::profile::{CnpEqualPriority, CnpServiceHairpin, Profile, Switch};
use crate::selector::matches;
use crate::truth::Truth;
use crate::world::namespace_of;
use netproof_api::{
    ClusterAction, ClusterNetworkPolicy, ClusterPeer, ClusterPort, ClusterRule, ClusterSubject, ClusterTier,
    Pod,
};
use netproof_controlplane::Snapshot;
use netproof_model::{Decision, Direction, PolicyKey, PolicyStage};
use peers::{Peer, names};
use ports::covers;
use std::collections::BTreeMap;

/// The ClusterNetworkPolicies of one tier.
#[derive(Debug)]
pub(crate) struct ClusterNetworkPolicies<'a> {
    tier: ClusterTier,
    /// By priority, the lowest number first; those of one priority by kind and name.
    by_priority: BTreeMap<u16, Vec<Named<'a>>>,
}

/// A policy and its name.
#[derive(Clone, Copy, Debug)]
struct Named<'a> {
    key: &'a PolicyKey,
    policy: &'a ClusterNetworkPolicy,
}

impl<'a> ClusterNetworkPolicies<'a> {
    pub(crate) fn new(snapshot: &'a Snapshot, tier: ClusterTier) -> Self {
        let mut by_priority: BTreeMap<u16, Vec<Named<'_>>> = BTreeMap::new();
        for (key, policy) in snapshot.cluster_network_policies() {
            if policy.spec.tier == tier {
                by_priority.entry(policy.spec.priority).or_default().push(Named { key, policy });
            }
        }
        ClusterNetworkPolicies { tier, by_priority }
    }

    /// The policies of one priority after the other that are about the pod and have rules for the direction. A policy
    /// without rules for a direction does not touch it.
    fn applying(&self, view: View<'_, '_>, pod: &Pod, direction: Direction) -> Vec<Vec<Named<'a>>> {
        let applies =
            |it: &&Named<'_>| !rules_of(it.policy, direction).is_empty() && is_subject(view, it.policy, pod);
        let groups = self.by_priority.values().map(|group| group.iter().filter(applies).copied().collect());
        groups.filter(|group: &Vec<_>| !group.is_empty()).collect()
    }
}

/// Where a tier stands among those of all APIs, and its name: as Calico has them among its own.
pub(crate) fn place(tier: ClusterTier) -> (f64, &'static str) {
    match tier {
        ClusterTier::Admin => (1_000.0, "kube-admin"),
        ClusterTier::Baseline => (10_000_000.0, "kube-baseline"),
    }
}

/// Of a question the pod whose policies are asked: pods with a network of their own alone are subjects ("hostNetwork
/// pods are not selected", the type of `subject`).
fn pod_of<'a>(question: &Question<'a>) -> Option<&'a Pod> {
    match (question.endpoint, question.stage) {
        (Endpoint::Pod(pod), PolicyStage::Local) if !pod.host_network => Some(pod),
        _ => None,
    }
}

impl Evaluator for ClusterNetworkPolicies<'_> {
    fn ask<'a>(&self, view: View<'_, 'a>, question: &Question<'a>, tiers: &mut TierWalk<Decider>) {
        let Some(pod) = pod_of(question) else { return };
        let Question { direction, stage, .. } = *question;
        let groups = self.applying(view, pod, direction);
        if groups.is_empty() {
            return;
        }
        // Of a pod that reaches itself through a service the policies are asked as of any other (the definition of
        // "pod network traffic"); not every implementation can.
        if question.way.to_itself {
            match escapes_itself(view.profile, direction) {
                Truth::Yes => return,
                escapes => {
                    tiers.rule(RuleAction::Pass, escapes, || Decider::Profile(Switch::CnpServiceHairpin))
                }
            }
        }
        let sight = Sight::of(view, question);
        let rules_of_policy = |it: &Named<'_>| -> Vec<(RuleAction, Truth, Decider)> {
            let rules = rules_of(it.policy, direction).iter().enumerate();
            let told = rules.map(|(rule, written)| {
                let (action, matches) = says(view, written, sight);
                let (policy, tier) = (it.key.clone(), place(self.tier).1.to_owned());
                let decision = Decision::Rule { policy, tier, stage, direction, rule };
                (action, matches, Decider::Decision(decision))
            });
            told.collect()
        };
        for group in &groups {
            let policies: Vec<Vec<_>> = group.iter().map(rules_of_policy).collect();
            tell(view.profile, policies, tiers);
        }
        // What no rule matches goes on: these tiers deny nothing by themselves.
        tiers.end_of_tier(Truth::No, || {
            let policies = groups.iter().flatten().map(|it| it.key.clone()).collect();
            let (endpoint, tier) = (question.endpoint.place(), place(self.tier).1.to_owned());
            Decider::Decision(Decision::EndOfTier { endpoint, stage, direction, tier, policies })
        });
    }

    fn accounts(&self, view: View<'_, '_>, question: &Question<'_>) -> Vec<PolicyAccount> {
        let Some(pod) = pod_of(question) else { return Vec::new() };
        let policies = self.by_priority.values().flatten();
        policies.map(|policy| account::account(view, *policy, pod, question)).collect()
    }

    fn is_about_nodes(&self) -> bool {
        false
    }

    fn for_many<'o>(&'o self, view: View<'o, 'o>, members: &[Member<'o>]) -> Box<dyn Many + 'o> {
        Box::new(many::ManyPolicies::new(view, self, members))
    }
}

/// Tells the policies of one priority. "If two policies of one priority both match, it is up to the implementation which
/// of them is applied" (`spec.priority`).
fn tell(
    profile: &Profile,
    mut policies: Vec<Vec<(RuleAction, Truth, Decider)>>,
    tiers: &mut TierWalk<Decider>,
) {
    match profile.cnp_equal_priority {
        CnpEqualPriority::Either if policies.len() > 1 => {
            tiers.policies_in_any_order(policies, Switch::CnpEqualPriority);
            return;
        }
        CnpEqualPriority::Either | CnpEqualPriority::Name => {}
        CnpEqualPriority::Index => policies = vec![interleaved(policies)],
    }
    for (action, matches, decider) in policies.into_iter().flatten() {
        tiers.rule(action, matches, || decider);
    }
}

/// Whether the policies of one direction say nothing about a pod that reaches itself.
fn escapes_itself(profile: &Profile, direction: Direction) -> Truth {
    match (profile.cnp_service_hairpin, direction) {
        (CnpServiceHairpin::Both, _)
        | (CnpServiceHairpin::Egress, Direction::Egress)
        | (CnpServiceHairpin::Ingress, Direction::Ingress) => Truth::No,
        (CnpServiceHairpin::Egress | CnpServiceHairpin::Ingress | CnpServiceHairpin::None, _) => Truth::Yes,
        (CnpServiceHairpin::Either, _) => Truth::open(Switch::CnpServiceHairpin),
    }
}

/// Whether the pod is one of the policy's subject. A pod of its node's network never is.
fn is_subject(view: View<'_, '_>, policy: &ClusterNetworkPolicy, pod: &Pod) -> bool {
    let of_namespace = |selector| matches(selector, view.world.namespace_labels(namespace_of(pod)));
    match &policy.spec.subject {
        ClusterSubject::Namespaces(selector) => of_namespace(selector),
        // `namespaceSelector` absent: all namespaces.
        ClusterSubject::Pods(pods) => {
            pods.namespace_selector.as_ref().is_none_or(of_namespace)
                && matches(&pods.pod_selector, &pod.metadata.labels)
        }
    }
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
        let Question { direction, packet, before, way, .. } = *question;
        let address = match direction {
            Direction::Ingress => packet.source,
            Direction::Egress => packet.destination,
        };
        Sight {
            peer: Peer { direction, address, before, masquerades: way.masquerades },
            port: packet.port,
            destination: question.destination(view.world),
        }
    }
}

/// What a rule makes of a packet: its action, and whether it matches. The lists of peers and of protocols must both
/// match; of each one entry is enough.
fn says(view: View<'_, '_>, rule: &ClusterRule, sight: Sight<'_>) -> (RuleAction, Truth) {
    let reading = Reading::of(rule);
    let matches = match reading {
        Reading::Everything => Truth::Yes,
        Reading::Nothing => Truth::No,
        Reading::AsWritten => {
            // Ports have names on pods only: a name does not go with an address.
            let mut pods = Truth::No;
            let mut addresses = Truth::No;
            for entry in &rule.peers {
                let named = names(view, entry, sight.peer).unwrap_or(Truth::No);
                match is_of_pods(entry) {
                    true => pods = pods.or(named),
                    false => addresses = addresses.or(named),
                }
            }
            let to_pods = covered(&rule.protocols, sight.port, sight.destination);
            let to_addresses = covered(&rule.protocols, sight.port, None);
            pods.and(to_pods).or(addresses.and(to_addresses))
        }
    };
    (action_of(rule.action, reading), matches)
}

/// Whether one of the entries covers the port, or there is none.
fn covered(protocols: &[ClusterPort], port: PortProtocol, destination: Option<&Pod>) -> Truth {
    let covers = |entry: &ClusterPort| covers(entry, port, destination).is_ok();
    Truth::from(protocols.is_empty() || protocols.iter().any(covers))
}

/// Whether an entry of `from` or `to` means pods.
fn is_of_pods(entry: &ClusterPeer) -> bool {
    matches!(entry, ClusterPeer::Namespaces(_) | ClusterPeer::Pods(_))
}

/// How a rule is to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reading {
    AsWritten,
    /// It denies everything, at its place: something of it is unknown, and "implementations must fail closed" (the types
    /// of peers).
    Everything,
    /// It matches nothing, for the same reason.
    Nothing,
}

impl Reading {
    fn of(rule: &ClusterRule) -> Self {
        let unknown_peer = rule.peers.contains(&ClusterPeer::Unknown);
        let unknown_protocol = rule.protocols.contains(&ClusterPort::Unknown);
        match (rule.action, unknown_peer, unknown_protocol) {
            (_, false, false) => Reading::AsWritten,
            (ClusterAction::Accept, true, _) => Reading::Nothing,
            // An entry of which nothing is known matches nothing; the others do.
            (ClusterAction::Accept, false, true) => Reading::AsWritten,
            (ClusterAction::Deny | ClusterAction::Pass, ..) => Reading::Everything,
        }
    }
}

fn action_of(action: ClusterAction, reading: Reading) -> RuleAction {
    match (action, reading) {
        (ClusterAction::Accept, _) => RuleAction::Allow,
        (ClusterAction::Deny, _) | (_, Reading::Everything) => RuleAction::Deny,
        (ClusterAction::Pass, _) => RuleAction::Pass,
    }
}

/// The rules of one direction.
fn rules_of(policy: &ClusterNetworkPolicy, direction: Direction) -> &[ClusterRule] {
    match direction {
        Direction::Ingress => &policy.spec.ingress,
        Direction::Egress => &policy.spec.egress,
    }
}
