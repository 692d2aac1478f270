//! Profile.

use super::rule::CalicoRule;
use crate::meta::{Labels, ObjectMeta};
use serde::{Deserialize, Serialize};

/// Rules for the endpoints that refer to the profile, where no tier decides, and labels for them.
///
/// Pods refer to `kns.NAMESPACE` and `ksa.NAMESPACE.SERVICEACCOUNT`, which Calico makes itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// Its name.
    pub metadata: ObjectMeta,
    /// The profile.
    pub spec: ProfileSpec,
}

/// `spec` of a Profile.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ProfileSpec {
    /// Ingress rules.
    #[serde(default)]
    pub ingress: Vec<CalicoRule>,
    /// Egress rules.
    #[serde(default)]
    pub egress: Vec<CalicoRule>,
    /// Labels that its endpoints have unless they have them themselves.
    #[serde(default)]
    pub labels_to_apply: Labels,
}
