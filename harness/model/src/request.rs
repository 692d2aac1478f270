//! A flow whose names are resolved: the one form in which it is probed, predicted and judged.

use crate::flow::FlowProtocol;
use crate::net::Protocol;
use crate::place::Place;
use std::net::IpAddr;

/// A flow, resolved.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Request {
    /// Who sends it.
    pub source: Place,
    /// What it is addressed to.
    pub target: RequestTarget,
    /// On which port.
    pub port: RequestPort,
}

/// What a request is addressed to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RequestTarget {
    /// An address of the family in which it is tried.
    Address(IpAddr),
    /// A name, resolved by the source as a pod's resolver does it (`ndots:5`): a name with fewer dots is tried under
    /// each domain of the search list first, then as it is; others the other way round; one that ends with a dot only
    /// as it is.
    Name {
        /// As written.
        name: String,
        /// The search list of the source (`svc.cluster.local`, ...), tried in order.
        search: Vec<String>,
        /// The name server, asked over UDP on port 53.
        server: IpAddr,
        /// What the cluster's records say, of the family in which it is tried; empty where they have no such name. A
        /// probe does not look at it.
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
        /// What is spoken there.
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
