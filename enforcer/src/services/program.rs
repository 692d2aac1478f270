//! The program of services: every port of every service of a node, and what else a node has for them.

use super::NodeView;
use super::host_ports::HostPort;
use super::mode::Behaviour;
use super::port::{ServicePort, compile};
use netproof_api::core::{IpMode, ServiceType};
use netproof_api::{EndpointSlice, Service};
use netproof_model::{Family, NamespacedName, Protocol, Topology};
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

/// A way that leads to a port of a service. It belongs to one service, the first in the order of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// An address, a protocol and a port.
    Address(IpAddr, Protocol, u16),
    /// A protocol and a port of every node.
    NodePort(Protocol, u16),
}

/// What a program of services is made true for.
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
pub(crate) fn ways(service: &Service) -> BTreeSet<Way> {
    let mut ways = BTreeSet::new();
    for port in &service.ports {
        let protocol = Protocol::from(port.protocol);
        for family in service.cluster_ips.iter().copied().map(Family::of) {
            let cluster_ips = service.cluster_ips.iter().copied().filter(|it| Family::of(*it) == family);
            let outside = external_ips(service, family).chain(load_balancer_ips(service, family));
            ways.extend(cluster_ips.chain(outside).map(|ip| Way::Address(ip, protocol, port.port)));
        }
        ways.extend(port.node_port.map(|number| Way::NodePort(protocol, number)));
    }
    ways
}

pub(super) fn external_ips(service: &Service, family: Family) -> impl Iterator<Item = IpAddr> {
    service.external_ips.iter().copied().filter(move |it| Family::of(*it) == family)
}

/// The addresses that are still the packet's destination when a node gets it.
pub(super) fn load_balancer_ips(service: &Service, family: Family) -> impl Iterator<Item = IpAddr> {
    let balanced = service.service_type == ServiceType::LoadBalancer;
    let vips = service.load_balancer_ingress.iter().filter(move |it| balanced && it.ip_mode == IpMode::VIP);
    vips.map(|ingress| ingress.ip).filter(move |it| Family::of(*it) == family)
}
