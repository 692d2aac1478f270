//! Topology: the machines and wires of a virtual cluster, before any object lives in it.
//!
//! A topology fixes nodes, address ranges, external hosts and how they are joined. Wiring and address
//! family are parameters: the same topology can be built routed or bridged, IPv4, IPv6 or dual.

use crate::net::Family;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

/// How the pods of a node are joined to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Wiring {
    /// A veth and a host route for each pod, with a link-local gateway, as Calico does.
    #[default]
    Routed,
    /// A bridge on each node, as flannel and kubenet do; traffic between pods of one node is led
    /// through the node's IP stack.
    Bridge,
}

impl Wiring {
    /// Every wiring, the default first.
    pub const ALL: [Wiring; 2] = [Wiring::Routed, Wiring::Bridge];
}

impl fmt::Display for Wiring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Wiring::Routed => "routed",
            Wiring::Bridge => "bridge",
        })
    }
}

/// Which address families a topology has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
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

/// The address ranges of a cluster. None overlaps another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ranges {
    /// Pods; each node gets a part of it (a /24 of IPv4, a /64 of IPv6).
    pub pods: PerFamily<IpNet>,
    /// ClusterIPs of services.
    pub services: PerFamily<IpNet>,
    /// The nodes themselves. The router has the first address, nodes follow from the second on.
    pub nodes: PerFamily<IpNet>,
}

/// A node of a topology.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopologyNode {
    /// Its name.
    pub name: String,
    /// Labels that it has besides `kubernetes.io/hostname`.
    pub labels: BTreeMap<String, String>,
}

/// A host outside the cluster, reached through the router.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// A port that somebody listens on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ListenPort {
    /// The number, never 0.
    pub port: u16,
    /// The transport protocol (never ICMP).
    pub protocol: crate::net::Protocol,
}

/// A topology with its parameters chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Topology {
    /// Its name: that of its file, or `inline`.
    pub name: String,
    /// What it is for, in a sentence.
    pub description: String,
    /// How pods are joined to their node.
    pub wiring: Wiring,
    /// The address families.
    pub family: Families,
    /// The address ranges.
    pub ranges: Ranges,
    /// The nodes, at least one; their order gives their addresses.
    pub nodes: Vec<TopologyNode>,
    /// The external hosts.
    pub externals: Vec<ExternalHost>,
}

impl Topology {
    /// The position of a node, from which its addresses follow.
    pub fn node_index(&self, name: &str) -> Option<usize> {
        self.nodes.iter().position(|node| node.name == name)
    }
}
