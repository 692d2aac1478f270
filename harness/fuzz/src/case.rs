//! A case: a cluster, and the states that its objects pass through. What changes from one state to the next is
//! no part of it: the text is written from their differences, so that whatever is left out, the rest is valid.

use crate::policy::{Labels, Policy};
use netproof_api::core::TransportProtocol;
use netproof_model::{Families, Family, NamespacedName, Wiring};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A cluster and its states.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// What stays.
    pub cluster: Cluster,
    /// The objects, state by state; each is one pair of cluster and policies. At least one.
    pub states: Vec<State>,
}

/// Nodes and wires, and who is outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    /// How pods are joined to their node.
    pub wiring: Wiring,
    /// The address families.
    pub family: Families,
    /// How many nodes there are, at least one.
    pub nodes: usize,
    /// Whether nodes masquerade what their pods send out.
    pub nat_outgoing: bool,
    /// Whether the router knows the cluster IPs, over every node.
    pub advertised: bool,
    /// Whether there is a load balancer.
    pub load_balancer: bool,
    /// Whether services are tried by their names, too.
    pub names: bool,
    /// Hosts outside the cluster, by name.
    pub externals: BTreeMap<String, External>,
}

/// A host outside the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct External {
    /// Where it is: the last part of its addresses.
    pub host: u8,
    /// Where it listens.
    pub ports: Vec<PodPort>,
}

/// All objects at one time. The namespaces of all other objects are among them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Labels of namespaces.
    pub namespaces: BTreeMap<String, Labels>,
    /// Pods. No two that have not ended have the same address.
    pub pods: BTreeMap<NamespacedName, Pod>,
    /// Services.
    pub services: BTreeMap<NamespacedName, Service>,
    /// Policies.
    pub policies: BTreeMap<NamespacedName, Policy>,
}

/// A pod.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// Its labels.
    pub labels: Labels,
    /// Its node, from 0.
    pub node: usize,
    /// The last part of its addresses, unique among the pods of its node that have not ended.
    pub host: u8,
    /// Its container ports, on which it listens.
    pub ports: Vec<PodPort>,
    /// Whether it lives in its node's network.
    pub host_network: bool,
    /// Whether it is ready.
    pub ready: bool,
    /// How far it has come.
    pub life: Life,
    /// Another number is another pod of the same name.
    pub incarnation: usize,
}

/// How far a pod has come. One that runs may do either of the others; from there nothing leads on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// It runs.
    Runs,
    /// It is being deleted, and serves still.
    Terminates,
    /// It has succeeded: its address is free again, and it is listed still.
    Ended,
}

/// A port of a pod or of a host outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodPort {
    /// Its name, unique in the pod.
    pub name: Option<String>,
    /// Its number.
    pub number: u16,
    /// Its protocol.
    pub protocol: TransportProtocol,
}

/// A service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its selector.
    pub selector: Labels,
    /// Its ports.
    pub ports: Vec<ServicePort>,
    /// How it is reached.
    pub kind: ServiceKind,
    /// `internalTrafficPolicy: Local`.
    pub internal_local: bool,
    /// `publishNotReadyAddresses`.
    pub publish_not_ready: bool,
    /// The last part of its cluster IPs, unique among all services there ever are.
    pub host: u8,
}

/// How a service is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceKind {
    /// By its cluster IPs.
    ClusterIp,
    /// By its name, which means its endpoints.
    Headless,
    /// By node ports, too; with `externalTrafficPolicy: Local` or not.
    NodePort {
        /// `Local`.
        local: bool,
    },
    /// By node ports and the load balancer's addresses, too.
    LoadBalancer {
        /// `Local`.
        local: bool,
    },
}

/// A port of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePort {
    /// Its number, unique in the service for each protocol.
    pub number: u16,
    /// Its protocol.
    pub protocol: TransportProtocol,
    /// The port of the pods, a number or a name.
    pub target: String,
}

impl Cluster {
    /// The names of the nodes.
    pub fn node_names(&self) -> impl Iterator<Item = String> {
        (0..self.nodes).map(node_name)
    }

    /// The addresses of nodes and hosts outside, and the first that a load balancer gives.
    pub fn addresses(&self) -> Vec<IpAddr> {
        let nodes = (0..self.nodes).flat_map(node_addresses);
        let outside = self.externals.values().flat_map(External::addresses);
        nodes.chain(outside).chain(self.load_balancer.then_some(FIRST_OF_LOAD_BALANCER)).collect()
    }

    /// The family whose address objects have first.
    pub fn primary(&self) -> Family {
        if self.family == Families::Ipv6 { Family::Ipv6 } else { Family::Ipv4 }
    }
}

/// The first address that a load balancer gives in its default range.
const FIRST_OF_LOAD_BALANCER: IpAddr = IpAddr::V4(Ipv4Addr::new(172, 19, 0, 1));

/// The name of a node.
pub fn node_name(node: usize) -> String {
    format!("node{}", node + 1)
}

/// The addresses of a node in the default ranges: those of the router come first.
fn node_addresses(node: usize) -> [IpAddr; 2] {
    let host = node.saturating_add(2) as u8;
    [
        Ipv4Addr::new(172, 18, 0, host).into(),
        Ipv6Addr::new(0xfd00, 0x172, 0x18, 0, 0, 0, 0, host.into()).into(),
    ]
}

impl External {
    /// Its addresses, one of each family.
    pub fn addresses(&self) -> [IpAddr; 2] {
        [
            Ipv4Addr::new(198, 51, 100, self.host).into(),
            Ipv6Addr::new(0x2001, 0xdb8, 0x51, 0, 0, 0, 0, self.host.into()).into(),
        ]
    }
}

impl Service {
    /// Its cluster IPs, one of each family. In a cluster of two families it is given the first; the other one is
    /// the next of its range.
    pub fn addresses(&self) -> [IpAddr; 2] {
        [
            Ipv4Addr::new(10, 96, 64, self.host).into(),
            Ipv6Addr::new(0xfd00, 0x10, 0x96, 0, 0, 0, 1, self.host.into()).into(),
        ]
    }

    /// Whether it must be another service: what cannot be changed differs.
    pub fn is_another(&self, before: &Service) -> bool {
        (self.kind == ServiceKind::Headless) != (before.kind == ServiceKind::Headless)
    }

    /// Whether it has node ports.
    pub fn has_node_ports(&self) -> bool {
        matches!(self.kind, ServiceKind::NodePort { .. } | ServiceKind::LoadBalancer { .. })
    }
}

impl Pod {
    /// Its addresses, one of each family, from its node's part of the default ranges.
    pub fn addresses(&self) -> [IpAddr; 2] {
        let node = self.node.saturating_add(1) as u8;
        [
            Ipv4Addr::new(10, 244, node, self.host).into(),
            Ipv6Addr::new(0xfd00, 0x10, 0x244, node.into(), 0, 0, 0, self.host.into()).into(),
        ]
    }

    /// Whether it must be another pod: what cannot be changed differs.
    pub fn is_another(&self, before: &Pod) -> bool {
        let fixed = |pod: &Pod| (pod.node, pod.host, pod.host_network, pod.incarnation);
        let goes_on = before.life == Life::Runs || self.life == before.life;
        fixed(self) != fixed(before) || self.ports != before.ports || !goes_on
    }

    /// Whether it is the same pod and says the same of its state; its labels may differ.
    pub fn is_as(&self, before: &Pod) -> bool {
        let state = |pod: &Pod| (pod.ready, pod.life);
        !self.is_another(before) && state(self) == state(before)
    }

    /// Whether it has an address that nobody else has.
    pub fn has_own_network(&self) -> bool {
        !self.host_network && self.life != Life::Ended
    }
}
