//! What the oracle is asked about: a flow whose names are resolved, and the packet that opens it.

use netproof_api::core::TransportProtocol;
use netproof_model::{Place, Protocol};
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// What a flow asks for at its destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PortProtocol {
    /// A port.
    Port {
        /// The number, never 0.
        number: u16,
        /// The protocol.
        protocol: TransportProtocol,
    },
    /// An ICMP (ICMPv6) echo.
    Echo,
}

impl PortProtocol {
    /// A port of a protocol; the number means nothing for ICMP.
    pub fn new(number: u16, protocol: Protocol) -> Self {
        let protocol = match protocol {
            Protocol::Tcp => TransportProtocol::Tcp,
            Protocol::Udp => TransportProtocol::Udp,
            Protocol::Sctp => TransportProtocol::Sctp,
            Protocol::Icmp => return PortProtocol::Echo,
        };
        PortProtocol::Port { number, protocol }
    }

    /// The same protocol at another port. An echo has none.
    pub(crate) fn at(self, number: u16) -> Self {
        match self {
            PortProtocol::Port { protocol, .. } => PortProtocol::Port { number, protocol },
            PortProtocol::Echo => PortProtocol::Echo,
        }
    }
}

/// As policies are read: `TCP port 80`, `an ICMP echo`.
impl fmt::Display for PortProtocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PortProtocol::Port { number, protocol } => write!(f, "{protocol} port {number}"),
            PortProtocol::Echo => f.write_str("an ICMP echo"),
        }
    }
}

/// A flow: who opens it, and the address that it is opened to. The destination's family is the flow's.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// Who opens it. A hostNetwork pod is at its node.
    pub from: Place,
    /// The address, as it was given or as a name was resolved.
    pub to: IpAddr,
    /// What is asked for there.
    pub port: PortProtocol,
}

/// The packet that opens a flow, at one point of its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Packet {
    /// Its source address.
    pub source: IpAddr,
    /// Its destination address.
    pub destination: IpAddr,
    /// What it asks for there.
    pub port: PortProtocol,
}

impl Packet {
    /// The destination as a person writes it: `10.244.1.3:80/TCP`, or an address alone for an echo.
    pub fn target(&self) -> String {
        match self.port {
            PortProtocol::Port { number, protocol } => {
                format!("{}/{protocol}", SocketAddr::new(self.destination, number))
            }
            PortProtocol::Echo => format!("{} (ICMP echo)", self.destination),
        }
    }
}
