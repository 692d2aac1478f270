//! The front end of NetworkPolicy: from a snapshot to the program of each node.
//!
//! The policies that isolate a pod are one tier of rules that allow; its end is isolation. The rules are those of
//! the API type (networking.k8s.io/v1 NetworkPolicy); the comments name them.

mod rules;

pub(crate) use rules::protocol;

use super::index::{Index, Key, PodEntry, Scope, SelectionId};
use super::{End, Endpoint, Policy, PolicyId, Program, Tier};
use crate::differing::differing;
use netproof_api::core::IntOrString;
use netproof_api::{LabelSelector, NetworkPolicy, NetworkPolicyPeer, Policy as Object, PolicyType};
use netproof_controlplane::{Snapshot, host_interface};
use netproof_model::{Direction, NamespacedName, PolicyKey, PolicyKind, PolicyStage};
use rules::Scoped;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The tier of the policies that isolate a pod is named for their kind.
const TIER: &str = PolicyKind::NetworkPolicy.word();

/// Compiles the programs of nodes, and follows what changes from one snapshot to the next.
#[derive(Debug)]
pub struct Compiler {
    snapshot: Arc<Snapshot>,
    index: Index,
    policies: BTreeMap<NamespacedName, Entry>,
}

/// A policy, and the selections that its selectors became.
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
        for (name, policy) in snapshot.network_policies() {
            compiler.add(&name, policy);
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
        for policy in differing(&held.policies, &snapshot.policies) {
            let (PolicyKind::NetworkPolicy, Some(namespace)) = (policy.name.kind, &policy.name.namespace)
            else {
                continue;
            };
            let name = NamespacedName::new(namespace.as_str(), policy.name.name.as_str());
            changes.pods.extend(self.selected(&name));
            self.remove(&name);
            if let Some(Object::NetworkPolicy(after)) = policy.after {
                self.add(&name, after);
            }
            changes.pods.extend(self.selected(&name));
            changes.policies.insert(name);
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
        let policy = PolicyKey::network_policy(&name.namespace, &name.name);
        let (tier, stage) = (TIER.to_owned(), PolicyStage::Local);
        Some(Policy { policy, tier, stage, direction, rules })
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
                let tiers = endpoint.tiers.entry((PolicyStage::Local, direction)).or_insert_with(isolated);
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
