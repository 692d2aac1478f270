//! Several policies that are added up wrongly.

use super::{Site, rewrite};
use netproof_api::NetworkPolicyRule;
use netproof_controlplane::Snapshot;
use netproof_enforcer::backend::nft::policies::TABLE;
use netproof_enforcer::program::{AddressTest, Policy, PolicyId, Program};
use netproof_model::{Direction, Hook, NamespacedName};
use netproof_netfilter::nft::{Chain, Rule, Ruleset, Statement, Verdict};
use std::collections::{BTreeMap, BTreeSet};

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

/// Each pod gets copies of its policies' chains, of which each leads on to the next where it allows.
pub(super) fn all_must_allow(ruleset: &mut Ruleset, _: &Site<'_>) {
    let Some(table) = ruleset.tables.get_mut(&TABLE) else { return };
    let mut copies = BTreeMap::new();
    let policies = table.chains.clone();
    for (name, chain) in table.chains.iter_mut().filter(|(name, _)| name.contains("-pod/")) {
        let jump = |rule: &Rule| match rule.statements.as_slice() {
            [Statement::Verdict(Verdict::Jump(policy))] => policies.get(policy),
            _ => None,
        };
        let ways: Vec<&Chain> = chain.rules.iter().filter_map(jump).collect();
        let copy = |position: usize| format!("{position}-of-{name}");
        for (position, policy) in ways.iter().enumerate() {
            let mut policy = Chain::clone(policy);
            if position + 1 < ways.len() {
                let next = Statement::Verdict(Verdict::Goto(copy(position + 1)));
                let verdicts = policy.rules.iter_mut().flat_map(|rule| &mut rule.statements);
                verdicts
                    .filter(|it| **it == Statement::Verdict(Verdict::Accept))
                    .for_each(|it| *it = next.clone());
            }
            copies.insert(copy(position), policy);
        }
        let Some(first) = chain.rules.iter().position(|rule| jump(rule).is_some()) else { continue };
        let keep: Vec<bool> = chain.rules.iter().map(|rule| jump(rule).is_none()).collect();
        let mut keep = keep.into_iter();
        chain.rules.retain(|_| keep.next().unwrap_or(true));
        chain.rules.insert(first, Rule::new([Statement::Verdict(Verdict::Jump(copy(0)))]));
    }
    table.chains.extend(copies);
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

pub(super) fn ingress_answers_for_both(ruleset: &mut Ruleset, _: &Site<'_>) {
    one_answers_for_both(ruleset, Direction::Ingress, Direction::Egress);
}

pub(super) fn egress_answers_for_both(ruleset: &mut Ruleset, _: &Site<'_>) {
    one_answers_for_both(ruleset, Direction::Egress, Direction::Ingress);
}

/// A bit of the packet mark that the proxy does not use.
const ALLOWED: u32 = 0x0010_0000;

/// What a policy of one direction allows is marked, and the other direction asks about the rest only.
fn one_answers_for_both(ruleset: &mut Ruleset, one: Direction, other: Direction) {
    let Some(table) = ruleset.tables.get_mut(&TABLE) else { return };
    let policies = format!("{one}-networkpolicy/");
    for (_, chain) in table.chains.iter_mut().filter(|(name, _)| name.starts_with(&policies)) {
        for rule in &mut chain.rules {
            let end = rule.statements.len().saturating_sub(1);
            rule.statements.insert(end, Statement::SetMark(ALLOWED));
        }
    }
    for (name, chain) in &mut table.chains {
        let Some(base) = chain.base.as_mut().filter(|base| base.hook == Hook::Forward) else { continue };
        if *name == format!("forward-{other}") {
            base.priority += 2;
            let lookups = chain.rules.iter_mut().map(|rule| &mut rule.statements);
            lookups
                .filter(|it| matches!(it.as_slice(), [Statement::VerdictMap(..)]))
                .for_each(|it| it.insert(0, Statement::MarkUnset(ALLOWED)));
        }
    }
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
