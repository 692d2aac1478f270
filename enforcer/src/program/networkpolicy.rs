//! The front end of NetworkPolicy: from a snapshot to the program of each node.
//!
//! The policies that isolate a pod are one tier of rules that allow; its end is isolation. The rules are those of
//! the API type (networking.k8s.io/v1 NetworkPolicy); the comments name them.

use super::index::{Index, PodEntry, Selection};
use super::{
    AddressRange, AddressTest, End, Endpoint, Match, NamedPort, Policy, PortRange, PortTest, Program, Range,
    Rule, RuleAction, Stage, Tier, address, number, subtract, union,
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

/// The tier of the policies that isolate a pod.
const TIER: &str = "networkpolicy";

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
                let interface = host_interface(entry.name);
                program.endpoints.push(Endpoint::pod(entry.name.clone(), interface, entry.addresses.clone()));
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
                let scope = Scope { compiler: self, namespace: &name.namespace, direction, selected: &local };
                let policy = program.add(Policy {
                    policy: PolicyRef::network_policy(&name.namespace, &name.name),
                    direction,
                    rules: rules.iter().map(|rule| scope.rule(rule)).collect(),
                });
                for selected in &local {
                    if let Some(endpoint) = program.endpoints.get_mut(endpoint_of[selected]) {
                        let tiers = endpoint.tiers.entry((Stage::Local, direction)).or_insert_with(isolated);
                        tiers.iter_mut().for_each(|tier| tier.policies.push(policy));
                    }
                }
            }
        }
        program
    }
}

/// The tiers of a pod that is isolated in one direction.
fn isolated() -> Vec<Tier> {
    vec![Tier { name: TIER.to_owned(), policies: Vec::new(), end: End::Isolation }]
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
        let peers: Vec<AddressTest> = self.peers(&rule.peers).into_iter().collect();
        let ports = self.ports(&rule.ports, &peers);
        let mut matches = Match { destination_ports: ports.into_iter().collect(), ..Match::default() };
        *matches.peers_mut(self.direction) = peers;
        Rule { action: RuleAction::Allow, matches }
    }

    /// ANY of the peers. No peer at all means everybody: no test.
    fn peers(&self, peers: &'a [NetworkPolicyPeer]) -> Option<AddressTest> {
        if peers.is_empty() {
            return None;
        }
        let index = &self.compiler.index;
        let mut members: Option<BTreeSet<IpAddr>> = None;
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
                    let addresses =
                        selection.iter().flat_map(|position| &index.pods[*position as usize].addresses);
                    members.get_or_insert_default().extend(addresses);
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
        Some(AddressTest { negated: false, members, blocks })
    }

    /// ANY of the ports. No port at all means every port of every protocol: no test.
    fn ports(&self, ports: &'a [NetworkPolicyPort], peers: &[AddressTest]) -> Option<PortTest> {
        if ports.is_empty() {
            return None;
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
        Some(PortTest { negated: false, numbers, names })
    }

    /// A named port is looked up, by name and protocol, on the destination pod: the selected pods of an
    /// ingress rule, the peers of an egress rule. Where a pod has no such port it matches nothing.
    fn named_ports(
        &self,
        wanted: &BTreeSet<(&str, TransportProtocol)>,
        peers: &[AddressTest],
    ) -> BTreeSet<NamedPort> {
        let pods = &self.compiler.index.pods;
        let destinations: Box<dyn Iterator<Item = &PodEntry<'_>>> = match self.direction {
            Direction::Ingress => Box::new(self.selected.iter().map(|position| &pods[*position as usize])),
            Direction::Egress => Box::new(pods.iter()),
        };
        let is_destination = |address: IpAddr| match self.direction {
            Direction::Ingress => true,
            Direction::Egress => peers.iter().all(|test| test.holds(address)),
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

/// The model's word for a transport protocol of the core API.
pub(crate) fn protocol(protocol: TransportProtocol) -> Protocol {
    match protocol {
        TransportProtocol::Tcp => Protocol::Tcp,
        TransportProtocol::Udp => Protocol::Udp,
        TransportProtocol::Sctp => Protocol::Sctp,
    }
}
