//! Several policies that are added up wrongly.

use crate::rewrite;
use crate::site::Site;
use netproof_api::NetworkPolicyRule;
use netproof_controlplane::Snapshot;
use netproof_enforcer::program::{AddressTest, Policy, PolicyId, Program};
use netproof_model::{Direction, NamespacedName};
use std::collections::BTreeSet;

/// The policies that isolate each endpoint in each direction.
fn isolations(program: &mut Program) -> impl Iterator<Item = &mut Vec<PolicyId>> {
    let tiers = program.endpoints.iter_mut().flat_map(|endpoint| endpoint.tiers.values_mut().flatten());
    tiers.map(|tier| &mut tier.policies)
}

pub(super) fn first_policy_only(program: &mut Program, _: &Site<'_>) {
    isolations(program).for_each(|policies| policies.truncate(1));
}

pub(super) fn last_policy_only(program: &mut Program, _: &Site<'_>) {
    isolations(program).for_each(|policies| drop(policies.drain(..policies.len().saturating_sub(1))));
}

pub(super) fn two_policies_only(program: &mut Program, _: &Site<'_>) {
    isolations(program).for_each(|policies| policies.truncate(2));
}

pub(super) fn deny_all_wins(program: &mut Program, _: &Site<'_>) {
    let denies: BTreeSet<PolicyId> =
        program.policies().filter(|(_, policy)| policy.rules.is_empty()).map(|(id, _)| id).collect();
    let denies = |policy: &PolicyId| denies.contains(policy);
    for policies in isolations(program) {
        if policies.iter().any(denies) {
            policies.retain(denies);
        }
    }
}

pub(super) fn equal_selectors_collide(snapshot: &mut Snapshot) {
    keep_the_last(snapshot, |name, policy| {
        Some((name.namespace.clone(), policy.spec.pod_selector.clone(), policy.spec.policy_types.clone()))
    });
}

pub(super) fn equal_names_collide(snapshot: &mut Snapshot) {
    keep_the_last(snapshot, |name, _| Some(name.name.clone()));
}

/// How many letters of a name such an enforcer keeps.
const LETTERS: usize = 63;

pub(super) fn long_names_collide(snapshot: &mut Snapshot) {
    keep_the_last(snapshot, |name, _| {
        let beginning: String = name.name.chars().take(LETTERS).collect();
        Some((name.namespace.clone(), beginning))
    });
}

/// Of the policies with the same key only the last is there.
fn keep_the_last<K: PartialEq>(
    snapshot: &mut Snapshot,
    key: impl Fn(&NamespacedName, &netproof_api::NetworkPolicy) -> K,
) {
    let policies = rewrite::network_policies(snapshot);
    let mut kept: Vec<(K, _)> = Vec::new();
    for (name, policy) in policies {
        let key = key(&name, &policy);
        kept.retain(|(other, _)| *other != key);
        kept.push((key, (name, policy)));
    }
    rewrite::set_network_policies(snapshot, kept.into_iter().map(|(_, policy)| policy));
}

/// Of the rules with the same key only the last is there.
fn keep_the_last_rule<K: PartialEq>(snapshot: &mut Snapshot, key: impl Fn(&NetworkPolicyRule) -> &K) {
    rewrite::rule_lists(snapshot, |rules| {
        let all = rules.clone();
        let mut position = 0;
        rules.retain(|rule| {
            position += 1;
            !all.iter().skip(position).any(|later| key(later) == key(rule))
        });
    });
}

pub(super) fn equal_peers_replace(snapshot: &mut Snapshot) {
    keep_the_last_rule(snapshot, |rule| &rule.peers);
}

pub(super) fn equal_ports_replace(snapshot: &mut Snapshot) {
    keep_the_last_rule(snapshot, |rule| &rule.ports);
}

/// How many rules of a policy such an enforcer knows.
const RULES: usize = 8;

pub(super) fn few_rules_only(snapshot: &mut Snapshot) {
    rewrite::rule_lists(snapshot, |rules| rules.truncate(RULES));
}

/// A policy's rules end before the first that allows nobody.
pub(super) fn rules_end_with_nobody(program: &mut Program, _: &Site<'_>) {
    for policy in program.policies_mut() {
        let direction = policy.direction;
        let is_nobody = |rule: &netproof_enforcer::program::Rule| {
            rule.matches.peers(direction).iter().any(AddressTest::is_nobody)
        };
        if let Some(end) = policy.rules.iter().position(is_nobody) {
            policy.rules.truncate(end);
        }
    }
}

/// The pods of a policy's egress rules are also those of its ingress rules, the first's of the first.
pub(super) fn directions_share_sets(program: &mut Program, _: &Site<'_>) {
    let all: Vec<Policy> = program.policies().map(|(_, policy)| policy.clone()).collect();
    for policy in program.policies_mut().filter(|it| it.direction == Direction::Ingress) {
        let same = |it: &&Policy| it.policy == policy.policy && it.direction == Direction::Egress;
        let Some(egress) = all.iter().find(same) else { continue };
        for (rule, other) in policy.rules.iter_mut().zip(&egress.rules) {
            let others = other.matches.peers(Direction::Egress);
            for (own, other) in rule.matches.peers_mut(Direction::Ingress).iter_mut().zip(others) {
                if let (Some(members), Some(others)) = (&mut own.members, &other.members) {
                    members.clone_from(others);
                }
            }
        }
    }
}
