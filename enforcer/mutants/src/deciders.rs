//! Right verdicts with wrong names: what an enforcer says of who decided. None of these moves a packet.
//!
//! Each says what is named instead of a decision, in the light of everything that the enforcer has numbers for;
//! `None` where the right name stays.

use netproof_model::{Decision, Direction, IdentityTable, PolicyKey, PolicyKind, PolicyStage};

/// Of a list's first two rules each is named for the other.
pub(super) fn rules_are_swapped(decision: &Decision, known: &IdentityTable) -> Option<Decision> {
    let Decision::Rule { policy, tier, stage, direction, rule: rule @ (0 | 1) } = decision else {
        return None;
    };
    let other = Decision::Rule {
        policy: policy.clone(),
        tier: tier.clone(),
        stage: *stage,
        direction: *direction,
        rule: 1 - rule,
    };
    known.values().any(|it| it.decision == other).then_some(other)
}

/// The isolation of the other direction is named.
pub(super) fn isolation_is_of_the_other_direction(
    decision: &Decision,
    _: &IdentityTable,
) -> Option<Decision> {
    let Decision::Isolation { endpoint, direction, policies } = decision else { return None };
    let direction = match direction {
        Direction::Ingress => Direction::Egress,
        Direction::Egress => Direction::Ingress,
    };
    Some(Decision::Isolation { endpoint: endpoint.clone(), direction, policies: policies.clone() })
}

/// Where the isolation denies, the first rule of the first policy is named.
pub(super) fn a_rule_is_named_for_isolation(decision: &Decision, _: &IdentityTable) -> Option<Decision> {
    let Decision::Isolation { direction, policies, .. } = decision else { return None };
    Some(Decision::Rule {
        policy: policies.first()?.clone(),
        tier: PolicyKind::NetworkPolicy.word().to_owned(),
        stage: PolicyStage::Local,
        direction: *direction,
        rule: 0,
    })
}

/// The next policy of the namespace is named.
pub(super) fn the_next_policy_is_named(decision: &Decision, known: &IdentityTable) -> Option<Decision> {
    let next = |policy: &PolicyKey| {
        let mut all: Vec<&PolicyKey> = known.values().flat_map(|it| policies(&it.decision)).collect();
        all.retain(|it| it.namespace == policy.namespace);
        all.sort();
        all.dedup();
        let position = all.iter().position(|it| *it == policy)?;
        all.get(position + 1).or(all.first()).map(|it| (*it).clone())
    };
    match decision {
        Decision::Rule { policy, tier, stage, direction, rule } => Some(Decision::Rule {
            policy: next(policy)?,
            tier: tier.clone(),
            stage: *stage,
            direction: *direction,
            rule: *rule,
        }),
        Decision::Isolation { endpoint, direction, policies } => {
            let policies = policies.iter().map(next).collect::<Option<_>>()?;
            Some(Decision::Isolation { endpoint: endpoint.clone(), direction: *direction, policies })
        }
        _ => None,
    }
}

fn policies(decision: &Decision) -> &[PolicyKey] {
    match decision {
        Decision::Rule { policy, .. } => std::slice::from_ref(policy),
        Decision::Isolation { policies, .. } | Decision::EndOfTier { policies, .. } => policies,
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netproof_model::{Action, Identity, Place};

    fn rule(policy: &str, rule: usize) -> Decision {
        let (tier, stage) = (PolicyKind::NetworkPolicy.word().to_owned(), PolicyStage::Local);
        let policy = PolicyKey::network_policy("default", policy);
        Decision::Rule { policy, tier, stage, direction: Direction::Ingress, rule }
    }

    fn isolation(direction: Direction, policy: &str) -> Decision {
        let policies = vec![PolicyKey::network_policy("default", policy)];
        Decision::Isolation { endpoint: Place::pod("default", "a"), direction, policies }
    }

    #[test]
    fn what_each_names_instead() {
        let all =
            [rule("a", 0), rule("a", 1), rule("a", 2), rule("b", 0), isolation(Direction::Ingress, "a")];
        let identity = |decision: &Decision| Identity { decision: decision.clone(), action: Action::Allow };
        let known: IdentityTable = (1u32..).zip(all.iter().map(identity)).collect();
        let named = |wrong: fn(&Decision, &IdentityTable) -> Option<Decision>| {
            all.each_ref().map(|decision| wrong(decision, &known))
        };
        assert_eq!(named(rules_are_swapped), [Some(rule("a", 1)), Some(rule("a", 0)), None, None, None]);
        let egress = isolation(Direction::Egress, "a");
        assert_eq!(named(isolation_is_of_the_other_direction), [None, None, None, None, Some(egress)]);
        assert_eq!(named(a_rule_is_named_for_isolation), [None, None, None, None, Some(rule("a", 0))]);
        let next =
            [rule("b", 0), rule("b", 1), rule("b", 2), rule("a", 0), isolation(Direction::Ingress, "b")];
        assert_eq!(named(the_next_policy_is_named), next.map(Some));
    }
}
