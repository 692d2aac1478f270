//! ClusterNetworkPolicy (policy.networking.k8s.io/v1alpha2), as stored by the API server. It has no defaults.
//!
//! Source of the rules: the API types and the CRD of kubernetes-sigs/network-policy-api (`apis/v1alpha2`). The kinds
//! of v1alpha1, AdminNetworkPolicy and BaselineAdminNetworkPolicy, are read as this one.

use crate::core::TransportProtocol;
use crate::meta::ObjectMeta;
use crate::networking::Cidr;
use crate::selector::LabelSelector;
use netproof_model::PolicyKind;
use serde::{Deserialize, Serialize};

/// A ClusterNetworkPolicy, or what one of the kinds of v1alpha1 means as such.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterNetworkPolicy {
    /// Name, labels.
    pub metadata: ObjectMeta,
    /// The kind that it was written as.
    pub written_as: PolicyKind,
    /// The policy.
    pub spec: ClusterNetworkPolicySpec,
}

/// `spec` of a ClusterNetworkPolicy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterNetworkPolicySpec {
    /// Whether it stands before NetworkPolicies or after them.
    pub tier: ClusterTier,
    /// Its place in the tier, 0 to 1000: the lowest is first. 0 where a BaselineAdminNetworkPolicy, which has none, was
    /// written.
    pub priority: u16,
    /// The pods that it is about.
    pub subject: ClusterSubject,
    /// Rules for what comes to the subject, in order.
    #[serde(default)]
    pub ingress: Vec<ClusterRule>,
    /// Rules for what the subject sends, in order.
    #[serde(default)]
    pub egress: Vec<ClusterRule>,
}

/// A tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum ClusterTier {
    /// Before NetworkPolicies.
    Admin,
    /// After NetworkPolicies, for pods that none of them isolates.
    Baseline,
}

/// `subject`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ClusterSubject {
    /// All pods of namespaces.
    Namespaces(LabelSelector),
    /// Some pods of namespaces.
    Pods(NamespacedPods),
}

/// Pods of namespaces. Both selectors must match.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NamespacedPods {
    /// The namespaces; absent means all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace_selector: Option<LabelSelector>,
    /// The pods in them.
    pub pod_selector: LabelSelector,
}

/// A rule of either direction; `peers` is `from` of an ingress rule and `to` of an egress rule. A packet matches if one
/// of the peers is its other end, and one of the protocols is what it asks for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterRule {
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What becomes of a packet that it matches.
    pub action: ClusterAction,
    /// The peers. Never empty.
    pub peers: Vec<ClusterPeer>,
    /// The protocols and ports; empty (which is written by leaving them out) means all traffic.
    #[serde(default)]
    pub protocols: Vec<ClusterPort>,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ClusterAction {
    /// It is allowed, whatever comes later.
    Accept,
    /// It is dropped.
    Deny,
    /// The rest of the tier is not asked.
    Pass,
}

/// One entry of `from` or `to`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ClusterPeer {
    /// All pods of namespaces.
    Namespaces(LabelSelector),
    /// Some pods of namespaces.
    Pods(NamespacedPods),
    /// Nodes (egress only).
    Nodes(LabelSelector),
    /// Address ranges (egress only).
    Networks(Vec<Cidr>),
    /// A peer of a later version of the API, of which nothing is known here.
    Unknown,
}

/// One entry of `protocols`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ClusterPort {
    /// One port.
    Number {
        /// The protocol.
        protocol: TransportProtocol,
        /// The port, not 0.
        number: u16,
    },
    /// Several ports.
    Range {
        /// The protocol.
        protocol: TransportProtocol,
        /// The first port, not 0.
        start: u16,
        /// The last port. Of v1alpha1 it may be below the first: then the entry matches nothing.
        end: u16,
    },
    /// `destinationNamedPort`: a container port of the destination, by its name; the protocol is the container port's.
    Named(String),
    /// An entry of a later version of the API, or a name that is empty, which the API server stores and which means
    /// nothing.
    Unknown,
}
