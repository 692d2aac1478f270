//! The ports at which pods and hosts outside are asked: those that are declared, those that services lead to,
//! and those in rules of policies.

use crate::selectors::selects;
use netproof_api::core::{IntOrString, TransportProtocol};
use netproof_api::networking::{NetworkPolicyPeer, NetworkPolicyPort, PolicyType};
use netproof_api::{
    ClusterNetworkPolicy, ClusterPeer, ClusterPort, ClusterSubject, LabelSelector, Labels, NamespacedPods,
    NetworkPolicy, Policy,
};
use netproof_controlplane::{Change, Snapshot, well_known};
use netproof_model::topology::{ExternalHost, ListenPort};
use netproof_model::{NamespacedName, Place};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

type Ports = BTreeSet<ListenPort>;

/// The ports that each pod is asked at:
/// - those that its containers declare, or that it is said to listen on,
/// - those that services lead to, by number or by a name that it declares,
/// - the numbers in ingress rules of policies that select it,
/// - the numbers in egress rules whose peers select it; a rule without peers leads to nobody in particular.
///
/// Of a range it is the first port.
pub fn of_pods(snapshot: &Snapshot) -> BTreeMap<NamespacedName, Ports> {
    let mut by_labels: HashMap<(&str, &Labels), Ports> = HashMap::new();
    let mut all: BTreeMap<NamespacedName, Ports> = BTreeMap::new();
    for (name, pod) in &snapshot.pods {
        let mut ports: Ports = match snapshot.listens.get(name) {
            Some(listens) => listens.iter().copied().collect(),
            None => pod.ports().map(|port| listen(port.container_port, port.protocol)).collect(),
        };
        // Policy does not apply to the network of a node.
        if !pod.host_network {
            let labels = &pod.metadata.labels;
            let of_rules = by_labels.entry((name.namespace.as_str(), labels));
            ports
                .extend(of_rules.or_insert_with(|| of_rules_about(snapshot, &name.namespace, labels)).iter());
        }
        all.insert(name.clone(), ports);
    }
    for (name, slice) in &snapshot.endpoint_slices {
        for endpoint in &slice.endpoints {
            let of_pod = endpoint.pod.as_ref().map(|pod| NamespacedName::new(&name.namespace, pod.as_str()));
            let at_address = || match endpoint.addresses.first().and_then(|it| snapshot.place_of_address(*it))
            {
                Some(Place::Pod(pod)) => Some(pod),
                _ => None,
            };
            if let Some(ports) = of_pod.or_else(at_address).and_then(|pod| all.get_mut(&pod)) {
                ports.extend(slice.ports.iter().map(|port| listen(port.port, port.protocol)));
            }
        }
    }
    all
}

/// The numbers in rules of policies that are about pods with these labels.
fn of_rules_about(snapshot: &Snapshot, namespace: &str, labels: &Labels) -> Ports {
    let mut ports = Ports::new();
    for (_, policy) in snapshot.cluster_network_policies() {
        ports.extend(of_cluster_rules_about(snapshot, policy, namespace, labels));
    }
    for (name, policy) in snapshot.network_policies() {
        let spec = &policy.spec;
        let is_selected = name.namespace == namespace && selects(&spec.pod_selector, labels);
        if is_selected && isolates(policy, PolicyType::Ingress) {
            ports.extend(spec.ingress.iter().flat_map(|rule| numbers(&rule.ports)));
        }
        let names_them = |peer: &NetworkPolicyPeer| match peer {
            NetworkPolicyPeer::IpBlock(_) => false,
            NetworkPolicyPeer::Pods { namespace_selector, pod_selector } => {
                let of_namespace = match namespace_selector {
                    None => name.namespace == namespace,
                    Some(selector) => snapshot
                        .namespaces
                        .get(namespace)
                        .is_some_and(|namespace| selects(selector, &namespace.metadata.labels)),
                };
                of_namespace && pod_selector.as_ref().is_none_or(|selector| selects(selector, labels))
            }
        };
        if isolates(policy, PolicyType::Egress) {
            let rules = spec.egress.iter().filter(|rule| rule.peers.iter().any(names_them));
            ports.extend(rules.flat_map(|rule| numbers(&rule.ports)));
        }
    }
    ports
}

/// The numbers in the rules of a ClusterNetworkPolicy, whatever they do, that are about pods with these labels.
fn of_cluster_rules_about(
    snapshot: &Snapshot,
    policy: &ClusterNetworkPolicy,
    namespace: &str,
    labels: &Labels,
) -> Ports {
    let of_namespace = |selector: &LabelSelector| {
        let found = snapshot.namespaces.get(namespace);
        found.is_some_and(|namespace| selects(selector, &namespace.metadata.labels))
    };
    let of_pods = |pods: &NamespacedPods| {
        pods.namespace_selector.as_ref().is_none_or(of_namespace) && selects(&pods.pod_selector, labels)
    };
    let mut ports = Ports::new();
    let is_subject = match &policy.spec.subject {
        ClusterSubject::Namespaces(selector) => of_namespace(selector),
        ClusterSubject::Pods(pods) => of_pods(pods),
    };
    if is_subject {
        ports.extend(policy.spec.ingress.iter().flat_map(|rule| cluster_numbers(&rule.protocols)));
    }
    let names_them = |peer: &ClusterPeer| match peer {
        ClusterPeer::Namespaces(selector) => of_namespace(selector),
        ClusterPeer::Pods(pods) => of_pods(pods),
        ClusterPeer::Nodes(_) | ClusterPeer::Networks(_) | ClusterPeer::Unknown => false,
    };
    let rules = policy.spec.egress.iter().filter(|rule| rule.peers.iter().any(names_them));
    ports.extend(rules.flat_map(|rule| cluster_numbers(&rule.protocols)));
    ports
}

/// The numbers in egress rules that lead outside: by an ipBlock or `networks`, or to everybody.
pub fn of_hosts<'a>(policies: impl Iterator<Item = &'a Policy>) -> Ports {
    let mut ports = Ports::new();
    for policy in policies {
        match policy {
            Policy::NetworkPolicy(policy) if isolates(policy, PolicyType::Egress) => {
                let leads_outside = |peer: &NetworkPolicyPeer| matches!(peer, NetworkPolicyPeer::IpBlock(_));
                let rules = policy.spec.egress.iter();
                let rules =
                    rules.filter(|rule| rule.peers.is_empty() || rule.peers.iter().any(leads_outside));
                ports.extend(rules.flat_map(|rule| numbers(&rule.ports)));
            }
            Policy::ClusterNetworkPolicy(policy) => {
                let leads_outside = |peer: &ClusterPeer| matches!(peer, ClusterPeer::Networks(_));
                let rules = policy.spec.egress.iter().filter(|rule| rule.peers.iter().any(leads_outside));
                ports.extend(rules.flat_map(|rule| cluster_numbers(&rule.protocols)));
            }
            _ => {}
        }
    }
    ports
}

/// The changes by which pods listen wherever they are asked.
pub fn listening(snapshot: &Snapshot, asked: BTreeMap<NamespacedName, Ports>) -> Vec<Change> {
    let mut changes = Vec::new();
    for (pod, ports) in asked {
        let Some(object) = snapshot.pods.get(&pod) else { continue };
        let declared: Ports = object.ports().map(|port| listen(port.container_port, port.protocol)).collect();
        let known = snapshot.listens.get(&pod).map_or(declared, |known| known.iter().copied().collect());
        if ports != known {
            changes.push(Change::Listen { pod, ports: ports.into_iter().collect() });
        }
    }
    changes
}

/// The changes by which every pod and every host outside listens on some ports as well.
pub fn with_ports(snapshot: &Snapshot, more: &Ports) -> Vec<Change> {
    let mut asked: BTreeMap<NamespacedName, Ports> = BTreeMap::new();
    for (name, pod) in &snapshot.pods {
        let mut ports: Ports = match snapshot.listens.get(name) {
            Some(listens) => listens.iter().copied().collect(),
            None => pod.ports().map(|port| listen(port.container_port, port.protocol)).collect(),
        };
        // A node's network is not a pod's to listen in, and the cluster's DNS is itself.
        let is_dns = name.namespace == well_known::DNS_NAMESPACE && name.name == well_known::DNS_POD;
        if !pod.host_network && !is_dns {
            ports.extend(more);
        }
        asked.insert(name.clone(), ports);
    }
    let mut changes = listening(snapshot, asked);
    for host in snapshot.externals.values().map(Arc::as_ref) {
        let mut ports: Ports = host.ports.iter().copied().collect();
        ports.extend(more);
        if ports.len() > host.ports.len() {
            let ports = ports.into_iter().collect();
            changes.push(Change::ApplyExternal(ExternalHost { ports, ..host.clone() }));
        }
    }
    changes
}

fn isolates(policy: &NetworkPolicy, direction: PolicyType) -> bool {
    policy.spec.policy_types.contains(&direction)
}

/// The ports of a rule that have a number; of a range the first.
fn numbers(ports: &[NetworkPolicyPort]) -> impl Iterator<Item = ListenPort> {
    ports.iter().filter_map(|port| match port.port {
        Some(IntOrString::Int(number)) if number > 0 => Some(listen(number, port.protocol)),
        _ => None,
    })
}

/// Likewise of a rule of a ClusterNetworkPolicy.
fn cluster_numbers(ports: &[ClusterPort]) -> impl Iterator<Item = ListenPort> {
    ports.iter().filter_map(|port| match port {
        ClusterPort::Number { protocol, number } => Some(listen(*number, *protocol)),
        ClusterPort::Range { protocol, start, .. } => Some(listen(*start, *protocol)),
        ClusterPort::Named(_) | ClusterPort::Unknown => None,
    })
}

fn listen(port: u16, protocol: TransportProtocol) -> ListenPort {
    ListenPort { port, protocol: protocol.into() }
}
