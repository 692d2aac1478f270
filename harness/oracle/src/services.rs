//! Services: which port of which address is whose, and which endpoints a node may choose.

use crate::flow::PortProtocol;
use netproof_api::core::{AddressType, Endpoint, ServiceType, TransportProtocol};
use netproof_api::{EndpointSlice, Service, ServicePort};
use netproof_controlplane::{SERVICE_NAME_LABEL, Snapshot};
use netproof_model::{Family, NamespacedName};
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

/// The label of a node that says its zone.
const ZONE_LABEL: &str = "topology.kubernetes.io/zone";

/// Why an address leads to a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServiceAddress {
    /// `clusterIPs`.
    ClusterIp,
    /// `externalIPs`.
    ExternalIp,
    /// `status.loadBalancer.ingress`, of mode VIP.
    LoadBalancerIp,
    /// A node's own address, at the node port.
    NodePort,
}

/// One port of a service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Port<'a> {
    pub name: &'a NamespacedName,
    pub service: &'a Service,
    pub port: &'a ServicePort,
}

/// An endpoint that may be chosen: an address and the port there.
pub(crate) type Choice = (IpAddr, u16);

/// The services of a snapshot, by what leads to them.
#[derive(Debug)]
pub(crate) struct Services<'a> {
    addresses: HashMap<IpAddr, Vec<(ServiceAddress, &'a NamespacedName, &'a Service)>>,
    node_ports: HashMap<(u16, TransportProtocol), Port<'a>>,
    slices: HashMap<NamespacedName, Vec<&'a EndpointSlice>>,
}

impl<'a> Services<'a> {
    pub(crate) fn new(snapshot: &'a Snapshot) -> Self {
        let mut addresses: HashMap<IpAddr, Vec<_>> = HashMap::new();
        let mut node_ports = HashMap::new();
        for (name, service) in &snapshot.services {
            // A headless service and an alias are names and nothing else.
            if service.headless || service.service_type == ServiceType::ExternalName {
                continue;
            }
            let service = service.as_ref();
            let mut add =
                |address: IpAddr, kind| addresses.entry(address).or_default().push((kind, name, service));
            service.cluster_ips.iter().for_each(|address| add(*address, ServiceAddress::ClusterIp));
            service.external_ips.iter().for_each(|address| add(*address, ServiceAddress::ExternalIp));
            for ingress in &service.load_balancer_ingress {
                // Of an address of mode Proxy nodes know nothing.
                if ingress.ip_mode == netproof_api::core::IpMode::VIP {
                    add(ingress.ip, ServiceAddress::LoadBalancerIp);
                }
            }
            for port in &service.ports {
                if let Some(number) = port.node_port {
                    node_ports.insert((number, port.protocol), Port { name, service, port });
                }
            }
        }
        let mut slices: HashMap<NamespacedName, Vec<&EndpointSlice>> = HashMap::new();
        for (name, slice) in &snapshot.endpoint_slices {
            if let Some(service) = slice.metadata.labels.get(SERVICE_NAME_LABEL) {
                let service = NamespacedName::new(name.namespace.as_str(), service.as_str());
                slices.entry(service).or_default().push(Arc::as_ref(slice));
            }
        }
        Services { addresses, node_ports, slices }
    }

    /// The service whose cluster IP it is.
    pub(crate) fn cluster_ip(&self, address: IpAddr) -> Option<(&'a NamespacedName, &'a Service)> {
        let mut all = self.addresses.get(&address)?.iter();
        all.find(|(kind, ..)| *kind == ServiceAddress::ClusterIp).map(|(_, name, service)| (*name, *service))
    }

    /// Every service that has the address, and as what.
    pub(crate) fn at(&self, address: IpAddr) -> &[(ServiceAddress, &'a NamespacedName, &'a Service)] {
        self.addresses.get(&address).map_or(&[], Vec::as_slice)
    }

    /// The service port that an address and a port lead to.
    pub(crate) fn lookup(&self, address: IpAddr, port: PortProtocol) -> Option<(ServiceAddress, Port<'a>)> {
        self.at(address).iter().find_map(|(kind, name, service)| {
            let port = service.ports.iter().find(|own| is(port, own.port, own.protocol))?;
            Some((*kind, Port { name, service, port }))
        })
    }

    /// The service port whose node port it is. (A service without addresses of the family has no node
    /// port in it either.)
    pub(crate) fn node_port(&self, family: Family, port: PortProtocol) -> Option<Port<'a>> {
        let PortProtocol::Port { number, protocol } = port else {
            return None;
        };
        let found = self.node_ports.get(&(number, protocol)).copied()?;
        found.service.cluster_ips.iter().any(|address| Family::of(*address) == family).then_some(found)
    }

    /// The endpoints of a service port in one family, with their addresses and numbers.
    fn endpoints(&self, port: &Port<'a>, family: Family) -> BTreeMap<Choice, &'a Endpoint> {
        let mut found: BTreeMap<Choice, &Endpoint> = BTreeMap::new();
        let slices = self.slices.get(port.name).map_or(&[][..], Vec::as_slice);
        for slice in slices.iter().filter(|slice| family_of(slice) == family) {
            // A port of a slice is the service's port of the same name (and protocol).
            let numbers = slice
                .ports
                .iter()
                .filter(|own| own.name == port.port.name && own.protocol == port.port.protocol);
            for number in numbers {
                for endpoint in &slice.endpoints {
                    // The addresses of one endpoint are interchangeable: the first stands for it.
                    let Some(address) = endpoint.addresses.first() else { continue };
                    // Two endpoints may be one place: pods that share their node's address, or one endpoint
                    // in two slices. The fitter one speaks for it (of kube-proxy it is the one it saw last).
                    let place = found.entry((*address, number.port)).or_insert(endpoint);
                    if fitness(endpoint) > fitness(place) {
                        *place = endpoint;
                    }
                }
            }
        }
        found
    }

    /// The endpoints that a node may choose for a service port, of the whole cluster: those that are
    /// ready and meant for this node's clients; if there is none, those that still serve while they end.
    pub(crate) fn cluster_endpoints(
        &self,
        port: &Port<'a>,
        family: Family,
        node: &netproof_api::Node,
    ) -> Vec<Choice> {
        let all = self.endpoints(port, family);
        let hints = Hints::of(all.values().copied().filter(|endpoint| endpoint.ready), node);
        let ready = |endpoint: &&Endpoint| endpoint.ready && hints.allow(endpoint);
        choose(&all, ready).or_else(|| choose(&all, is_ending)).unwrap_or_default()
    }

    /// The endpoints on one node that may be chosen there where the traffic policy is Local.
    pub(crate) fn local_endpoints(&self, port: &Port<'a>, family: Family, node: &str) -> Vec<Choice> {
        let all = self.endpoints(port, family);
        let local = |endpoint: &&Endpoint| endpoint.node_name.as_deref() == Some(node);
        choose(&all, |endpoint| local(endpoint) && endpoint.ready)
            .or_else(|| choose(&all, |endpoint| local(endpoint) && is_ending(endpoint)))
            .unwrap_or_default()
    }

    /// Whether any endpoint of the whole cluster could be chosen by somebody.
    pub(crate) fn has_endpoints(&self, port: &Port<'a>, family: Family) -> bool {
        self.endpoints(port, family).values().any(|endpoint| endpoint.ready || is_ending(endpoint))
    }

    /// Whether a node has a ready endpoint of the service, which is what its health check reports.
    pub(crate) fn has_ready_endpoint(&self, name: &NamespacedName, node: &str) -> bool {
        let slices = self.slices.get(name).map_or(&[][..], Vec::as_slice);
        slices
            .iter()
            .flat_map(|slice| &slice.endpoints)
            .any(|endpoint| endpoint.ready && endpoint.node_name.as_deref() == Some(node))
    }
}

/// Those that are fit, if there are any.
fn choose(all: &BTreeMap<Choice, &Endpoint>, fit: impl Fn(&&Endpoint) -> bool) -> Option<Vec<Choice>> {
    let chosen: Vec<Choice> =
        all.iter().filter(|(_, endpoint)| fit(endpoint)).map(|(choice, _)| *choice).collect();
    (!chosen.is_empty()).then_some(chosen)
}

/// Ready is more than still serving, and that is more than neither.
fn fitness(endpoint: &Endpoint) -> u8 {
    match endpoint {
        Endpoint { ready: true, .. } => 2,
        Endpoint { serving: true, terminating: true, .. } => 1,
        _ => 0,
    }
}

/// Being deleted, and still able to answer.
fn is_ending(endpoint: &&Endpoint) -> bool {
    endpoint.serving && endpoint.terminating
}

/// Which hints of endpoints a node's proxy follows.
enum Hints<'a> {
    /// Those for the node: every ready endpoint has such hints, and one is for this node.
    Node(&'a str),
    /// Those for its zone, likewise.
    Zone(&'a str),
    /// None.
    Ignored,
}

impl<'a> Hints<'a> {
    fn of<'e>(ready: impl Iterator<Item = &'e Endpoint> + Clone, node: &'a netproof_api::Node) -> Self {
        let follow = |names: fn(&Endpoint) -> &[String], own: &str| {
            ready.clone().all(|endpoint| !names(endpoint).is_empty())
                && ready.clone().any(|endpoint| names(endpoint).iter().any(|name| name == own))
        };
        let name = node.metadata.name.as_str();
        if follow(for_nodes, name) {
            return Hints::Node(name);
        }
        match node.metadata.labels.get(ZONE_LABEL) {
            Some(zone) if follow(for_zones, zone) => Hints::Zone(zone),
            _ => Hints::Ignored,
        }
    }

    fn allow(&self, endpoint: &Endpoint) -> bool {
        match self {
            Hints::Node(node) => for_nodes(endpoint).iter().any(|name| name == node),
            Hints::Zone(zone) => for_zones(endpoint).iter().any(|name| name == zone),
            Hints::Ignored => true,
        }
    }
}

fn for_nodes(endpoint: &Endpoint) -> &[String] {
    endpoint.hints.as_ref().map_or(&[], |hints| &hints.for_nodes)
}

fn for_zones(endpoint: &Endpoint) -> &[String] {
    endpoint.hints.as_ref().map_or(&[], |hints| &hints.for_zones)
}

fn is(port: PortProtocol, number: u16, protocol: TransportProtocol) -> bool {
    port == PortProtocol::Port { number, protocol }
}

fn family_of(slice: &EndpointSlice) -> Family {
    match slice.address_type {
        AddressType::IPv4 => Family::Ipv4,
        AddressType::IPv6 => Family::Ipv6,
    }
}
