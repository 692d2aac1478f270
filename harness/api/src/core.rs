//! Namespace, Node, Pod and Service (v1), EndpointSlice (discovery.k8s.io/v1): the fields that the
//! network depends on, as stored by the API server.
//!
//! Of fields that have nothing to do with the network only the names are checked; they are not kept.

use crate::meta::{Labels, ObjectMeta};
use crate::scheduling::{Taint, Toleration};
use netproof_model::Protocol;
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

/// The same protocol as flows and rules name it.
impl From<TransportProtocol> for Protocol {
    fn from(protocol: TransportProtocol) -> Protocol {
        match protocol {
            TransportProtocol::Tcp => Protocol::Tcp,
            TransportProtocol::Udp => Protocol::Udp,
            TransportProtocol::Sctp => Protocol::Sctp,
        }
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
    /// The addresses of the node's end of the overlay, one of each family: the source of packets that the
    /// node sends or masquerades into the overlay. Filled in by the control plane; empty without an overlay.
    #[serde(default)]
    pub tunnel_addresses: Vec<IpAddr>,
    /// `spec.taints`, and the taint for `spec.unschedulable`.
    #[serde(default)]
    pub taints: Vec<Taint>,
}

impl Node {
    /// Whether an address is the node's, its end of the overlay included.
    pub fn has_address(&self, address: IpAddr) -> bool {
        self.addresses.contains(&address) || self.tunnel_addresses.contains(&address)
    }
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
    /// `spec.containers` (init containers are not kept, since they serve nothing).
    #[serde(default)]
    pub containers: Vec<Container>,
    /// `status.podIPs`, the primary family first. Filled in by the control plane; may be given.
    #[serde(default)]
    pub pod_ips: Vec<IpAddr>,
    /// `status.hostIPs`: its node's addresses. Filled in by the control plane, whatever is given.
    #[serde(default)]
    pub host_ips: Vec<IpAddr>,
    /// `status.phase`; Running where none is written.
    #[serde(default)]
    pub phase: PodPhase,
    /// Whether the condition Ready is true; true where none is written.
    #[serde(default = "yes")]
    pub ready: bool,
    /// Whether the pod is being deleted (`metadata.deletionTimestamp` is set): it may still serve.
    #[serde(default)]
    pub terminating: bool,
    /// `spec.nodeSelector`: labels of the nodes that it may run on, if it names none.
    #[serde(default)]
    pub node_selector: Labels,
    /// `spec.hostname`, and `spec.subdomain`: the headless service under whose name the pod has that host
    /// name.
    #[serde(default)]
    pub hostname: Option<String>,
    /// See `hostname`.
    #[serde(default)]
    pub subdomain: Option<String>,
    /// `spec.tolerations`.
    #[serde(default)]
    pub tolerations: Vec<Toleration>,
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
    /// Succeeded: it has no network any more.
    Succeeded,
    /// Failed: it has no network any more.
    Failed,
}

impl PodPhase {
    /// Whether the pod has ended (Succeeded or Failed): its network is gone, and another pod may have its
    /// addresses.
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
    /// `hostPort` and `hostIP`: where the pod's node forwards packets to this port. `None` for a hostNetwork
    /// pod, which has the node's port itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host_port: Option<HostPort>,
}

/// A port of a node that is forwarded to a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct HostPort {
    /// The number, never 0.
    pub port: u16,
    /// The node's address that has the port: `None` means every address, an unspecified one (`0.0.0.0`)
    /// every address of its family.
    pub ip: Option<IpAddr>,
}

impl HostPort {
    /// The single address of a family that has the port, if there is only one; `None` if the port is not in
    /// the family.
    pub fn in_family(&self, ipv4: bool) -> Option<Option<IpAddr>> {
        match self.ip {
            None => Some(None),
            Some(ip) if ip.is_ipv4() != ipv4 => None,
            Some(ip) => Some((!ip.is_unspecified()).then_some(ip)),
        }
    }

    /// Whether both claim the same address and port.
    pub fn overlaps(&self, other: &HostPort) -> bool {
        let meet = |ipv4| match (self.in_family(ipv4), other.in_family(ipv4)) {
            (Some(Some(own)), Some(Some(others))) => own == others,
            (Some(_), Some(_)) => true,
            _ => false,
        };
        self.port == other.port && (meet(true) || meet(false))
    }
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
    /// `spec.externalName` of a service of type ExternalName: the target of its DNS alias, a full name
    /// without a final dot.
    #[serde(default)]
    pub external_name: Option<String>,
    /// `spec.externalIPs`: addresses that every node translates to the service. The control plane leaves out
    /// those of families that the service does not have.
    #[serde(default)]
    pub external_ips: Vec<IpAddr>,
    /// `spec.externalTrafficPolicy`: for node ports, external IPs and load balancer addresses.
    #[serde(default)]
    pub external_traffic_policy: TrafficPolicy,
    /// `spec.internalTrafficPolicy`: for the cluster IPs.
    #[serde(default)]
    pub internal_traffic_policy: TrafficPolicy,
    /// `spec.sessionAffinity: ClientIP`, with its timeout in seconds
    /// (`spec.sessionAffinityConfig.clientIP.timeoutSeconds`, 10800 where none is written); `None` for
    /// `sessionAffinity: None`.
    #[serde(default)]
    pub session_affinity: Option<u32>,
    /// `spec.loadBalancerSourceRanges`; empty allows every source.
    #[serde(default)]
    pub load_balancer_source_ranges: Vec<ipnet::IpNet>,
    /// `status.loadBalancer.ingress`: addresses of families that the service has. If the topology has a load
    /// balancer, the control plane fills in an address for each family without one.
    #[serde(default)]
    pub load_balancer_ingress: Vec<LoadBalancerIngress>,
    /// `spec.allocateLoadBalancerNodePorts`; true where none is written.
    #[serde(default = "yes")]
    pub allocate_load_balancer_node_ports: bool,
    /// `spec.healthCheckNodePort`, of a LoadBalancer service whose `externalTrafficPolicy` is Local.
    /// Filled in by the control plane unless given.
    #[serde(default)]
    pub health_check_node_port: Option<u16>,
    /// `spec.publishNotReadyAddresses`: endpoints count as ready whatever their pods say.
    #[serde(default)]
    pub publish_not_ready_addresses: bool,
    /// `spec.trafficDistribution`; `None` where none is written.
    #[serde(default)]
    pub traffic_distribution: Option<TrafficDistribution>,
    /// `spec.ipFamilyPolicy`; `None` where none is written, which gives every family of the topology.
    #[serde(default)]
    pub ip_family_policy: Option<IpFamilyPolicy>,
    /// `spec.ipFamilies`: which families the service has, the primary one first. Filled in by the control
    /// plane, also for a headless service; empty for one of type ExternalName.
    #[serde(default)]
    pub ip_families: Vec<AddressType>,
}

/// `externalTrafficPolicy` or `internalTrafficPolicy` of a service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TrafficPolicy {
    /// To every endpoint of the cluster.
    #[default]
    Cluster,
    /// To endpoints on the node that handles the packet.
    Local,
}

/// `trafficDistribution` of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum TrafficDistribution {
    /// Endpoints of the client's zone; also written `PreferClose`.
    PreferSameZone,
    /// Endpoints of the client's node, else of its zone.
    PreferSameNode,
}

/// `ipFamilyPolicy` of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum IpFamilyPolicy {
    /// One family.
    SingleStack,
    /// Both, where the cluster has both.
    PreferDualStack,
    /// Both, or the service is refused.
    RequireDualStack,
}

/// One address of `status.loadBalancer.ingress`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LoadBalancerIngress {
    /// The address.
    pub ip: IpAddr,
    /// Whether nodes get packets with this address as destination.
    #[serde(default)]
    pub ip_mode: IpMode,
}

/// `ipMode` of a load balancer's address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum IpMode {
    /// The load balancer keeps the destination; nodes treat the address as the service's.
    #[default]
    VIP,
    /// The load balancer rewrites the destination to a node and node port; nodes route packets for the
    /// address to it.
    Proxy,
}

fn yes() -> bool {
    true
}

/// `spec.type` of a service.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ServiceType {
    /// A virtual address inside the cluster.
    #[default]
    ClusterIP,
    /// That, and a port on every node.
    NodePort,
    /// That, and the addresses of a load balancer.
    LoadBalancer,
    /// A DNS alias and nothing else.
    ExternalName,
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
    /// The port of the pods: a number or a container port's name; the same as `port` if none is written.
    pub target_port: IntOrString,
    /// The port on every node. Filled in by the control plane unless given; `None` for ClusterIP.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_port: Option<u16>,
}

/// The endpoints of a service in one family (discovery.k8s.io/v1 EndpointSlice).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointSlice {
    /// Name and namespace; the label `kubernetes.io/service-name` names its service.
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
    #[serde(default = "yes")]
    pub ready: bool,
    /// `conditions.serving`; as `ready` where none is written.
    #[serde(default = "yes")]
    pub serving: bool,
    /// `conditions.terminating`; false where none is written.
    #[serde(default)]
    pub terminating: bool,
    /// `zone`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<String>,
    /// `hints`: the clients for which the endpoint is meant; absent means all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hints: Option<EndpointHints>,
    /// `hostname`: the name of the endpoint below that of a headless service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
    /// `nodeName`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node_name: Option<String>,
    /// `targetRef`: the name of its pod, in the slice's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
}

/// `hints` of an endpoint: the zones and the nodes whose clients should use it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndpointHints {
    /// `forZones`, by name.
    #[serde(default)]
    pub for_zones: Vec<String>,
    /// `forNodes`, by name.
    #[serde(default)]
    pub for_nodes: Vec<String>,
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
