//! From a snapshot to the program of each node.
//!
//! The rules are those of the API type (networking.k8s.io/v1 NetworkPolicy); the comments name them.

use super::index::{Index, PodEntry, Selection};
use super::{
    AddressRange, Endpoint, NamedPort, Peers, Policy, PortRange, Ports, Program, Range, Rule, address,
    number, subtract, union,
};
use netproof_api::core::{IntOrString, TransportProtocol};
use netproof_api::{
    IpBlock, LabelSelector, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicyRule,
    PolicyType,
};
use netproof_controlplane::{Snapshot, host_interface};
use netproof_model::{Direction, Families, Family, NamespacedName, PolicyRef, Protocol};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

/// The selector that an absent podSelector stands for.
static EVERYTHING: LabelSelector =
    LabelSelector { match_labels: BTreeMap::new(), match_expressions: Vec::new() };

/// Compiles the programs of a snapshot's nodes; what they share is worked out once.
pub struct Compiler<'a> {
    index: Index<'a>,
    families: Families,
    policies: Vec<(&'a NamespacedName, &'a NetworkPolicy, Selection)>,
}

impl<'a> Compiler<'a> {
    /// Indexes the snapshot.
    pub fn new(snapshot: &'a Snapshot) -> Self {
        let index = Index::new(snapshot);
        let policies = snapshot
            .network_policies
            .iter()
            .map(|(name, policy)| {
                // A policy selects pods of its own namespace only.
                let selected = index.in_namespace(&name.namespace, &policy.spec.pod_selector);
                (name, policy.as_ref(), selected)
            })
            .collect();
        Compiler { index, families: snapshot.topology.family, policies }
    }

    /// The program of one node.
    pub fn node(&self, node: &str) -> Program {
        let mut program = Program::default();
        let mut endpoint_of = HashMap::new();
        for (position, entry) in (0u32..).zip(&self.index.pods) {
            if entry.pod.node_name.as_deref() == Some(node) {
                endpoint_of.insert(position, program.endpoints.len());
                program.endpoints.push(Endpoint {
                    pod: entry.name.clone(),
                    interface: host_interface(entry.name),
                    addresses: entry.addresses.clone(),
                    isolation: BTreeMap::new(),
                });
            }
        }
        for (name, policy, selected) in &self.policies {
            let local: Vec<u32> =
                selected.iter().copied().filter(|position| endpoint_of.contains_key(position)).collect();
            if local.is_empty() {
                continue;
            }
            // A policy isolates the pods that it selects in the directions of its policyTypes, whether
            // or not it has rules; rules of another direction have no effect.
            for (policy_type, direction, rules) in [
                (PolicyType::Ingress, Direction::Ingress, &policy.spec.ingress),
                (PolicyType::Egress, Direction::Egress, &policy.spec.egress),
            ] {
                if !policy.spec.policy_types.contains(&policy_type) {
                    continue;
                }
                let position = program.policies.len();
                for selected in &local {
                    let name = endpoint_of.get(selected);
                    if let Some(endpoint) = name.and_then(|name| program.endpoints.get_mut(*name)) {
                        endpoint.isolation.entry(direction).or_default().push(position);
                    }
                }
                let scope = Scope { compiler: self, namespace: &name.namespace, direction, selected: &local };
                program.policies.push(Policy {
                    policy: PolicyRef::network_policy(&name.namespace, &name.name),
                    direction,
                    rules: rules.iter().map(|rule| scope.rule(rule)).collect(),
                });
            }
        }
        program
    }
}

/// What the rules of one policy are compiled against.
struct Scope<'c, 'a> {
    compiler: &'c Compiler<'a>,
    namespace: &'a str,
    direction: Direction,
    /// The pods of the node that the policy selects.
    selected: &'c [u32],
}

impl<'a> Scope<'_, 'a> {
    fn rule(&self, rule: &'a NetworkPolicyRule) -> Rule {
        let peers = self.peers(&rule.peers);
        let ports = self.ports(&rule.ports, &peers);
        Rule { peers, ports }
    }

    /// ANY of the peers. No peer at all means everybody.
    fn peers(&self, peers: &'a [NetworkPolicyPeer]) -> Peers {
        if peers.is_empty() {
            return Peers::Any;
        }
        let index = &self.compiler.index;
        let mut pods: Option<BTreeSet<IpAddr>> = None;
        let mut blocks: BTreeMap<Family, Vec<Range>> = BTreeMap::new();
        for peer in peers {
            match peer {
                NetworkPolicyPeer::Pods { namespace_selector, pod_selector } => {
                    let pod_selector = pod_selector.as_ref().unwrap_or(&EVERYTHING);
                    let selection = match namespace_selector {
                        // Absent: the policy's own namespace.
                        None => index.in_namespace(self.namespace, pod_selector),
                        // Both selectors of one peer must hold; an empty one matches every namespace.
                        Some(namespaces) => index.across(namespaces, pod_selector),
                    };
                    let addresses = selection.iter().flat_map(|position| &index.pod(*position).addresses);
                    pods.get_or_insert_default().extend(addresses);
                }
                NetworkPolicyPeer::IpBlock(block) => {
                    let family = Family::of(block.cidr.net().addr());
                    if self.compiler.families.contains(family) {
                        blocks.entry(family).or_default().extend(block_ranges(block));
                    }
                }
            }
        }
        let blocks = blocks
            .into_iter()
            .flat_map(|(family, ranges)| {
                union(ranges).into_iter().map(move |range| AddressRange {
                    first: address(family, range.first),
                    last: address(family, range.last),
                })
            })
            .collect();
        Peers::Of { pods, blocks }
    }

    /// ANY of the ports. No port at all means every port of every protocol.
    fn ports(&self, ports: &'a [NetworkPolicyPort], peers: &Peers) -> Ports {
        if ports.is_empty() {
            return Ports::Any;
        }
        let mut numbers: BTreeMap<Protocol, Vec<Range>> = BTreeMap::new();
        let mut wanted: BTreeSet<(&str, TransportProtocol)> = BTreeSet::new();
        for entry in ports {
            let (first, last) = match (&entry.port, entry.end_port) {
                // No port: every port of the protocol.
                (None, _) => (0, u16::MAX),
                (Some(IntOrString::Int(port)), end) => (*port, end.unwrap_or(*port)),
                (Some(IntOrString::String(name)), _) => {
                    wanted.insert((name, entry.protocol));
                    continue;
                }
            };
            let range = Range::new(u128::from(first), u128::from(last));
            numbers.entry(protocol(entry.protocol)).or_default().extend(range);
        }
        let numbers = numbers
            .into_iter()
            .flat_map(|(protocol, ranges)| {
                union(ranges).into_iter().map(move |range| PortRange {
                    protocol,
                    first: u16::try_from(range.first).unwrap_or(u16::MAX),
                    last: u16::try_from(range.last).unwrap_or(u16::MAX),
                })
            })
            .collect();
        let names = (!wanted.is_empty()).then(|| self.named_ports(&wanted, peers));
        Ports::Of { numbers, names }
    }

    /// A named port is looked up, by name and protocol, on the destination pod: the selected pods of an
    /// ingress rule, the peers of an egress rule. Where a pod has no such port it matches nothing.
    fn named_ports(
        &self,
        wanted: &BTreeSet<(&str, TransportProtocol)>,
        peers: &Peers,
    ) -> BTreeSet<NamedPort> {
        let index = &self.compiler.index;
        let destinations: Box<dyn Iterator<Item = &PodEntry<'_>>> = match self.direction {
            Direction::Ingress => Box::new(self.selected.iter().map(|position| index.pod(*position))),
            Direction::Egress => Box::new(index.pods.iter()),
        };
        let is_destination = |address: IpAddr| match self.direction {
            Direction::Ingress => true,
            Direction::Egress => allows(peers, address),
        };
        let mut found = BTreeSet::new();
        for entry in destinations {
            for port in entry.pod.ports() {
                let Some(name) = &port.name else { continue };
                if !wanted.contains(&(name.as_str(), port.protocol)) {
                    continue;
                }
                for address in entry.addresses.iter().copied().filter(|address| is_destination(*address)) {
                    let protocol = protocol(port.protocol);
                    found.insert(NamedPort { address, protocol, port: port.container_port });
                }
            }
        }
        found
    }
}

/// The addresses of a block that none of its own exceptions covers. An exception is no deny: another
/// block or rule may still allow it.
fn block_ranges(block: &IpBlock) -> Vec<Range> {
    let range = |net: ipnet::IpNet| Range { first: number(net.network()), last: number(net.broadcast()) };
    subtract(range(block.cidr.net()), block.except.iter().map(|except| range(except.net())).collect())
}

fn allows(peers: &Peers, address: IpAddr) -> bool {
    match peers {
        Peers::Any => true,
        Peers::Of { pods, blocks } => {
            pods.as_ref().is_some_and(|pods| pods.contains(&address))
                || blocks.iter().any(|block| {
                    block.family() == Family::of(address) && block.first <= address && address <= block.last
                })
        }
    }
}

/// The model's word for a transport protocol of the core API.
pub(crate) fn protocol(protocol: TransportProtocol) -> Protocol {
    match protocol {
        TransportProtocol::Tcp => Protocol::Tcp,
        TransportProtocol::Udp => Protocol::Udp,
        TransportProtocol::Sctp => Protocol::Sctp,
    }
}
