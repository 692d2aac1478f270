//! The front end of NetworkPolicy (networking.k8s.io/v1). The policies that isolate a pod are one tier of rules that
//! allow; its end is isolation. The comments name the API's rules.

mod rules;

use super::front_end::{FrontEnd, Order, Share, TierPlace, is_on, names};
use super::index::{Index, Key, PodEntry, Scope, SelectionId};
use super::selector::Selector;
use super::{Changes, End, Policy};
use netproof_api::calico::DEFAULT_TIER;
use netproof_api::core::IntOrString;
use netproof_api::{
    IpBlock, LabelSelector, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicyRule,
    Policy as Object, PolicyType,
};
use netproof_model::{Direction, PolicyKey, PolicyKind, PolicyStage};
use rules::Scoped;
use std::collections::{BTreeMap, BTreeSet};

/// Between the tiers of administrators, which the network policy API and Calico have before and after it. It is Calico's
/// tier `default`, where Calico has policies in that.
const TIER_ORDER: Order = Order(1_000_000.0);
/// NetworkPolicies have no order among themselves: all of their rules allow. Among Calico's policies they have this one.
const POLICY_ORDER: Order = Order(1_000.0);

/// The NetworkPolicies of the cluster.
#[derive(Debug, Default)]
pub(super) struct NetworkPolicies {
    policies: BTreeMap<PolicyKey, Entry>,
}

/// A policy, and the selections that its selectors became.
#[derive(Debug)]
struct Entry {
    /// The pods that it selects.
    selected: SelectionId,
    /// The directions of its policyTypes, each with its rules. A policy isolates the pods that it selects in those,
    /// whether or not it has rules; rules of another direction have no effect.
    directions: BTreeMap<Direction, Vec<RuleEntry>>,
    /// Whether an egress rule names ports and leads to whoever has them: every pod's address and ports matter.
    names_of_all: bool,
}

/// A rule whose selectors are selections.
#[derive(Debug)]
struct RuleEntry {
    peers: Vec<Peer>,
    ports: Vec<NetworkPolicyPort>,
}

#[derive(Debug)]
enum Peer {
    Pods(SelectionId),
    Block(IpBlock),
}

/// Their tier is named for their kind.
fn tier_name() -> String {
    PolicyKind::NetworkPolicy.word().to_owned()
}

impl FrontEnd for NetworkPolicies {
    fn reads(&self, kind: PolicyKind) -> bool {
        kind == PolicyKind::NetworkPolicy
    }

    fn follow(&mut self, key: &PolicyKey, object: Option<&Object>, pods: &mut Index) -> Changes {
        let mut changes = Changes::default();
        changes.policies.insert(key.clone());
        if let Some(entry) = self.policies.remove(key) {
            changes.pods.extend(names(pods.members(entry.selected)));
            entry.selections().into_iter().for_each(|selection| pods.release(selection, key));
        }
        if let Some((Object::NetworkPolicy(policy), namespace)) = object.zip(key.namespace.as_deref()) {
            let entry = Entry::new(key, namespace, policy, pods);
            changes.pods.extend(names(pods.members(entry.selected)));
            self.policies.insert(key.clone(), entry);
        }
        changes
    }

    fn policies(&self) -> Vec<PolicyKey> {
        self.policies.keys().cloned().collect()
    }

    fn of_everybody(&self) -> Vec<PolicyKey> {
        let of_all = self.policies.iter().filter(|(_, entry)| entry.names_of_all);
        of_all.map(|(key, _)| key.clone()).collect()
    }

    fn of_nodes(&self) -> Vec<PolicyKey> {
        Vec::new()
    }

    fn compile(&self, policy: &PolicyKey, node: &str, pods: &Index) -> Vec<Policy> {
        let Some(entry) = self.policies.get(policy) else { return Vec::new() };
        let selected: Vec<&PodEntry> = pods.members(entry.selected).filter(|pod| is_on(pod, node)).collect();
        if selected.is_empty() {
            return Vec::new();
        }
        let of_direction = |(direction, rules): (&Direction, &Vec<RuleEntry>)| {
            let scope = Scoped { pods, direction: *direction, selected: &selected };
            Policy {
                policy: policy.clone(),
                tier: tier_name(),
                stage: PolicyStage::Local,
                direction: *direction,
                rules: rules.iter().map(|rule| scope.rule(rule)).collect(),
            }
        };
        entry.directions.iter().map(of_direction).collect()
    }

    fn shares(&self, pod: &PodEntry, pods: &Index) -> Vec<Share> {
        let mut isolating: BTreeMap<Direction, BTreeSet<&PolicyKey>> = BTreeMap::new();
        for (selection, user) in pods.users_of_pod(pod) {
            let entry = self.policies.get(user).filter(|entry| entry.selected == selection);
            for direction in entry.iter().flat_map(|entry| entry.directions.keys()) {
                isolating.entry(*direction).or_default().insert(user);
            }
        }
        let share = |(direction, policies): (Direction, BTreeSet<&PolicyKey>)| Share {
            stage: PolicyStage::Local,
            direction,
            place: TierPlace { order: TIER_ORDER, name: DEFAULT_TIER.to_owned() },
            name: tier_name(),
            policies: policies.into_iter().map(|key| (POLICY_ORDER, key.clone())).collect(),
            end: End::Isolation,
        };
        isolating.into_iter().map(share).collect()
    }
}

impl Entry {
    fn new(key: &PolicyKey, namespace: &str, policy: &NetworkPolicy, pods: &mut Index) -> Entry {
        // A policy selects pods of its own namespace only.
        let own = |selector: &LabelSelector| Key {
            scope: Scope::Of(namespace.to_owned()),
            pods: selector.clone().into(),
        };
        let selected = pods.select(own(&policy.spec.pod_selector), key);
        let mut peer = |peer: &NetworkPolicyPeer| match peer {
            NetworkPolicyPeer::Pods { namespace_selector, pod_selector } => {
                // Absent: every pod.
                let of_pods = pod_selector.clone().unwrap_or_default();
                let selection = match namespace_selector {
                    // Absent: the policy's own namespace.
                    None => own(&of_pods),
                    // Both selectors of one peer must hold; an empty one matches every namespace.
                    Some(selector) => Key {
                        scope: Scope::Labelled(Selector::Labels(selector.clone())),
                        pods: of_pods.into(),
                    },
                };
                Peer::Pods(pods.select(selection, key))
            }
            NetworkPolicyPeer::IpBlock(block) => Peer::Block(block.clone()),
        };
        let mut rules = |rules: &[NetworkPolicyRule]| -> Vec<RuleEntry> {
            let rule = |rule: &NetworkPolicyRule| RuleEntry {
                peers: rule.peers.iter().map(&mut peer).collect(),
                ports: rule.ports.clone(),
            };
            rules.iter().map(rule).collect()
        };
        let of_type = |policy_type: &PolicyType| match policy_type {
            PolicyType::Ingress => (Direction::Ingress, rules(&policy.spec.ingress)),
            PolicyType::Egress => (Direction::Egress, rules(&policy.spec.egress)),
        };
        let directions: BTreeMap<_, _> = policy.spec.policy_types.iter().map(of_type).collect();
        let names_of_all = directions.get(&Direction::Egress).into_iter().flatten().any(|rule| {
            let names = rule.ports.iter().any(|port| matches!(port.port, Some(IntOrString::String(_))));
            let blocks = rule.peers.iter().any(|peer| matches!(peer, Peer::Block(_)));
            names && (rule.peers.is_empty() || blocks)
        });
        Entry { selected, directions, names_of_all }
    }

    fn selections(&self) -> BTreeSet<SelectionId> {
        let peers = self.directions.values().flatten().flat_map(|rule| &rule.peers);
        let selections = peers.filter_map(|peer| match peer {
            Peer::Pods(selection) => Some(*selection),
            Peer::Block(_) => None,
        });
        selections.chain([self.selected]).collect()
    }
}
