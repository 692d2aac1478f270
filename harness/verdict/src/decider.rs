//! Who must have decided, held against who did.

use netproof_model::{DecidedBy, Decision};

/// Whether the decision is one that `wanted` names, or may be.
pub(crate) fn decides(wanted: &DecidedBy, decision: &Decision) -> bool {
    match (wanted, decision) {
        (
            DecidedBy::Policy { policy, direction, rule },
            Decision::Rule { policy: by, direction: at, rule: nth, .. },
        ) => policy == by && direction.is_none_or(|it| it == *at) && rule.is_none_or(|it| it == *nth),
        (
            DecidedBy::Policy { policy, direction, rule: None },
            Decision::Isolation { policies, direction: at, .. },
        ) => policies.contains(policy) && direction.is_none_or(|it| it == *at),
        (DecidedBy::Isolation, Decision::Isolation { .. }) => true,
        (DecidedBy::Policy { .. } | DecidedBy::Isolation, Decision::Unsaid { .. }) => decision.is_policy(),
        (DecidedBy::Service, decision) => decision.is_service(),
        (DecidedBy::Default, Decision::NotIsolated { .. }) => true,
        (DecidedBy::Policy { .. } | DecidedBy::Isolation | DecidedBy::Default, _) => false,
    }
}
