//! The front end of NetworkPolicy: from a snapshot to the program of each node.
//!
//! The policies that isolate a pod are one tier of rules that allow; its end is isolation. The rules are those of
//! the API type (networking.k8s.io/v1 NetworkPolicy); the comments name them.

use super::index::{Index, Key, PodEntry, Scope, SelectionId};
use super::{
    AddressRange, AddressTest, End, Endpoint, Match, NamedPort, Policy, PolicyId, PortRange, PortTest,
    Program, Range, Rule, RuleAction, Stage, Tier, address, number, subtract, union,
};
use crate::differing::differing;
use netproof_api::core::{IntOrString, TransportProtocol};
use netproof_api::{
    IpBlock, LabelSelector, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicyRule,
    PolicyType,
};
use netproof_controlplane::{Snapshot, host_interface};
use netproof_model::{Direction, Family, NamespacedName, PolicyRef, Protocol};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// The tier of the policies that isolate a pod.
const TIER: &str = "networkpolicy";

/// Compiles the programs of nodes, and follows what changes from one snapshot to the next.
#[derive(Debug)]
pub struct Compiler {
    snapshot: Arc<Snapshot>,
    index: Index,
    policies: BTreeMap<NamespacedName, Entry>,
}

/// A policy, and whom it asks about.
#[derive(Debug)]
struct Entry {
    policy: Arc<NetworkPolicy>,
    /// The pods that it selects.
    selected: SelectionId,
    /// Its peers, by direction, rule and position; `None` for a block.
    peers: Vec<Option<SelectionId>>,
    /// Whether an egress rule names ports and leads to whoever has them: every pod's address and ports matter.
    names_of_all: bool,
}

/// The program of a node, with what is needed to change a part of it.
#[derive(Debug, Default)]
pub struct NodeProgram {
    program: Program,
    ids: BTreeMap<(NamespacedName, Direction), PolicyId>,
}

/// What may be another in the programs of nodes than it was.
#[derive(Debug, Default)]
pub struct Changes {
    policies: BTreeSet<NamespacedName>,
    pods: BTreeSet<NamespacedName>,
}

/// The parts of a node's program that a change is about.
#[derive(Debug, Default)]
pub struct Part {
    /// Policies.
    pub policies: Vec<PolicyId>,
    /// Pods, whose endpoints may be there or not.
    pub pods: Vec<NamespacedName>,
}

impl NodeProgram {
    /// The program.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The parts that are there and that the changes are about.
    pub fn part(&self, changes: &Changes) -> Part {
        let ids =
            changes.policies.iter().flat_map(|name| BOTH.map(|(_, direction)| (name.clone(), direction)));
        Part {
            policies: ids.filter_map(|key| self.ids.get(&key).copied()).collect(),
            pods: changes.pods.iter().cloned().collect(),
        }
    }
}

const BOTH: [(PolicyType, Direction); 2] =
    [(PolicyType::Ingress, Direction::Ingress), (PolicyType::Egress, Direction::Egress)];

impl Compiler {
    /// Indexes the snapshot.
    pub fn new(snapshot: &Arc<Snapshot>) -> Self {
        let mut index = Index::new(snapshot.topology.family);
        for (name, namespace) in &snapshot.namespaces {
            index.namespace_changed(name, Some(namespace));
        }
        for (name, pod) in &snapshot.pods {
            index.pod_changed(name, Some(pod));
        }
        let mut compiler = Compiler { snapshot: Arc::clone(snapshot), index, policies: BTreeMap::new() };
        for (name, policy) in &snapshot.network_policies {
            compiler.add(name, policy);
        }
        compiler
    }

    /// Goes on to another snapshot of the same topology; `None`, and nothing done, if it is of another.
    pub fn advance(&mut self, snapshot: &Arc<Snapshot>) -> Option<Changes> {
        if self.snapshot.topology != snapshot.topology {
            return None;
        }
        let held = std::mem::replace(&mut self.snapshot, Arc::clone(snapshot));
        let mut selections = BTreeSet::new();
        for namespace in differing(&held.namespaces, &snapshot.namespaces) {
            let after = namespace.after.map(Arc::as_ref);
            selections.extend(self.index.namespace_changed(namespace.name, after));
        }
        let (mut changes, mut anybody_moved) = (Changes::default(), false);
        for pod in differing(&held.pods, &snapshot.pods) {
            let (changed, moved) = self.index.pod_changed(pod.name, pod.after);
            selections.extend(changed);
            anybody_moved |= moved;
            changes.pods.insert(pod.name.clone());
        }
        for selection in selections {
            changes.policies.extend(self.index.users(selection).cloned());
        }
        if anybody_moved {
            let of_all = self.policies.iter().filter(|(_, entry)| entry.names_of_all);
            changes.policies.extend(of_all.map(|(name, _)| name.clone()));
        }
        for policy in differing(&held.network_policies, &snapshot.network_policies) {
            changes.pods.extend(self.selected(policy.name));
            self.remove(policy.name);
            if let Some(after) = policy.after {
                self.add(policy.name, after);
            }
            changes.pods.extend(self.selected(policy.name));
            changes.policies.insert(policy.name.clone());
        }
        Some(changes)
    }

    /// The pods that a policy selects.
    fn selected(&self, policy: &NamespacedName) -> Vec<NamespacedName> {
        let selected = self.policies.get(policy).map(|entry| entry.selected);
        selected.into_iter().flat_map(|id| self.index.members(id)).map(|pod| pod.name.clone()).collect()
    }

    fn add(&mut self, name: &NamespacedName, policy: &Arc<NetworkPolicy>) {
        // A policy selects pods of its own namespace only.
        let own = |pods: &LabelSelector| Key { scope: Scope::Of(name.namespace.clone()), pods: pods.clone() };
        let selected = self.index.select(own(&policy.spec.pod_selector), name);
        let rules = policy.spec.ingress.iter().chain(&policy.spec.egress);
        let peers = rules.flat_map(|rule| &rule.peers).map(|peer| match peer {
            NetworkPolicyPeer::Pods { namespace_selector, pod_selector } => {
                let pods = pod_selector.clone().unwrap_or_default();
                let key = match namespace_selector {
                    // Absent: the policy's own namespace.
                    None => own(&pods),
                    // Both selectors of one peer must hold; an empty one matches every namespace.
                    Some(selector) => Key { scope: Scope::Labelled(selector.clone()), pods },
                };
                Some(self.index.select(key, name))
            }
            NetworkPolicyPeer::IpBlock(_) => None,
        });
        let peers = peers.collect();
        let names_of_all = policy.spec.egress.iter().any(|rule| {
            let names = rule.ports.iter().any(|port| matches!(port.port, Some(IntOrString::String(_))));
            let blocks = rule.peers.iter().any(|peer| matches!(peer, NetworkPolicyPeer::IpBlock(_)));
            names && (rule.peers.is_empty() || blocks)
        });
        let policy = Arc::clone(policy);
        self.policies.insert(name.clone(), Entry { policy, selected, peers, names_of_all });
    }

    fn remove(&mut self, name: &NamespacedName) {
        let Some(entry) = self.policies.remove(name) else { return };
        let all: BTreeSet<SelectionId> = entry.peers.into_iter().flatten().chain([entry.selected]).collect();
        all.into_iter().for_each(|selection| self.index.release(selection, name));
    }

    /// The program of one node.
    pub fn node(&self, node: &str) -> NodeProgram {
        let mut of_node = NodeProgram::default();
        for name in self.policies.keys() {
            self.set_policy(node, name, &mut of_node);
        }
        for pod in self.index.pods() {
            self.set_pod(node, &pod.name, &mut of_node);
        }
        of_node
    }

    /// Brings the parts of a node's program that the changes are about to what they are now.
    pub fn update(&self, node: &str, changes: &Changes, of_node: &mut NodeProgram) {
        for name in &changes.policies {
            self.set_policy(node, name, of_node);
        }
        for name in &changes.pods {
            self.set_pod(node, name, of_node);
        }
    }

    /// A policy isolates the pods that it selects in the directions of its policyTypes, whether or not it has
    /// rules; rules of another direction have no effect.
    fn set_policy(&self, node: &str, name: &NamespacedName, of_node: &mut NodeProgram) {
        for (policy_type, direction) in BOTH {
            let key = (name.clone(), direction);
            let entry =
                self.policies.get(name).filter(|it| it.policy.spec.policy_types.contains(&policy_type));
            let policy = entry.and_then(|entry| self.policy(node, name, entry, direction));
            match (of_node.ids.get(&key).copied(), policy) {
                (Some(id), Some(policy)) => of_node.program.replace(id, policy),
                (None, Some(policy)) => drop(of_node.ids.insert(key, of_node.program.add(policy))),
                (Some(id), None) => {
                    of_node.program.remove(id);
                    of_node.ids.remove(&key);
                }
                (None, None) => {}
            }
        }
    }

    /// One direction of a policy; `None` if it selects no pod of the node.
    fn policy(
        &self,
        node: &str,
        name: &NamespacedName,
        entry: &Entry,
        direction: Direction,
    ) -> Option<Policy> {
        let selected: Vec<&PodEntry> =
            self.index.members(entry.selected).filter(|pod| is_on(pod, node)).collect();
        if selected.is_empty() {
            return None;
        }
        let spec = &entry.policy.spec;
        let (rules, peers) = match direction {
            Direction::Ingress => (&spec.ingress, entry.peers.as_slice()),
            Direction::Egress => {
                let before = spec.ingress.iter().map(|rule| rule.peers.len()).sum::<usize>();
                (&spec.egress, entry.peers.get(before..).unwrap_or_default())
            }
        };
        let scope = Scoped { compiler: self, direction, selected: &selected };
        let mut peers = peers.iter().copied();
        let rules = rules.iter().map(|rule| scope.rule(rule, &mut peers)).collect();
        let policy = PolicyRef::network_policy(&name.namespace, &name.name);
        Some(Policy { policy, direction, rules })
    }

    fn set_pod(&self, node: &str, name: &NamespacedName, of_node: &mut NodeProgram) {
        let Some(pod) = self.index.pod(name).filter(|pod| is_on(pod, node)) else {
            return of_node.program.remove_pod(name);
        };
        let mut endpoint = Endpoint::pod(name.clone(), host_interface(name), pod.addresses.clone());
        let users = self.index.users_of_pod(pod);
        let isolating: BTreeSet<&NamespacedName> = users
            .filter(|(selection, user)| self.policies.get(*user).is_some_and(|it| it.selected == *selection))
            .map(|(_, user)| user)
            .collect();
        for policy in isolating {
            for (_, direction) in BOTH {
                let Some(id) = of_node.ids.get(&(policy.clone(), direction)) else { continue };
                let tiers = endpoint.tiers.entry((Stage::Local, direction)).or_insert_with(isolated);
                tiers.iter_mut().for_each(|tier| tier.policies.push(*id));
            }
        }
        of_node.program.set_endpoint(endpoint);
    }
}

fn is_on(pod: &PodEntry, node: &str) -> bool {
    pod.pod.node_name.as_deref() == Some(node)
}

/// The tiers of a pod that is isolated in one direction.
fn isolated() -> Vec<Tier> {
    vec![Tier { name: TIER.to_owned(), policies: Vec::new(), end: End::Isolation }]
}

/// What the rules of one policy are compiled against.
struct Scoped<'c> {
    compiler: &'c Compiler,
    direction: Direction,
    /// The pods of the node that the policy selects.
    selected: &'c [&'c PodEntry],
}

impl Scoped<'_> {
    /// A rule; `selections` are those of its peers and of what follows.
    fn rule(
        &self,
        rule: &NetworkPolicyRule,
        selections: &mut impl Iterator<Item = Option<SelectionId>>,
    ) -> Rule {
        let peers: Vec<AddressTest> = self.peers(&rule.peers, selections).into_iter().collect();
        let ports = self.ports(&rule.ports, &peers);
        let mut matches = Match { destination_ports: ports.into_iter().collect(), ..Match::default() };
        *matches.peers_mut(self.direction) = peers;
        Rule { action: RuleAction::Allow, matches }
    }

    /// ANY of the peers. No peer at all means everybody: no test.
    fn peers(
        &self,
        peers: &[NetworkPolicyPeer],
        selections: &mut impl Iterator<Item = Option<SelectionId>>,
    ) -> Option<AddressTest> {
        if peers.is_empty() {
            return None;
        }
        let index = &self.compiler.index;
        let mut members: Option<BTreeSet<IpAddr>> = None;
        let mut blocks: BTreeMap<Family, Vec<Range>> = BTreeMap::new();
        for (peer, selection) in peers.iter().zip(selections) {
            if let Some(selection) = selection {
                let addresses = index.members(selection).flat_map(|pod| &pod.addresses);
                members.get_or_insert_default().extend(addresses);
            }
            if let NetworkPolicyPeer::IpBlock(block) = peer {
                let family = Family::of(block.cidr.net().addr());
                if index.has_family(family) {
                    blocks.entry(family).or_default().extend(block_ranges(block));
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
    fn ports(&self, ports: &[NetworkPolicyPort], peers: &[AddressTest]) -> Option<PortTest> {
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
        let destinations: Box<dyn Iterator<Item = &PodEntry>> = match self.direction {
            Direction::Ingress => Box::new(self.selected.iter().copied()),
            Direction::Egress => Box::new(self.compiler.index.pods()),
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
