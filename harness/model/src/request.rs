//! A flow with its names resolved: the one form in which it is probed, predicted and judged.

use crate::flow::FlowProtocol;
use crate::net::Protocol;
use crate::place::Place;
use std::net::IpAddr;

/// A flow, resolved.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    /// The source.
    pub source: Place,
    /// The target.
    pub target: RequestTarget,
    /// The port.
    pub port: RequestPort,
}

/// The target of a request.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RequestTarget {
    /// An address of the family in which it is tried.
    Address(IpAddr),
    /// A name that the source resolves like a pod's resolver (`ndots:5`). A name with fewer dots is tried
    /// under each domain of the search list first, then as it is; others in the opposite order; a name that
    /// ends with a dot only as it is.
    Name {
        /// As written.
        name: String,
        /// The search list of the source (`svc.cluster.local`, ...), tried in order.
        search: Vec<String>,
        /// The name server, asked over UDP on port 53.
        server: IpAddr,
        /// The addresses in the cluster's records, of the tried family; empty if there is no such name.
        /// Probes do not use it.
        addresses: Vec<IpAddr>,
    },
}

/// The port of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RequestPort {
    /// An ICMP echo request, which has none.
    Icmp,
    /// A port of a transport protocol.
    Port {
        /// The number, never 0.
        port: u16,
        /// The protocol on it.
        protocol: FlowProtocol,
    },
}

impl RequestPort {
    /// The transport protocol.
    pub fn protocol(self) -> Protocol {
        match self {
            RequestPort::Icmp => Protocol::Icmp,
            RequestPort::Port { protocol, .. } => protocol.transport(),
        }
    }
}
