//! Who serves what: the ports of pods, nodes, external hosts, services, and of what has a name in the
//! cluster's DNS.

mod names;

pub use names::{name, names};

use crate::flows::ResolvedDestination;
use netproof_api::core::{Endpoint, EndpointSlice, Service, ServicePort, TrafficPolicy};
use netproof_controlplane::{SERVICE_NAME_LABEL, Snapshot};
use netproof_model::flow::PortRef;
use netproof_model::{Family, NamespacedName, Place, Protocol};
use std::fmt;
use std::net::IpAddr;

/// A port of a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// The number by which flows call it.
    pub number: u16,
    /// Its transport.
    pub protocol: Protocol,
    /// Its name, by which flows may call it, too.
    pub name: Option<String>,
    /// The number to send to: the node port of a service, else the same.
    pub dial: u16,
    /// Whether somebody listens.
    pub served: bool,
    /// Why nobody does, where that is not plain.
    pub unserved: Option<String>,
    /// Who may answer, whichever client asks.
    pub backends: Vec<Place>,
    /// Whether a client is kept with one of them (`sessionAffinity`).
    pub sticks: bool,
    /// Whether traffic policies or hints may leave a client fewer of them.
    pub narrows: bool,
}

impl Port {
    /// Whether a flow means this port.
    pub fn is_called(&self, port: &PortRef) -> bool {
        match port {
            PortRef::Number(number) => *number == self.number || *number == self.dial,
            PortRef::Name(name) => self.name.as_ref() == Some(name),
        }
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.number, self.protocol)?;
        match &self.name {
            Some(name) => write!(f, " ({name})"),
            None => Ok(()),
        }
    }
}

/// A pod, a node or an external host, at its own addresses.
pub fn place(snapshot: &Snapshot, place: &Place) -> ResolvedDestination {
    let addresses = Family::ALL
        .into_iter()
        .filter(|family| snapshot.topology.family.contains(*family))
        .filter_map(|family| snapshot.address_of(place, family))
        .collect();
    ResolvedDestination { addresses, ports: ports(snapshot, place), answers_echo: *place != Place::Router }
}

/// An address, whoever has it; a loopback address is everybody's own.
pub fn address(snapshot: &Snapshot, address: IpAddr, source: &Place) -> ResolvedDestination {
    let owner = match address.is_loopback() {
        true => Some(source.clone()),
        false => snapshot.place_of_address(address),
    };
    let mut target = match owner {
        Some(found) => place(snapshot, &found),
        None => {
            // Several may share it. Of those that have one port there the first by name has it.
            let mut ports: Vec<Port> = Vec::new();
            for found in snapshot.services.values().filter(|service| has_address(service, address)) {
                let others = service(snapshot, found).ports.into_iter();
                let same = |port: &Port, other: &Port| {
                    (port.number, port.protocol) == (other.number, other.protocol)
                };
                let free: Vec<Port> =
                    others.filter(|other| !ports.iter().any(|port| same(port, other))).collect();
                ports.extend(free);
            }
            ResolvedDestination { addresses: Vec::new(), ports, answers_echo: false }
        }
    };
    target.addresses = vec![address];
    target
}

/// Whether an address leads to a service.
fn has_address(service: &Service, address: IpAddr) -> bool {
    service.cluster_ips.contains(&address)
        || service.external_ips.contains(&address)
        || service.load_balancer_ingress.iter().any(|ingress| ingress.ip == address)
}

/// A service at the addresses of its load balancer, if it has any.
pub fn load_balancer(snapshot: &Snapshot, service: &Service) -> Option<ResolvedDestination> {
    let addresses: Vec<IpAddr> = service.load_balancer_ingress.iter().map(|ingress| ingress.ip).collect();
    (!addresses.is_empty()).then(|| ResolvedDestination { addresses, ..self::service(snapshot, service) })
}

/// A service at its cluster IPs.
pub fn service(snapshot: &Snapshot, service: &Service) -> ResolvedDestination {
    let ports = service.ports.iter().map(|port| service_port(snapshot, service, port, port.port)).collect();
    ResolvedDestination { addresses: service.cluster_ips.clone(), ports, answers_echo: false }
}

/// A service at a node's address; `None` if it has no node port.
pub fn node_port(snapshot: &Snapshot, service: &Service, node: &Place) -> Option<ResolvedDestination> {
    let ports: Vec<Port> = service
        .ports
        .iter()
        .filter_map(|port| Some(service_port(snapshot, service, port, port.node_port?)))
        .collect();
    let addresses = place(snapshot, node).addresses;
    (!ports.is_empty()).then_some(ResolvedDestination { addresses, ports, answers_echo: false })
}

/// Whose endpoint it is.
fn place_of_endpoint(snapshot: &Snapshot, slice: &EndpointSlice, endpoint: &Endpoint) -> Option<Place> {
    let namespace = slice.metadata.namespace.as_deref().unwrap_or("default");
    match &endpoint.pod {
        Some(pod) => snapshot.place_of_pod(&NamespacedName::new(namespace, pod.as_str())),
        None => endpoint.addresses.first().and_then(|address| snapshot.place_of_address(*address)),
    }
}

/// The EndpointSlices of a service.
fn slices<'a>(snapshot: &'a Snapshot, service: &'a Service) -> impl Iterator<Item = &'a EndpointSlice> {
    snapshot.endpoint_slices.values().map(AsRef::as_ref).filter(|slice| {
        slice.metadata.namespace == service.metadata.namespace
            && slice.metadata.labels.get(SERVICE_NAME_LABEL) == Some(&service.metadata.name)
    })
}

/// Whether some clients may reach only a part of a service's endpoints.
fn narrows(snapshot: &Snapshot, service: &Service) -> bool {
    let local = [service.external_traffic_policy, service.internal_traffic_policy];
    local.contains(&TrafficPolicy::Local)
        || service.traffic_distribution.is_some()
        || slices(snapshot, service).any(|slice| slice.endpoints.iter().any(|it| it.hints.is_some()))
}

/// The endpoints behind a port of a service that some client may reach, and the number at which they are
/// asked; each once. Those that are ready; without any (of the node, for a traffic policy Local), those
/// that still serve while they terminate.
fn endpoints(snapshot: &Snapshot, service: &Service, port: &ServicePort) -> Vec<(Place, u16)> {
    let (mut ready, mut leaving) = (Vec::new(), Vec::new());
    for slice in slices(snapshot, service) {
        let behind =
            |own: &&netproof_api::EndpointPort| own.name == port.name && own.protocol == port.protocol;
        let Some(number) = slice.ports.iter().find(behind).map(|own| own.port) else {
            continue;
        };
        for endpoint in &slice.endpoints {
            let all = match endpoint {
                Endpoint { ready: true, .. } => &mut ready,
                Endpoint { serving: true, terminating: true, .. } => &mut leaving,
                _ => continue,
            };
            let place = place_of_endpoint(snapshot, slice, endpoint);
            all.extend(place.map(|place| (place, number)).filter(|entry| !all.contains(entry)));
        }
    }
    if ready.is_empty() || narrows(snapshot, service) {
        leaving.retain(|entry| !ready.contains(entry));
        ready.append(&mut leaving);
    }
    ready
}

/// A port of a service, to be dialled at `dial`.
fn service_port(snapshot: &Snapshot, service: &Service, port: &ServicePort, dial: u16) -> Port {
    let protocol = Protocol::from(port.protocol);
    let endpoints = endpoints(snapshot, service, port);
    let listens = |(backend, number): &&(Place, u16)| {
        own_ports(snapshot, backend)
            .iter()
            .any(|own| own.served && own.number == *number && own.protocol == protocol)
    };
    let backends: Vec<Place> = endpoints.iter().filter(listens).map(|(place, _)| place.clone()).collect();
    // A service without endpoints is served by the proxy, which refuses.
    let unserved = endpoints
        .first()
        .filter(|_| backends.is_empty())
        .map(|(place, number)| format!("it leads to {number}/{protocol} of {place}, where nobody listens"));
    Port {
        number: port.port,
        protocol,
        name: port.name.clone(),
        dial,
        served: unserved.is_none(),
        unserved,
        backends,
        sticks: service.session_affinity.is_some(),
        narrows: narrows(snapshot, service),
    }
}

/// The ports of a place: node ports, and those of services that have a node's address as their own,
/// included.
fn ports(snapshot: &Snapshot, place: &Place) -> Vec<Port> {
    let mut ports = own_ports(snapshot, place);
    if matches!(place, Place::Node(_)) {
        let addresses: Vec<IpAddr> =
            Family::ALL.into_iter().filter_map(|family| snapshot.address_of(place, family)).collect();
        for service in snapshot.services.values() {
            let here = addresses.iter().any(|address| has_address(service, *address));
            for port in &service.ports {
                if here {
                    ports.push(service_port(snapshot, service, port, port.port));
                }
                if let Some(number) = port.node_port {
                    let at_node = service_port(snapshot, service, port, number);
                    ports.push(Port { number, name: None, ..at_node });
                }
            }
        }
    }
    if let Place::Node(node) = place {
        for port in host_ports(snapshot, node) {
            let same = |known: &&mut Port| known.number == port.number && known.protocol == port.protocol;
            match ports.iter_mut().find(same) {
                // A service's node port, which leads to the pod for clients that get no endpoint of the service.
                Some(known) => {
                    known.backends.extend(port.backends);
                    known.narrows = true;
                }
                None => ports.push(port),
            }
        }
    }
    ports
}

/// The ports of a node that lead to pods on it (`hostPort`).
fn host_ports(snapshot: &Snapshot, node: &str) -> Vec<Port> {
    let here = snapshot.pods.iter().filter(|(_, pod)| {
        !pod.host_network && !pod.phase.has_ended() && pod.node_name.as_deref() == Some(node)
    });
    let mut found = Vec::new();
    for (name, pod) in here {
        let place = Place::Pod(name.clone());
        let own = own_ports(snapshot, &place);
        for port in pod.ports() {
            let Some(host) = port.host_port else { continue };
            let protocol = Protocol::from(port.protocol);
            let behind = own.iter().find(|it| it.number == port.container_port && it.protocol == protocol);
            found.extend(behind.map(|behind| Port {
                number: host.port,
                dial: host.port,
                name: None,
                backends: vec![place.clone()],
                ..behind.clone()
            }));
        }
    }
    found
}

/// The ports that a place serves itself: no service leads elsewhere from there.
fn own_ports(snapshot: &Snapshot, place: &Place) -> Vec<Port> {
    let own = |number, protocol, name, served| Port {
        number,
        protocol,
        name,
        dial: number,
        served,
        unserved: None,
        backends: vec![place.clone()],
        sticks: false,
        narrows: false,
    };
    match place {
        Place::Pod(name) => pod_ports(snapshot, name, own),
        Place::Node(node) => {
            let in_its_network = |name: &&NamespacedName| {
                snapshot.pods.get(*name).is_some_and(|pod| {
                    pod.host_network && !pod.phase.has_ended() && pod.node_name.as_ref() == Some(node)
                })
            };
            let pods = snapshot.pods.keys().filter(in_its_network);
            let mut ports: Vec<Port> = pods.flat_map(|name| pod_ports(snapshot, name, own)).collect();
            // The proxy answers there itself.
            let health_checks = snapshot.services.values().filter_map(|it| it.health_check_node_port);
            ports.extend(health_checks.map(|it| own(it, Protocol::Tcp, None, true)));
            ports
        }
        Place::External(name) => snapshot.externals.get(name).map_or_else(Vec::new, |host| {
            host.ports.iter().map(|port| own(port.port, port.protocol, None, true)).collect()
        }),
        Place::Router => Vec::new(),
    }
}

/// The container ports of a pod, and those that it listens on instead.
fn pod_ports(
    snapshot: &Snapshot,
    name: &NamespacedName,
    own: impl Fn(u16, Protocol, Option<String>, bool) -> Port,
) -> Vec<Port> {
    let Some(pod) = snapshot.pods.get(name) else {
        return Vec::new();
    };
    let listens = snapshot.listens.get(name);
    let listening = |number: u16, protocol: Protocol| {
        listens.is_none_or(|all| all.iter().any(|port| port.port == number && port.protocol == protocol))
    };
    let mut ports: Vec<Port> = pod
        .ports()
        .map(|port| {
            let protocol = Protocol::from(port.protocol);
            let served = listening(port.container_port, protocol);
            own(port.container_port, protocol, port.name.clone(), served)
        })
        .collect();
    for port in listens.into_iter().flatten() {
        if !ports.iter().any(|known| known.number == port.port && known.protocol == port.protocol) {
            ports.push(own(port.port, port.protocol, None, true));
        }
    }
    ports
}
