//! NetworkPolicy and GlobalNetworkPolicy of Calico, their staged forms, and the staged NetworkPolicy of Kubernetes.

use super::rule::CalicoRule;
use super::selector::Selector;
use crate::meta::ObjectMeta;
use crate::networking::{NetworkPolicySpec, PolicyType};
use netproof_model::PolicyKind;
use serde::{Deserialize, Deserializer, Serialize, de};
use std::fmt;
use std::hash::{Hash, Hasher};

/// A NetworkPolicy or StagedNetworkPolicy, or without a namespace a GlobalNetworkPolicy or
/// StagedGlobalNetworkPolicy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CalicoPolicy {
    /// Name, labels, and the namespace if the policy has one.
    pub metadata: ObjectMeta,
    /// `spec.stagedAction` of a staged policy, which is never enforced; `None` if it is not staged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub staged: Option<StagedAction>,
    /// The policy.
    pub spec: CalicoPolicySpec,
}

impl CalicoPolicy {
    /// Its kind.
    pub fn kind(&self) -> PolicyKind {
        match (&self.metadata.namespace, self.staged) {
            (Some(_), None) => PolicyKind::CalicoNetworkPolicy,
            (None, None) => PolicyKind::GlobalNetworkPolicy,
            (Some(_), Some(_)) => PolicyKind::StagedNetworkPolicy,
            (None, Some(_)) => PolicyKind::StagedGlobalNetworkPolicy,
        }
    }
}

/// `spec` of a policy. A selector that is absent or empty is `None`, which is not the same as `all()` where
/// selectors are joined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CalicoPolicySpec {
    /// The name of its tier; `default` where none is written. No tier of that name need be there.
    pub tier: String,
    /// Policies with a lower order are asked before. Absent means after all others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<Order>,
    /// The endpoints that it applies to, by their labels; absent means all (of its namespace, if it has one).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<Selector>,
    /// Their namespaces, by the namespaces' labels; cluster-scoped policies only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<Selector>,
    /// Their service accounts, by the accounts' labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_account_selector: Option<Selector>,
    /// The directions in which it applies. Never empty: defaulting fills it in by the rules that it has.
    pub types: Vec<PolicyType>,
    /// Ingress rules, in their order. Without effect if `types` has no Ingress.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ingress: Vec<CalicoRule>,
    /// Egress rules, in their order. Without effect if `types` has no Egress.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub egress: Vec<CalicoRule>,
    /// Whether it applies before connection tracking. No pod has such policies.
    #[serde(default, skip_serializing_if = "is_false")]
    pub do_not_track: bool,
    /// Whether it applies before destinations are translated. No pod has such policies.
    #[serde(default, skip_serializing_if = "is_false", rename = "preDNAT")]
    pub pre_dnat: bool,
    /// Whether, at a host's interface, it applies to what the host forwards, too.
    #[serde(default, skip_serializing_if = "is_false")]
    pub apply_on_forward: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_false(value: &bool) -> bool {
    !value
}

/// What a staged policy says of the policy of its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum StagedAction {
    /// It would be created or replaced; the default.
    Set,
    /// It would be deleted.
    Delete,
    /// A learnt suggestion.
    Learn,
    /// A suggestion that nobody wants.
    Ignore,
}

/// A StagedKubernetesNetworkPolicy: a NetworkPolicy that is not enforced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StagedKubernetesNetworkPolicy {
    /// Name, namespace, labels.
    pub metadata: ObjectMeta,
    /// `spec.stagedAction`.
    pub staged: StagedAction,
    /// The NetworkPolicy.
    pub spec: NetworkPolicySpec,
}

/// The order of a tier or a policy: any finite number, with or without a fraction, below 0 or not.
#[derive(Clone, Copy, Serialize)]
#[serde(transparent)]
pub struct Order(f64);

impl Order {
    /// The order of this number; `None` if it is not finite.
    pub fn new(number: f64) -> Option<Order> {
        // There is one 0.
        number.is_finite().then_some(Order(number + 0.0))
    }

    /// The number, which is finite.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl PartialEq for Order {
    fn eq(&self, other: &Order) -> bool {
        self.0 == other.0
    }
}

/// Never not-a-number, so equal to itself.
impl Eq for Order {}

impl Hash for Order {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

impl fmt::Debug for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Order({self})")
    }
}

impl fmt::Display for Order {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for Order {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Order::new(f64::deserialize(deserializer)?).ok_or_else(|| de::Error::custom("an order is finite"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_a_finite_number() {
        assert_eq!(Order::new(-0.0).map(|it| it.get().to_bits()), Some(0.0_f64.to_bits()));
        for (number, shown) in [(1000.0, "1000"), (-1.5, "-1.5"), (0.1, "0.1")] {
            assert_eq!(Order::new(number).map(|it| it.to_string()), Some(shown.to_owned()));
        }
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(Order::new(number), None);
        }
    }
}
