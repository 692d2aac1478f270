//! Which policy decides about a packet on a node, and the cases in which the rules are not asked, or not
//! them alone.

use crate::flow::Packet;
use crate::peers::Peer;
use crate::policy::{Reason, Ruling, Sight, is_isolated, rule_on};
use crate::prediction::PolicyDecision;
use crate::profile::{
    HostNetworkPods, NodeToPodOnAnotherNode, OwnPodThroughService, PodToOwnNode, PolicyAndMasquerade,
    Profile, Switch,
};
use crate::truth::Truth;
use crate::world::{World, name_of};
use netproof_api::{Node, Pod};
use netproof_model::Direction;
use std::net::IpAddr;

/// From where a packet comes to a node.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Origin<'a> {
    /// From a pod of the node.
    Pod(&'a Pod),
    /// From the node itself.
    Node,
    /// From anywhere else.
    Outside,
}

/// Where a packet goes from a node.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Target<'a> {
    /// To a pod of the node.
    Pod(&'a Pod),
    /// To the node itself.
    Node,
    /// To anywhere else.
    Elsewhere,
}

/// A packet on a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crossing<'a> {
    pub node: &'a Node,
    pub origin: Origin<'a>,
    pub target: Target<'a>,
    /// The packet as it came.
    pub received: Packet,
    /// The packet as policy sees it.
    pub seen: Packet,
    /// The sender's own address, if another node has replaced it.
    pub sender: Option<IpAddr>,
    /// This node masquerades the packet.
    pub masquerades: bool,
}

/// Every decision of policy about a packet on a node, egress before ingress.
///
/// A connection between two pods needs both: the source's egress policies and the destination's ingress
/// policies (concepts, "The two sorts of pod isolation").
pub(crate) fn decide(world: &World<'_>, profile: &Profile, crossing: &Crossing<'_>) -> Vec<PolicyDecision> {
    let own = match (crossing.origin, crossing.target) {
        (Origin::Pod(from), Target::Pod(to)) => name_of(from) == name_of(to),
        _ => false,
    };
    let mut decisions = Vec::new();
    let mut add = |pod: &Pod, direction, ruling: Ruling| {
        decisions.push(PolicyDecision {
            pod: name_of(pod),
            direction,
            packet: crossing.seen,
            truth: ruling.truth,
            reason: ruling.reason,
            policies: ruling.policies,
        });
    };
    let rules =
        |pod: &Pod, direction| rule_on(world, profile, pod, direction, sight(world, crossing, direction));

    match (crossing.origin, crossing.target) {
        (Origin::Pod(pod), _) if own => {
            let ruling = rules(pod, Direction::Egress);
            add(pod, Direction::Egress, to_itself(profile, ruling, Direction::Egress));
        }
        (Origin::Pod(pod), Target::Node) => {
            let ruling = rules(pod, Direction::Egress);
            add(pod, Direction::Egress, to_own_node(profile, ruling));
        }
        (Origin::Pod(pod), _) => add(pod, Direction::Egress, rules(pod, Direction::Egress)),
        // A node reaches its own pods always.
        (Origin::Node, Target::Pod(_)) | (Origin::Outside, _) => {}
        (Origin::Node, _) => {
            for (pod, ruling) in host_pods(world, profile, crossing, Direction::Egress) {
                add(pod, Direction::Egress, ruling);
            }
        }
    }
    match (crossing.target, crossing.origin) {
        // What comes from the node that the pod runs on is let in however the pod is isolated (concepts,
        // the same section).
        (Target::Pod(pod), Origin::Node) => {
            let Ruling { policies, .. } = rules(pod, Direction::Ingress);
            add(pod, Direction::Ingress, Ruling { truth: Truth::Yes, reason: Reason::OwnNode, policies });
        }
        (Target::Pod(pod), _) if own => {
            let ruling = rules(pod, Direction::Ingress);
            add(pod, Direction::Ingress, to_itself(profile, ruling, Direction::Ingress));
        }
        (Target::Pod(pod), _) => {
            let ruling = rules(pod, Direction::Ingress);
            let from_node = world.node_at(crossing.seen.source).is_some();
            let ruling = if from_node { from_another_node(profile, ruling) } else { ruling };
            let ruling = if crossing.masquerades { masqueraded_here(profile, ruling) } else { ruling };
            add(pod, Direction::Ingress, ruling);
        }
        (Target::Node, Origin::Pod(_) | Origin::Outside) => {
            for (pod, ruling) in host_pods(world, profile, crossing, Direction::Ingress) {
                add(pod, Direction::Ingress, ruling);
            }
        }
        (Target::Node, Origin::Node) | (Target::Elsewhere, _) => {}
    }
    decisions
}

/// What policy of one direction sees.
fn sight<'a>(world: &World<'a>, crossing: &Crossing<'_>, direction: Direction) -> Sight<'a> {
    let Crossing { received, seen, sender, .. } = crossing;
    let peer = match direction {
        Direction::Ingress => Peer { direction, address: seen.source, before: *sender },
        Direction::Egress => Peer {
            direction,
            address: seen.destination,
            before: (seen.destination != received.destination).then_some(received.destination),
        },
    };
    Sight { peer, port: seen.port, destination: world.pod_at(seen.destination) }
}

/// A pod through a service to itself. (By its own address the packet never leaves the pod.)
fn to_itself(profile: &Profile, ruling: Ruling, direction: Direction) -> Ruling {
    let switch = Switch::OwnPodThroughService;
    match (profile.own_pod_through_service, direction) {
        (OwnPodThroughService::Allow, _) | (OwnPodThroughService::PoliceEgress, Direction::Ingress) => {
            settled(ruling, Truth::Yes, switch)
        }
        (OwnPodThroughService::Police, _) | (OwnPodThroughService::PoliceEgress, Direction::Egress) => ruling,
        (OwnPodThroughService::Either, _) => allowed_in_some_readings(ruling, switch),
    }
}

/// The documentation says that traffic to and from the pod's node is always allowed; the API type and
/// most enforcers do not.
fn to_own_node(profile: &Profile, ruling: Ruling) -> Ruling {
    let switch = Switch::PodToOwnNode;
    match profile.pod_to_own_node {
        PodToOwnNode::Police => ruling,
        PodToOwnNode::Allow => settled(ruling, Truth::Yes, switch),
        PodToOwnNode::Drop => settled(ruling, Truth::No, switch),
        PodToOwnNode::Either => allowed_in_some_readings(ruling, switch),
    }
}

/// The node that may always is the pod's own alone; whether another one is like any other source is open.
fn from_another_node(profile: &Profile, ruling: Ruling) -> Ruling {
    let switch = Switch::NodeToPodOnAnotherNode;
    match profile.node_to_pod_on_another_node {
        NodeToPodOnAnotherNode::Police => ruling,
        NodeToPodOnAnotherNode::Allow => settled(ruling, Truth::Yes, switch),
        NodeToPodOnAnotherNode::Either => allowed_in_some_readings(ruling, switch),
    }
}

/// Where masquerade comes before policy, a packet that the pod's node masquerades comes from that node.
fn masqueraded_here(profile: &Profile, ruling: Ruling) -> Ruling {
    let switch = Switch::PolicyAndMasquerade;
    match profile.policy_and_masquerade {
        PolicyAndMasquerade::After | PolicyAndMasquerade::Before => ruling,
        PolicyAndMasquerade::AfterOwn => settled(ruling, Truth::Yes, switch),
        PolicyAndMasquerade::Either => allowed_in_some_readings(ruling, switch),
    }
}

/// What policies that select hostNetwork pods say about the traffic of their node. The concepts leave it
/// undefined: such pods are passed over, or the policies are those of all of the node's traffic.
fn host_pods<'a>(
    world: &World<'a>,
    profile: &Profile,
    crossing: &Crossing<'_>,
    direction: Direction,
) -> Vec<(&'a Pod, Ruling)> {
    if profile.host_network_pods == HostNetworkPods::Ignore {
        return Vec::new();
    }
    let isolated = world.host_pods(&crossing.node.metadata.name).iter().copied();
    isolated
        .filter(|pod| is_isolated(world, pod, direction))
        .map(|pod| {
            let mut sight = sight(world, crossing, direction);
            if direction == Direction::Ingress {
                sight.destination = Some(pod);
            }
            let ruling = rule_on(world, profile, pod, direction, sight);
            match profile.host_network_pods {
                HostNetworkPods::Either => (pod, allowed_in_some_readings(ruling, Switch::HostNetworkPods)),
                HostNetworkPods::PoliceNode | HostNetworkPods::Ignore => (pod, ruling),
            }
        })
        .collect()
}

/// The profile's choice, whatever the rules say. Where nothing isolates the pod there is nothing to choose,
/// except that a drop is a drop.
fn settled(ruling: Ruling, truth: Truth, switch: Switch) -> Ruling {
    match (ruling.reason, truth) {
        (Reason::NotIsolated, Truth::Yes) => ruling,
        _ => Ruling { truth, reason: Reason::Profile(switch), ..ruling },
    }
}

/// In one reading the rules decide, in another the packet is allowed whatever they say.
fn allowed_in_some_readings(ruling: Ruling, switch: Switch) -> Ruling {
    Ruling { truth: ruling.truth.or(Truth::open(switch)), ..ruling }
}
