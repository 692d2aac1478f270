//! The relevant part of ObjectMeta.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Labels of an object, by key.
pub type Labels = BTreeMap<String, String>;

/// `metadata` of an object (meta/v1 ObjectMeta).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectMeta {
    /// The name, unique within kind and namespace.
    pub name: String,
    /// The namespace; `None` for cluster-scoped kinds. Defaulting fills in `default` for namespaced kinds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// Labels.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: Labels,
    /// Annotations.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// The object's controller: the entry of `ownerReferences` with `controller: true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub controller: Option<OwnerReference>,
}

/// An entry of `ownerReferences`: an object of the same namespace, or a cluster-scoped one.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct OwnerReference {
    /// Its API group; empty for the core group.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub group: String,
    /// Its kind, as manifests write it.
    pub kind: String,
    /// Its name.
    pub name: String,
}
