//! Flows as scenarios write them: `SOURCE -> DESTINATION[:PORT[/PROTOCOL]]`.
//!
//! This is the syntax only; it does not resolve names. `parse` reads the text.

mod parse;

pub use parse::{FlowError, parse_destination, parse_port};

use crate::net::{Family, Protocol};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::IpAddr;

/// A name with an optional namespace: `[NAMESPACE/]NAME`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ObjectName {
    /// The namespace, if it is written.
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.namespace {
            Some(namespace) => write!(f, "{namespace}/{}", self.name),
            None => f.write_str(&self.name),
        }
    }
}

/// The source of a flow.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Source {
    /// `pod/[NS/]NAME`
    Pod(ObjectName),
    /// `node/NAME`
    Node(String),
    /// `external/NAME`, or `external/ADDRESS`: the name is the address
    External(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Pod(name) => write!(f, "pod/{name}"),
            Source::Node(name) => write!(f, "node/{name}"),
            Source::External(name) => write!(f, "external/{name}"),
        }
    }
}

/// The destination of a flow.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Destination {
    /// `pod/[NS/]NAME`: the pod's address.
    Pod(ObjectName),
    /// `node/NAME`: the node's address.
    Node(String),
    /// `external/NAME`: the host's address; its name may be that.
    External(String),
    /// `service/[NS/]NAME`: the cluster IP and a service port.
    Service(ObjectName),
    /// `nodeport/[NS/]SERVICE@NODE`: the node's address and the node port.
    NodePort {
        /// The service.
        service: ObjectName,
        /// The node.
        node: String,
    },
    /// `loadbalancer/[NS/]SERVICE`: the load balancer's address and a service port.
    LoadBalancer(ObjectName),
    /// `dns/NAME`: a name that the source resolves.
    Dns(String),
    /// `ip/ADDRESS`: an address as such.
    Ip(IpAddr),
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Destination::Pod(name) => write!(f, "pod/{name}"),
            Destination::Node(name) => write!(f, "node/{name}"),
            Destination::External(name) => write!(f, "external/{name}"),
            Destination::Service(name) => write!(f, "service/{name}"),
            Destination::NodePort { service, node } => write!(f, "nodeport/{service}@{node}"),
            Destination::LoadBalancer(name) => write!(f, "loadbalancer/{name}"),
            Destination::Dns(name) => write!(f, "dns/{name}"),
            Destination::Ip(address) => write!(f, "ip/{address}"),
        }
    }
}

/// A port by number or by name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PortRef {
    /// A number, never 0.
    Number(u16),
    /// The name of a container port or service port.
    Name(String),
}

impl fmt::Display for PortRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PortRef::Number(number) => write!(f, "{number}"),
            PortRef::Name(name) => f.write_str(name),
        }
    }
}

/// The protocol on a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FlowProtocol {
    /// A TCP connection.
    Tcp,
    /// A datagram and its answer.
    Udp,
    /// An SCTP association.
    Sctp,
    /// A GET over TCP.
    Http,
    /// A query over UDP.
    Dns,
}

impl FlowProtocol {
    /// All of them, as written.
    pub const WORDS: [(&'static str, FlowProtocol); 5] = [
        ("tcp", FlowProtocol::Tcp),
        ("udp", FlowProtocol::Udp),
        ("sctp", FlowProtocol::Sctp),
        ("http", FlowProtocol::Http),
        ("dns", FlowProtocol::Dns),
    ];

    /// The transport underneath.
    pub fn transport(self) -> Protocol {
        match self {
            FlowProtocol::Tcp | FlowProtocol::Http => Protocol::Tcp,
            FlowProtocol::Udp | FlowProtocol::Dns => Protocol::Udp,
            FlowProtocol::Sctp => Protocol::Sctp,
        }
    }
}

impl fmt::Display for FlowProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (word, protocol) in FlowProtocol::WORDS {
            if protocol == *self {
                return f.write_str(word);
            }
        }
        Ok(())
    }
}

/// The part after the destination's colon.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum FlowPort {
    /// `:icmp`
    Icmp,
    /// `:PORT[/PROTOCOL]`
    Port {
        /// The port.
        port: PortRef,
        /// The protocol; TCP if none is written.
        protocol: FlowProtocol,
    },
}

impl FlowPort {
    /// The transport protocol.
    pub fn transport(&self) -> Protocol {
        match self {
            FlowPort::Icmp => Protocol::Icmp,
            FlowPort::Port { protocol, .. } => protocol.transport(),
        }
    }
}

impl fmt::Display for FlowPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FlowPort::Icmp => f.write_str("icmp"),
            FlowPort::Port { port, protocol: FlowProtocol::Tcp } => write!(f, "{port}"),
            FlowPort::Port { port, protocol } => write!(f, "{port}/{protocol}"),
        }
    }
}

/// A flow as written.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Flow {
    /// The source.
    pub from: Source,
    /// The destination.
    pub to: Destination,
    /// The port; absent means the only port that the destination serves.
    pub port: Option<FlowPort>,
    /// The only family to try; absent means every family that both ends have.
    pub family: Option<Family>,
}

impl Flow {
    /// The destination with the port: the part after the arrow.
    pub fn destination(&self) -> String {
        match (&self.to, &self.port) {
            (Destination::Ip(address @ IpAddr::V6(_)), Some(port)) => format!("ip/[{address}]:{port}"),
            (Destination::External(address), Some(port)) if address.contains(':') => {
                format!("external/[{address}]:{port}")
            }
            (to, Some(port)) => format!("{to}:{port}"),
            (to, None) => to.to_string(),
        }
    }
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.from, self.destination())
    }
}
