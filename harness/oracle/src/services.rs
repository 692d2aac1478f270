//! Services: which port of which address is whose, and which endpoints it has.

use crate::endpoints::{Endpoints, Places};
use crate::flow::PortProtocol;
use crate::profile::Profile;
use crate::truth::Truth;
use netproof_api::core::{AddressType, ServiceType, TransportProtocol};
use netproof_api::{EndpointSlice, Service, ServicePort};
use netproof_controlplane::{SERVICE_NAME_LABEL, Snapshot};
use netproof_model::{Family, NamespacedName};
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

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
    /// A node's own address, at the `hostPort` of a pod.
    HostPort,
}

/// One port of a service.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Port<'a> {
    pub name: &'a NamespacedName,
    pub service: &'a Service,
    pub port: &'a ServicePort,
}

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

    /// The endpoints of a service port in one family: every reading of its slices that the profile allows.
    pub(crate) fn endpoints(&self, port: &Port<'a>, family: Family, profile: &Profile) -> Vec<Endpoints<'a>> {
        let mut places = Places::new();
        for slice in self.slices_of(port.name).filter(|slice| family_of(slice) == family) {
            // A port of a slice is the service's port of the same name (and protocol).
            let numbers = slice
                .ports
                .iter()
                .filter(|own| own.name == port.port.name && own.protocol == port.port.protocol);
            for number in numbers {
                places.add(slice, number.port);
            }
        }
        places.readings(profile)
    }

    /// Whether a node has a ready endpoint of the service, which is what its health check reports.
    pub(crate) fn has_ready_endpoint(&self, name: &NamespacedName, node: &str, profile: &Profile) -> Truth {
        let mut places = Places::new();
        for slice in self.slices_of(name) {
            slice.ports.iter().for_each(|port| places.add(slice, port.port));
        }
        places.is_any_ready_on(node, profile)
    }

    fn slices_of(&self, name: &NamespacedName) -> impl Iterator<Item = &'a EndpointSlice> {
        self.slices.get(name).map_or(&[][..], Vec::as_slice).iter().copied()
    }
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
