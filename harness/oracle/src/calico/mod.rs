//! Calico's policies (projectcalico.org/v3) at the interfaces of pods, as Calico 3.32 and later has them.
//!
//! Each tier is an evaluator of its own. In a tier, policies stand by order and then by `name/namespace/kind`; their
//! rules allow, deny, pass or log, the first that matches decides. The end of a tier with a policy that applies
//! denies, or passes to the next tier, as the tier says. After the last tier comes the profile of the pod's namespace,
//! which allows everything. NetworkPolicies are policies of order 1000 of the tier `default`, whose rules allow.
//!
//! Policies that are staged have an account and no say. Those of hosts (`doNotTrack`, `preDNAT`) are none of pods.
//! (Calico's documentation: "Get started with tiered network policy"; felix/calc/policy_sorter.go, felix/rules.)

mod account;
mod entity;
mod known;
mod many;
mod rule;
mod selector;
#[cfg(test)]
mod tests;

use crate::networkpolicy::{self, NetworkPolicies};
use crate::order::{RuleAction, TierWalk};
use crate::policy::many::{Many, Member as ManyMember};
use crate::policy::{Decider, Endpoint, Evaluator, PolicyAccount, Question, View};
use crate::truth::Truth;
use crate::world::name_of;
use known::{Known, Member, NAMESPACE};
use netproof_api::calico::{CalicoAction, CalicoPolicy, CalicoRule, DEFAULT_TIER, TierAction};
use netproof_api::{NetworkPolicy, Pod, Policy, PolicyType};
use netproof_controlplane::Snapshot;
use netproof_model::{Decision, Direction, PolicyKey, PolicyKind, PolicyStage};
use selector::{Of, holds};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The order of a NetworkPolicy in the tier `default`.
const NETWORK_POLICY_ORDER: f64 = 1_000.0;

/// The tiers that are always there (`libcalico-go/lib/clientv3`): name, order, whether the end denies.
const TIERS: [(&str, f64, bool); 3] = [
    ("kube-admin", 1_000.0, false),
    (DEFAULT_TIER, 1_000_000.0, true),
    ("kube-baseline", 10_000_000.0, false),
];

/// The policies of one tier.
#[derive(Debug)]
pub(crate) struct CalicoTier<'a> {
    name: &'a str,
    order: f64,
    /// Whether its end denies.
    denies: bool,
    /// In their order.
    policies: Vec<Entry<'a>>,
    /// Those that are staged, likewise.
    staged: Vec<Entry<'a>>,
    /// The staged NetworkPolicies, of the tier that has them.
    staged_kubernetes: Vec<(&'a PolicyKey, NetworkPolicy)>,
    /// Every NetworkPolicy, likewise.
    kubernetes: Option<NetworkPolicies<'a>>,
    known: Arc<Known<'a>>,
}

/// A policy.
#[derive(Clone, Copy, Debug)]
struct Entry<'a> {
    key: &'a PolicyKey,
    written: Written<'a>,
}

#[derive(Clone, Copy, Debug)]
enum Written<'a> {
    Calico(&'a CalicoPolicy),
    Kubernetes(&'a NetworkPolicy),
}

impl<'a> CalicoTier<'a> {
    /// The tiers of a snapshot that have policies of Calico's API, in no order. Where `default` is one of them, it has
    /// the NetworkPolicies, too.
    pub(crate) fn all(snapshot: &'a Snapshot) -> Vec<CalicoTier<'a>> {
        let mut by_tier: BTreeMap<&str, (Vec<Entry<'_>>, Vec<Entry<'_>>)> = BTreeMap::new();
        for (key, policy) in &snapshot.policies {
            match policy {
                Policy::CalicoPolicy(policy) => {
                    let (policies, staged) = by_tier.entry(&policy.spec.tier).or_default();
                    let list = if policy.staged.is_some() { staged } else { policies };
                    list.push(Entry { key, written: Written::Calico(policy) });
                }
                Policy::StagedKubernetesNetworkPolicy(_) => drop(by_tier.entry(DEFAULT_TIER).or_default()),
                _ => {}
            }
        }
        let known = Arc::new(Known::new(snapshot));
        let tier = |(name, (mut policies, mut staged)): (&'a str, (Vec<Entry<'a>>, Vec<Entry<'a>>))| {
            let (order, denies) = place(snapshot, name);
            let is_default = name == DEFAULT_TIER;
            if is_default {
                policies.extend(snapshot.policies.iter().filter_map(|(key, policy)| match policy {
                    Policy::NetworkPolicy(policy) => {
                        Some(Entry { key, written: Written::Kubernetes(policy) })
                    }
                    _ => None,
                }));
            }
            policies.sort_by(Entry::compare);
            staged.sort_by(Entry::compare);
            let kubernetes = is_default.then(|| NetworkPolicies::new(snapshot));
            let staged_kubernetes = if is_default { staged_kubernetes(snapshot) } else { Vec::new() };
            let known = Arc::clone(&known);
            CalicoTier { name, order, denies, policies, staged, staged_kubernetes, kubernetes, known }
        };
        by_tier.into_iter().map(tier).collect()
    }

    /// Where it stands: tiers with a lower order are asked before, of two with the same the one with the lesser name.
    pub(crate) fn place(&self) -> (f64, &'a str) {
        (self.order, self.name)
    }

    /// Whether it has the NetworkPolicies.
    pub(crate) fn has_network_policies(&self) -> bool {
        self.kubernetes.is_some()
    }

    /// Its policies that apply to a pod in a direction, in their order.
    fn applying<'s>(
        &'s self,
        member: &'s Member<'a>,
        pod: &'s Pod,
        direction: Direction,
    ) -> impl Iterator<Item = &'s Entry<'a>> {
        self.policies.iter().filter(move |it| it.applies(member, pod, direction))
    }
}

/// The staged NetworkPolicies as what they would be.
fn staged_kubernetes(snapshot: &Snapshot) -> Vec<(&PolicyKey, NetworkPolicy)> {
    let staged = snapshot.policies.iter().filter_map(|(key, policy)| match policy {
        Policy::StagedKubernetesNetworkPolicy(staged) => {
            let (metadata, spec) = (staged.metadata.clone(), staged.spec.clone());
            Some((key, NetworkPolicy { metadata, spec }))
        }
        _ => None,
    });
    staged.collect()
}

/// The order of a tier, and whether its end denies. One that is not there comes after all others, and denies.
fn place(snapshot: &Snapshot, name: &str) -> (f64, bool) {
    let key = PolicyKey::cluster(PolicyKind::Tier, name);
    if let Some(Policy::Tier(tier)) = snapshot.policies.get(&key) {
        return (tier.spec.order.get(), tier.spec.default_action == TierAction::Deny);
    }
    let made = TIERS.iter().find(|(made, ..)| *made == name);
    made.map_or((f64::INFINITY, true), |(_, order, denies)| (*order, *denies))
}

impl Entry<'_> {
    /// By order, which may be absent and is the highest then; by `name/namespace/kind` where that is the same.
    fn compare(&self, other: &Self) -> std::cmp::Ordering {
        self.order().total_cmp(&other.order()).then_with(|| self.tie_break().cmp(&other.tie_break()))
    }

    fn order(&self) -> f64 {
        match self.written {
            Written::Calico(policy) => policy.spec.order.map_or(f64::INFINITY, |order| order.get()),
            Written::Kubernetes(_) => NETWORK_POLICY_ORDER,
        }
    }

    fn tie_break(&self) -> String {
        let kind = match self.written {
            Written::Calico(_) => self.key.kind.name(),
            Written::Kubernetes(_) => "KubernetesNetworkPolicy",
        };
        format!("{}/{}/{kind}", self.key.name, self.key.namespace.as_deref().unwrap_or_default())
    }

    /// Whether it selects the pod and has the direction.
    fn applies(&self, member: &Member<'_>, pod: &Pod, direction: Direction) -> bool {
        match self.written {
            Written::Calico(policy) => has_type(policy, direction) && selects(policy, member),
            Written::Kubernetes(policy) => {
                self.key.namespace == pod.metadata.namespace
                    && networkpolicy::isolates(policy, pod, direction)
            }
        }
    }
}

/// Whether a policy is one of a pod.
///
/// One of a namespace selects pods of that namespace. Before tracking and before translation pods have no policies.
fn selects(policy: &CalicoPolicy, member: &Member<'_>) -> bool {
    let (spec, labels) = (&policy.spec, &member.labels);
    let own = policy.metadata.namespace.as_ref();
    !spec.do_not_track
        && !spec.pre_dnat
        && own.is_none_or(|own| labels.get(NAMESPACE) == Some(own))
        && spec.selector.as_ref().is_none_or(|it| holds(it, Of::Itself, labels))
        && spec.namespace_selector.as_ref().is_none_or(|it| holds(it, Of::Namespace, labels))
        && spec.service_account_selector.as_ref().is_none_or(|it| holds(it, Of::ServiceAccount, labels))
}

/// Whether `types` has the direction. Rules of a direction that it lacks have no effect.
fn has_type(policy: &CalicoPolicy, direction: Direction) -> bool {
    policy.spec.types.contains(&match direction {
        Direction::Ingress => PolicyType::Ingress,
        Direction::Egress => PolicyType::Egress,
    })
}

fn rules_of(policy: &CalicoPolicy, direction: Direction) -> &[CalicoRule] {
    match direction {
        Direction::Ingress => &policy.spec.ingress,
        Direction::Egress => &policy.spec.egress,
    }
}

fn action_of(action: CalicoAction) -> RuleAction {
    match action {
        CalicoAction::Allow => RuleAction::Allow,
        CalicoAction::Deny => RuleAction::Deny,
        CalicoAction::Log => RuleAction::Log,
        CalicoAction::Pass => RuleAction::Pass,
    }
}

impl Evaluator for CalicoTier<'_> {
    fn ask<'q>(&self, view: View<'_, 'q>, question: &Question<'q>, tiers: &mut TierWalk<Decider>) {
        let Question { endpoint, direction, stage, packet, .. } = *question;
        let (Endpoint::Pod(pod), PolicyStage::Local) = (endpoint, stage) else { return };
        let is_calicos = |it: &&Entry<'_>| matches!(it.written, Written::Calico(_));
        let member = self.known.pod(&name_of(pod));
        let applying: Vec<_> = member.into_iter().flat_map(|it| self.applying(it, pod, direction)).collect();
        if !applying.iter().any(is_calicos) {
            if let Some(kubernetes) = &self.kubernetes {
                kubernetes.ask(view, question, tiers);
            }
            return;
        }
        let mut rest = applying.as_slice();
        while let Some((first, others)) = rest.split_first() {
            let Written::Calico(policy) = first.written else {
                // The rules of NetworkPolicies only allow, so that it does not matter which of them is read first.
                let length = rest.iter().take_while(|it| !is_calicos(it)).count();
                let (group, others) = rest.split_at(length);
                let policies = group.iter().filter_map(|it| match it.written {
                    Written::Kubernetes(policy) => Some((it.key, policy)),
                    Written::Calico(_) => None,
                });
                networkpolicy::tell(view, question, policies, tiers);
                rest = others;
                continue;
            };
            rest = others;
            for (index, rule) in rules_of(policy, direction).iter().enumerate() {
                let own = policy.metadata.namespace.as_deref();
                let matches = rule::mismatch(&self.known, own, rule, packet).is_none();
                tiers.rule(action_of(rule.action), Truth::from(matches), || {
                    let (policy, tier) = (first.key.clone(), self.name.to_owned());
                    Decider::Decision(Decision::Rule { policy, tier, stage, direction, rule: index })
                });
            }
        }
        tiers.end_of_tier(Truth::from(self.denies), || {
            let mut policies: Vec<PolicyKey> = applying.iter().map(|it| it.key.clone()).collect();
            policies.sort();
            let (endpoint, tier) = (endpoint.place(), self.name.to_owned());
            Decider::Decision(Decision::EndOfTier { endpoint, stage, direction, tier, policies })
        });
    }

    fn accounts(&self, view: View<'_, '_>, question: &Question<'_>) -> Vec<PolicyAccount> {
        let (Endpoint::Pod(pod), PolicyStage::Local) = (question.endpoint, question.stage) else {
            return Vec::new();
        };
        let of_kubernetes = self.kubernetes.iter().flat_map(|it| it.accounts(view, question));
        let mut accounts: Vec<PolicyAccount> = of_kubernetes.collect();
        if let Some(member) = self.known.pod(&name_of(pod)) {
            accounts.extend(self.policies.iter().chain(&self.staged).filter_map(|it| match it.written {
                Written::Calico(policy) => Some(account::account(self, it.key, policy, member, question)),
                Written::Kubernetes(_) => None,
            }));
        }
        let own = self.staged_kubernetes.iter().filter(|(key, _)| key.namespace == pod.metadata.namespace);
        accounts.extend(own.map(|(key, policy)| {
            let account = networkpolicy::account(view, key, policy, pod, question);
            let sentence =
                format!("{key} is staged and decides nothing. Were it enforced: {}", account.sentence);
            PolicyAccount { applies: false, sentence, ..account }
        }));
        accounts
    }

    fn is_about_nodes(&self) -> bool {
        false
    }

    fn for_many<'o>(&'o self, view: View<'o, 'o>, members: &[ManyMember<'o>]) -> Box<dyn Many + 'o> {
        Box::new(many::ManyOfTier::new(self, view, members))
    }
}
