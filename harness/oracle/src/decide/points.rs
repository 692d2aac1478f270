//! Where the profile settles whether packets pass, whatever policies there are; and whose policies a node has.

use super::{Crossing, Ruling, Target};
use crate::prediction::Reason;
use crate::profile::{HostNetworkPods, PodToOwnNode, Profile, Switch};
use crate::truth::Truth;

/// Egress of the pod that sends the packet.
pub(super) fn of_sender(profile: &Profile, crossing: &Crossing<'_>, ruling: Ruling) -> Ruling {
    match (crossing.target, profile.pod_to_own_node) {
        (Target::Node, PodToOwnNode::Drop) => Ruling::denied(Switch::PodToOwnNode),
        _ => ruling,
    }
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
