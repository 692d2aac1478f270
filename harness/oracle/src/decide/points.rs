//! Where the API leaves open whether policy applies at all: the rules of NetworkPolicy about nodes, and a pod that
//! reaches itself.

use super::{Crossing, Ruling, Target};
use crate::policy::View;
use crate::prediction::Reason;
use crate::profile::{
    HostNetworkPods, NodeToPodOnAnotherNode, OwnPodThroughService, PodToOwnNode, PolicyAndMasquerade,
    Profile, Switch,
};
use crate::truth::Truth;
use netproof_model::Direction;

/// Egress of the pod that sends the packet.
pub(super) fn of_sender(profile: &Profile, crossing: &Crossing<'_>, ruling: Ruling) -> Ruling {
    match crossing.target {
        Target::Node => to_own_node(profile, ruling),
        _ if crossing.is_to_itself() => to_itself(profile, ruling, Direction::Egress),
        _ => ruling,
    }
}

/// Ingress of the pod that gets the packet from somewhere else than its node.
pub(super) fn of_receiver(view: View<'_, '_>, crossing: &Crossing<'_>, ruling: Ruling) -> Ruling {
    if crossing.is_to_itself() {
        return to_itself(view.profile, ruling, Direction::Ingress);
    }
    let from_node = view.world.node_at(crossing.seen.source).is_some();
    let ruling = if from_node { from_another_node(view.profile, ruling) } else { ruling };
    if crossing.masquerades { masqueraded_here(view.profile, ruling) } else { ruling }
}

/// A hostNetwork pod's share in the traffic of its node; `None` where it has none, or nothing isolates the pod.
pub(super) fn of_host_pod(profile: &Profile, ruling: impl FnOnce() -> Ruling) -> Option<Ruling> {
    if profile.host_network_pods == HostNetworkPods::Ignore {
        return None;
    }
    let ruling = ruling();
    match (ruling.reason, profile.host_network_pods) {
        (Reason::NotIsolated, _) => None,
        (_, HostNetworkPods::Either) => Some(ruling.or(Truth::open(Switch::HostNetworkPods))),
        (_, HostNetworkPods::PoliceNode | HostNetworkPods::Ignore) => Some(ruling),
    }
}

/// A pod through a service to itself. (By its own address the packet never leaves the pod.)
fn to_itself(profile: &Profile, ruling: Ruling, direction: Direction) -> Ruling {
    let switch = Switch::OwnPodThroughService;
    match (profile.own_pod_through_service, direction) {
        (OwnPodThroughService::Allow, _) | (OwnPodThroughService::PoliceEgress, Direction::Ingress) => {
            ruling.settled(true, switch)
        }
        (OwnPodThroughService::Police, _) | (OwnPodThroughService::PoliceEgress, Direction::Egress) => ruling,
        (OwnPodThroughService::Either, _) => ruling.or(Truth::open(switch)),
    }
}

/// The documentation says that traffic to and from the pod's node is always allowed; the API type and
/// most enforcers do not.
fn to_own_node(profile: &Profile, ruling: Ruling) -> Ruling {
    let switch = Switch::PodToOwnNode;
    match profile.pod_to_own_node {
        PodToOwnNode::Police => ruling,
        PodToOwnNode::Allow => ruling.settled(true, switch),
        PodToOwnNode::Drop => ruling.settled(false, switch),
        PodToOwnNode::Either => ruling.or(Truth::open(switch)),
    }
}

/// The node that may always is the pod's own alone; whether another one is like any other source is open.
fn from_another_node(profile: &Profile, ruling: Ruling) -> Ruling {
    let switch = Switch::NodeToPodOnAnotherNode;
    match profile.node_to_pod_on_another_node {
        NodeToPodOnAnotherNode::Police => ruling,
        NodeToPodOnAnotherNode::Allow => ruling.settled(true, switch),
        NodeToPodOnAnotherNode::Either => ruling.or(Truth::open(switch)),
    }
}

/// Where masquerade comes before policy, a packet that the pod's node masquerades comes from that node.
fn masqueraded_here(profile: &Profile, ruling: Ruling) -> Ruling {
    let switch = Switch::PolicyAndMasquerade;
    match profile.policy_and_masquerade {
        PolicyAndMasquerade::After | PolicyAndMasquerade::Before => ruling,
        PolicyAndMasquerade::AfterOwn => ruling.settled(true, switch),
        PolicyAndMasquerade::Either => ruling.or(Truth::open(switch)),
    }
}
