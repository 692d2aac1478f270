//! Ports that are read wrongly: numbers, ranges, names, protocols.

use crate::rewrite;
use crate::site::Site;
use netproof_api::core::{ContainerPort, IntOrString, TransportProtocol};
use netproof_api::{NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicyRule, Pod};
use netproof_controlplane::Snapshot;
use netproof_enforcer::program::selector::matches;
use netproof_enforcer::program::{PortRange, Program};
use netproof_model::NamespacedName;
use std::collections::BTreeSet;
use std::sync::Arc;

const PROTOCOLS: [TransportProtocol; 3] =
    [TransportProtocol::Tcp, TransportProtocol::Udp, TransportProtocol::Sctp];

/// The same port of each of the protocols.
fn of_protocols(port: &NetworkPolicyPort, protocols: &[TransportProtocol]) -> Vec<NetworkPolicyPort> {
    protocols.iter().map(|protocol| NetworkPolicyPort { protocol: *protocol, ..port.clone() }).collect()
}

pub(super) fn tcp_is_any_protocol(snapshot: &mut Snapshot) {
    rewrite::ports(snapshot, |port| match port.protocol {
        TransportProtocol::Tcp => of_protocols(&port, &PROTOCOLS),
        _ => vec![port],
    });
}

pub(super) fn tcp_opens_udp(snapshot: &mut Snapshot) {
    rewrite::ports(snapshot, |port| match port.protocol {
        TransportProtocol::Tcp => of_protocols(&port, &PROTOCOLS[..2]),
        _ => vec![port],
    });
}

pub(super) fn udp_opens_tcp(snapshot: &mut Snapshot) {
    rewrite::ports(snapshot, |port| match port.protocol {
        TransportProtocol::Udp => of_protocols(&port, &PROTOCOLS[..2]),
        _ => vec![port],
    });
}

pub(super) fn sctp_is_tcp(snapshot: &mut Snapshot) {
    rewrite::ports(snapshot, |port| match port.protocol {
        TransportProtocol::Sctp => of_protocols(&port, &PROTOCOLS[..1]),
        _ => vec![port],
    });
}

pub(super) fn udp_is_passed_over(snapshot: &mut Snapshot) {
    rewrite::rules(snapshot, |rule| rule.ports.retain(|port| port.protocol != TransportProtocol::Udp));
}

pub(super) fn sctp_is_passed_over(snapshot: &mut Snapshot) {
    rewrite::rules(snapshot, |rule| rule.ports.retain(|port| port.protocol != TransportProtocol::Sctp));
}

pub(super) fn cross_product(snapshot: &mut Snapshot) {
    rewrite::rules(snapshot, |rule| {
        let protocols: BTreeSet<TransportProtocol> = rule.ports.iter().map(|port| port.protocol).collect();
        let protocols: Vec<TransportProtocol> = protocols.into_iter().collect();
        rule.ports = rule.ports.iter().flat_map(|port| of_protocols(port, &protocols)).collect();
    });
}

pub(super) fn no_number_is_80(snapshot: &mut Snapshot) {
    rewrite::ports(snapshot, |mut port| {
        port.port.get_or_insert(IntOrString::Int(80));
        vec![port]
    });
}

pub(super) fn no_number_is_everything(snapshot: &mut Snapshot) {
    rewrite::rules(snapshot, |rule| {
        if rule.ports.iter().any(|port| port.port.is_none()) {
            rule.ports.clear();
        }
    });
}

pub(super) fn none_is_none(snapshot: &mut Snapshot) {
    rewrite::rules(snapshot, |rule| {
        if rule.ports.is_empty() {
            rule.ports = vec![rewrite::no_port()];
        }
    });
}

pub(super) fn none_is_all_of_tcp(snapshot: &mut Snapshot) {
    rewrite::rules(snapshot, |rule| {
        if rule.ports.is_empty() {
            let protocol = TransportProtocol::Tcp;
            rule.ports = vec![NetworkPolicyPort { protocol, port: None, end_port: None }];
        }
    });
}

pub(super) fn first_only(snapshot: &mut Snapshot) {
    rewrite::rules(snapshot, |rule| rule.ports.truncate(1));
}

pub(super) fn last_only(snapshot: &mut Snapshot) {
    rewrite::rules(snapshot, |rule| {
        let last = rule.ports.pop();
        rule.ports = last.into_iter().collect();
    });
}

/// How many ports one match of iptables' multiport holds.
const MULTIPORT: usize = 15;

pub(super) fn fifteen_only(snapshot: &mut Snapshot) {
    rewrite::rules(snapshot, |rule| rule.ports.truncate(MULTIPORT));
}

pub(super) fn end_is_exclusive(snapshot: &mut Snapshot) {
    ranges(snapshot, |_, end| Some(end.saturating_sub(1)));
}

pub(super) fn end_is_ignored(snapshot: &mut Snapshot) {
    ranges(snapshot, |_, _| None);
}

pub(super) fn end_is_open(snapshot: &mut Snapshot) {
    ranges(snapshot, |_, _| Some(u16::MAX));
}

pub(super) fn end_is_a_count(snapshot: &mut Snapshot) {
    ranges(snapshot, |first, end| Some(first.saturating_add(end)));
}

/// Each range of ports ends elsewhere; not before it begins.
fn ranges(snapshot: &mut Snapshot, end_of: impl Fn(u16, u16) -> Option<u16>) {
    rewrite::ports(snapshot, |mut port| {
        if let (Some(IntOrString::Int(first)), Some(end)) = (&port.port, port.end_port) {
            port.end_port = end_of(*first, end).map(|end| end.max(*first));
        }
        vec![port]
    });
}

pub(super) fn start_is_exclusive(snapshot: &mut Snapshot) {
    rewrite::ports(snapshot, |mut port| {
        if let (Some(IntOrString::Int(first)), Some(end)) = (&mut port.port, port.end_port) {
            *first = first.saturating_add(1).min(end);
        }
        vec![port]
    });
}

/// Names are looked up without their protocol, so the pods have each name for each protocol.
pub(super) fn names_have_no_protocol(snapshot: &mut Snapshot) {
    for pod in snapshot.pods.values_mut() {
        for container in &mut Arc::make_mut(pod).containers {
            let named: Vec<ContainerPort> =
                container.ports.iter().filter(|port| port.name.is_some()).cloned().collect();
            for port in named {
                let all = PROTOCOLS.map(|protocol| ContainerPort { protocol, ..port.clone() });
                container.ports.extend(all);
            }
        }
    }
}

/// The number that the first pod of all has for the name.
pub(super) fn names_of_the_first_pod(snapshot: &mut Snapshot) {
    let pods: Vec<Arc<Pod>> = snapshot.pods.values().cloned().collect();
    rewrite::ports(snapshot, |port| match &port.port {
        Some(IntOrString::String(name)) => {
            let found = pods.iter().find_map(|pod| numbers(pod, name, port.protocol).next());
            found.map(|number| with_number(&port, number)).into_iter().collect()
        }
        _ => vec![port],
    });
}

/// The numbers that any pod has for the name.
pub(super) fn names_of_any_pod(snapshot: &mut Snapshot) {
    let pods: Vec<Arc<Pod>> = snapshot.pods.values().cloned().collect();
    rewrite::ports(snapshot, |port| match &port.port {
        Some(IntOrString::String(name)) => {
            let found = pods.iter().flat_map(|pod| numbers(pod, name, port.protocol));
            let found: BTreeSet<u16> = found.collect();
            found.into_iter().map(|number| with_number(&port, number)).collect()
        }
        _ => vec![port],
    });
}

/// The numbers that the sources have for the name: the peers of an ingress rule, the selected pods of an
/// egress rule.
pub(super) fn names_of_the_source(snapshot: &mut Snapshot) {
    let now = snapshot.clone();
    rewrite::policies(snapshot, |name, policy| {
        let selected =
            pods_of(&now, &name.namespace, |pod| matches(&policy.spec.pod_selector, &pod.metadata.labels));
        for rule in &mut policy.spec.egress {
            rule.ports = looked_up(&rule.ports, &selected);
        }
        for rule in &mut policy.spec.ingress {
            let sources: Vec<&Pod> = match rule.peers.as_slice() {
                [] => now.pods.values().map(Arc::as_ref).collect(),
                peers => peers.iter().flat_map(|peer| pods_of_peer(&now, name, peer)).collect(),
            };
            rule.ports = looked_up(&rule.ports, &sources);
        }
    });
}

fn pods_of<'a>(now: &'a Snapshot, namespace: &str, holds: impl Fn(&Pod) -> bool) -> Vec<&'a Pod> {
    let pods = now.pods.iter().filter(|(name, pod)| name.namespace == namespace && holds(pod));
    pods.map(|(_, pod)| pod.as_ref()).collect()
}

fn pods_of_peer<'a>(now: &'a Snapshot, policy: &NamespacedName, peer: &NetworkPolicyPeer) -> Vec<&'a Pod> {
    let NetworkPolicyPeer::Pods { namespace_selector, pod_selector } = peer else { return Vec::new() };
    let in_namespace = |name: &NamespacedName| match (namespace_selector, now.namespaces.get(&name.namespace))
    {
        (Some(selector), Some(namespace)) => matches(selector, &namespace.metadata.labels),
        _ => name.namespace == policy.namespace,
    };
    let wanted = |pod: &Pod| pod_selector.as_ref().is_none_or(|it| matches(it, &pod.metadata.labels));
    let pods = now.pods.iter().filter(|(name, pod)| in_namespace(name) && wanted(pod));
    pods.map(|(_, pod)| pod.as_ref()).collect()
}

/// The ports with each name as the numbers that these pods have for it.
fn looked_up(ports: &[NetworkPolicyPort], pods: &[&Pod]) -> Vec<NetworkPolicyPort> {
    let mut found = Vec::new();
    for port in ports {
        match &port.port {
            Some(IntOrString::String(name)) => {
                let all = pods.iter().flat_map(|pod| numbers(pod, name, port.protocol));
                found.extend(all.map(|number| with_number(port, number)));
            }
            _ => found.push(port.clone()),
        }
    }
    if found.is_empty() && !ports.is_empty() {
        found.push(rewrite::no_port());
    }
    found
}

/// What a pod has for a name and protocol.
fn numbers<'a>(pod: &'a Pod, name: &'a str, protocol: TransportProtocol) -> impl Iterator<Item = u16> + 'a {
    let wanted = move |port: &&ContainerPort| port.name.as_deref() == Some(name) && port.protocol == protocol;
    pod.ports().filter(wanted).map(|port| port.container_port)
}

fn with_number(port: &NetworkPolicyPort, number: u16) -> NetworkPolicyPort {
    NetworkPolicyPort { port: Some(IntOrString::Int(number)), ..port.clone() }
}

/// Whether no pod of the cluster has the port's name.
fn is_unknown(port: &NetworkPolicyPort, now: &Snapshot) -> bool {
    matches!(&port.port, Some(IntOrString::String(name))
        if !now.pods.values().any(|pod| numbers(pod, name, port.protocol).next().is_some()))
}

pub(super) fn unknown_name_is_any_port(snapshot: &mut Snapshot) {
    let now = snapshot.clone();
    rewrite::ports(snapshot, |mut port| {
        if is_unknown(&port, &now) {
            port.port = None;
        }
        vec![port]
    });
}

pub(super) fn unknown_name_is_passed_over(snapshot: &mut Snapshot) {
    let now = snapshot.clone();
    rewrite::rules(snapshot, |rule| rule.ports.retain(|port| !is_unknown(port, &now)));
}

pub(super) fn unknown_name_voids_the_rule(snapshot: &mut Snapshot) {
    let now = snapshot.clone();
    rewrite::rule_lists(snapshot, |rules| {
        rules.retain(|rule| !rule.ports.iter().any(|port| is_unknown(port, &now)));
    });
}

pub(super) fn unknown_name_voids_the_policy(snapshot: &mut Snapshot) {
    let now = snapshot.clone();
    rewrite::retain_policies(snapshot, |_, policy| {
        let rules = policy.spec.ingress.iter().chain(&policy.spec.egress);
        !rules.flat_map(|rule| &rule.ports).any(|port| is_unknown(port, &now))
    });
}

pub(super) fn names_are_unknown(snapshot: &mut Snapshot) {
    rewrite::ports(snapshot, |port| match port.port {
        Some(IntOrString::String(_)) => Vec::new(),
        _ => vec![port],
    });
}

fn is_name(port: &NetworkPolicyPort) -> bool {
    matches!(port.port, Some(IntOrString::String(_)))
}

/// One more rule for each that has names, with the names and without the peers.
pub(super) fn names_are_open_for_everybody(snapshot: &mut Snapshot) {
    rewrite::rule_lists(snapshot, |rules| {
        let with_names = rules.iter().filter(|rule| rule.ports.iter().any(is_name));
        let names =
            |rule: &NetworkPolicyRule| rule.ports.iter().filter(|port| is_name(port)).cloned().collect();
        let open: Vec<_> =
            with_names.map(|rule| NetworkPolicyRule { peers: Vec::new(), ports: names(rule) }).collect();
        rules.extend(open);
    });
}

/// The first peer keeps the rule's names, the others have its numbers only.
pub(super) fn names_are_for_the_first_peer(snapshot: &mut Snapshot) {
    rewrite::rule_lists(snapshot, |rules| {
        let mut others = Vec::new();
        for rule in rules.iter_mut().filter(|rule| rule.peers.len() > 1 && rule.ports.iter().any(is_name)) {
            let ports: Vec<_> = rule.ports.iter().filter(|port| !is_name(port)).cloned().collect();
            let peers = rule.peers.split_off(1);
            if !ports.is_empty() {
                others.push(NetworkPolicyRule { peers, ports });
            }
        }
        rules.extend(others);
    });
}

pub(super) fn names_of_the_first_container(snapshot: &mut Snapshot) {
    for pod in snapshot.pods.values_mut() {
        Arc::make_mut(pod).containers.truncate(1);
    }
}

/// Of several entries with one name only the last is there.
pub(super) fn one_entry_for_a_name(snapshot: &mut Snapshot) {
    rewrite::rules(snapshot, |rule| {
        let ports = rule.ports.clone();
        let mut position = 0;
        rule.ports.retain(|port| {
            position += 1;
            !is_name(port) || !ports.iter().skip(position).any(|later| later.port == port.port)
        });
    });
}

pub(super) fn end_port_of_udp_is_ignored(snapshot: &mut Snapshot) {
    rewrite::rules(snapshot, |rule| {
        for port in rule.ports.iter_mut().filter(|port| port.protocol == TransportProtocol::Udp) {
            port.end_port = None;
        }
    });
}

/// Ranges between which one port is left become one.
pub(super) fn a_port_between_ranges_is_open(program: &mut Program, _: &Site<'_>) {
    let rules = program.policies_mut().flat_map(|policy| &mut policy.rules);
    for ports in rules.flat_map(|rule| &mut rule.matches.destination_ports) {
        let numbers = &mut ports.numbers;
        let mut joined: Vec<PortRange> = Vec::new();
        for range in numbers.iter() {
            match joined.last_mut() {
                Some(last)
                    if last.protocol == range.protocol && range.first <= last.last.saturating_add(2) =>
                {
                    last.last = range.last;
                }
                _ => joined.push(*range),
            }
        }
        *numbers = joined;
    }
}
