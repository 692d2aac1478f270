//! Where a packet can be: the pods, nodes and external hosts of a cluster, by name.

use serde::{Deserialize, Serialize};
use std::fmt;

/// `NAMESPACE/NAME` of a namespaced object.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct NamespacedName {
    /// The namespace.
    pub namespace: String,
    /// The name within it.
    pub name: String,
}

impl NamespacedName {
    /// Joins the two parts.
    pub fn new(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        NamespacedName { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for NamespacedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// One network stack of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// A pod with a network of its own (a hostNetwork pod is at its node's place).
    Pod(NamespacedName),
    /// A node.
    Node(String),
    /// A host outside the cluster.
    External(String),
    /// The router that joins the nodes and the external hosts.
    Router,
}

impl Place {
    /// The place of pod `namespace/name`.
    pub fn pod(namespace: impl Into<String>, name: impl Into<String>) -> Self {
        Place::Pod(NamespacedName::new(namespace, name))
    }

    /// The place of node `name`.
    pub fn node(name: impl Into<String>) -> Self {
        Place::Node(name.into())
    }

    /// The place of external host `name`.
    pub fn external(name: impl Into<String>) -> Self {
        Place::External(name.into())
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Pod(pod) => write!(f, "pod/{pod}"),
            Place::Node(name) => write!(f, "node/{name}"),
            Place::External(name) => write!(f, "external/{name}"),
            Place::Router => f.write_str("router"),
        }
    }
}
