//! The overlay of wiring `vxlan`: packets from a node to the pods of another node travel in UDP datagrams
//! from node to node (RFC 7348), so that the network in between needs routes to nodes only.
//!
//! One overlay carries all families, over the primary one. (Calico and flannel have one for each family;
//! only the network in between sees the difference.) Its devices learn nothing: for each other node there is
//! a forwarding entry with the outer address, a permanent neighbour, and a route to its pods, whose
//! preferred source is the node's own end.

use super::planner::{Planner, mac};
use super::{Forward, Hop, Interface, Neighbour, Overlay, Tables};
use crate::netlink::{ETHERNET_MTU, Mac};
use netproof_model::{Family, Place, Wiring};
use std::net::IpAddr;

/// Where the kernel sends its reports of IPv6 group membership (ff02::16). Nobody needs them, but a packet
/// without a forwarding entry counts as lost: so each end sends its own to itself.
pub(super) const GROUP_REPORTS: Mac = [0x33, 0x33, 0, 0, 0, 0x16];

impl Planner<'_> {
    /// A node's end of the overlay, where there is one.
    pub(super) fn overlay(&self, node: &str) -> Option<Overlay> {
        let vxlan = self.snapshot.topology.wiring == Wiring::Vxlan;
        let local = *self.node_addresses(node).first().filter(|_| vxlan)?;
        Some(Overlay { mac: end(node), local, mtu: self.pod_mtu() })
    }

    /// The MTU of pods: an overlay adds an Ethernet, a VXLAN, a UDP and an IP header.
    pub(super) fn pod_mtu(&self) -> u32 {
        let primary = self.plan.families.list().first();
        match (self.snapshot.topology.wiring, primary) {
            (Wiring::Vxlan, Some(Family::Ipv6)) => ETHERNET_MTU - 14 - 8 - 8 - 40,
            (Wiring::Vxlan, _) => ETHERNET_MTU - 14 - 8 - 8 - 20,
            _ => ETHERNET_MTU,
        }
    }

    pub(super) fn tunnel_addresses(&self, node: &str) -> Vec<IpAddr> {
        let node = self.snapshot.nodes.get(node);
        node.map(|node| self.of_families(&node.tunnel_addresses)).unwrap_or_default()
    }

    /// The route from `node` to the pods of `peer` over the overlay, if there is one.
    pub(super) fn tunnel(&self, node: &str, peer: &str, family: Family) -> Option<Hop> {
        let find = |node| self.tunnel_addresses(node).into_iter().find(|a| Family::of(*a) == family);
        let (source, gateway) = (find(node), find(peer)?);
        Some(Hop::Gateway { interface: Interface::Overlay, gateway, source })
    }

    /// Adds to the tables of `node` what it needs to reach the pods of `peer` over the overlay, if there is
    /// one.
    pub(super) fn join(&self, tables: &mut Tables, node: &str, peer: &str) {
        let Some(Overlay { local: below, .. }) = self.overlay(peer) else { return };
        tables.forwarding.insert(end(peer), Forward::Peer(below));
        for address in self.tunnel_addresses(peer) {
            tables.neighbours.insert((Interface::Overlay, address), Neighbour::Permanent(end(peer)));
            for range in self.pod_ranges(peer, Family::of(address)) {
                if let Some(hop) = self.tunnel(node, peer, Family::of(address)) {
                    tables.routes.insert(range, hop);
                }
            }
        }
    }
}

/// The MAC address of a node's end.
fn end(node: &str) -> Mac {
    mac(0x0e, &Place::node(node))
}
