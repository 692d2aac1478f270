//! Policies as they are written: absent, empty and filled are three different things.

use ipnet::IpNet;
use netproof_api::core::TransportProtocol;
use netproof_api::networking::PolicyType;
use netproof_api::selector::Operator;
use std::collections::BTreeMap;

/// Labels, by key.
pub type Labels = BTreeMap<String, String>;

/// The `spec` of a NetworkPolicy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// `podSelector`.
    pub pods: Selector,
    /// `policyTypes`.
    pub types: Option<Vec<PolicyType>>,
    /// `ingress`.
    pub ingress: Option<Vec<Rule>>,
    /// `egress`.
    pub egress: Option<Vec<Rule>>,
}

/// A rule of either direction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// `from` or `to`.
    pub peers: Option<Vec<Peer>>,
    /// `ports`.
    pub ports: Option<Vec<PortEntry>>,
}

/// An item of `from` or `to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peer {
    /// `podSelector`.
    Pods(Selector),
    /// `namespaceSelector`.
    Namespaces(Selector),
    /// `namespaceSelector` and `podSelector` in one item.
    PodsOfNamespaces(Selector, Selector),
    /// `ipBlock`. The address may have bits beyond the prefix.
    Block(IpNet, Option<Vec<IpNet>>),
}

/// A label selector.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    /// `matchLabels`.
    pub labels: Option<Labels>,
    /// `matchExpressions`.
    pub expressions: Option<Vec<Requirement>>,
}

/// An item of `matchExpressions`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    /// The label's key.
    pub key: String,
    /// The operator.
    pub operator: Operator,
    /// The values; none for `Exists` and `DoesNotExist`, else at least one.
    pub values: Vec<String>,
}

/// An item of `ports`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortEntry {
    /// `protocol`.
    pub protocol: Option<TransportProtocol>,
    /// `port`, a number or a name.
    pub port: Option<PortName>,
    /// `endPort`; only beside a number that is not larger.
    pub end: Option<u16>,
}

/// A port in a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortName {
    /// By its number.
    Number(u16),
    /// By its name.
    Name(String),
}
