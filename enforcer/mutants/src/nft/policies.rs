//! Chains of policies that are put together wrongly.

use crate::blocks;
use crate::site::Site;
use netproof_api::PolicyType;
use netproof_api::networking::Cidr;
use netproof_enforcer::backend::nft::policies::{TABLE, policy_chain};
use netproof_model::{Direction, Family, Hook, NamespacedName, PolicyKey, PolicyKind};
use netproof_netfilter::nft::{Chain, Field, Part, Rule, Ruleset, Statement, Test, Verdict};
use std::collections::BTreeMap;

/// Each pod gets copies of its policies' chains, of which each leads on to the next where it allows.
pub(crate) fn all_must_allow(ruleset: &mut Ruleset, _: &Site<'_>) {
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

pub(crate) fn ingress_answers_for_both(ruleset: &mut Ruleset, _: &Site<'_>) {
    one_answers_for_both(ruleset, Direction::Ingress, Direction::Egress);
}

pub(crate) fn egress_answers_for_both(ruleset: &mut Ruleset, _: &Site<'_>) {
    one_answers_for_both(ruleset, Direction::Egress, Direction::Ingress);
}

/// A bit of the packet mark that the proxy does not use.
const ALLOWED: u32 = 0x0010_0000;

/// What a policy of one direction allows is marked, and the other direction asks about the rest only.
fn one_answers_for_both(ruleset: &mut Ruleset, one: Direction, other: Direction) {
    let Some(table) = ruleset.tables.get_mut(&TABLE) else { return };
    let policies = format!("{one}-{}/", PolicyKind::NetworkPolicy);
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

/// In the chain of each pod that a policy with exceptions selects: what is excepted is dropped at once.
pub(crate) fn except_is_a_deny(ruleset: &mut Ruleset, site: &Site<'_>) {
    let Some(table) = ruleset.tables.get_mut(&TABLE) else { return };
    for (name, policy) in site.snapshot.network_policies() {
        for (direction, policy_type, rules) in [
            (Direction::Ingress, PolicyType::Ingress, &policy.spec.ingress),
            (Direction::Egress, PolicyType::Egress, &policy.spec.egress),
        ] {
            if !policy.spec.policy_types.contains(&policy_type) {
                continue;
            }
            let excepts: Vec<Cidr> =
                rules.iter().flat_map(|rule| &rule.peers).flat_map(blocks::excepts).collect();
            let way = way_to_policy(direction, &name);
            let chains = table.chains.values_mut();
            for chain in chains.filter(|chain| chain.rules.iter().any(|rule| rule.statements == way)) {
                let Some(end) = chain.rules.last().map(|rule| rule.statements.clone()) else { continue };
                for except in &excepts {
                    let field = far(direction, Family::of(except.net().addr()));
                    let part = Part::from(except.net());
                    let found = Statement::Match(vec![field], Test::Is(part));
                    chain.rules.insert(0, Rule::new([found].into_iter().chain(end.clone())));
                }
            }
        }
    }
}

/// The address of the end that is not the pod.
fn far(direction: Direction, family: Family) -> Field {
    match direction {
        Direction::Ingress => Field::source(family),
        Direction::Egress => Field::destination(family),
    }
}

/// The rule that leads from a pod's chain to that of a policy.
fn way_to_policy(direction: Direction, policy: &NamespacedName) -> Vec<Statement> {
    let policy = PolicyKey::network_policy(&policy.namespace, &policy.name);
    vec![Statement::Verdict(Verdict::Jump(policy_chain(direction, &policy)))]
}
