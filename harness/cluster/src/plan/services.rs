//! The router's routes for packets from outside: to nodes, for addresses of services that nodes would
//! advertise by BGP or that a load balancer has; unreachable, for addresses of a network that no host has.
//!
//! Packets from a node do not use these routes: the node did not translate the address as a service's, and
//! the packet would loop until its hop limit is used up.
//!
//! Flows to an address with several nodes are spread over them (equal-cost routes, hashed over addresses and
//! ports). An address of a service whose `externalTrafficPolicy` is Local is routed to the nodes that have
//! ready endpoints of it. If there are none, the route is withdrawn, as a BGP speaker does: a cluster IP
//! falls back to the route of the whole range, any other address is unreachable at once.

use super::{Hop, Interface};
use ipnet::IpNet;
use netproof_api::core::{IpMode, ServiceType, TrafficPolicy};
use netproof_api::{EndpointSlice, Node, Service};
use netproof_controlplane::{SERVICE_NAME_LABEL, Snapshot};
use netproof_model::topology::ServiceAddresses;
use netproof_model::{Family, NamespacedName, Place};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

/// The router's routes for packets from outside.
pub(super) fn routes(snapshot: &Snapshot) -> BTreeMap<IpNet, Hop> {
    let topology = &snapshot.topology;
    let ranges = topology.networks.iter().flat_map(|network| network.ranges.iter().copied());
    let ranges = ranges.filter(|range| topology.family.contains(Family::of(range.addr())));
    let mut routes: BTreeMap<IpNet, Hop> = ranges.map(|range| (range, Hop::Unreachable)).collect();
    if !topology.advertised.is_empty() || topology.load_balancer.is_some() {
        let (takers, local) = (BTreeMap::new(), BTreeSet::new());
        routes.extend(Router { snapshot, slices: slices(snapshot), takers, local }.routes());
    }
    routes
}

/// Slices by service: namespace and name.
type Slices<'a> = HashMap<(&'a str, &'a str), Vec<&'a EndpointSlice>>;

fn slices(snapshot: &Snapshot) -> Slices<'_> {
    let mut slices = Slices::new();
    for (NamespacedName { namespace, .. }, slice) in &snapshot.endpoint_slices {
        if let Some(service) = slice.metadata.labels.get(SERVICE_NAME_LABEL) {
            slices.entry((namespace, service)).or_default().push(slice);
        }
    }
    slices
}

struct Router<'a> {
    snapshot: &'a Snapshot,
    slices: Slices<'a>,
    /// The nodes for each destination; the union of the nodes of services that share an address.
    takers: BTreeMap<IpNet, BTreeSet<&'a str>>,
    /// The addresses that are the load balancer's own.
    local: BTreeSet<IpNet>,
}

impl<'a> Router<'a> {
    fn routes(mut self) -> BTreeMap<IpNet, Hop> {
        let topology = &self.snapshot.topology;
        if self.advertises(ServiceAddresses::ClusterIps) {
            for family in topology.family.list() {
                self.takers.insert(*topology.ranges.services.get(*family), self.all_nodes());
            }
        }
        for (NamespacedName { namespace, name }, service) in &self.snapshot.services {
            if !service.headless && service.service_type != ServiceType::ExternalName {
                self.service(namespace, name, service);
            }
        }
        let takers = std::mem::take(&mut self.takers);
        let routed = takers.into_iter().filter_map(|(net, nodes)| Some((net, self.hop(net, &nodes)?)));
        let mut routes: BTreeMap<IpNet, Hop> = routed.collect();
        routes.extend(self.local.into_iter().map(|net| (net, Hop::Local)));
        routes
    }

    fn service(&mut self, namespace: &str, name: &str, service: &Service) {
        let local = service.external_traffic_policy == TrafficPolicy::Local;
        if self.advertises(ServiceAddresses::ClusterIps) && local {
            for address in &service.cluster_ips {
                self.lead(*address, self.ready_nodes(namespace, name, *address));
            }
        }
        let taking = |router: &Self, address| match local {
            true => router.ready_nodes(namespace, name, address),
            false => router.all_nodes(),
        };
        if self.advertises(ServiceAddresses::ExternalIps) {
            for address in &service.external_ips {
                self.lead(*address, taking(self, *address));
            }
        }
        for ingress in &service.load_balancer_ingress {
            let mut nodes = taking(self, ingress.ip);
            match (&self.snapshot.topology.load_balancer, ingress.ip_mode) {
                (Some(_), IpMode::Proxy) if !self.is_of_a_node(ingress.ip) => {
                    self.local.insert(IpNet::from(ingress.ip));
                }
                (Some(_), IpMode::Proxy) => {}
                (Some(balancer), IpMode::VIP) => {
                    if !balancer.nodes.is_empty() {
                        nodes.retain(|node| balancer.nodes.iter().any(|of| of == node));
                    }
                    self.lead(ingress.ip, nodes);
                }
                // Nodes do not serve an address of mode Proxy.
                (None, IpMode::VIP) if self.advertises(ServiceAddresses::LoadBalancerIps) => {
                    self.lead(ingress.ip, nodes);
                }
                (None, _) => {}
            }
        }
    }

    fn advertises(&self, addresses: ServiceAddresses) -> bool {
        self.snapshot.topology.advertised.contains(&addresses)
    }

    fn lead(&mut self, address: IpAddr, nodes: BTreeSet<&'a str>) {
        let led = self.snapshot.topology.family.contains(Family::of(address)) && !self.is_of_a_node(address);
        if led && !nodes.is_empty() {
            self.takers.entry(IpNet::from(address)).or_default().extend(nodes);
        }
    }

    /// Whether it is a node's own address, which is always routed to that node.
    fn is_of_a_node(&self, address: IpAddr) -> bool {
        self.snapshot.nodes.values().any(|node| node.has_address(address))
    }

    fn all_nodes(&self) -> BTreeSet<&'a str> {
        self.snapshot.topology.nodes.iter().map(|node| node.name.as_str()).collect()
    }

    /// The nodes that have ready endpoints of a service in the family of an address. (A terminating endpoint
    /// may still serve, but does not attract traffic; a slice without ports, because no pod has the port that the service
    /// names, has none that serve.)
    fn ready_nodes(&self, namespace: &str, service: &str, address: IpAddr) -> BTreeSet<&'a str> {
        let slices = self.slices.get(&(namespace, service)).into_iter().flatten();
        let serving = slices.filter(|slice| !slice.ports.is_empty());
        let ready = serving.flat_map(|slice| &slice.endpoints).filter(|endpoint| {
            endpoint.ready && endpoint.addresses.iter().any(|own| own.is_ipv4() == address.is_ipv4())
        });
        let nodes = ready.filter_map(|endpoint| endpoint.node_name.as_deref());
        nodes.filter(|node| self.snapshot.topology.node_index(node).is_some()).collect()
    }

    fn hop(&self, net: IpNet, nodes: &BTreeSet<&str>) -> Option<Hop> {
        let family = Family::of(net.addr());
        let address = |node: &Node| node.addresses.iter().copied().find(|a| Family::of(*a) == family);
        let hops = nodes.iter().filter_map(|name| {
            let gateway = address(self.snapshot.nodes.get(*name)?)?;
            Some((Interface::Port(Place::node(*name)), gateway))
        });
        let mut hops: Vec<(Interface, IpAddr)> = hops.collect();
        match hops.len() {
            0 => None,
            1 => hops.pop().map(|(interface, gateway)| Hop::Gateway { interface, gateway, source: None }),
            _ => Some(Hop::Gateways(hops)),
        }
    }
}
