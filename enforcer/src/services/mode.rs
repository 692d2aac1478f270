//! In what kube-proxy's modes differ, as far as a packet meets it.

use netproof_model::ProxyMode;

/// What a proxy does that depends on the mode of kube-proxy that it follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behaviour {
    /// Whether the range of services is closed: a port that a service does not have is refused, and an address that no
    /// service has dropped. Otherwise such packets go on as they are.
    pub closed_range: bool,
    /// Whether forwarded packets of which conntrack can make nothing are dropped.
    pub drops_invalid: bool,
    /// At which addresses of the node its node ports are.
    pub node_ports: NodePortAddresses,
    /// When the source ranges of a load balancer are held against a packet.
    pub source_ranges: SourceRanges,
}

/// At which addresses of the node its node ports are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodePortAddresses {
    /// The primary address of each family.
    Primary,
    /// Every one but loopback's. (Loopback would do there too if the sysctl `route_localnet` were set, which is the
    /// node's and not the proxy's.)
    AllButLoopback,
}

/// When the source ranges of a load balancer are held against a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceRanges {
    /// Before anything else, whether or not somebody serves the port.
    First,
    /// On the way to the endpoints, if there are any: a packet from elsewhere stays without translation, and is dropped
    /// for that.
    OnTheWay,
}

impl From<ProxyMode> for Behaviour {
    fn from(mode: ProxyMode) -> Behaviour {
        match mode {
            ProxyMode::Nftables => Behaviour {
                closed_range: true,
                drops_invalid: false,
                node_ports: NodePortAddresses::Primary,
                source_ranges: SourceRanges::First,
            },
            ProxyMode::Iptables => Behaviour {
                closed_range: false,
                drops_invalid: true,
                node_ports: NodePortAddresses::AllButLoopback,
                source_ranges: SourceRanges::OnTheWay,
            },
        }
    }
}
