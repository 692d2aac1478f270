//! Outside of the nodes: what the router, and the load balancer on it, do with the addresses of services.

use super::{Journey, Walk};
use crate::decide::Origin;
use crate::flow::{Packet, PortProtocol};
use crate::prediction::{Hop, SourceNat};
use crate::truth::Truth;
use crate::world::after_network;
use netproof_api::core::{IpMode, TrafficPolicy};
use netproof_api::{Node, Service};
use netproof_model::topology::{LoadBalancer, ServiceAddresses};
use netproof_model::{Family, NamespacedName, Place};
use std::net::IpAddr;

/// The nodes that serve an address to those who come from outside.
struct ServingNodes<'a> {
    list: Vec<&'a Node>,
    /// Whether it is these in every reading of the API, or in some.
    truth: Truth,
}

impl<'a> ServingNodes<'a> {
    fn nobody() -> Self {
        ServingNodes { list: Vec::new(), truth: Truth::Yes }
    }

    fn has(&self, node: &Node) -> bool {
        self.list.iter().any(|own| own.metadata.name == node.metadata.name)
    }

    /// The nodes of either.
    fn or(mut self, other: ServingNodes<'a>) -> Self {
        let within = |one: &Self, all: &Self| one.list.iter().all(|node| all.has(node));
        let settled = self.truth == Truth::Yes && within(&other, &self)
            || other.truth == Truth::Yes && within(&self, &other);
        self.truth = if settled { Truth::Yes } else { self.truth.and(other.truth) };
        let more: Vec<&Node> = other.list.into_iter().filter(|node| !self.has(node)).collect();
        self.list.extend(more);
        self.list.sort_by(|one, other| one.metadata.name.cmp(&other.metadata.name));
        self
    }
}

/// A service that has an address of a load balancer, and how.
type Balanced<'a> = (&'a NamespacedName, &'a Service, IpMode);

impl<'a> Walk<'_, 'a> {
    /// The router knows the load balancer's addresses and the services' that are advertised to it.
    pub(super) fn at_router(&mut self, journey: Journey) {
        let destination = journey.packet.destination;
        let topology = &self.world.snapshot.topology;
        let balanced = self.load_balanced(destination);
        if let (Some(balancer), false) = (&topology.load_balancer, balanced.is_empty()) {
            // The address is the load balancer's own as soon as one service has it so.
            if balanced.iter().any(|(.., mode)| *mode == IpMode::Proxy) {
                return self.through_balancer(journey, balancer, &balanced);
            }
            // The route is the address's, whatever port is asked for.
            let nodes =
                balanced.iter().map(|(name, service, _)| self.balancer_nodes(balancer, name, service));
            let nodes = nodes.reduce(ServingNodes::or).unwrap_or_else(ServingNodes::nobody);
            return self.over_nodes(journey, nodes);
        }
        let nodes = self.advertising_nodes(destination);
        self.over_nodes(journey, nodes);
    }

    fn over_nodes(&mut self, mut journey: Journey, nodes: ServingNodes<'a>) {
        journey.truth = journey.truth.and(nodes.truth);
        if nodes.list.is_empty() {
            return self.unreachable(journey);
        }
        for node in nodes.list {
            self.at_node(node, Origin::Outside, journey.clone());
        }
    }

    /// The services of type LoadBalancer that have the address, by name.
    fn load_balanced(&self, address: IpAddr) -> Vec<Balanced<'a>> {
        let services = self.world.snapshot.services.iter();
        let found = services.filter_map(|(name, service)| {
            let ingress = service.load_balancer_ingress.iter().find(|ingress| ingress.ip == address)?;
            Some((name, service.as_ref(), ingress.ip_mode))
        });
        found.collect()
    }

    /// The nodes that the load balancer sends to: its own, as far as their health check lets it.
    fn balancer_nodes(
        &self,
        balancer: &LoadBalancer,
        name: &NamespacedName,
        service: &Service,
    ) -> ServingNodes<'a> {
        let takes_part =
            |node: &Node| balancer.nodes.is_empty() || balancer.nodes.contains(&node.metadata.name);
        self.serving_nodes(name, service, takes_part)
    }

    /// Of some nodes, every one; of a service whose `externalTrafficPolicy` is Local, those with a ready endpoint.
    fn serving_nodes(
        &self,
        name: &NamespacedName,
        service: &Service,
        among: impl Fn(&Node) -> bool,
    ) -> ServingNodes<'a> {
        let mut serving = ServingNodes { list: Vec::new(), truth: Truth::Yes };
        let nodes = self.world.snapshot.nodes.values().map(AsRef::as_ref);
        for node in nodes.filter(|node| among(node)) {
            let serves = match service.external_traffic_policy {
                TrafficPolicy::Cluster => Truth::Yes,
                TrafficPolicy::Local => {
                    self.services.has_ready_endpoint(name, &node.metadata.name, self.profile)
                }
            };
            match serves {
                Truth::No => continue,
                Truth::Yes => {}
                Truth::Either(_) => serving.truth = serving.truth.and(serves),
            }
            serving.list.push(node);
        }
        serving
    }

    /// A load balancer of mode Proxy speaks to a node's port, and by its own address. Of several services with
    /// the port the first by name that a node serves has it.
    fn through_balancer(&mut self, mut journey: Journey, balancer: &LoadBalancer, all: &[Balanced<'a>]) {
        let received = journey.packet;
        let family = Family::of(received.destination);
        let found = all.iter().filter(|(.., mode)| *mode == IpMode::Proxy).find_map(|(name, service, _)| {
            let mut ports = service.ports.iter();
            let port = ports.find(|port| {
                received.port == (PortProtocol::Port { number: port.port, protocol: port.protocol })
            });
            let nodes = self.balancer_nodes(balancer, name, service);
            Some((port?.node_port?, nodes)).filter(|(_, nodes)| !nodes.list.is_empty())
        });
        let (Some((node_port, nodes)), Some(source)) = (found, self.router_address(family)) else {
            return self.unreachable(journey);
        };
        journey.truth = journey.truth.and(nodes.truth);
        for node in nodes.list {
            let Some(address) = node.addresses.iter().copied().find(|address| Family::of(*address) == family)
            else {
                continue;
            };
            let seen = Packet { destination: address, port: received.port.at(node_port), ..received };
            let mut journey = journey.clone();
            journey.sender.get_or_insert(received.source);
            journey.packet = Packet { source, ..seen };
            journey.hops.push(Hop {
                place: Place::Router,
                received,
                service: None,
                seen,
                decisions: Vec::new(),
                source: Some((source, SourceNat::LoadBalancer)),
            });
            self.at_node(node, Origin::Outside, journey);
        }
    }

    /// The router has the first address of the range of nodes.
    fn router_address(&self, family: Family) -> Option<IpAddr> {
        after_network(self.world.snapshot.topology.ranges.nodes.get(family), 1)
    }

    /// The nodes over which the router knows a service's address.
    fn advertising_nodes(&self, address: IpAddr) -> ServingNodes<'a> {
        let topology = &self.world.snapshot.topology;
        let advertised = |what| topology.advertised.contains(&what);
        let nobody = ServingNodes::nobody;
        let all = || ServingNodes {
            list: self.world.snapshot.nodes.values().map(AsRef::as_ref).collect(),
            truth: Truth::Yes,
        };
        let serving = |(name, service)| self.serving_nodes(name, service, |_| true);
        if topology.ranges.services.get(Family::of(address)).contains(&address) {
            if !advertised(ServiceAddresses::ClusterIps) {
                return nobody();
            }
            // The whole range leads to every node, and a Local service's own route to those that serve it.
            let own = self.services.cluster_ip(address).map(serving);
            return own.filter(|nodes| !nodes.list.is_empty()).unwrap_or_else(all);
        }
        let snapshot = self.world.snapshot;
        let found = snapshot.services.iter().filter(|(_, service)| {
            advertised(ServiceAddresses::ExternalIps) && service.external_ips.contains(&address)
                || advertised(ServiceAddresses::LoadBalancerIps)
                    && service.load_balancer_ingress.iter().any(|ingress| ingress.ip == address)
        });
        let nodes = found.map(|(name, service)| serving((name, service.as_ref())));
        nodes.reduce(ServingNodes::or).unwrap_or_else(nobody)
    }
}
