//! Tier.

use super::policy::Order;
use crate::meta::ObjectMeta;
use serde::{Deserialize, Serialize};

/// The tier of policies that name none, and of NetworkPolicies.
pub const DEFAULT_TIER: &str = "default";

/// A tier of policies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tier {
    /// Its name, which policies refer to.
    pub metadata: ObjectMeta,
    /// The tier.
    pub spec: TierSpec,
}

/// `spec` of a Tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TierSpec {
    /// Tiers with a lower order are asked before; of two with the same, the one whose name is less. 1000000 where
    /// none is written.
    pub order: Order,
    /// What its end does with a packet for which one of its policies applies and no rule decides; Deny where none
    /// is written.
    pub default_action: TierAction,
}

/// What the end of a tier does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TierAction {
    /// It denies.
    Deny,
    /// The next tier is asked.
    Pass,
}
