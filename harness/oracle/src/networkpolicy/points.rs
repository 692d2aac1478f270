//! Where the API leaves open whether it applies at all to a pod that is isolated: what it says about nodes, and a pod
//! that reaches itself. The answer is about NetworkPolicies alone; other APIs have their own.

use crate::policy::{Question, Way};
use crate::profile::{
    NodeToPodOnAnotherNode, OwnPodThroughService, PodToOwnNode, PolicyAndMasquerade, Profile, Switch,
};
use crate::truth::Truth;
use netproof_model::Direction::{Egress, Ingress};

/// Each point that lets the packet in or out whatever the rules say, and whether it does.
pub(super) fn allow_all(profile: &Profile, question: &Question<'_>) -> Vec<(Truth, Switch)> {
    let Way { to_itself, to_own_node, from_another_node, masquerades } = question.way;
    let point = |switch, is_open, allows: bool| match is_open {
        true => (Truth::open(switch), switch),
        false => (Truth::from(allows), switch),
    };
    match (to_itself, question.direction) {
        // A pod through a service to itself. (By its own address the packet never leaves the pod.)
        (true, direction) => {
            use OwnPodThroughService::{Allow, Either, PoliceEgress};
            let choice = profile.own_pod_through_service;
            let allows = choice == Allow || (choice, direction) == (PoliceEgress, Ingress);
            vec![point(Switch::OwnPodThroughService, choice == Either, allows)]
        }
        // The documentation says that traffic to and from the pod's node is always allowed; the API type and most
        // enforcers do not.
        (false, Egress) => {
            let choice = profile.pod_to_own_node;
            let of_node =
                point(Switch::PodToOwnNode, choice == PodToOwnNode::Either, choice == PodToOwnNode::Allow);
            to_own_node.then_some(of_node).into_iter().collect()
        }
        // The node that may always is the pod's own alone; whether another one is like any other source is open. Where
        // masquerade comes before policy, a packet that the pod's node masquerades comes from that node.
        (false, Ingress) => {
            use {NodeToPodOnAnotherNode as Node, PolicyAndMasquerade as Masquerade};
            let (node, masquerade) = (profile.node_to_pod_on_another_node, profile.policy_and_masquerade);
            let of_node = point(Switch::NodeToPodOnAnotherNode, node == Node::Either, node == Node::Allow);
            let (is_open, allows) = (masquerade == Masquerade::Either, masquerade == Masquerade::AfterOwn);
            let of_masquerade = point(Switch::PolicyAndMasquerade, is_open, allows);
            let points = [(from_another_node, of_node), (masquerades, of_masquerade)];
            points.into_iter().filter(|(applies, _)| *applies).map(|(_, point)| point).collect()
        }
    }
}
