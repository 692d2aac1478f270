//! `hostPort`: the ports of a node that lead to pods on it, as the port mapping of the network plugins has it.

use crate::endpoints::Choice;
use crate::flow::{Packet, PortProtocol};
use crate::world::{World, name_of};
use netproof_api::Node;
use netproof_model::{Family, NamespacedName};

/// The pod of the node to which a packet's destination leads, and where it goes there: the container port of the
/// pod, at the pod's own address of the family.
///
/// `hostIP` says at which address the port is; without one it is at every address that the node has. (Of its
/// loopback it would be too, if the sysctl `route_localnet` were set, which is the node's.)
pub(crate) fn lookup(world: &World<'_>, node: &Node, packet: &Packet) -> Option<(NamespacedName, Choice)> {
    let PortProtocol::Port { number, protocol } = packet.port else { return None };
    let destination = packet.destination;
    let family = Family::of(destination);
    let name = &node.metadata.name;
    let is_own = world.node_at(destination).is_some_and(|owner| owner.metadata.name == *name);
    world.snapshot.pods.values().find_map(|pod| {
        // One that has ended has given its ports up; one in its node's network is at the port itself.
        if pod.host_network || pod.phase.has_ended() || pod.node_name.as_ref() != Some(name) {
            return None;
        }
        let port = pod.ports().find(|port| {
            let at = port.host_port.filter(|host| host.port == number && port.protocol == protocol);
            match at.and_then(|host| host.in_family(destination.is_ipv4())) {
                None => false,
                Some(None) => is_own,
                Some(Some(only)) => only == destination,
            }
        })?;
        let address = pod.pod_ips.iter().copied().find(|address| Family::of(*address) == family)?;
        Some((name_of(pod), (address, port.container_port)))
    })
}
