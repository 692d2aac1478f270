//! NetworkPolicy (networking.k8s.io/v1), as stored by the API server: defaults filled in.
//!
//! Source of the rules: the API type's documentation (`staging/src/k8s.io/api/networking/v1`).

use crate::core::{IntOrString, TransportProtocol};
use crate::meta::ObjectMeta;
use crate::selector::LabelSelector;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A NetworkPolicy with its defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkPolicy {
    /// Name, namespace, labels.
    pub metadata: ObjectMeta,
    /// The policy.
    pub spec: NetworkPolicySpec,
}

/// `spec` of a NetworkPolicy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkPolicySpec {
    /// The pods of the policy's namespace that it isolates; absent means the same as empty: all.
    #[serde(default)]
    pub pod_selector: LabelSelector,
    /// The directions in which it isolates them. Never empty: defaulting puts Ingress, and Egress if
    /// there is an egress rule.
    pub policy_types: Vec<PolicyType>,
    /// Ingress rules. Without effect if `policy_types` has no Ingress.
    #[serde(default)]
    pub ingress: Vec<NetworkPolicyRule>,
    /// Egress rules. Without effect if `policy_types` has no Egress.
    #[serde(default)]
    pub egress: Vec<NetworkPolicyRule>,
}

/// A direction of isolation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PolicyType {
    /// Towards the selected pods.
    Ingress,
    /// From the selected pods.
    Egress,
}

/// A rule of either direction; `peers` is `from` of an ingress rule and `to` of an egress rule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkPolicyRule {
    /// The peers that it allows; empty (or absent) means all sources or destinations.
    #[serde(default)]
    pub peers: Vec<NetworkPolicyPeer>,
    /// The ports that it allows; empty (or absent) means every port of every protocol.
    #[serde(default)]
    pub ports: Vec<NetworkPolicyPort>,
}

/// One entry of `from` or `to`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum NetworkPolicyPeer {
    /// Pods by selector. At least one of the two is present.
    #[serde(rename_all = "camelCase")]
    Pods {
        /// The namespaces; absent means the policy's own.
        namespace_selector: Option<LabelSelector>,
        /// The pods in them; absent means all.
        pod_selector: Option<LabelSelector>,
    },
    /// Addresses.
    IpBlock(IpBlock),
}

/// A range of addresses with exceptions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IpBlock {
    /// The range.
    pub cidr: Cidr,
    /// Ranges strictly within `cidr` that this entry does not cover. Not a deny.
    #[serde(default)]
    pub except: Vec<Cidr>,
}

/// An address range whose host bits are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cidr(IpNet);

impl Cidr {
    /// The range of `net`, with host bits cleared.
    pub fn new(net: IpNet) -> Self {
        Cidr(net.trunc())
    }

    /// As an `IpNet`.
    pub fn net(self) -> IpNet {
        self.0
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One entry of `ports`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NetworkPolicyPort {
    /// TCP where none is written.
    pub protocol: TransportProtocol,
    /// A number or a container port's name; absent means every port of the protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<IntOrString>,
    /// The last port of a range that starts at a numeric `port`, inclusive.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_port: Option<u16>,
}
