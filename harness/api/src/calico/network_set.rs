//! NetworkSet and GlobalNetworkSet.

use crate::meta::ObjectMeta;
use crate::networking::Cidr;
use netproof_model::PolicyKind;
use serde::{Deserialize, Serialize};

/// A NetworkSet, or without a namespace a GlobalNetworkSet: addresses with labels, which selectors of rules match
/// as they match pods.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkSet {
    /// Name, labels, and the namespace of a NetworkSet.
    pub metadata: ObjectMeta,
    /// `spec.nets`. A single address is a range of one.
    #[serde(default)]
    pub nets: Vec<Cidr>,
}

impl NetworkSet {
    /// Its kind.
    pub fn kind(&self) -> PolicyKind {
        match self.metadata.namespace {
            Some(_) => PolicyKind::NetworkSet,
            None => PolicyKind::GlobalNetworkSet,
        }
    }
}
