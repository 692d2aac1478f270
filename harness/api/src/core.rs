//! Namespace, Node, Pod and Service (v1), EndpointSlice (discovery.k8s.io/v1): the fields that the
//! network depends on, as stored by the API server.
//!
//! Fields that have nothing to do with the network are checked for their names when a manifest is read
//! and are not kept.

use crate::meta::{Labels, ObjectMeta};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

/// TCP, UDP or SCTP, as the core API spells them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum TransportProtocol {
    /// The default everywhere.
    #[default]
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

impl fmt::Display for TransportProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TransportProtocol::Tcp => "TCP",
            TransportProtocol::Udp => "UDP",
            TransportProtocol::Sctp => "SCTP",
        })
    }
}

/// A number or a name (util/intstr IntOrString).
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(untagged)]
pub enum IntOrString {
    /// A port number, never 0.
    Int(u16),
    /// A port name.
    String(String),
}

impl fmt::Display for IntOrString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IntOrString::Int(number) => write!(f, "{number}"),
            IntOrString::String(name) => f.write_str(name),
        }
    }
}

/// A namespace. Defaulting adds the label `kubernetes.io/metadata.name`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Namespace {
    /// Name and labels.
    pub metadata: ObjectMeta,
}

/// A node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// Name and labels.
    pub metadata: ObjectMeta,
    /// `status.addresses` of type InternalIP, the primary family first. Filled in by the control plane.
    #[serde(default)]
    pub addresses: Vec<IpAddr>,
    /// `spec.podCIDRs`. Filled in by the control plane.
    #[serde(default)]
    pub pod_cidrs: Vec<ipnet::IpNet>,
}

/// A pod.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pod {
    /// Name, namespace, labels.
    pub metadata: ObjectMeta,
    /// `spec.nodeName`. Filled in by the control plane where it is absent.
    #[serde(default)]
    pub node_name: Option<String>,
    /// `spec.hostNetwork`: the pod lives in its node's network.
    #[serde(default)]
    pub host_network: bool,
    /// `spec.serviceAccountName`; `default` where none is written.
    pub service_account: String,
    /// `spec.containers` (init containers serve nobody and are not kept).
    #[serde(default)]
    pub containers: Vec<Container>,
    /// `status.podIPs`, the primary family first. Filled in by the control plane; may be given.
    #[serde(default)]
    pub pod_ips: Vec<IpAddr>,
    /// `status.phase`; Running where none is written.
    #[serde(default)]
    pub phase: PodPhase,
    /// Whether the condition Ready is true; true where none is written.
    #[serde(default = "ready")]
    pub ready: bool,
}

fn ready() -> bool {
    true
}

impl Pod {
    /// Every container port of the pod.
    pub fn ports(&self) -> impl Iterator<Item = &ContainerPort> {
        self.containers.iter().flat_map(|container| &container.ports)
    }
}

/// `status.phase` of a pod.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum PodPhase {
    /// Not started.
    Pending,
    /// Started.
    #[default]
    Running,
    /// Ended well: it has no network any more.
    Succeeded,
    /// Ended badly: it has no network any more.
    Failed,
}

impl PodPhase {
    /// Whether the pod has ended, well or badly: its network is gone and its addresses may be another's.
    pub fn has_ended(self) -> bool {
        matches!(self, PodPhase::Succeeded | PodPhase::Failed)
    }
}

/// A container, as far as others can reach it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// Its ports.
    #[serde(default)]
    pub ports: Vec<ContainerPort>,
}

/// One entry of a container's `ports`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerPort {
    /// Its name, by which policies and services may refer to it; unique in the pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The number, never 0.
    pub container_port: u16,
    /// TCP where none is written.
    #[serde(default)]
    pub protocol: TransportProtocol,
}

/// A service.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Service {
    /// Name, namespace, labels.
    pub metadata: ObjectMeta,
    /// `spec.type`.
    #[serde(default, rename = "type")]
    pub service_type: ServiceType,
    /// `spec.selector`; empty means that EndpointSlices come from elsewhere.
    #[serde(default)]
    pub selector: Labels,
    /// `spec.ports`.
    #[serde(default)]
    pub ports: Vec<ServicePort>,
    /// `spec.clusterIPs`, the primary family first; empty for a headless service. Filled in by the
    /// control plane unless given.
    #[serde(default)]
    pub cluster_ips: Vec<IpAddr>,
    /// `spec.clusterIP: None`.
    #[serde(default)]
    pub headless: bool,
}

/// `spec.type` of a service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ServiceType {
    /// A virtual address inside the cluster.
    #[default]
    ClusterIP,
    /// That, and a port on every node.
    NodePort,
}

/// One entry of a service's `ports`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ServicePort {
    /// Its name; required where there is more than one port.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// TCP where none is written.
    #[serde(default)]
    pub protocol: TransportProtocol,
    /// The port of the service, never 0.
    pub port: u16,
    /// The port of the pods: a number or a container port's name. `port` where none is written.
    pub target_port: IntOrString,
    /// The port on every node. Filled in by the control plane unless given; `None` for ClusterIP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_port: Option<u16>,
}

/// The endpoints of a service in one family (discovery.k8s.io/v1 EndpointSlice).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointSlice {
    /// Name and namespace; the label `kubernetes.io/service-name` says whose it is.
    pub metadata: ObjectMeta,
    /// IPv4 or IPv6.
    pub address_type: AddressType,
    /// The endpoints.
    #[serde(default)]
    pub endpoints: Vec<Endpoint>,
    /// The ports that every endpoint of this slice serves.
    #[serde(default)]
    pub ports: Vec<EndpointPort>,
}

/// `addressType` of an EndpointSlice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum AddressType {
    /// IPv4 addresses.
    IPv4,
    /// IPv6 addresses.
    IPv6,
}

/// One endpoint of an EndpointSlice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// Its addresses: one, in practice.
    pub addresses: Vec<IpAddr>,
    /// `conditions.ready`; true where none is written.
    #[serde(default = "ready")]
    pub ready: bool,
    /// `nodeName`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_name: Option<String>,
    /// `targetRef`, the pod behind it: its name, in the slice's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
}

/// One port of an EndpointSlice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointPort {
    /// The service port's name; absent for an unnamed one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The number on the pod.
    pub port: u16,
    /// TCP where none is written.
    #[serde(default)]
    pub protocol: TransportProtocol,
}
