//! Taints of nodes, and tolerations of pods (v1 Taint, v1 Toleration).

use serde::{Deserialize, Serialize};
use std::fmt;

/// `spec.taints` of a node, one entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Taint {
    /// The key.
    pub key: String,
    /// The value; empty where none is written.
    #[serde(default)]
    pub value: String,
    /// What it does to pods that do not tolerate it.
    pub effect: TaintEffect,
}

/// `KEY=VALUE:EFFECT`, as kubectl writes it.
impl fmt::Display for Taint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Taint { key, value, effect } = self;
        match value.as_str() {
            "" => write!(f, "{key}:{effect:?}"),
            value => write!(f, "{key}={value}:{effect:?}"),
        }
    }
}

/// `effect` of a taint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum TaintEffect {
    /// The scheduler puts no pod on the node.
    NoSchedule,
    /// The scheduler avoids the node if it can.
    PreferNoSchedule,
    /// As NoSchedule, and pods that run there are evicted.
    NoExecute,
}

impl TaintEffect {
    /// Whether the scheduler puts no pod on a node with this taint.
    pub fn keeps_away(self) -> bool {
        self != TaintEffect::PreferNoSchedule
    }
}

/// `spec.tolerations` of a pod, one entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Toleration {
    /// The key; empty tolerates every key, and needs the operator Exists.
    #[serde(default)]
    pub key: String,
    /// How the value is compared.
    #[serde(default)]
    pub operator: TolerationOperator,
    /// The value, for the operator Equal.
    #[serde(default)]
    pub value: String,
    /// The effect; `None` tolerates all of them.
    #[serde(default)]
    pub effect: Option<TaintEffect>,
}

/// `operator` of a toleration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TolerationOperator {
    /// The value is the taint's.
    #[default]
    Equal,
    /// Any value.
    Exists,
    /// The taint's value is a smaller number.
    Lt,
    /// The taint's value is a larger number.
    Gt,
}
