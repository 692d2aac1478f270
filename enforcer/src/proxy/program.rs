//! What services mean on one node, independent of any backend: each port of each service address, with
//! the endpoints that it leads to.
//!
//! Which endpoints those are is decided as kube-proxy does: ready ones, else those that still serve
//! while they end; for the policies Cluster and Local independently; of those of the whole cluster only
//! the ones whose hints name this node, else its zone, if every ready endpoint has such hints and one
//! names it.

use super::conntrack::UdpServices;
use super::host_ports::HostPort;
use super::mode::Behaviour;
use crate::program::protocol;
use ipnet::IpNet;
use netproof_api::core::{AddressType, EndpointHints, IpMode, ServiceType, TrafficPolicy};
use netproof_api::{EndpointSlice, Service, ServicePort as ApiPort};
use netproof_controlplane::Snapshot;
use netproof_model::{Families, Family, NamespacedName, Protocol, Topology};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// The label of a node that says in which zone it is.
const ZONE_LABEL: &str = "topology.kubernetes.io/zone";

/// One port of a service in one family, as one node serves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePort {
    /// The service.
    pub service: NamespacedName,
    /// Its address in this family.
    pub cluster_ip: IpAddr,
    /// Whether the cluster IP leads here: an earlier service may have that address and port.
    pub at_cluster_ip: bool,
    /// TCP, UDP or SCTP.
    pub protocol: Protocol,
    /// The port of the cluster IP.
    pub port: u16,
    /// The port of every node, if it has one.
    pub node_port: Option<u16>,
    /// The external IPs of this family.
    pub external_ips: BTreeSet<IpAddr>,
    /// The load balancer's addresses of this family that are still the packet's destination when a node
    /// gets it (`ipMode: VIP`).
    pub load_balancer_ips: BTreeSet<IpAddr>,
    /// Who may use the load balancer's addresses: ranges of this family. Empty lets everybody in, also
    /// where the service has ranges of the other family only; kube-proxy has it so.
    pub source_ranges: Vec<IpNet>,
    /// For packets to the cluster IP.
    pub internal_policy: TrafficPolicy,
    /// For packets to every other address, and to the node port.
    pub external_policy: TrafficPolicy,
    /// For how many seconds a client keeps its endpoint, if it does.
    pub affinity: Option<u32>,
    /// The endpoints for the policy Cluster.
    pub cluster: BTreeSet<Endpoint>,
    /// The endpoints for the policy Local: those on this node.
    pub local: BTreeSet<Endpoint>,
}

impl ServicePort {
    /// The family.
    pub fn family(&self) -> Family {
        Family::of(self.cluster_ip)
    }

    /// The endpoints under a traffic policy.
    pub fn endpoints(&self, policy: TrafficPolicy) -> &BTreeSet<Endpoint> {
        match policy {
            TrafficPolicy::Cluster => &self.cluster,
            TrafficPolicy::Local => &self.local,
        }
    }

    /// Whether anything but the cluster IP leads to it.
    pub fn is_external(&self) -> bool {
        self.node_port.is_some() || !self.external_ips.is_empty() || !self.load_balancer_ips.is_empty()
    }
}

/// Where a packet to a service may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// The address of a pod, or whatever an EndpointSlice says.
    pub address: IpAddr,
    /// The port there.
    pub port: u16,
}

/// What of a node matters to the services on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeView {
    /// Its name.
    pub name: String,
    /// Its zone, if a label says so.
    pub zone: Option<String>,
    /// Its addresses, the primary one of each family first; without the overlay's.
    pub addresses: Vec<IpAddr>,
}

impl NodeView {
    /// The node of this name; without addresses if the snapshot does not have it.
    pub fn new(snapshot: &Snapshot, name: &str) -> NodeView {
        let node = snapshot.nodes.get(name);
        NodeView {
            name: name.to_owned(),
            zone: node.and_then(|node| node.metadata.labels.get(ZONE_LABEL)).cloned(),
            addresses: node.map(|node| node.addresses.clone()).unwrap_or_default(),
        }
    }
}

/// A way that leads to a port of a service. It belongs to one service, the first in the order of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// An address, a protocol and a port.
    Address(IpAddr, Protocol, u16),
    /// A protocol and a port of every node.
    NodePort(Protocol, u16),
}

/// What is made true for the services of one node.
#[derive(Clone, Copy, Debug)]
pub struct ServiceSite<'a> {
    /// The generation of the objects.
    pub generation: u64,
    /// The cluster.
    pub topology: &'a Topology,
    /// The node.
    pub node: &'a NodeView,
    /// How the proxy behaves.
    pub behaviour: Behaviour,
    /// Whether every packet to a cluster IP is masqueraded, those from pods too.
    pub masquerade_all: bool,
}

/// What services mean on one node. No two of them have the same way.
#[derive(Clone, Debug)]
pub struct ServiceProgram {
    /// Every port of every service, in the order of services.
    pub ports: Vec<ServicePort>,
    /// The host ports of the node's pods.
    pub host_ports: BTreeSet<HostPort>,
}

impl ServiceProgram {
    /// Of these services, and of the host ports of the node.
    pub fn new<'s>(
        services: impl IntoIterator<Item = (&'s NamespacedName, &'s Inputs)>,
        host_ports: BTreeSet<HostPort>,
        site: ServiceSite<'_>,
    ) -> ServiceProgram {
        ServiceProgram { ports: ports(services, site), host_ports }
    }
}

impl ServiceChange {
    /// From these services to those.
    pub fn new<'s>(
        before: impl IntoIterator<Item = (&'s NamespacedName, &'s Inputs)>,
        after: impl IntoIterator<Item = (&'s NamespacedName, &'s Inputs)>,
        site: ServiceSite<'_>,
    ) -> ServiceChange {
        ServiceChange { before: ports(before, site), after: ports(after, site) }
    }
}

/// The ports of services as a node serves them.
fn ports<'s>(
    services: impl IntoIterator<Item = (&'s NamespacedName, &'s Inputs)>,
    site: ServiceSite<'_>,
) -> Vec<ServicePort> {
    let of_service =
        |(name, inputs): (&NamespacedName, &Inputs)| compile(name, inputs, site.topology.family, site.node);
    services.into_iter().flat_map(of_service).collect()
}

/// From one program of a node to the next: the ports of the services that may differ, as they were and as they are.
#[derive(Clone, Debug)]
pub struct ServiceChange {
    /// As they were.
    pub before: Vec<ServicePort>,
    /// As they are.
    pub after: Vec<ServicePort>,
}

/// A service and its EndpointSlices: all that its rules are made of.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// The service.
    pub service: Arc<Service>,
    /// The slices that are labelled as its own, in the order of names.
    pub slices: Vec<Arc<EndpointSlice>>,
    /// The ways of the service that an earlier one has.
    pub taken: BTreeSet<Way>,
}

/// Every way that would lead to a port of a service, in the families of its cluster IPs.
pub(super) fn ways(service: &Service) -> BTreeSet<Way> {
    let mut ways = BTreeSet::new();
    for port in &service.ports {
        let protocol = protocol(port.protocol);
        for family in service.cluster_ips.iter().copied().map(Family::of) {
            let cluster_ips = service.cluster_ips.iter().copied().filter(|it| Family::of(*it) == family);
            let outside = external_ips(service, family).chain(load_balancer_ips(service, family));
            ways.extend(cluster_ips.chain(outside).map(|ip| Way::Address(ip, protocol, port.port)));
        }
        ways.extend(port.node_port.map(|number| Way::NodePort(protocol, number)));
    }
    ways
}

fn external_ips(service: &Service, family: Family) -> impl Iterator<Item = IpAddr> {
    service.external_ips.iter().copied().filter(move |it| Family::of(*it) == family)
}

/// The addresses that are still the packet's destination when a node gets it.
fn load_balancer_ips(service: &Service, family: Family) -> impl Iterator<Item = IpAddr> {
    let balanced = service.service_type == ServiceType::LoadBalancer;
    let vips = service.load_balancer_ingress.iter().filter(move |it| balanced && it.ip_mode == IpMode::VIP);
    vips.map(|ingress| ingress.ip).filter(move |it| Family::of(*it) == family)
}

/// Every port of a service in every family that it has an address in, in the order of its addresses and
/// ports, as a node serves it.
pub fn compile(
    name: &NamespacedName,
    inputs: &Inputs,
    families: Families,
    node: &NodeView,
) -> Vec<ServicePort> {
    let service = &inputs.service;
    let mut ports = Vec::new();
    for cluster_ip in &service.cluster_ips {
        let family = Family::of(*cluster_ip);
        if !families.contains(family) {
            continue;
        }
        let ranges = service.load_balancer_source_ranges.iter();
        for port in &service.ports {
            let known = known_endpoints(&inputs.slices, family, port);
            let (protocol, number) = (protocol(port.protocol), port.port);
            let own = |way: Way| !inputs.taken.contains(&way);
            let is_own = |address: &IpAddr| own(Way::Address(*address, protocol, number));
            ports.push(ServicePort {
                service: name.clone(),
                cluster_ip: *cluster_ip,
                at_cluster_ip: is_own(cluster_ip),
                protocol,
                port: number,
                node_port: port.node_port.filter(|number| own(Way::NodePort(protocol, *number))),
                external_ips: external_ips(service, family).filter(is_own).collect(),
                load_balancer_ips: load_balancer_ips(service, family).filter(is_own).collect(),
                source_ranges: ranges.clone().filter(|it| Family::of(it.addr()) == family).copied().collect(),
                internal_policy: service.internal_traffic_policy,
                external_policy: service.external_traffic_policy,
                affinity: service.session_affinity,
                cluster: for_cluster(&known, node),
                local: for_local(&known, node),
            });
        }
    }
    ports
}

/// Where the datagrams of a service may go, for conntrack.
pub(crate) fn udp_services(inputs: &Inputs, families: Families) -> UdpServices {
    let mut udp = UdpServices::default();
    let service = &inputs.service;
    for cluster_ip in &service.cluster_ips {
        let family = Family::of(*cluster_ip);
        let of_udp = |port: &&ApiPort| protocol(port.protocol) == Protocol::Udp;
        for port in service.ports.iter().filter(of_udp).filter(|_| families.contains(family)) {
            let known = known_endpoints(&inputs.slices, family, port);
            let serving = known.iter().filter(|(_, state)| state.ready || state.serving);
            let serving: BTreeSet<IpAddr> = serving.map(|(endpoint, _)| endpoint.address).collect();
            let ingress = service.load_balancer_ingress.iter().map(|ingress| ingress.ip);
            let addresses = service.external_ips.iter().copied().chain(ingress);
            for address in addresses.filter(|ip| Family::of(*ip) == family).chain([*cluster_ip]) {
                udp.addresses.insert((address, port.port), serving.clone());
            }
            if let Some(number) = port.node_port {
                udp.node_ports.insert((family, number), serving);
            }
        }
    }
    udp
}

/// An endpoint's conditions and place.
#[derive(Clone, Copy)]
struct State<'a> {
    ready: bool,
    serving: bool,
    terminating: bool,
    node: Option<&'a str>,
    hints: Option<&'a EndpointHints>,
}

type Known<'a> = BTreeMap<Endpoint, State<'a>>;

/// The endpoints of the family's slices on the port of the same name and protocol.
fn known_endpoints<'a>(
    slices: &'a [Arc<EndpointSlice>],
    family: Family,
    service_port: &ApiPort,
) -> Known<'a> {
    let mut known = Known::new();
    for slice in slices.iter().filter(|slice| is_of_family(slice, family)) {
        let same = |port: &&netproof_api::EndpointPort| {
            port.name == service_port.name && port.protocol == service_port.protocol
        };
        for port in slice.ports.iter().filter(same) {
            for endpoint in &slice.endpoints {
                // Several addresses of one endpoint are the same endpoint: the first stands for it.
                let Some(address) = endpoint.addresses.first().copied() else { continue };
                let state = State {
                    ready: endpoint.ready,
                    serving: endpoint.serving,
                    terminating: endpoint.terminating,
                    node: endpoint.node_name.as_deref(),
                    hints: endpoint.hints.as_ref(),
                };
                // One that moves between slices may be in two of them for a while, and pods in their node's
                // network share its address. As in kube-proxy, one that is not terminating takes the place of
                // one that is. Of several that are not, its result is undefined; here one that is ready counts.
                let entry = known.entry(Endpoint { address, port: port.port }).or_insert(state);
                let rank =
                    |state: &State<'_>| (!state.terminating, state.ready, state.serves_while_it_ends());
                if rank(&state) > rank(entry) {
                    *entry = state;
                }
            }
        }
    }
    known
}

pub(crate) fn is_of_family(slice: &EndpointSlice, family: Family) -> bool {
    matches!(
        (slice.address_type, family),
        (AddressType::IPv4, Family::Ipv4) | (AddressType::IPv6, Family::Ipv6)
    )
}

fn chosen(known: &Known<'_>, choose: impl Fn(&State<'_>) -> bool) -> BTreeSet<Endpoint> {
    known.iter().filter(|(_, state)| choose(state)).map(|(endpoint, _)| *endpoint).collect()
}

fn for_cluster(known: &Known<'_>, node: &NodeView) -> BTreeSet<Endpoint> {
    let topology = preference(known, node);
    let ready = chosen(known, |state| state.ready && topology.suits(state, node));
    if ready.is_empty() { chosen(known, |state| state.serves_while_it_ends()) } else { ready }
}

fn for_local(known: &Known<'_>, node: &NodeView) -> BTreeSet<Endpoint> {
    let here = |state: &State<'_>| state.node == Some(&node.name);
    let ready = chosen(known, |state| state.ready && here(state));
    match ready.is_empty() {
        true => chosen(known, |state| state.serves_while_it_ends() && here(state)),
        false => ready,
    }
}

/// Whose endpoints a node's clients use.
#[derive(Clone, Copy)]
enum Preference {
    Anyone,
    SameNode,
    SameZone,
}

impl Preference {
    fn suits(self, state: &State<'_>, node: &NodeView) -> bool {
        match self {
            Preference::Anyone => true,
            Preference::SameNode => state.is_for_node(node),
            Preference::SameZone => state.is_for_zone(node),
        }
    }
}

impl State<'_> {
    fn serves_while_it_ends(&self) -> bool {
        self.serving && self.terminating
    }

    fn is_for_node(&self, node: &NodeView) -> bool {
        self.hints.is_some_and(|hints| hints.for_nodes.contains(&node.name))
    }

    fn is_for_zone(&self, node: &NodeView) -> bool {
        let Some(zone) = &node.zone else { return false };
        self.hints.is_some_and(|hints| hints.for_zones.contains(zone))
    }
}

/// Hints count only if every ready endpoint has them: otherwise they are not complete yet.
fn preference(known: &Known<'_>, node: &NodeView) -> Preference {
    let ready = || known.values().filter(|state| state.ready);
    let all = |has: fn(&EndpointHints) -> bool| ready().all(|state| state.hints.is_some_and(has));
    if all(|hints| !hints.for_nodes.is_empty()) && ready().any(|state| state.is_for_node(node)) {
        Preference::SameNode
    } else if all(|hints| !hints.for_zones.is_empty()) && ready().any(|state| state.is_for_zone(node)) {
        Preference::SameZone
    } else {
        Preference::Anyone
    }
}
