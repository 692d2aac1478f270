//! Isolation that is read wrongly: which pods, in which directions, and what no rules or empty rules mean.

use super::selectors::{Asked, evaluate};
use crate::rewrite;
use crate::site::Site;
use netproof_api::core::TransportProtocol;
use netproof_api::{LabelSelector, NetworkPolicyPort, NetworkPolicyRule, PolicyType};
use netproof_controlplane::Snapshot;
use netproof_enforcer::program::selector::matches;
use netproof_enforcer::program::{PolicyId, Program};
use netproof_model::NamespacedName;
use std::collections::BTreeMap;
use std::sync::Arc;

const BOTH: [PolicyType; 2] = [PolicyType::Ingress, PolicyType::Egress];

/// What `policyTypes` left out would be filled in with is indistinguishable from the same, written out.
pub(super) fn egress_is_never_a_default(snapshot: &mut Snapshot) {
    rewrite::policies(snapshot, |_, policy| {
        if policy.spec.policy_types == BOTH && !policy.spec.egress.is_empty() {
            policy.spec.policy_types = vec![PolicyType::Ingress];
        }
    });
}

pub(super) fn both_directions_always(snapshot: &mut Snapshot) {
    rewrite::policies(snapshot, |_, policy| policy.spec.policy_types = BOTH.to_vec());
}

pub(super) fn ingress_always(snapshot: &mut Snapshot) {
    rewrite::policies(snapshot, |_, policy| {
        if !policy.spec.policy_types.contains(&PolicyType::Ingress) {
            policy.spec.policy_types.push(PolicyType::Ingress);
        }
    });
}

pub(super) fn rules_are_types(snapshot: &mut Snapshot) {
    rewrite::policies(snapshot, |_, policy| {
        for (policy_type, rules) in
            [(PolicyType::Ingress, &policy.spec.ingress), (PolicyType::Egress, &policy.spec.egress)]
        {
            if !rules.is_empty() && !policy.spec.policy_types.contains(&policy_type) {
                policy.spec.policy_types.push(policy_type);
            }
        }
    });
}

pub(super) fn first_type_only(snapshot: &mut Snapshot) {
    rewrite::policies(snapshot, |_, policy| policy.spec.policy_types.truncate(1));
}

pub(super) fn no_ingress(snapshot: &mut Snapshot) {
    rewrite::policies(snapshot, |_, policy| {
        policy.spec.policy_types.retain(|policy_type| *policy_type != PolicyType::Ingress);
    });
}

pub(super) fn no_egress(snapshot: &mut Snapshot) {
    rewrite::policies(snapshot, |_, policy| {
        policy.spec.policy_types.retain(|policy_type| *policy_type != PolicyType::Egress);
    });
}

pub(super) fn directions_are_one(snapshot: &mut Snapshot) {
    rewrite::policies(snapshot, |_, policy| {
        let rules = [policy.spec.ingress.clone(), policy.spec.egress.clone()].concat();
        policy.spec.ingress.clone_from(&rules);
        policy.spec.egress = rules;
    });
}

pub(super) fn no_rules_allow_all(snapshot: &mut Snapshot) {
    rewrite::rule_lists(snapshot, |rules| {
        if rules.is_empty() {
            rules.push(NetworkPolicyRule::default());
        }
    });
}

pub(super) fn an_empty_rule_allows_nothing(snapshot: &mut Snapshot) {
    rewrite::rule_lists(snapshot, |rules| rules.retain(|rule| *rule != NetworkPolicyRule::default()));
}

pub(super) fn first_rule_only(snapshot: &mut Snapshot) {
    rewrite::rule_lists(snapshot, |rules| rules.truncate(1));
}

pub(super) fn last_rule_only(snapshot: &mut Snapshot) {
    rewrite::rule_lists(snapshot, |rules| drop(rules.drain(..rules.len().saturating_sub(1))));
}

pub(super) fn the_whole_namespace(snapshot: &mut Snapshot) {
    rewrite::policies(snapshot, |_, policy| policy.spec.pod_selector = LabelSelector::default());
}

pub(super) fn no_selector_is_nobody(snapshot: &mut Snapshot) {
    rewrite::policies(snapshot, |_, policy| {
        if rewrite::is_empty(&policy.spec.pod_selector) {
            policy.spec.pod_selector = rewrite::nothing();
        }
    });
}

/// A copy of each policy in each other namespace, under a name that none has there.
pub(super) fn every_namespace(snapshot: &mut Snapshot) {
    let mut policies = rewrite::network_policies(snapshot);
    for (name, policy) in &policies.clone() {
        for namespace in snapshot.namespaces.keys().filter(|it| **it != name.namespace) {
            let mut policy = policy.as_ref().clone();
            policy.metadata.namespace = Some(namespace.clone());
            policy.metadata.name = format!("{}-of-{}", name.name, name.namespace);
            let copy = NamespacedName::new(namespace, &policy.metadata.name);
            policies.insert(copy, Arc::new(policy));
        }
    }
    rewrite::set_network_policies(snapshot, policies);
}

/// Each direction of a policy gets a rule for the protocols that its rules do not name.
pub(super) fn only_the_protocols_named(snapshot: &mut Snapshot) {
    rewrite::rule_lists(snapshot, |rules| {
        if rules.is_empty() || rules.iter().any(|rule| rule.ports.is_empty()) {
            return;
        }
        let named = |it: &TransportProtocol| {
            rules.iter().flat_map(|rule| &rule.ports).any(|port| port.protocol == *it)
        };
        let all = [TransportProtocol::Tcp, TransportProtocol::Udp, TransportProtocol::Sctp];
        let ports: Vec<NetworkPolicyPort> = all
            .into_iter()
            .filter(|protocol| !named(protocol))
            .map(|protocol| NetworkPolicyPort { protocol, port: None, end_port: None })
            .collect();
        if !ports.is_empty() {
            rules.push(NetworkPolicyRule { peers: Vec::new(), ports });
        }
    });
}

/// The namespace that such an enforcer leaves alone.
const SYSTEM: &str = "kube-system";

pub(super) fn the_system_is_exempt(snapshot: &mut Snapshot) {
    rewrite::retain_policies(snapshot, |name, _| name.namespace != SYSTEM);
}

/// How many pods of a node a policy may isolate.
const PODS: usize = 8;

pub(super) fn few_pods_of_a_policy(program: &mut Program, _: &Site<'_>) {
    let mut isolated: BTreeMap<PolicyId, usize> = BTreeMap::new();
    for endpoint in &mut program.endpoints {
        for tier in endpoint.tiers.values_mut().flatten() {
            tier.policies.retain(|policy| {
                let count = isolated.entry(*policy).or_default();
                *count += 1;
                *count <= PODS
            });
        }
        for tiers in endpoint.tiers.values_mut() {
            tiers.retain(|tier| !tier.policies.is_empty());
        }
        endpoint.tiers.retain(|_, tiers| !tiers.is_empty());
    }
}

/// Pods that are being deleted are nobody's subjects any more.
pub(super) fn ending_pods_are_open(snapshot: &mut Snapshot, _: &[Arc<Snapshot>]) {
    let now = snapshot.clone();
    let ends = |name: &NamespacedName| now.pods.get(name).is_some_and(|pod| pod.terminating);
    evaluate(snapshot, |selector, labels, asked| {
        !matches!(asked, Asked::Subject(pod) if ends(pod)) && matches(selector, labels)
    });
}
