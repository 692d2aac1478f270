//! The front end of ClusterNetworkPolicy (policy.networking.k8s.io/v1alpha2). The tiers Admin and Baseline are a tier
//! each, before that of NetworkPolicies and after it, whose end decides nothing. The comments name the API's rules.

mod rules;

use super::front_end::{FrontEnd, Order, Share, TierPlace, is_on, names};
use super::index::{Index, Key, PodEntry, Scope, SelectionId};
use super::{Changes, End, Policy};
use netproof_api::{
    Cidr, ClusterAction, ClusterNetworkPolicy, ClusterPeer, ClusterPort, ClusterRule, ClusterSubject,
    ClusterTier, LabelSelector, NamespacedPods, Policy as Object,
};
use netproof_model::{Direction, PolicyKey, PolicyKind, PolicyStage};
use rules::Scoped;
use std::collections::{BTreeMap, BTreeSet};

/// Where the tiers stand, and their names: as Calico has them among its own.
const ADMIN: (Order, &str) = (Order(1_000.0), "kube-admin");
const BASELINE: (Order, &str) = (Order(10_000_000.0), "kube-baseline");

/// The ClusterNetworkPolicies of the cluster, with what of v1alpha1 is read as such.
#[derive(Debug, Default)]
pub(super) struct ClusterNetworkPolicies(BTreeMap<PolicyKey, Entry>);

/// A policy, and the selections that its selectors became.
#[derive(Debug)]
struct Entry {
    tier: ClusterTier,
    /// Low numbers first. Equal ones stand by kind and name.
    priority: u16,
    /// The pods that it is about.
    subject: SelectionId,
    /// The directions that it has rules for; it does not touch the others.
    directions: BTreeMap<Direction, Vec<RuleEntry>>,
}

/// A rule whose selectors are selections.
#[derive(Debug)]
enum RuleEntry {
    /// As it is written.
    Written { action: ClusterAction, peers: Vec<Peer>, ports: Vec<ClusterPort> },
    /// Something of it is unknown. Fail closed: what would have let packets by denies them all, and what would have
    /// accepted some accepts none.
    DenyAll,
    /// Likewise of a rule that accepts.
    AcceptNothing,
}

#[derive(Debug)]
enum Peer {
    Pods(SelectionId),
    Nodes(LabelSelector),
    Networks(Vec<Cidr>),
}

impl FrontEnd for ClusterNetworkPolicies {
    fn reads(&self, kind: PolicyKind) -> bool {
        use PolicyKind::{AdminNetworkPolicy, BaselineAdminNetworkPolicy, ClusterNetworkPolicy};
        matches!(kind, ClusterNetworkPolicy | AdminNetworkPolicy | BaselineAdminNetworkPolicy)
    }

    fn follow(&mut self, key: &PolicyKey, object: Option<&Object>, pods: &mut Index) -> Changes {
        let mut changes = Changes::default();
        changes.policies.insert(key.clone());
        if let Some(entry) = self.0.remove(key) {
            changes.pods.extend(names(pods.members(entry.subject)));
            entry.selections().into_iter().for_each(|selection| pods.release(selection, key));
        }
        if let Some(Object::ClusterNetworkPolicy(policy)) = object {
            let entry = Entry::new(key, policy, pods);
            changes.pods.extend(names(pods.members(entry.subject)));
            self.0.insert(key.clone(), entry);
        }
        changes
    }

    fn policies(&self) -> Vec<PolicyKey> {
        self.0.keys().cloned().collect()
    }

    fn of_everybody(&self) -> Vec<PolicyKey> {
        // Ports have names on the subject's pods and on peers by selector only, whose selections are followed.
        Vec::new()
    }

    fn of_nodes(&self) -> Vec<PolicyKey> {
        let names_nodes = |entry: &Entry| entry.peers().any(|peer| matches!(peer, Peer::Nodes(_)));
        self.0.iter().filter(|(_, entry)| names_nodes(entry)).map(|(key, _)| key.clone()).collect()
    }

    fn compile(&self, policy: &PolicyKey, node: &str, pods: &Index) -> Vec<Policy> {
        let Some(entry) = self.0.get(policy) else { return Vec::new() };
        let subject: Vec<&PodEntry> = pods.members(entry.subject).filter(|pod| is_on(pod, node)).collect();
        if subject.is_empty() {
            return Vec::new();
        }
        let of_direction = |(direction, rules): (&Direction, &Vec<RuleEntry>)| {
            let scope = Scoped { pods, direction: *direction, subject: &subject };
            Policy {
                policy: policy.clone(),
                tier: entry.place().name,
                stage: PolicyStage::Local,
                direction: *direction,
                rules: rules.iter().map(|rule| scope.rule(rule)).collect(),
            }
        };
        entry.directions.iter().map(of_direction).collect()
    }

    fn shares(&self, pod: &PodEntry, pods: &Index) -> Vec<Share> {
        let mut shares: BTreeMap<(Direction, TierPlace), BTreeSet<(Order, &PolicyKey)>> = BTreeMap::new();
        for (selection, user) in pods.users_of_pod(pod) {
            // It may be among the peers of a policy that is not about it.
            let Some(entry) = self.0.get(user).filter(|entry| entry.subject == selection) else { continue };
            for direction in entry.directions.keys() {
                let policies = shares.entry((*direction, entry.place())).or_default();
                policies.insert((Order(entry.priority.into()), user));
            }
        }
        let share =
            |((direction, place), policies): ((Direction, TierPlace), BTreeSet<(Order, &PolicyKey)>)| {
                let policies = policies.into_iter().map(|(order, key)| (order, key.clone())).collect();
                let name = place.name.clone();
                Share { stage: PolicyStage::Local, direction, place, name, policies, end: End::Pass }
            };
        shares.into_iter().map(share).collect()
    }
}

impl Entry {
    fn new(key: &PolicyKey, policy: &ClusterNetworkPolicy, pods: &mut Index) -> Entry {
        let spec = &policy.spec;
        let mut select = |selection: Key| pods.select(selection, key);
        let subject = match &spec.subject {
            ClusterSubject::Namespaces(selector) => select(of_namespaces(selector)),
            ClusterSubject::Pods(pods) => select(of_pods(pods)),
        };
        let mut directions = BTreeMap::new();
        for (direction, rules) in [(Direction::Ingress, &spec.ingress), (Direction::Egress, &spec.egress)] {
            if !rules.is_empty() {
                directions
                    .insert(direction, rules.iter().map(|it| RuleEntry::new(it, &mut select)).collect());
            }
        }
        Entry { tier: spec.tier, priority: spec.priority, subject, directions }
    }

    fn place(&self) -> TierPlace {
        let (order, name) = match self.tier {
            ClusterTier::Admin => ADMIN,
            ClusterTier::Baseline => BASELINE,
        };
        TierPlace { order, name: name.to_owned() }
    }

    fn peers(&self) -> impl Iterator<Item = &Peer> {
        self.directions.values().flatten().flat_map(|rule| match rule {
            RuleEntry::Written { peers, .. } => peers.as_slice(),
            RuleEntry::DenyAll | RuleEntry::AcceptNothing => &[],
        })
    }

    fn selections(&self) -> BTreeSet<SelectionId> {
        let peers = self.peers().filter_map(|peer| match peer {
            Peer::Pods(selection) => Some(*selection),
            Peer::Nodes(_) | Peer::Networks(_) => None,
        });
        peers.chain([self.subject]).collect()
    }
}

impl RuleEntry {
    fn new(rule: &ClusterRule, select: &mut impl FnMut(Key) -> SelectionId) -> RuleEntry {
        let unknown_peer = rule.peers.contains(&ClusterPeer::Unknown);
        let unknown_port = rule.protocols.contains(&ClusterPort::Unknown);
        match rule.action {
            // The whole rule, whatever its other peers are. Of its ports only those that are unknown.
            ClusterAction::Accept if unknown_peer => return RuleEntry::AcceptNothing,
            ClusterAction::Deny | ClusterAction::Pass if unknown_peer || unknown_port => {
                return RuleEntry::DenyAll;
            }
            ClusterAction::Accept | ClusterAction::Deny | ClusterAction::Pass => {}
        }
        let peers = rule.peers.iter().filter_map(|peer| match peer {
            ClusterPeer::Namespaces(selector) => Some(Peer::Pods(select(of_namespaces(selector)))),
            ClusterPeer::Pods(pods) => Some(Peer::Pods(select(of_pods(pods)))),
            ClusterPeer::Nodes(selector) => Some(Peer::Nodes(selector.clone())),
            ClusterPeer::Networks(networks) => Some(Peer::Networks(networks.clone())),
            ClusterPeer::Unknown => None,
        });
        RuleEntry::Written { action: rule.action, peers: peers.collect(), ports: rule.protocols.clone() }
    }
}

/// Every pod of the namespaces.
fn of_namespaces(selector: &LabelSelector) -> Key {
    Key { scope: Scope::Labelled(selector.clone().into()), pods: LabelSelector::default().into() }
}

/// Both selectors must match; without one for namespaces, pods of all of them.
fn of_pods(pods: &NamespacedPods) -> Key {
    let namespaces = pods.namespace_selector.clone().unwrap_or_default();
    Key { scope: Scope::Labelled(namespaces.into()), pods: pods.pod_selector.clone().into() }
}
