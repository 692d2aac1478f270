//! One port of a service: the ways that lead to it, and where they lead.

use super::NodeView;
use super::endpoints::{Endpoint, for_cluster, for_local, known_endpoints};
use super::program::{Inputs, Way, external_ips, load_balancer_ips};
use ipnet::IpNet;
use netproof_api::core::TrafficPolicy;
use netproof_model::{Families, Family, NamespacedName, Protocol};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// One port of a service in one family, as one node serves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePort {
    /// The service.
    pub service: NamespacedName,
    /// Its address in this family.
    pub cluster_ip: IpAddr,
    /// Whether the cluster IP leads here: an earlier service may have that address and port.
    pub at_cluster_ip: bool,
    /// TCP, UDP or SCTP.
    pub protocol: Protocol,
    /// The port of the cluster IP.
    pub port: u16,
    /// The port of every node, if it has one.
    pub node_port: Option<u16>,
    /// The external IPs of this family.
    pub external_ips: BTreeSet<IpAddr>,
    /// The load balancer's addresses of this family that are still the packet's destination when a node
    /// gets it (`ipMode: VIP`).
    pub load_balancer_ips: BTreeSet<IpAddr>,
    /// Who may use the load balancer's addresses: ranges of this family. Empty lets everybody in, also
    /// where the service has ranges of the other family only; kube-proxy has it so.
    pub source_ranges: Vec<IpNet>,
    /// For packets to the cluster IP.
    pub internal_policy: TrafficPolicy,
    /// For packets to every other address, and to the node port.
    pub external_policy: TrafficPolicy,
    /// For how many seconds a client keeps its endpoint, if it does.
    pub affinity: Option<u32>,
    /// The endpoints for the policy Cluster.
    pub cluster: BTreeSet<Endpoint>,
    /// The endpoints for the policy Local: those on this node.
    pub local: BTreeSet<Endpoint>,
}

impl ServicePort {
    /// The family.
    pub fn family(&self) -> Family {
        Family::of(self.cluster_ip)
    }

    /// The endpoints under a traffic policy.
    pub fn endpoints(&self, policy: TrafficPolicy) -> &BTreeSet<Endpoint> {
        match policy {
            TrafficPolicy::Cluster => &self.cluster,
            TrafficPolicy::Local => &self.local,
        }
    }

    /// Whether anything but the cluster IP leads to it.
    pub fn is_external(&self) -> bool {
        self.node_port.is_some() || !self.external_ips.is_empty() || !self.load_balancer_ips.is_empty()
    }
}

/// Every port of a service in every family that it has an address in, in the order of its addresses and
/// ports, as a node serves it.
pub fn compile(
    name: &NamespacedName,
    inputs: &Inputs,
    families: Families,
    node: &NodeView,
) -> Vec<ServicePort> {
    let service = &inputs.service;
    let mut ports = Vec::new();
    for cluster_ip in &service.cluster_ips {
        let family = Family::of(*cluster_ip);
        if !families.contains(family) {
            continue;
        }
        let ranges = service.load_balancer_source_ranges.iter();
        for port in &service.ports {
            let known = known_endpoints(&inputs.slices, family, port);
            let (protocol, number) = (Protocol::from(port.protocol), port.port);
            let own = |way: Way| !inputs.taken.contains(&way);
            let is_own = |address: &IpAddr| own(Way::Address(*address, protocol, number));
            ports.push(ServicePort {
                service: name.clone(),
                cluster_ip: *cluster_ip,
                at_cluster_ip: is_own(cluster_ip),
                protocol,
                port: number,
                node_port: port.node_port.filter(|number| own(Way::NodePort(protocol, *number))),
                external_ips: external_ips(service, family).filter(is_own).collect(),
                load_balancer_ips: load_balancer_ips(service, family).filter(is_own).collect(),
                source_ranges: ranges.clone().filter(|it| Family::of(it.addr()) == family).copied().collect(),
                internal_policy: service.internal_traffic_policy,
                external_policy: service.external_traffic_policy,
                affinity: service.session_affinity,
                cluster: for_cluster(&known, node),
                local: for_local(&known, node),
            });
        }
    }
    ports
}
