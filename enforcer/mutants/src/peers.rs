//! Peers that are read wrongly: whose pods, which namespaces, and what none of them means.

use super::selectors::{Asked, evaluate};
use crate::rewrite;
use crate::site::Site;
use netproof_api::{LabelSelector, NetworkPolicyPeer};
use netproof_controlplane::Snapshot;
use netproof_enforcer::program::Program;
use netproof_enforcer::program::selector::matches;
use netproof_model::NamespacedName;
use std::sync::Arc;

pub(super) fn none_is_nobody(snapshot: &mut Snapshot) {
    rewrite::rules(snapshot, |rule| {
        if rule.peers.is_empty() {
            rule.peers = vec![rewrite::nobody()];
        }
    });
}

pub(super) fn none_is_all_pods(snapshot: &mut Snapshot) {
    rewrite::rules(snapshot, |rule| {
        if rule.peers.is_empty() {
            rule.peers = vec![pods(Some(LabelSelector::default()), None)];
        }
    });
}

pub(super) fn none_is_the_namespace(snapshot: &mut Snapshot) {
    rewrite::rules(snapshot, |rule| {
        if rule.peers.is_empty() {
            rule.peers = vec![pods(None, Some(LabelSelector::default()))];
        }
    });
}

fn pods(namespaces: Option<LabelSelector>, pods: Option<LabelSelector>) -> NetworkPolicyPeer {
    NetworkPolicyPeer::Pods { namespace_selector: namespaces, pod_selector: pods }
}

pub(super) fn nobody_is_anybody(program: &mut Program, _: &Site<'_>) {
    for policy in program.policies_mut() {
        let direction = policy.direction;
        for rule in &mut policy.rules {
            rule.matches.peers_mut(direction).retain(|peers| !peers.is_nobody());
        }
    }
}

pub(super) fn pods_without_namespaces_are_of_all(snapshot: &mut Snapshot) {
    rewrite::peers(snapshot, |peer| match peer {
        NetworkPolicyPeer::Pods { namespace_selector: None, pod_selector } => {
            vec![pods(Some(LabelSelector::default()), pod_selector)]
        }
        peer => vec![peer],
    });
}

pub(super) fn all_namespaces_are_the_own(snapshot: &mut Snapshot) {
    rewrite::peers(snapshot, |peer| match peer {
        NetworkPolicyPeer::Pods { namespace_selector: Some(all), pod_selector }
            if rewrite::is_empty(&all) =>
        {
            vec![pods(None, Some(pod_selector.unwrap_or_default()))]
        }
        peer => vec![peer],
    });
}

pub(super) fn namespaces_or_pods(snapshot: &mut Snapshot) {
    rewrite::peers(snapshot, |peer| match peer {
        NetworkPolicyPeer::Pods { namespace_selector: Some(namespaces), pod_selector: Some(selector) } => {
            vec![pods(Some(namespaces), None), pods(None, Some(selector))]
        }
        peer => vec![peer],
    });
}

pub(super) fn pods_ignored_beside_namespaces(snapshot: &mut Snapshot) {
    rewrite::peers(snapshot, |peer| match peer {
        NetworkPolicyPeer::Pods { namespace_selector: Some(namespaces), .. } => {
            vec![pods(Some(namespaces), None)]
        }
        peer => vec![peer],
    });
}

pub(super) fn namespaces_ignored_beside_pods(snapshot: &mut Snapshot) {
    rewrite::peers(snapshot, |peer| match peer {
        NetworkPolicyPeer::Pods { pod_selector: Some(selector), .. } => vec![pods(None, Some(selector))],
        peer => vec![peer],
    });
}

pub(super) fn namespaces_alone_are_nobody(snapshot: &mut Snapshot) {
    rewrite::peers(snapshot, |peer| match peer {
        NetworkPolicyPeer::Pods { pod_selector: None, .. } => vec![rewrite::nobody()],
        peer => vec![peer],
    });
}

pub(super) fn first_only(snapshot: &mut Snapshot) {
    rewrite::rules(snapshot, |rule| rule.peers.truncate(1));
}

pub(super) fn last_only(snapshot: &mut Snapshot) {
    rewrite::rules(snapshot, |rule| {
        let last = rule.peers.pop();
        rule.peers = last.into_iter().collect();
    });
}

pub(super) fn blocks_ignored_beside_pods(snapshot: &mut Snapshot) {
    rewrite::rules(snapshot, |rule| {
        if rule.peers.iter().any(|peer| matches!(peer, NetworkPolicyPeer::Pods { .. })) {
            rule.peers.retain(|peer| matches!(peer, NetworkPolicyPeer::Pods { .. }));
        }
    });
}

/// How many members such an enforcer's sets hold.
const ROOM: usize = 16;

pub(super) fn sets_have_room_for_few(program: &mut Program, _: &Site<'_>) {
    for policy in program.policies_mut() {
        let direction = policy.direction;
        let peers = policy.rules.iter_mut().flat_map(|rule| rule.matches.peers_mut(direction));
        for members in peers.filter_map(|peers| peers.members.as_mut()) {
            *members = std::mem::take(members).into_iter().take(ROOM).collect();
        }
    }
}

/// The pods of the host network become peers like others. Without a node they are nobody's endpoint.
pub(super) fn host_network_pods_are_peers(snapshot: &mut Snapshot) {
    for pod in snapshot.pods.values_mut().filter(|pod| pod.host_network) {
        let pod = Arc::make_mut(pod);
        pod.host_network = false;
        pod.node_name = None;
    }
}

/// A pod that has ended stays in the sets of peers.
pub(super) fn ended_pods_are_peers(snapshot: &mut Snapshot) {
    for pod in snapshot.pods.values_mut().filter(|pod| pod.phase.has_ended()) {
        let pod = Arc::make_mut(pod);
        pod.phase = Default::default();
        pod.node_name = None;
    }
}

/// What a `podSelector` selected first is remembered by itself, without the policy's namespace.
pub(super) fn pod_selectors_are_cached(snapshot: &mut Snapshot) {
    let mut first: Vec<(LabelSelector, String)> = Vec::new();
    rewrite::policies(snapshot, |name, policy| {
        for rule in policy.spec.ingress.iter_mut().chain(&mut policy.spec.egress) {
            for peer in &mut rule.peers {
                let NetworkPolicyPeer::Pods { namespace_selector: none @ None, pod_selector: Some(selector) } =
                    peer
                else {
                    continue;
                };
                match first.iter().find(|(it, _)| it == selector) {
                    Some((_, home)) => *none = Some(rewrite::namespace(home)),
                    None => first.push((selector.clone(), name.namespace.clone())),
                }
            }
        }
    });
}

/// What two selectors in one peer selected first is remembered by the one of the pods.
pub(super) fn peers_are_cached_by_pod_selector(snapshot: &mut Snapshot) {
    let mut first: Vec<(LabelSelector, LabelSelector)> = Vec::new();
    rewrite::peers(snapshot, |peer| match peer {
        NetworkPolicyPeer::Pods { namespace_selector: Some(namespaces), pod_selector: Some(selector) } => {
            let known = first.iter().find(|(it, _)| *it == selector).map(|(_, it)| it.clone());
            let namespaces = known.unwrap_or_else(|| {
                first.push((selector.clone(), namespaces.clone()));
                namespaces
            });
            vec![pods(Some(namespaces), Some(selector))]
        }
        peer => vec![peer],
    });
}

/// Such pods are left out where a peer's selector matches them.
pub(super) fn unready_pods_are_no_peers(snapshot: &mut Snapshot, _: &[Arc<Snapshot>]) {
    let now = snapshot.clone();
    let is_ready = |name: &NamespacedName| now.pods.get(name).is_none_or(|pod| pod.ready);
    evaluate(snapshot, |selector, labels, asked| {
        !matches!(asked, Asked::Peer(pod) if !is_ready(pod)) && matches(selector, labels)
    });
}
