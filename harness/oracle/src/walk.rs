//! The way of a packet through the cluster: from its source over the nodes (and the load balancer) to
//! whoever gets it, with every choice that the network has.

use crate::decide::{Crossing, Origin, Target, decide};
use crate::flow::{Packet, PortProtocol};
use crate::prediction::{Alternative, Denial, Hop, Server, SourceNat, Verdict};
use crate::profile::Profile;
use crate::proxy::{ServiceStep, Steps, steps};
use crate::reply::passes_by;
use crate::services::Services;
use crate::truth::Truth;
use crate::world::{Owner, World, after_network, name_of};
use netproof_api::core::{IpMode, TrafficPolicy};
use netproof_api::{Node, Pod, Service};
use netproof_model::topology::{LoadBalancer, ServiceAddresses};
use netproof_model::{Family, NamespacedName, Place};
use std::net::IpAddr;

/// The longest way that leads somewhere: the source's node, the load balancer, the node that it sends to,
/// and the endpoint's node.
const MOST_HOPS: usize = 4;

/// A packet on its way, and what has happened to it so far.
#[derive(Clone, Debug)]
struct Journey {
    packet: Packet,
    /// The sender's own address, if somebody has replaced it.
    sender: Option<IpAddr>,
    hops: Vec<Hop>,
    truth: Truth,
}

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

/// Follows one flow; every course that it may take becomes an alternative.
pub(crate) struct Walk<'o, 'a> {
    pub world: &'o World<'a>,
    pub services: &'o Services<'a>,
    pub profile: &'o Profile,
    pub alternatives: Vec<Alternative>,
}

impl<'a> Walk<'_, 'a> {
    /// From a pod with a network of its own.
    pub(crate) fn start_at_pod(&mut self, pod: &'a Pod, packet: Packet) {
        let journey = Journey::new(packet);
        // No policy keeps a pod from itself: the packet never leaves the pod.
        if packet.destination.is_loopback() || pod.pod_ips.contains(&packet.destination) {
            return self.served(journey, Place::Pod(name_of(pod)));
        }
        match self.node_of(pod) {
            Some(node) => self.at_node(node, Origin::Pod(pod), journey),
            None => self.unreachable(journey),
        }
    }

    /// From a node, or a hostNetwork pod there.
    pub(crate) fn start_at_node(&mut self, node: &'a Node, packet: Packet) {
        let journey = Journey::new(packet);
        // Node ports are not at loopback addresses.
        match packet.destination.is_loopback() {
            true => self.served(journey, Place::Node(node.metadata.name.clone())),
            false => self.at_node(node, Origin::Node, journey),
        }
    }

    /// From a host outside the cluster.
    pub(crate) fn start_at_external(&mut self, host: &str, packet: Packet) {
        let journey = Journey::new(packet);
        let is_own =
            matches!(self.world.owner(packet.destination), Some(Owner::External(name)) if name == host);
        match is_own || packet.destination.is_loopback() {
            true => self.served(journey, Place::External(host.to_owned())),
            false => self.route(journey, false),
        }
    }

    fn node_of(&self, pod: &Pod) -> Option<&'a Node> {
        self.world.snapshot.nodes.get(pod.node_name.as_deref()?).map(AsRef::as_ref)
    }

    /// On a node: first the service proxy, then policy, then the way on.
    fn at_node(&mut self, node: &'a Node, origin: Origin<'_>, mut journey: Journey) {
        if journey.goes_round(node) {
            return self.unreachable(journey);
        }
        let is_own = matches!(origin, Origin::Node);
        let Steps { steps, truth } =
            steps(self.world, self.services, self.profile, node, &journey.packet, is_own);
        journey.truth = journey.truth.and(truth);
        if steps.is_empty() {
            return self.through_node(node, origin, journey, None);
        }
        for step in steps {
            self.through_node(node, origin, journey.clone(), Some(step));
        }
    }

    fn through_node(
        &mut self,
        node: &'a Node,
        origin: Origin<'_>,
        mut journey: Journey,
        service: Option<ServiceStep>,
    ) {
        let received = journey.packet;
        let place = Place::Node(node.metadata.name.clone());
        let mut masquerade = None;
        match &service {
            Some(ServiceStep::Translate { endpoint, masquerade: why, .. }) => {
                journey.packet.destination = endpoint.0;
                journey.packet.port = received.port.at(endpoint.1);
                masquerade = why.map(SourceNat::Proxy);
            }
            Some(ServiceStep::Refuse { service: name, refusal }) => {
                let denial = Denial::Service { service: name.clone(), refusal: *refusal };
                let hop = Hop {
                    place,
                    received,
                    service: service.clone(),
                    seen: received,
                    decisions: Vec::new(),
                    source: None,
                };
                journey.hops.push(hop);
                return self.lost(journey, Verdict::Deny(denial));
            }
            None => {}
        }
        let seen = journey.packet;
        let target = match self.world.owner(seen.destination) {
            Some(Owner::Pod(pod)) if pod.node_name.as_deref() == Some(&node.metadata.name) => {
                Target::Pod(pod)
            }
            Some(Owner::Node(owner)) if owner.metadata.name == node.metadata.name => Target::Node,
            _ => Target::Elsewhere,
        };
        let (sender, masquerades) = (journey.sender, masquerade.is_some());
        let crossing = Crossing { node, origin, target, received, seen, sender, masquerades };
        let decisions = decide(self.world, self.profile, &crossing);
        journey.truth = decisions.iter().fold(journey.truth, |truth, decision| truth.and(decision.truth));
        let source = match target {
            // What is for the node itself is not masqueraded.
            Target::Node => None,
            Target::Pod(_) | Target::Elsewhere => masquerade
                .or_else(|| self.nat_outgoing(&seen))
                .and_then(|why| Some((self.world.masquerade_source(node, seen.destination)?, why))),
        };
        if let Some((address, _)) = source {
            journey.sender.get_or_insert(seen.source);
            journey.packet.source = address;
        }
        journey.hops.push(Hop { place: place.clone(), received, service, seen, decisions, source });
        match target {
            Target::Pod(pod) => self.served(journey, Place::Pod(name_of(pod))),
            Target::Node => self.served(journey, place),
            Target::Elsewhere => self.route(journey, matches!(origin, Origin::Outside)),
        }
    }

    /// natOutgoing masquerades what a pod sends to an address that is no pod's.
    fn nat_outgoing(&self, packet: &Packet) -> Option<SourceNat> {
        let leaves = self.world.snapshot.topology.nat_outgoing
            && self.world.is_pod_address(packet.source)
            && !self.world.is_pod_address(packet.destination);
        leaves.then_some(SourceNat::NatOutgoing)
    }

    /// Between the nodes: to whoever has the address, else as the router knows it. A node that got the
    /// packet from there and sends it back has no better idea than the router (`is_back`).
    fn route(&mut self, journey: Journey, is_back: bool) {
        match self.world.owner(journey.packet.destination) {
            Some(Owner::Pod(pod)) => match self.node_of(pod) {
                Some(node) => self.at_node(node, Origin::Outside, journey),
                None => self.unreachable(journey),
            },
            Some(Owner::Node(node)) => self.at_node(node, Origin::Outside, journey),
            Some(Owner::External(name)) => self.served(journey, Place::External(name.to_owned())),
            None if is_back => self.unreachable(journey),
            None => self.at_router(journey),
        }
    }

    /// The router knows the load balancer's addresses and the services' that are advertised to it.
    fn at_router(&mut self, journey: Journey) {
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

    fn served(&mut self, journey: Journey, place: Place) {
        let server = Server { place, packet: journey.packet };
        let verdict = match journey.truth {
            Truth::Yes => match passes_by(self.world, &journey.hops, &server) {
                None => Verdict::Allow,
                Some(place) => Verdict::NoAnswer { past: place.clone() },
            },
            Truth::Either(switches) => Verdict::Either(switches),
            Truth::No => Verdict::Deny(Denial::Policy { action: self.profile.denial() }),
        };
        self.end(journey, Some(server), verdict);
    }

    fn unreachable(&mut self, journey: Journey) {
        self.lost(journey, Verdict::Unreachable);
    }

    /// Nobody gets the packet, for a reason of its own, unless policy has denied it on an earlier hop.
    fn lost(&mut self, journey: Journey, verdict: Verdict) {
        let verdict = match journey.truth {
            Truth::No => Verdict::Deny(Denial::Policy { action: self.profile.denial() }),
            // Policy may deny it before.
            Truth::Either(switches) => Verdict::Either(switches),
            Truth::Yes => verdict,
        };
        self.end(journey, None, verdict);
    }

    fn end(&mut self, journey: Journey, server: Option<Server>, verdict: Verdict) {
        let alternative = Alternative { hops: journey.hops, server, verdict };
        self.alternatives.push(alternative);
    }
}

impl Journey {
    /// Whether the packet has been on the node before with the same destination, or on more nodes than any
    /// way has that leads somewhere. Endpoints may be written that are node ports in their turn, and lead
    /// from node to node until the packet's time to live is over.
    fn goes_round(&self, node: &Node) -> bool {
        let Packet { destination, port, .. } = self.packet;
        let is_here = |place: &Place| matches!(place, Place::Node(name) if *name == node.metadata.name);
        let was_here = |hop: &Hop| {
            is_here(&hop.place) && hop.received.destination == destination && hop.received.port == port
        };
        self.hops.len() >= MOST_HOPS || self.hops.iter().any(was_here)
    }

    fn new(packet: Packet) -> Self {
        Journey { packet, sender: None, hops: Vec::new(), truth: Truth::Yes }
    }
}
