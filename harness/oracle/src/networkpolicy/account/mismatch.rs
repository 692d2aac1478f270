//! Why something does not match, as the end of a sentence.

use super::super::peers::PeerMismatch;
use super::super::ports::PortMismatch;
use crate::flow::PortProtocol;
use crate::selector::words::unmet;

/// Why an entry of `from` or `to` does not name the `role` (source or destination).
pub(super) fn peer_mismatch(mismatch: &PeerMismatch<'_>, role: &str) -> String {
    match mismatch {
        PeerMismatch::NotAPod { address } => {
            format!("the {role} {address} is not a pod's own address")
        }
        PeerMismatch::OtherNamespace { own, namespace } => {
            format!("the {role}'s namespace {namespace} is not the policy's own, {own}")
        }
        PeerMismatch::Namespace { namespace, unmet: missing } => {
            format!("the {role}'s namespace {namespace} {}", unmet(missing))
        }
        PeerMismatch::Pod { pod, unmet: missing } => format!("the {role} pod/{pod} {}", unmet(missing)),
        PeerMismatch::OutsideBlock { address, cidr } => format!("the {role} {address} is not in {cidr}"),
        PeerMismatch::Excepted { address, except } => {
            format!("the {role} {address} is in the exception {except}")
        }
        PeerMismatch::BlockOfPods { address } => {
            format!(
                "the {role} {address} is a pod's address, which an ipBlock does not match in this profile"
            )
        }
        PeerMismatch::BlockOfNodes { address } => {
            format!(
                "the {role} {address} is a node's address, which an ipBlock does not match in this profile"
            )
        }
    }
}

/// Why an entry of `ports` does not cover what was asked for, to follow the entry.
pub(super) fn port_mismatch(mismatch: &PortMismatch<'_>, asked: PortProtocol) -> String {
    match mismatch {
        PortMismatch::NoPorts => "is for a port, and an ICMP echo has none".into(),
        PortMismatch::Protocol { protocol } => format!("is for {protocol}, not {asked}"),
        PortMismatch::Number { port, end_port: None } => format!("is for port {port}, not {asked}"),
        PortMismatch::Number { port, end_port: Some(last) } => {
            format!("is for ports {port} to {last}, not {asked}")
        }
        PortMismatch::NameWithoutPod { name } => {
            format!("is for the port named {name}, and the destination is not a pod")
        }
        PortMismatch::NoSuchName { name, pod } => {
            format!("is for the port named {name}, and pod/{pod} has none of that name and protocol")
        }
        PortMismatch::NameIsOther { name, pod, numbers } => {
            let numbers: Vec<String> = numbers.iter().map(u16::to_string).collect();
            format!(
                "is for the port named {name}, which is {} on pod/{pod}, not {asked}",
                numbers.join(" and ")
            )
        }
        PortMismatch::SctpUnsupported => "is for SCTP, which rules do not match in this profile".into(),
    }
}
