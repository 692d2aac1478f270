//! The front end of Calico's policies (projectcalico.org/v3) on pods: tiers, the policies in them, and the network sets
//! that selectors of rules match. The comments name the API's rules.
//!
//! A pod's profile `kns.NAMESPACE`, which Calico makes, allows what no tier decides, as a program does by itself; the
//! profile of its service account has no rules, and no other profile is a pod's. What is staged is not enforced, and a
//! pod has no policies before connection tracking or before destinations are translated.

mod policy;
mod rules;
mod scope;
mod tiers;

use super::front_end::{FrontEnd, Share, is_on, names};
use super::index::{Index, PodEntry};
use super::{Changes, Policy};
use netproof_api::Policy as Object;
use netproof_model::{Direction, PolicyKey, PolicyKind, PolicyStage};
use policy::Entry;
use rules::Scoped;
use std::collections::BTreeMap;
use tiers::Tiers;

/// Calico's policies of the cluster.
#[derive(Debug, Default)]
pub(super) struct CalicoPolicies {
    tiers: Tiers,
    policies: BTreeMap<PolicyKey, Entry>,
}

impl FrontEnd for CalicoPolicies {
    fn reads(&self, kind: PolicyKind) -> bool {
        use PolicyKind::{CalicoNetworkPolicy, GlobalNetworkPolicy, GlobalNetworkSet, NetworkSet, Tier};
        matches!(kind, CalicoNetworkPolicy | GlobalNetworkPolicy | Tier | NetworkSet | GlobalNetworkSet)
    }

    fn follow(&mut self, key: &PolicyKey, object: Option<&Object>, pods: &mut Index) -> Changes {
        match key.kind {
            PolicyKind::Tier => self.follow_tier(key, object, pods),
            PolicyKind::NetworkSet | PolicyKind::GlobalNetworkSet => {
                let set = object.and_then(|object| match object {
                    Object::NetworkSet(set) => Some(set),
                    _ => None,
                });
                let mut changes = Changes::default();
                for selection in pods.set_changed(key, set) {
                    changes.policies.extend(pods.users(selection).cloned());
                }
                changes
            }
            _ => self.follow_policy(key, object, pods),
        }
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
        let of_direction = |direction: Direction| {
            let scope = Scoped { pods, direction, selected: &selected };
            Policy {
                policy: policy.clone(),
                tier: entry.tier().to_owned(),
                stage: PolicyStage::Local,
                direction,
                rules: entry.rules(direction).map(|rule| scope.rule(rule)).collect(),
            }
        };
        entry.directions().map(of_direction).collect()
    }

    fn shares(&self, pod: &PodEntry, pods: &Index) -> Vec<Share> {
        let mut shares: BTreeMap<(Direction, &str), Share> = BTreeMap::new();
        for (selection, user) in pods.users_of_pod(pod) {
            let Some(entry) = self.policies.get(user).filter(|entry| entry.selected == selection) else {
                continue;
            };
            // A tier without a policy for a direction has no part in that direction, nor has its end.
            for direction in entry.directions() {
                let share = shares.entry((direction, entry.tier())).or_insert_with(|| {
                    let (place, end) = self.tiers.place(entry.tier());
                    let name = place.name.clone();
                    Share { stage: PolicyStage::Local, direction, place, name, policies: Vec::new(), end }
                });
                share.policies.push((entry.order(), user.clone()));
            }
        }
        shares.into_values().collect()
    }
}

impl CalicoPolicies {
    /// The pods of its policies have another order or another end.
    fn follow_tier(&mut self, key: &PolicyKey, object: Option<&Object>, pods: &Index) -> Changes {
        let tier = object.and_then(|object| match object {
            Object::Tier(tier) => Some(tier.spec),
            _ => None,
        });
        self.tiers.follow(&key.name, tier);
        let mut changes = Changes::default();
        for entry in self.policies.values().filter(|entry| entry.tier() == key.name) {
            changes.pods.extend(names(pods.members(entry.selected)));
        }
        changes
    }

    fn follow_policy(&mut self, key: &PolicyKey, object: Option<&Object>, pods: &mut Index) -> Changes {
        let mut changes = Changes::default();
        changes.policies.insert(key.clone());
        if let Some(entry) = self.policies.remove(key) {
            changes.pods.extend(names(pods.members(entry.selected)));
            entry.release(key, pods);
        }
        if let Some(Object::CalicoPolicy(policy)) = object
            && let Some(entry) = Entry::new(key, policy, pods)
        {
            changes.pods.extend(names(pods.members(entry.selected)));
            self.policies.insert(key.clone(), entry);
        }
        changes
    }
}
