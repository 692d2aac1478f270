//! `hostPort`: ports of a node that lead to pods on it. What is a service's node port, too, is the service's.

use super::NodeView;
use netproof_controlplane::Snapshot;
use netproof_model::Protocol;
use std::collections::BTreeSet;
use std::net::IpAddr;

/// One port of a node, in one family. The client keeps its address, unless it is the pod itself: its answer would not
/// come back to it otherwise.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostPort {
    /// The port of the node.
    pub number: u16,
    /// TCP, UDP or SCTP.
    pub protocol: Protocol,
    /// The only address at which it is, if there is one; otherwise it is at each of the node's but loopback.
    pub at: Option<IpAddr>,
    /// The pod's address.
    pub pod: IpAddr,
    /// The port there.
    pub container_port: u16,
}

/// The host ports of the pods on a node. Pods that have ended have none, and those in the node's network need none.
pub fn host_ports(snapshot: &Snapshot, node: &NodeView) -> BTreeSet<HostPort> {
    let mut found = BTreeSet::new();
    let here = snapshot.pods.values().filter(|pod| {
        !pod.host_network && !pod.phase.has_ended() && pod.node_name.as_deref() == Some(node.name.as_str())
    });
    for pod in here {
        for port in pod.ports() {
            let Some(host) = port.host_port else { continue };
            for address in &pod.pod_ips {
                let Some(at) = host.in_family(address.is_ipv4()) else { continue };
                found.insert(HostPort {
                    number: host.port,
                    protocol: port.protocol.into(),
                    at,
                    pod: *address,
                    container_port: port.container_port,
                });
            }
        }
    }
    found
}
