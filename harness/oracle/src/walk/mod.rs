//! The way of a packet through the cluster: from its source over the nodes (and the load balancer) to
//! whoever gets it, with every choice that the network has.

mod router;

use crate::decide::{Crossing, Early, Origin, Target};
use crate::flow::Packet;
use crate::policy::Policies;
use crate::prediction::{Alternative, Hop, PolicyDecision, PredictedDenial, Server, SourceNat, Verdict};
use crate::profile::Profile;
use crate::proxy::{ServiceStep, Steps, steps};
use crate::reply::passes_by;
use crate::services::Services;
use crate::truth::Truth;
use crate::world::{Owner, World, name_of};
use netproof_api::{Node, Pod};
use netproof_model::Place;
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

/// Follows one flow; every course that it may take becomes an alternative.
pub(crate) struct Walk<'o, 'a> {
    pub world: &'o World<'a>,
    pub services: &'o Services<'a>,
    pub profile: &'o Profile,
    pub policies: Policies<'o, 'a>,
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

    /// On a node: first what policy says before destinations are translated, then the service proxy, then the rest of
    /// policy, then the way on.
    fn at_node(&mut self, node: &'a Node, origin: Origin<'a>, mut journey: Journey) {
        if journey.goes_round(node) {
            return self.unreachable(journey);
        }
        let target = self.target(node, journey.packet.destination);
        let early = self.policies.decide_early(node, origin, target, journey.packet);
        let is_own = matches!(origin, Origin::Node);
        let Steps { steps, truth } =
            steps(self.world, self.services, self.profile, node, &journey.packet, is_own);
        journey.truth = journey.truth.and(truth);
        if steps.is_empty() {
            return self.through_node(node, origin, journey, early, None);
        }
        for step in steps {
            self.through_node(node, origin, journey.clone(), early.clone(), Some(step));
        }
    }

    /// Where a packet goes from a node.
    fn target(&self, node: &Node, destination: IpAddr) -> Target<'a> {
        match self.world.owner(destination) {
            Some(Owner::Pod(pod)) if pod.node_name.as_deref() == Some(&node.metadata.name) => {
                Target::Pod(pod)
            }
            Some(Owner::Node(owner)) if owner.metadata.name == node.metadata.name => Target::Node,
            _ => Target::Elsewhere,
        }
    }

    fn through_node(
        &mut self,
        node: &'a Node,
        origin: Origin<'a>,
        mut journey: Journey,
        early: Early,
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
                let denial = PredictedDenial::Service { service: name.clone(), refusal: *refusal };
                journey.is_decided(&early.decisions);
                let hop = Hop {
                    place,
                    received,
                    service: service.clone(),
                    seen: received,
                    decisions: early.decisions,
                    source: None,
                };
                journey.hops.push(hop);
                return self.lost(journey, Verdict::Deny(denial));
            }
            None => {}
        }
        let seen = journey.packet;
        let target = self.target(node, seen.destination);
        let (sender, masquerades) = (journey.sender, masquerade.is_some());
        let crossing = Crossing { node, origin, target, received, seen, sender, masquerades };
        let decisions = self.policies.decide(&crossing, early);
        journey.is_decided(&decisions);
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

    fn served(&mut self, journey: Journey, place: Place) {
        let server = Server { place, packet: journey.packet };
        let verdict = match journey.truth {
            Truth::Yes => match passes_by(self.world, &journey.hops, &server) {
                None => Verdict::Allow,
                Some(place) => Verdict::NoAnswer { past: place.clone() },
            },
            Truth::Either(switches) => Verdict::Either(switches),
            Truth::No => Verdict::Deny(PredictedDenial::Policy { action: self.profile.denial() }),
        };
        self.end(journey, Some(server), verdict);
    }

    fn unreachable(&mut self, journey: Journey) {
        self.lost(journey, Verdict::Unreachable);
    }

    /// Nobody gets the packet, for a reason of its own, unless policy has denied it on an earlier hop.
    fn lost(&mut self, journey: Journey, verdict: Verdict) {
        let verdict = match journey.truth {
            Truth::No => Verdict::Deny(PredictedDenial::Policy { action: self.profile.denial() }),
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
    /// Policy must allow it every time.
    fn is_decided(&mut self, decisions: &[PolicyDecision]) {
        self.truth = decisions.iter().fold(self.truth, |truth, decision| truth.and(decision.truth));
    }

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
