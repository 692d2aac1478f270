//! Whether an entry of `ports` covers what a packet asks for.

use crate::flow::PortProtocol;
use crate::profile::{EndPort, Profile, Sctp, Switch};
use crate::truth::Truth;
use crate::world::namespace_of;
use netproof_api::core::{IntOrString, TransportProtocol};
use netproof_api::{ContainerPort, NetworkPolicyPort, Pod};
use std::fmt;

/// Why an entry of `ports` does not cover what a packet asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PortMismatch<'a> {
    /// The packet is an ICMP echo, and every entry of `ports` means a protocol that has ports.
    NoPorts,
    /// Another protocol.
    Protocol {
        /// The entry's.
        protocol: TransportProtocol,
    },
    /// Another number.
    Number {
        /// The entry's `port`.
        port: u16,
        /// The entry's `endPort`.
        end_port: Option<u16>,
    },
    /// The destination is not a pod, so that no name means anything there.
    NameWithoutPod {
        /// The entry's `port`.
        name: &'a str,
    },
    /// No container of the destination has a port of that name and protocol.
    NoSuchName {
        /// The entry's `port`.
        name: &'a str,
        /// The destination.
        pod: PodName<'a>,
    },
    /// The name stands for other numbers at the destination.
    NameIsOther {
        /// The entry's `port`.
        name: &'a str,
        /// The destination.
        pod: PodName<'a>,
        /// What the name stands for there.
        numbers: Vec<u16>,
    },
    /// In this profile rules for SCTP match nothing.
    SctpUnsupported,
}

/// NAMESPACE/NAME of a pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PodName<'a> {
    namespace: &'a str,
    name: &'a str,
}

impl<'a> PodName<'a> {
    pub(super) fn of(pod: &'a Pod) -> Self {
        PodName { namespace: namespace_of(pod), name: &pod.metadata.name }
    }
}

impl fmt::Display for PodName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Whether the entry covers the port of a packet to `destination`, if that is a pod; in `Ok` never
/// [`Truth::No`].
pub(super) fn covers<'a>(
    profile: &Profile,
    entry: &'a NetworkPolicyPort,
    port: PortProtocol,
    destination: Option<&'a Pod>,
) -> Result<Truth, PortMismatch<'a>> {
    let PortProtocol::Port { number, protocol } = port else {
        return Err(PortMismatch::NoPorts);
    };
    // `protocol`: one of TCP, UDP and SCTP, the only one that the entry covers. Without it the entry is of
    // TCP, never of all; defaulting has filled it in.
    if entry.protocol != protocol {
        return Err(PortMismatch::Protocol { protocol: entry.protocol });
    }
    let supported = match (protocol, profile.sctp) {
        (TransportProtocol::Sctp, Sctp::Unsupported) => return Err(PortMismatch::SctpUnsupported),
        (TransportProtocol::Sctp, Sctp::Either) => Truth::open(Switch::Sctp),
        _ => Truth::Yes,
    };
    let at_number = match &entry.port {
        // `port` absent: every port of the protocol.
        None => Truth::Yes,
        Some(IntOrString::Int(first)) => in_range(profile, *first, entry.end_port, number)?,
        Some(IntOrString::String(name)) => named(name, protocol, number, destination)?,
    };
    Ok(supported.and(at_number))
}

fn in_range(
    profile: &Profile,
    first: u16,
    last: Option<u16>,
    number: u16,
) -> Result<Truth, PortMismatch<'static>> {
    if number == first {
        return Ok(Truth::Yes);
    }
    // `endPort`: a range that begins with `port` and has both of its ends.
    let in_range = last.is_some_and(|last| first <= number && number <= last);
    match profile.end_port {
        EndPort::Supported if in_range => Ok(Truth::Yes),
        EndPort::Either if in_range => Ok(Truth::open(Switch::EndPort)),
        _ => Err(PortMismatch::Number { port: first, end_port: last }),
    }
}

/// `port` as a name: a port of the pod that the packet goes to, looked up by name and protocol.
fn named<'a>(
    name: &'a str,
    protocol: TransportProtocol,
    number: u16,
    destination: Option<&'a Pod>,
) -> Result<Truth, PortMismatch<'a>> {
    let Some(pod) = destination else {
        return Err(PortMismatch::NameWithoutPod { name });
    };
    let so_called = |port: &&ContainerPort| port.name.as_deref() == Some(name) && port.protocol == protocol;
    let numbers = || pod.ports().filter(so_called).map(|port| port.container_port);
    if numbers().any(|it| it == number) {
        return Ok(Truth::Yes);
    }
    let numbers: Vec<u16> = numbers().collect();
    let pod = PodName::of(pod);
    Err(match numbers.is_empty() {
        true => PortMismatch::NoSuchName { name, pod },
        false => PortMismatch::NameIsOther { name, pod, numbers },
    })
}
