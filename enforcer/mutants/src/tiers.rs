//! ClusterNetworkPolicies that are read wrongly: the order of tiers, policies and rules, what ends where, subjects,
//! peers, ports.

use crate::site::Site;
use netproof_api::core::TransportProtocol;
use netproof_api::{
    ClusterAction, ClusterNetworkPolicy, ClusterPeer, ClusterPort, ClusterRule, ClusterSubject, ClusterTier,
    LabelSelector, Labels, NamespacedPods, Policy,
};
use netproof_controlplane::Snapshot;
use netproof_enforcer::program::{Denial, End, Program, Tier};
use netproof_model::PolicyKey;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The highest priority number.
const LAST: u16 = 1000;

/// Each policy.
fn policies(snapshot: &mut Snapshot, mut change: impl FnMut(&mut ClusterNetworkPolicy)) {
    for policy in snapshot.policies.values_mut() {
        if let Policy::ClusterNetworkPolicy(policy) = policy {
            change(Arc::make_mut(policy));
        }
    }
}

/// Each list of rules.
fn rule_lists(snapshot: &mut Snapshot, mut change: impl FnMut(&mut Vec<ClusterRule>)) {
    policies(snapshot, |policy| {
        change(&mut policy.spec.ingress);
        change(&mut policy.spec.egress);
    });
}

/// Each rule.
fn rules(snapshot: &mut Snapshot, mut change: impl FnMut(&mut ClusterRule)) {
    rule_lists(snapshot, |rules| rules.iter_mut().for_each(&mut change));
}

/// Each port of each rule.
fn ports(snapshot: &mut Snapshot, mut change: impl FnMut(&mut ClusterPort)) {
    rules(snapshot, |rule| rule.protocols.iter_mut().for_each(&mut change));
}

/// The pods of subjects and peers.
fn pods(snapshot: &mut Snapshot, mut change: impl FnMut(&mut NamespacedPods)) {
    policies(snapshot, |policy| {
        if let ClusterSubject::Pods(pods) = &mut policy.spec.subject {
            change(pods);
        }
        let rules = policy.spec.ingress.iter_mut().chain(&mut policy.spec.egress);
        for peer in rules.flat_map(|rule| &mut rule.peers) {
            if let ClusterPeer::Pods(pods) = peer {
                change(pods);
            }
        }
    });
}

/// Keeps of policies with one key only the first by name.
fn first_of<K: Ord>(snapshot: &mut Snapshot, key: impl Fn(&PolicyKey, &ClusterNetworkPolicy) -> K) {
    let mut seen = BTreeSet::new();
    snapshot.policies.retain(|name, policy| match policy {
        Policy::ClusterNetworkPolicy(policy) => seen.insert(key(name, policy)),
        _ => true,
    });
}

// -- tiers

pub(super) fn baseline_is_admin(snapshot: &mut Snapshot) {
    policies(snapshot, |policy| policy.spec.tier = ClusterTier::Admin);
}

pub(super) fn admin_is_baseline(snapshot: &mut Snapshot) {
    policies(snapshot, |policy| policy.spec.tier = ClusterTier::Baseline);
}

pub(super) fn admin_denies_at_its_end(program: &mut Program, _: &Site<'_>) {
    tiers(program, |tiers| {
        let admin = tiers.iter_mut().filter(|tier| tier.name == "kube-admin");
        admin.for_each(|tier| tier.end = End::Deny(Denial::Drop));
    });
}

pub(super) fn baseline_denies_at_its_end(program: &mut Program, _: &Site<'_>) {
    tiers(program, |tiers| {
        let baseline = tiers.iter_mut().filter(|tier| tier.name == "kube-baseline");
        baseline.for_each(|tier| tier.end = End::Deny(Denial::Drop));
    });
}

pub(super) fn isolation_goes_on_to_baseline(program: &mut Program, _: &Site<'_>) {
    tiers(program, |tiers| {
        if tiers.iter().any(|tier| tier.name == "kube-baseline") {
            let isolating = tiers.iter_mut().filter(|tier| tier.end == End::Isolation);
            isolating.for_each(|tier| tier.end = End::Pass);
        }
    });
}

pub(super) fn baseline_is_always_asked_first(program: &mut Program, _: &Site<'_>) {
    tiers(program, |tiers| tiers.sort_by_key(|tier| tier.name == "networkpolicy"));
}

pub(super) fn network_policies_come_first(program: &mut Program, _: &Site<'_>) {
    tiers(program, |tiers| tiers.sort_by_key(|tier| tier.name != "networkpolicy"));
}

fn tiers(program: &mut Program, mut change: impl FnMut(&mut Vec<Tier>)) {
    for endpoint in &mut program.endpoints {
        endpoint.tiers.values_mut().for_each(&mut change);
    }
}

// -- policies

pub(super) fn high_numbers_first(snapshot: &mut Snapshot) {
    policies(snapshot, |policy| policy.spec.priority = LAST - policy.spec.priority);
}

pub(super) fn priorities_are_ignored(snapshot: &mut Snapshot) {
    policies(snapshot, |policy| policy.spec.priority = 0);
}

pub(super) fn zero_is_last(snapshot: &mut Snapshot) {
    policies(snapshot, |policy| {
        if policy.spec.priority == 0 {
            policy.spec.priority = LAST;
        }
    });
}

pub(super) fn one_policy_of_a_priority(snapshot: &mut Snapshot) {
    first_of(snapshot, |_, policy| (policy.spec.tier, policy.spec.priority));
}

pub(super) fn one_baseline(snapshot: &mut Snapshot) {
    first_of(snapshot, |name, policy| match policy.spec.tier {
        ClusterTier::Admin => Some(name.clone()),
        ClusterTier::Baseline => None,
    });
}

pub(super) fn names_are_folded(snapshot: &mut Snapshot) {
    first_of(snapshot, |name, _| name.name.replace('.', "-"));
}

// -- rules

pub(super) fn last_rule_first(snapshot: &mut Snapshot) {
    rule_lists(snapshot, |rules| rules.reverse());
}

pub(super) fn denials_first(snapshot: &mut Snapshot) {
    rule_lists(snapshot, |rules| rules.sort_by_key(|rule| rule.action != ClusterAction::Deny));
}

pub(super) fn first_rule_only(snapshot: &mut Snapshot) {
    rule_lists(snapshot, |rules| rules.truncate(1));
}

pub(super) fn pass_accepts(snapshot: &mut Snapshot) {
    act(snapshot, ClusterAction::Pass, ClusterAction::Accept);
}

pub(super) fn pass_denies(snapshot: &mut Snapshot) {
    act(snapshot, ClusterAction::Pass, ClusterAction::Deny);
}

pub(super) fn accept_passes(snapshot: &mut Snapshot) {
    act(snapshot, ClusterAction::Accept, ClusterAction::Pass);
}

fn act(snapshot: &mut Snapshot, from: ClusterAction, to: ClusterAction) {
    rules(snapshot, |rule| {
        if rule.action == from {
            rule.action = to;
        }
    });
}

pub(super) fn pass_is_no_match(snapshot: &mut Snapshot) {
    rule_lists(snapshot, |rules| rules.retain(|rule| rule.action != ClusterAction::Pass));
}

pub(super) fn pass_is_for_all_traffic(snapshot: &mut Snapshot) {
    rules(snapshot, |rule| {
        if rule.action == ClusterAction::Pass {
            rule.protocols.clear();
        }
    });
}

// -- subjects and peers

pub(super) fn pods_without_namespaces_are_of_default(snapshot: &mut Snapshot) {
    let default = Labels::from([("kubernetes.io/metadata.name".to_owned(), "default".to_owned())]);
    pods(snapshot, |pods| {
        pods.namespace_selector.get_or_insert_with(|| LabelSelector {
            match_labels: default.clone(),
            match_expressions: Vec::new(),
        });
    });
}

pub(super) fn pods_are_their_namespaces(snapshot: &mut Snapshot) {
    pods(snapshot, |pods| pods.pod_selector = LabelSelector::default());
}

pub(super) fn everybody_is_subject(snapshot: &mut Snapshot) {
    policies(snapshot, |policy| {
        policy.spec.subject = ClusterSubject::Namespaces(LabelSelector::default());
    });
}

pub(super) fn subjects_are_no_peers(snapshot: &mut Snapshot) {
    policies(snapshot, |policy| {
        let ClusterSubject::Namespaces(subject) = policy.spec.subject.clone() else { return };
        let rules = policy.spec.ingress.iter_mut().chain(&mut policy.spec.egress);
        for rule in rules {
            rule.peers.retain(|peer| !matches!(peer, ClusterPeer::Namespaces(it) if *it == subject));
        }
    });
}

pub(super) fn first_peer_only(snapshot: &mut Snapshot) {
    rules(snapshot, |rule| rule.peers.truncate(1));
}

pub(super) fn nodes_are_unknown(snapshot: &mut Snapshot) {
    rules(snapshot, |rule| rule.peers.retain(|peer| !matches!(peer, ClusterPeer::Nodes(_))));
}

pub(super) fn every_node(snapshot: &mut Snapshot) {
    rules(snapshot, |rule| {
        for peer in &mut rule.peers {
            if let ClusterPeer::Nodes(selector) = peer {
                *selector = LabelSelector::default();
            }
        }
    });
}

pub(super) fn networks_are_unknown(snapshot: &mut Snapshot) {
    rules(snapshot, |rule| rule.peers.retain(|peer| !matches!(peer, ClusterPeer::Networks(_))));
}

pub(super) fn first_network_only(snapshot: &mut Snapshot) {
    rules(snapshot, |rule| {
        for peer in &mut rule.peers {
            if let ClusterPeer::Networks(networks) = peer {
                networks.truncate(1);
            }
        }
    });
}

// -- ports

pub(super) fn ranges_are_their_start(snapshot: &mut Snapshot) {
    ports(snapshot, |port| {
        if let ClusterPort::Range { protocol, start, .. } = *port {
            *port = ClusterPort::Number { protocol, number: start };
        }
    });
}

pub(super) fn ranges_are_two_ports(snapshot: &mut Snapshot) {
    rules(snapshot, |rule| {
        let both = |port: &ClusterPort| match *port {
            ClusterPort::Range { protocol, start, end } => {
                [start, end].map(|number| ClusterPort::Number { protocol, number }).to_vec()
            }
            _ => vec![port.clone()],
        };
        rule.protocols = rule.protocols.iter().flat_map(both).collect();
    });
}

pub(super) fn ranges_lack_their_end(snapshot: &mut Snapshot) {
    ports(snapshot, |port| {
        if let ClusterPort::Range { end, .. } = port {
            *end -= 1;
        }
    });
}

pub(super) fn everything_is_tcp(snapshot: &mut Snapshot) {
    rules(snapshot, |rule| {
        if rule.protocols.is_empty() {
            rule.protocols.push(ClusterPort::Range {
                protocol: TransportProtocol::Tcp,
                start: 1,
                end: u16::MAX,
            });
        }
    });
}

pub(super) fn everything_has_ports(snapshot: &mut Snapshot) {
    rules(snapshot, |rule| {
        if rule.protocols.is_empty() {
            let all = [TransportProtocol::Tcp, TransportProtocol::Udp, TransportProtocol::Sctp];
            let all = all.map(|protocol| ClusterPort::Range { protocol, start: 1, end: u16::MAX });
            rule.protocols.extend(all);
        }
    });
}

pub(super) fn protocols_are_crossed(snapshot: &mut Snapshot) {
    rules(snapshot, |rule| {
        let protocols: BTreeSet<TransportProtocol> = rule
            .protocols
            .iter()
            .filter_map(|port| match port {
                ClusterPort::Number { protocol, .. } | ClusterPort::Range { protocol, .. } => Some(*protocol),
                ClusterPort::Named(_) | ClusterPort::Unknown => None,
            })
            .collect();
        let crossed = |port: &ClusterPort| -> Vec<ClusterPort> {
            protocols
                .iter()
                .map(|own| {
                    let mut port = port.clone();
                    if let ClusterPort::Number { protocol, .. } | ClusterPort::Range { protocol, .. } =
                        &mut port
                    {
                        *protocol = *own;
                    }
                    port
                })
                .collect()
        };
        if !protocols.is_empty() {
            rule.protocols = rule.protocols.iter().flat_map(crossed).collect();
        }
    });
}

/// The port's name means on every pod what it means on the first that has it.
pub(super) fn names_of_the_first_pod(snapshot: &mut Snapshot) {
    let pods: Vec<_> = snapshot.pods.values().cloned().collect();
    ports(snapshot, |port| {
        if let ClusterPort::Named(name) = port {
            let mut found = pods.iter().flat_map(|pod| pod.ports());
            if let Some(found) = found.find(|it| it.name.as_deref() == Some(name)) {
                *port = ClusterPort::Number { protocol: found.protocol, number: found.container_port };
            }
        }
    });
}

/// A port's name is of TCP.
pub(super) fn names_are_of_tcp(snapshot: &mut Snapshot) {
    for pod in snapshot.pods.values_mut() {
        let ports = Arc::make_mut(pod).containers.iter_mut().flat_map(|container| &mut container.ports);
        ports.filter(|port| port.protocol != TransportProtocol::Tcp).for_each(|port| port.name = None);
    }
}
