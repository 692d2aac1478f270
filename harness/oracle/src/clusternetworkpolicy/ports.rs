//! Whether an entry of `protocols` covers what a packet asks for.

use crate::flow::PortProtocol;
use netproof_api::core::TransportProtocol;
use netproof_api::{ClusterPort, ContainerPort, Pod};

/// Why an entry does not cover what a packet asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PortMismatch<'a> {
    /// The packet is an ICMP echo, and every entry means a protocol that has ports.
    NoPorts,
    /// Another protocol.
    Protocol { protocol: TransportProtocol },
    /// Another number.
    Number { first: u16, last: u16 },
    /// Ports have names on pods only, and the peer is not one by its labels.
    NameWithoutPod { name: &'a str },
    /// The destination has no port of that name.
    NoSuchName { name: &'a str, pod: &'a Pod },
    /// The name stands for other ports at the destination.
    NameIsOther { name: &'a str, pod: &'a Pod, ports: Vec<&'a ContainerPort> },
    /// Nothing is known of the entry.
    Unknown,
}

/// Whether the entry covers the port of a packet to `destination`, if that is a pod.
pub(super) fn covers<'a>(
    entry: &'a ClusterPort,
    port: PortProtocol,
    destination: Option<&'a Pod>,
) -> Result<(), PortMismatch<'a>> {
    let PortProtocol::Port { number, protocol } = port else {
        return Err(PortMismatch::NoPorts);
    };
    // Every entry names its protocol; there is none by default.
    let in_range = |own: TransportProtocol, first: u16, last: u16| match own == protocol {
        false => Err(PortMismatch::Protocol { protocol: own }),
        true if first <= number && number <= last => Ok(()),
        true => Err(PortMismatch::Number { first, last }),
    };
    match entry {
        ClusterPort::Number { protocol, number } => in_range(*protocol, *number, *number),
        ClusterPort::Range { protocol, start, end } => in_range(*protocol, *start, *end),
        ClusterPort::Named(name) => named(name, (number, protocol), destination),
        ClusterPort::Unknown => Err(PortMismatch::Unknown),
    }
}

/// `destinationNamedPort`: number and protocol are those of the destination's container ports of that name.
fn named<'a>(
    name: &'a str,
    asked: (u16, TransportProtocol),
    destination: Option<&'a Pod>,
) -> Result<(), PortMismatch<'a>> {
    let Some(pod) = destination else {
        return Err(PortMismatch::NameWithoutPod { name });
    };
    let ports: Vec<&ContainerPort> = pod.ports().filter(|port| port.name.as_deref() == Some(name)).collect();
    match ports.as_slice() {
        [] => Err(PortMismatch::NoSuchName { name, pod }),
        found if found.iter().any(|port| (port.container_port, port.protocol) == asked) => Ok(()),
        _ => Err(PortMismatch::NameIsOther { name, pod, ports }),
    }
}
