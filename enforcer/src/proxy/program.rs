//! What services mean, independent of any backend: each port of each service address, with the
//! endpoints that it leads to.

use crate::program::protocol;
use netproof_api::core::AddressType;
use netproof_api::{EndpointSlice, ServicePort as ApiPort};
use netproof_controlplane::SERVICE_NAME_LABEL;
use netproof_controlplane::Snapshot;
use netproof_model::{Family, NamespacedName, Protocol};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// One port of a service in one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePort {
    /// The service.
    pub service: NamespacedName,
    /// Its address in this family.
    pub cluster_ip: IpAddr,
    /// TCP, UDP or SCTP.
    pub protocol: Protocol,
    /// The port of the cluster IP.
    pub port: u16,
    /// The port of every node, if it has one.
    pub node_port: Option<u16>,
    /// The ready endpoints of all nodes, sorted.
    pub endpoints: BTreeSet<Endpoint>,
}

impl ServicePort {
    /// The family.
    pub fn family(&self) -> Family {
        Family::of(self.cluster_ip)
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

/// Every port of every service that has an address, in the order of names, families and ports.
pub fn compile(snapshot: &Snapshot) -> Vec<ServicePort> {
    let mut slices: BTreeMap<(&str, &str), Vec<&EndpointSlice>> = BTreeMap::new();
    for (name, slice) in &snapshot.endpoint_slices {
        if let Some(service) = slice.metadata.labels.get(SERVICE_NAME_LABEL) {
            slices.entry((&name.namespace, service)).or_default().push(slice);
        }
    }
    let mut ports = Vec::new();
    for (name, service) in snapshot.services.iter().filter(|(_, service)| !service.headless) {
        let slices =
            slices.get(&(name.namespace.as_str(), name.name.as_str())).map_or(&[][..], Vec::as_slice);
        for cluster_ip in &service.cluster_ips {
            let family = Family::of(*cluster_ip);
            if !snapshot.topology.family.contains(family) {
                continue;
            }
            for port in &service.ports {
                ports.push(ServicePort {
                    service: name.clone(),
                    cluster_ip: *cluster_ip,
                    protocol: protocol(port.protocol),
                    port: port.port,
                    node_port: port.node_port,
                    endpoints: endpoints(slices, family, port),
                });
            }
        }
    }
    ports
}

/// The ready endpoints of the family's slices on the port of the same name and protocol.
fn endpoints(slices: &[&EndpointSlice], family: Family, service_port: &ApiPort) -> BTreeSet<Endpoint> {
    let of_family = |slice: &&&EndpointSlice| {
        matches!(
            (slice.address_type, family),
            (AddressType::IPv4, Family::Ipv4) | (AddressType::IPv6, Family::Ipv6)
        )
    };
    let mut found = BTreeSet::new();
    for slice in slices.iter().filter(of_family) {
        let same = |port: &&netproof_api::EndpointPort| {
            port.name == service_port.name && port.protocol == service_port.protocol
        };
        for port in slice.ports.iter().filter(same) {
            for endpoint in slice.endpoints.iter().filter(|endpoint| endpoint.ready) {
                // Several addresses of one endpoint are the same endpoint: the first stands for it.
                let address = endpoint.addresses.first().copied();
                found.extend(address.map(|address| Endpoint { address, port: port.port }));
            }
        }
    }
    found
}
