//! The words of topologies and of every document's head, with what an editor says about each.

use netproof_model::topology::{Neighbours, ServiceAddresses};
use netproof_model::{Families, Wiring};
use schemars::JsonSchema;
use serde::Deserialize;

/// How the pods of a node are joined to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Wiring")]
pub enum WiringName {
    /// A veth and a host route for each pod, as Calico does.
    Routed,
    /// A bridge on each node, as flannel and kubenet do.
    Bridge,
    /// Pods as in `routed`, nodes joined by a VXLAN overlay, as Calico and flannel can do.
    Vxlan,
}

impl From<WiringName> for Wiring {
    fn from(name: WiringName) -> Self {
        match name {
            WiringName::Routed => Wiring::Routed,
            WiringName::Bridge => Wiring::Bridge,
            WiringName::Vxlan => Wiring::Vxlan,
        }
    }
}

/// How a pod and its node find each other on their link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Neighbours")]
pub enum NeighboursName {
    /// By entries that are given.
    Permanent,
    /// By ARP and IPv6 neighbour discovery, as in a real cluster; for few pods.
    Learned,
}

impl From<NeighboursName> for Neighbours {
    fn from(name: NeighboursName) -> Self {
        match name {
            NeighboursName::Permanent => Neighbours::Permanent,
            NeighboursName::Learned => Neighbours::Learned,
        }
    }
}

/// Addresses of services that a router can know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[schemars(rename = "ServiceAddresses")]
pub enum ServiceAddressesName {
    /// The range of cluster IPs.
    #[serde(rename = "cluster-ips")]
    Cluster,
    /// The `externalIPs` of services.
    #[serde(rename = "external-ips")]
    External,
    /// The addresses that a load balancer gave to services.
    #[serde(rename = "load-balancer-ips")]
    LoadBalancer,
}

impl From<ServiceAddressesName> for ServiceAddresses {
    fn from(name: ServiceAddressesName) -> Self {
        match name {
            ServiceAddressesName::Cluster => ServiceAddresses::ClusterIps,
            ServiceAddressesName::External => ServiceAddresses::ExternalIps,
            ServiceAddressesName::LoadBalancer => ServiceAddresses::LoadBalancerIps,
        }
    }
}

/// The address families of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Families")]
pub enum FamiliesName {
    /// IPv4 only.
    Ipv4,
    /// IPv6 only.
    Ipv6,
    /// Both; a flow is tried on each family that both ends have.
    Dual,
}

impl From<FamiliesName> for Families {
    fn from(name: FamiliesName) -> Self {
        match name {
            FamiliesName::Ipv4 => Families::Ipv4,
            FamiliesName::Ipv6 => Families::Ipv6,
            FamiliesName::Dual => Families::Dual,
        }
    }
}

/// The version of netproof's own formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum ApiVersion {
    /// The only one so far.
    #[serde(rename = "netproof/v1alpha1")]
    V1Alpha1,
}

/// The kind of a topology document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum TopologyKind {
    /// A topology.
    Topology,
}
