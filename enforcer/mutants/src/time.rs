//! What an enforcer forgets to follow, or to forget.
//!
//! Each fault sees the objects as they are, and those of the generations before, oldest first.

use super::rewrite;
use super::selectors::{Asked, evaluate};
use netproof_api::{Labels, NetworkPolicy, Pod};
use netproof_controlplane::Snapshot;
use netproof_enforcer::program::selector::matches;
use netproof_model::NamespacedName;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

type Before<'a> = &'a [Arc<Snapshot>];

/// A deleted pod stays in the sets of peers. Without a node it is nobody's endpoint.
pub(super) fn deleted_pods_stay_peers(snapshot: &mut Snapshot, before: Before<'_>) {
    for (name, pod) in before.iter().flat_map(|earlier| &earlier.pods) {
        snapshot
            .pods
            .entry(name.clone())
            .or_insert_with(|| Arc::new(Pod { node_name: None, ..pod.as_ref().clone() }));
    }
}

/// The labels of whoever had an address first are those of whoever has it now.
pub(super) fn addresses_keep_their_first_labels(snapshot: &mut Snapshot, before: Before<'_>) {
    for pod in snapshot.pods.values_mut().filter(|pod| !pod.host_network) {
        let owner = before
            .iter()
            .flat_map(|earlier| earlier.pods.values())
            .find(|owner| !owner.host_network && owner.pod_ips.iter().any(|it| pod.pod_ips.contains(it)));
        if let Some(owner) = owner.filter(|owner| owner.metadata.name != pod.metadata.name) {
            Arc::make_mut(pod).metadata.labels = owner.metadata.labels.clone();
        }
    }
}

/// A pod keeps the address that the first pod of its name had.
pub(super) fn pods_keep_their_first_address(snapshot: &mut Snapshot, before: Before<'_>) {
    for (name, pod) in &mut snapshot.pods {
        if let Some(first) = before.iter().find_map(|earlier| earlier.pods.get(name)) {
            Arc::make_mut(pod).pod_ips.clone_from(&first.pod_ips);
        }
    }
}

/// The labels that each pod had when it was first seen with its addresses.
fn first_labels(snapshot: &Snapshot, before: Before<'_>) -> BTreeMap<NamespacedName, Labels> {
    let first = |name: &NamespacedName, pod: &Pod| {
        let earlier = before.iter().filter_map(|earlier| earlier.pods.get(name));
        let first = earlier.map(Arc::as_ref).find(|it| it.pod_ips == pod.pod_ips);
        first.unwrap_or(pod).metadata.labels.clone()
    };
    snapshot.pods.iter().map(|(name, pod)| (name.clone(), first(name, pod))).collect()
}

pub(super) fn subjects_are_chosen_once(snapshot: &mut Snapshot, before: Before<'_>) {
    let first = first_labels(snapshot, before);
    evaluate(snapshot, |selector, labels, asked| match asked {
        Asked::Subject(pod) => matches(selector, first.get(pod).unwrap_or(labels)),
        _ => matches(selector, labels),
    });
}

pub(super) fn peers_are_chosen_once(snapshot: &mut Snapshot, before: Before<'_>) {
    let first = first_labels(snapshot, before);
    evaluate(snapshot, |selector, labels, asked| match asked {
        Asked::Peer(pod) => matches(selector, first.get(pod).unwrap_or(labels)),
        _ => matches(selector, labels),
    });
}

pub(super) fn labels_are_only_added(snapshot: &mut Snapshot, before: Before<'_>) {
    for (name, pod) in &mut snapshot.pods {
        let earlier = before.iter().filter_map(|earlier| earlier.pods.get(name));
        let mut labels = Labels::new();
        for it in earlier.filter(|it| it.pod_ips == pod.pod_ips) {
            labels.extend(it.metadata.labels.clone());
        }
        labels.extend(pod.metadata.labels.clone());
        Arc::make_mut(pod).metadata.labels = labels;
    }
}

pub(super) fn namespaces_are_read_once(snapshot: &mut Snapshot, before: Before<'_>) {
    for (name, namespace) in &mut snapshot.namespaces {
        if let Some(first) = before.iter().find_map(|earlier| earlier.namespaces.get(name)) {
            Arc::make_mut(namespace).metadata.labels = first.metadata.labels.clone();
        }
    }
}

/// The objects as they were when the policies last changed.
fn since_policies_changed<'a>(snapshot: &Snapshot, before: Before<'a>) -> Option<&'a Snapshot> {
    let same = |earlier: &&Arc<Snapshot>| earlier.policies == snapshot.policies;
    before.iter().rev().take_while(same).last().map(Arc::as_ref)
}

/// The pods that came after the last change of any policy.
fn new_pods(snapshot: &Snapshot, before: Before<'_>) -> BTreeSet<NamespacedName> {
    let Some(since) = since_policies_changed(snapshot, before) else { return BTreeSet::new() };
    snapshot.pods.keys().filter(|name| !since.pods.contains_key(*name)).cloned().collect()
}

pub(super) fn new_pods_are_not_isolated(snapshot: &mut Snapshot, before: Before<'_>) {
    let new = new_pods(snapshot, before);
    evaluate(snapshot, |selector, labels, asked| {
        !matches!(asked, Asked::Subject(pod) if new.contains(pod)) && matches(selector, labels)
    });
}

pub(super) fn new_pods_are_no_peers(snapshot: &mut Snapshot, before: Before<'_>) {
    let new = new_pods(snapshot, before);
    evaluate(snapshot, |selector, labels, asked| {
        !matches!(asked, Asked::Peer(pod) if new.contains(pod)) && matches(selector, labels)
    });
}

/// The forms that a policy had since it came, oldest first, its present one not among them.
fn forms<'a>(name: &NamespacedName, before: Before<'a>) -> Vec<&'a NetworkPolicy> {
    let earlier = before.iter().rev().map_while(|earlier| earlier.network_policy(name));
    let mut forms: Vec<&NetworkPolicy> = earlier.map(Arc::as_ref).collect();
    forms.reverse();
    forms
}

pub(super) fn policies_are_read_once(snapshot: &mut Snapshot, before: Before<'_>) {
    rewrite::policies(snapshot, |name, policy| {
        if let Some(first) = forms(name, before).first() {
            *policy = (*first).clone();
        }
    });
}

pub(super) fn rules_are_only_added(snapshot: &mut Snapshot, before: Before<'_>) {
    rewrite::policies(snapshot, |name, policy| {
        for form in forms(name, before) {
            let old = form.spec.ingress.iter().filter(|rule| !policy.spec.ingress.contains(rule));
            let ingress: Vec<_> = old.cloned().collect();
            policy.spec.ingress.extend(ingress);
            let old = form.spec.egress.iter().filter(|rule| !policy.spec.egress.contains(rule));
            let egress: Vec<_> = old.cloned().collect();
            policy.spec.egress.extend(egress);
        }
    });
}

pub(super) fn deleted_policies_stay(snapshot: &mut Snapshot, before: Before<'_>) {
    for (key, policy) in before.iter().rev().flat_map(|earlier| &earlier.policies) {
        snapshot.policies.entry(key.clone()).or_insert_with(|| policy.clone());
    }
}

pub(super) fn one_change_behind(snapshot: &mut Snapshot, before: Before<'_>) {
    if let Some(last) = before.last() {
        snapshot.policies.clone_from(&last.policies);
    }
}

/// The pods that a policy selects.
fn selected<'a>(
    policy: &NetworkPolicy,
    namespace: &str,
    snapshot: &'a Snapshot,
) -> BTreeSet<&'a NamespacedName> {
    let pods = snapshot.pods.iter().filter(|(name, _)| name.namespace == namespace);
    pods.filter(|(_, pod)| matches(&policy.spec.pod_selector, &pod.metadata.labels))
        .map(|(name, _)| name)
        .collect()
}

/// A policy that selected no pod when it came has no effect until it changes.
pub(super) fn policies_before_their_pods_are_forgotten(snapshot: &mut Snapshot, before: Before<'_>) {
    let now = snapshot.clone();
    rewrite::retain_policies(snapshot, |name, policy| {
        let same = |earlier: &&Arc<Snapshot>| earlier.network_policy(name) == Some(policy);
        let came = before.iter().rev().take_while(same).last().map_or(&now, Arc::as_ref);
        !selected(policy, &name.namespace, came).is_empty()
    });
}

/// A policy takes the place of older ones that select none but its own pods.
pub(super) fn newer_policies_replace_older(snapshot: &mut Snapshot, before: Before<'_>) {
    let now = snapshot.clone();
    let age = |name: &NamespacedName| forms(name, before).len();
    rewrite::retain_policies(snapshot, |name, policy| {
        let pods = selected(policy, &name.namespace, &now);
        let replaces = |(other, newer): (NamespacedName, &Arc<NetworkPolicy>)| {
            other.namespace == name.namespace
                && age(&other) < age(name)
                && newer.spec.policy_types == policy.spec.policy_types
                && selected(newer, &other.namespace, &now).is_superset(&pods)
        };
        !now.network_policies().any(replaces)
    });
}

/// Of a name that was gone in between, the first that had it.
fn predecessor<'a>(name: &NamespacedName, before: Before<'a>) -> Option<&'a Pod> {
    let gone = before.iter().rposition(|earlier| !earlier.pods.contains_key(name))?;
    let earlier = before.get(..gone).unwrap_or_default();
    earlier.iter().find_map(|earlier| earlier.pods.get(name)).map(Arc::as_ref)
}

pub(super) fn labels_come_back_with_names(snapshot: &mut Snapshot, before: Before<'_>) {
    for (name, pod) in &mut snapshot.pods {
        if let Some(first) = predecessor(name, before) {
            Arc::make_mut(pod).metadata.labels.clone_from(&first.metadata.labels);
        }
    }
}

pub(super) fn ports_come_back_with_names(snapshot: &mut Snapshot, before: Before<'_>) {
    for (name, pod) in &mut snapshot.pods {
        if let Some(first) = predecessor(name, before) {
            Arc::make_mut(pod).containers.clone_from(&first.containers);
        }
    }
}

pub(super) fn new_namespaces_are_no_peers(snapshot: &mut Snapshot, before: Before<'_>) {
    if let Some(since) = since_policies_changed(snapshot, before) {
        snapshot.namespaces.retain(|name, _| since.namespaces.contains_key(name));
    }
}

pub(super) fn empty_namespaces_are_no_peers(snapshot: &mut Snapshot, before: Before<'_>) {
    let Some(since) = since_policies_changed(snapshot, before) else { return };
    let was_empty = |name: &String| {
        since.namespaces.contains_key(name) && !since.pods.keys().any(|pod| pod.namespace == *name)
    };
    snapshot.namespaces.retain(|name, _| !was_empty(name));
}

/// Where policies change, pods that change with them are seen with the next change only.
pub(super) fn pods_are_missed_beside_policies(snapshot: &mut Snapshot, before: Before<'_>) {
    let Some(last) = before.last().filter(|last| last.policies != snapshot.policies) else {
        return;
    };
    for (name, pod) in &mut snapshot.pods {
        if let Some(earlier) = last.pods.get(name) {
            *pod = Arc::clone(earlier);
        }
    }
}

/// Where a pod goes, those that come with it are nobody's peers before the next change.
pub(super) fn newcomers_are_missed_beside_deletions(snapshot: &mut Snapshot, before: Before<'_>) {
    let Some(last) = before.last() else { return };
    if last.pods.keys().all(|name| snapshot.pods.contains_key(name)) {
        return;
    }
    evaluate(snapshot, |selector, labels, asked| {
        !matches!(asked, Asked::Peer(pod) if !last.pods.contains_key(pod)) && matches(selector, labels)
    });
}

/// A namespace's label keeps the value that it had first.
pub(super) fn values_of_namespaces_are_read_once(snapshot: &mut Snapshot, before: Before<'_>) {
    for (name, namespace) in &mut snapshot.namespaces {
        let earlier = before.iter().rev().map_while(|earlier| earlier.namespaces.get(name)).last();
        let Some(first) = earlier else { continue };
        for (key, value) in &mut Arc::make_mut(namespace).metadata.labels {
            if let Some(old) = first.metadata.labels.get(key) {
                value.clone_from(old);
            }
        }
    }
}
