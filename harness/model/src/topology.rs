//! Topology: the machines and wires of a virtual cluster, before any object lives in it.
//!
//! A topology fixes nodes, address ranges, external hosts and how they are joined. Wiring and address
//! family are parameters: the same topology can be built routed or bridged, IPv4, IPv6 or dual.

use crate::interface::InterfacePrefix;
use crate::net::Family;
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How the pods of a node are joined to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Wiring {
    /// A veth and a host route for each pod, with a link-local gateway, as Calico does.
    #[default]
    Routed,
    /// A bridge on each node, as flannel and kubenet do; traffic between pods of one node is led
    /// through the node's IP stack.
    Bridge,
    /// Pods wired as in `routed`; between nodes their packets travel in a VXLAN overlay, so that the
    /// network in between needs to know the nodes only.
    Vxlan,
}

impl Wiring {
    /// Every wiring, the default first.
    pub const ALL: [Wiring; 3] = [Wiring::Routed, Wiring::Bridge, Wiring::Vxlan];
}

impl fmt::Display for Wiring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Wiring::Routed => "routed",
            Wiring::Bridge => "bridge",
            Wiring::Vxlan => "vxlan",
        })
    }
}

/// How a pod and its node come to know each other's link-layer address. Neighbours in the network between
/// the nodes are always permanent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Neighbours {
    /// By permanent entries: neither ARP nor neighbour discovery is in a packet's way.
    #[default]
    Permanent,
    /// By ARP and by IPv6 neighbour discovery, as in a real cluster. The kernel's tables of learned
    /// neighbours hold 1024 entries of a family for the whole machine, so this is for few pods.
    Learned,
}

/// Which address families a topology has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Families {
    /// IPv4 only.
    #[default]
    Ipv4,
    /// IPv6 only.
    Ipv6,
    /// Both; IPv4 is the primary family.
    Dual,
}

impl Families {
    /// Every choice, the default first.
    pub const ALL: [Families; 3] = [Families::Ipv4, Families::Ipv6, Families::Dual];

    /// The families, the primary one first.
    pub fn list(self) -> &'static [Family] {
        match self {
            Families::Ipv4 => &[Family::Ipv4],
            Families::Ipv6 => &[Family::Ipv6],
            Families::Dual => &[Family::Ipv4, Family::Ipv6],
        }
    }

    /// Whether `family` is among them.
    pub fn contains(self, family: Family) -> bool {
        self.list().contains(&family)
    }
}

impl fmt::Display for Families {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Families::Ipv4 => "ipv4",
            Families::Ipv6 => "ipv6",
            Families::Dual => "dual",
        })
    }
}

/// One value for each family.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PerFamily<T> {
    /// The IPv4 value.
    pub ipv4: T,
    /// The IPv6 value.
    pub ipv6: T,
}

impl<T> PerFamily<T> {
    /// The value of one family.
    pub fn get(&self, family: Family) -> &T {
        match family {
            Family::Ipv4 => &self.ipv4,
            Family::Ipv6 => &self.ipv6,
        }
    }

    /// The value of one family, to change it.
    pub fn get_mut(&mut self, family: Family) -> &mut T {
        match family {
            Family::Ipv4 => &mut self.ipv4,
            Family::Ipv6 => &mut self.ipv6,
        }
    }
}

/// The address ranges of a cluster: where addresses come from that are not given. None overlaps another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Ranges {
    /// Pods; each node without a range of its own gets a part of it (a /24 of IPv4, a /64 of IPv6).
    #[cfg_attr(feature = "schema", schemars(with = "PerFamily<String>"))]
    pub pods: PerFamily<IpNet>,
    /// Where pods have addresses besides: those of nodes with ranges of their own, and given ones. Nodes may
    /// have addresses there, too.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    pub other_pods: Vec<IpNet>,
    /// ClusterIPs of services.
    #[cfg_attr(feature = "schema", schemars(with = "PerFamily<String>"))]
    pub services: PerFamily<IpNet>,
    /// The nodes themselves. The router has the first address, nodes follow from the second on.
    #[cfg_attr(feature = "schema", schemars(with = "PerFamily<String>"))]
    pub nodes: PerFamily<IpNet>,
}

/// Those of the topologies that come with netproof.
impl Default for Ranges {
    fn default() -> Self {
        let range = |v4: [u8; 4], bits4, v6: [u16; 3], bits6| PerFamily {
            ipv4: IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::from(v4), bits4)),
            ipv6: IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(v6[0], v6[1], v6[2], 0, 0, 0, 0, 0), bits6)),
        };
        Ranges {
            pods: range([10, 244, 0, 0], 16, [0xfd00, 0x10, 0x244], 48),
            other_pods: Vec::new(),
            services: range([10, 96, 0, 0], 12, [0xfd00, 0x10, 0x96], 108),
            nodes: range([172, 18, 0, 0], 24, [0xfd00, 0x172, 0x18], 64),
        }
    }
}

/// A node of a topology.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct TopologyNode {
    /// Its name.
    pub name: String,
    /// Labels that it has besides `kubernetes.io/hostname`.
    pub labels: BTreeMap<String, String>,
    /// Its addresses, at most one of each family; where there is none, it gets one of the nodes' range.
    pub addresses: Vec<IpAddr>,
    /// What its pods get their addresses from, at most one of each family and within `Ranges::other_pods`;
    /// where there is none, it gets a part of the pods' range.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    pub pod_ranges: Vec<IpNet>,
}

/// A host outside the cluster, reached through the router.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExternalHost {
    /// Its name in scenarios, `external/NAME`.
    pub name: String,
    /// Its addresses; at most those of the topology's families are configured.
    pub addresses: Vec<IpAddr>,
    /// Ports that it listens on.
    pub ports: Vec<ListenPort>,
    /// Names that the cluster's DNS resolves to its addresses.
    pub dns: Vec<String>,
}

/// A network outside the cluster, behind the router.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Network {
    /// Its name.
    pub name: String,
    /// Its ranges: at most one of each family; none for a default network without a range of its own.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<String>"))]
    pub ranges: Vec<IpNet>,
    /// Whether it is where the router sends what it has no other route for: the rest of the world. At
    /// most one network is.
    pub default: bool,
}

/// A port that somebody listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ListenPort {
    /// The number, never 0.
    pub port: u16,
    /// The transport protocol (never ICMP).
    pub protocol: crate::net::Protocol,
}

/// Which addresses of services the router has routes for: what advertising them by BGP amounts to. The
/// words are Calico's (BGPConfiguration `serviceClusterIPs`, `serviceExternalIPs`,
/// `serviceLoadBalancerIPs`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ServiceAddresses {
    /// The whole range of cluster IPs, over every node; a cluster IP of a service whose
    /// `externalTrafficPolicy` is Local, over the nodes that have its endpoints.
    ClusterIps,
    /// Each external IP, over every node, or over those that have endpoints of a `Local` service.
    ExternalIps,
    /// Each load balancer address, in the same way.
    LoadBalancerIps,
}

impl ServiceAddresses {
    /// All of them, as written.
    pub const WORDS: [(&'static str, ServiceAddresses); 3] = [
        ("cluster-ips", ServiceAddresses::ClusterIps),
        ("external-ips", ServiceAddresses::ExternalIps),
        ("load-balancer-ips", ServiceAddresses::LoadBalancerIps),
    ];
}

/// A load balancer in front of the nodes; it lives on the router.
///
/// It gives services of type LoadBalancer their addresses where their status has none. What arrives for
/// such an address goes to one of its nodes, its destination unchanged (`ipMode: VIP`), or rewritten to
/// the node's address and node port, and its source to the load balancer's (`ipMode: Proxy`). Nodes
/// without a ready endpoint of a `Local` service fail its health check and get nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct LoadBalancer {
    /// The addresses that it gives to services.
    #[cfg_attr(feature = "schema", schemars(with = "PerFamily<String>"))]
    pub range: PerFamily<IpNet>,
    /// The nodes that it sends to; empty means all of them.
    pub nodes: Vec<String>,
}

/// The mode of kube-proxy, of which the proxy does what it does otherwise in the one or the other.
///
/// Both are made with nftables here. As iptables mode has it: a node port is served on every address of
/// the node but loopback (there on loopback too, with the sysctl `route_localnet`, which is left alone);
/// an unknown port of a cluster IP, and an address of the service range that no service has, fall
/// through; whom `loadBalancerSourceRanges` do not let in gets no endpoint and is dropped after routing,
/// and not where the service has no endpoints; what conntrack finds invalid is not forwarded. That
/// iptables mode accepts marked and established packets in its own table has no effect on a policy
/// enforcer's, and is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum ProxyMode {
    /// As nftables mode does.
    #[default]
    Nftables,
    /// As iptables mode does.
    Iptables,
}

impl ProxyMode {
    /// Every mode, the default first.
    pub const ALL: [ProxyMode; 2] = [ProxyMode::Nftables, ProxyMode::Iptables];

    /// As `--kube-proxy-mode` names it.
    pub fn name(self) -> &'static str {
        match self {
            ProxyMode::Nftables => "nftables",
            ProxyMode::Iptables => "iptables",
        }
    }
}

/// A topology with its parameters chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Topology {
    /// Its name: that of its file, or `inline`.
    pub name: String,
    /// What it is for, in a sentence.
    pub description: String,
    /// How pods are joined to their node.
    pub wiring: Wiring,
    /// The address families.
    pub family: Families,
    /// How pods and their nodes find each other on their link.
    pub neighbours: Neighbours,
    /// The address ranges.
    pub ranges: Ranges,
    /// The nodes, at least one; their order gives their addresses.
    pub nodes: Vec<TopologyNode>,
    /// The networks outside the cluster. Empty where the topology lists none; external hosts are then
    /// wherever their addresses are.
    pub networks: Vec<Network>,
    /// The external hosts.
    pub externals: Vec<ExternalHost>,
    /// Whether nodes masquerade what their pods send to addresses that are not pods' (Calico's
    /// `natOutgoing`).
    pub nat_outgoing: bool,
    /// The service addresses that the router knows.
    pub advertised: BTreeSet<ServiceAddresses>,
    /// The load balancer, if there is one.
    pub load_balancer: Option<LoadBalancer>,
    /// The mode of the nodes' kube-proxy.
    #[serde(default)]
    pub proxy_mode: ProxyMode,
    /// How the names of pods' interfaces on their nodes begin.
    #[serde(default)]
    #[cfg_attr(feature = "schema", schemars(with = "String"))]
    pub interface_prefix: InterfacePrefix,
}

impl Topology {
    /// The position of a node, from which its addresses follow.
    pub fn node_index(&self, name: &str) -> Option<usize> {
        self.nodes.iter().position(|node| node.name == name)
    }

    /// The ranges that the addresses of pods are in, in one family.
    pub fn pod_ranges(&self, family: Family) -> impl Iterator<Item = IpNet> {
        let others = self.ranges.other_pods.iter().filter(move |range| Family::of(range.addr()) == family);
        std::iter::once(self.ranges.pods.get(family)).chain(others).copied()
    }

    /// The network that an address outside the cluster is in: one whose range has it, or else the default
    /// network. `None` where there is neither.
    pub fn network_of(&self, address: IpAddr) -> Option<&Network> {
        let within = |network: &&Network| network.ranges.iter().any(|range| range.contains(&address));
        self.networks.iter().find(within).or_else(|| self.networks.iter().find(|network| network.default))
    }
}
