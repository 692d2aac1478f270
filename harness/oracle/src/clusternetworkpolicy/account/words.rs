//! Parts of sentences: whom subjects and peers mean, and why something does not match.

use super::super::peers::PeerMismatch;
use super::super::ports::PortMismatch;
use crate::flow::PortProtocol;
use crate::selector::words::{unmet, with};
use crate::world::name_of;
use netproof_api::{Cidr, ClusterPeer, ClusterSubject, LabelSelector, NamespacedPods};

/// The pods that a policy is about.
pub(super) fn subject(subject: &ClusterSubject) -> String {
    match subject {
        ClusterSubject::Namespaces(selector) => namespaces(selector),
        ClusterSubject::Pods(pods) => self::pods(pods),
    }
}

/// Whom an entry of `from` or `to` names.
pub(super) fn peer(peer: &ClusterPeer) -> String {
    match peer {
        ClusterPeer::Namespaces(selector) => namespaces(selector),
        ClusterPeer::Pods(pods) => self::pods(pods),
        ClusterPeer::Nodes(selector) => match with(selector) {
            Some(with) => format!("nodes {with}"),
            None => "every node".to_owned(),
        },
        ClusterPeer::Networks(networks) => format!("addresses in {}", listed(networks)),
        ClusterPeer::Unknown => "a peer that is unknown here".to_owned(),
    }
}

fn namespaces(selector: &LabelSelector) -> String {
    match with(selector) {
        Some(with) => format!("every pod in namespaces {with}"),
        None => "every pod in every namespace".to_owned(),
    }
}

fn pods(pods: &NamespacedPods) -> String {
    let namespaces = match pods.namespace_selector.as_ref().and_then(with) {
        Some(with) => format!("namespaces {with}"),
        None => "every namespace".to_owned(),
    };
    match with(&pods.pod_selector) {
        Some(with) => format!("pods {with} in {namespaces}"),
        None => format!("every pod in {namespaces}"),
    }
}

fn listed(networks: &[Cidr]) -> String {
    let networks: Vec<String> = networks.iter().map(ToString::to_string).collect();
    networks.join(", ")
}

/// Why an entry of `from` or `to` does not name the `role` (source or destination).
pub(super) fn peer_mismatch(mismatch: &PeerMismatch<'_>, role: &str) -> String {
    match mismatch {
        PeerMismatch::NotAPod { address } => format!("the {role} {address} is not a pod's own address"),
        PeerMismatch::Namespace { namespace, unmet: missing } => {
            format!("the {role}'s namespace {namespace} {}", unmet(missing))
        }
        PeerMismatch::Pod { pod, unmet: missing } => {
            format!("the {role} pod/{} {}", name_of(pod), unmet(missing))
        }
        PeerMismatch::NotANode { address } => format!("the {role} {address} is not a node's address"),
        PeerMismatch::Node { node, unmet: missing } => format!("the {role} node/{node} {}", unmet(missing)),
        PeerMismatch::OutsideNetworks { address, networks } => {
            format!("the {role} {address} is not in {}", listed(networks))
        }
        PeerMismatch::NetworkOfPods { address } => {
            format!(
                "the {role} {address} is a pod's address, which `networks` does not match in this profile"
            )
        }
        PeerMismatch::Unknown => "nothing is known of it here".to_owned(),
    }
}

/// Why an entry of `protocols` does not cover what was asked for, to follow the entry.
pub(super) fn port_mismatch(mismatch: &PortMismatch<'_>, asked: PortProtocol) -> String {
    match mismatch {
        PortMismatch::NoPorts => "is for a port, and an ICMP echo has none".to_owned(),
        PortMismatch::Protocol { protocol } => format!("is for {protocol}, not {asked}"),
        PortMismatch::Number { first, last } if first == last => format!("is for port {first}, not {asked}"),
        PortMismatch::Number { first, last } => format!("is for ports {first} to {last}, not {asked}"),
        PortMismatch::NameWithoutPod { name } => {
            format!("is for the port named {name}, and the peer does not name pods")
        }
        PortMismatch::NoSuchName { name, pod } => {
            format!("is for the port named {name}, and pod/{} has none of that name", name_of(pod))
        }
        PortMismatch::NameIsOther { name, pod, ports } => {
            let ports: Vec<String> =
                ports.iter().map(|port| format!("{}/{}", port.container_port, port.protocol)).collect();
            let (ports, pod) = (ports.join(" and "), name_of(pod));
            format!("is for the port named {name}, which is {ports} on pod/{pod}, not {asked}")
        }
        PortMismatch::Unknown => "is unknown here".to_owned(),
    }
}
