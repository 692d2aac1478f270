//! Walking over the policies of a snapshot in order to write them anew.

use netproof_api::core::IntOrString;
use netproof_api::{
    IpBlock, LabelSelector, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicyRule, Policy,
    Requirement,
};
use netproof_controlplane::Snapshot;
use netproof_model::{NamespacedName, PolicyKey, PolicyKind};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Each policy, under its full name.
pub(super) fn policies(snapshot: &mut Snapshot, mut change: impl FnMut(&NamespacedName, &mut NetworkPolicy)) {
    let mut policies = network_policies(snapshot);
    for (name, policy) in &mut policies {
        change(name, Arc::make_mut(policy));
    }
    set_network_policies(snapshot, policies);
}

/// The policies by their full names.
pub(super) fn network_policies(snapshot: &Snapshot) -> BTreeMap<NamespacedName, Arc<NetworkPolicy>> {
    snapshot.network_policies().map(|(name, policy)| (name, Arc::clone(policy))).collect()
}

/// Puts these policies in the place of those that are there.
pub(super) fn set_network_policies(
    snapshot: &mut Snapshot,
    policies: impl IntoIterator<Item = (NamespacedName, Arc<NetworkPolicy>)>,
) {
    snapshot.policies.retain(|key, _| key.kind != PolicyKind::NetworkPolicy);
    let keyed = policies.into_iter().map(|(name, policy)| {
        (PolicyKey::network_policy(name.namespace, name.name), Policy::NetworkPolicy(policy))
    });
    snapshot.policies.extend(keyed);
}

/// Removes the policies that are not to be kept.
pub(super) fn retain_policies(
    snapshot: &mut Snapshot,
    keep: impl Fn(&NamespacedName, &Arc<NetworkPolicy>) -> bool,
) {
    let mut policies = network_policies(snapshot);
    policies.retain(|name, policy| keep(name, policy));
    set_network_policies(snapshot, policies);
}

/// The rules of each direction of each policy.
pub(super) fn rule_lists(snapshot: &mut Snapshot, mut change: impl FnMut(&mut Vec<NetworkPolicyRule>)) {
    policies(snapshot, |_, policy| {
        change(&mut policy.spec.ingress);
        change(&mut policy.spec.egress);
    });
}

/// Each rule of each policy.
pub(super) fn rules(snapshot: &mut Snapshot, mut change: impl FnMut(&mut NetworkPolicyRule)) {
    rule_lists(snapshot, |rules| rules.iter_mut().for_each(&mut change));
}

/// Each peer of each rule becomes these.
pub(super) fn peers(
    snapshot: &mut Snapshot,
    mut change: impl FnMut(NetworkPolicyPeer) -> Vec<NetworkPolicyPeer>,
) {
    rules(snapshot, |rule| {
        rule.peers = std::mem::take(&mut rule.peers).into_iter().flat_map(&mut change).collect();
    });
}

/// Each ipBlock of each rule.
pub(super) fn blocks(snapshot: &mut Snapshot, mut change: impl FnMut(&mut IpBlock)) {
    rules(snapshot, |rule| {
        for peer in &mut rule.peers {
            if let NetworkPolicyPeer::IpBlock(block) = peer {
                change(block);
            }
        }
    });
}

/// Each entry of `ports` becomes these. Where that leaves none of those that there were, none matches.
pub(super) fn ports(
    snapshot: &mut Snapshot,
    mut change: impl FnMut(NetworkPolicyPort) -> Vec<NetworkPolicyPort>,
) {
    rules(snapshot, |rule| {
        let ports = std::mem::take(&mut rule.ports);
        let had_some = !ports.is_empty();
        rule.ports = ports.into_iter().flat_map(&mut change).collect();
        if had_some && rule.ports.is_empty() {
            rule.ports = vec![no_port()];
        }
    });
}

/// A port that no pod has.
pub(super) fn no_port() -> NetworkPolicyPort {
    NetworkPolicyPort {
        protocol: Default::default(),
        port: Some(IntOrString::String("mutants-know-no-such-port".into())),
        end_port: None,
    }
}

/// A selector that matches nothing.
pub(super) fn nothing() -> LabelSelector {
    let requirement = Requirement {
        key: "mutants-know-no-such-label".into(),
        operator: netproof_api::Operator::Exists,
        values: Vec::new(),
    };
    LabelSelector { match_expressions: vec![requirement], ..LabelSelector::default() }
}

/// A peer that matches nobody.
pub(super) fn nobody() -> NetworkPolicyPeer {
    NetworkPolicyPeer::Pods { namespace_selector: None, pod_selector: Some(nothing()) }
}

/// The namespace of that name.
pub(super) fn namespace(name: &str) -> LabelSelector {
    let label = ("kubernetes.io/metadata.name".to_owned(), name.to_owned());
    LabelSelector { match_labels: [label].into(), ..LabelSelector::default() }
}

/// Whether a selector asks for nothing.
pub(super) fn is_empty(selector: &LabelSelector) -> bool {
    selector.match_labels.is_empty() && selector.match_expressions.is_empty()
}
