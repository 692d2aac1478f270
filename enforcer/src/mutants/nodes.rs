//! Packets that policy is not asked about: of some nodes, of some protocols, from some places.

use super::Site;
use crate::program::{Peers, Policy, PortRange, Ports, Program, Rule};
use netproof_controlplane::Snapshot;
use netproof_model::{Direction, PolicyRef, Protocol};
use std::collections::BTreeSet;
use std::net::IpAddr;

const BOTH: [Direction; 2] = [Direction::Ingress, Direction::Egress];

pub(super) fn first_node_only(program: &mut Program, site: &Site<'_>) {
    if site.snapshot.nodes.keys().next().map(String::as_str) != Some(site.node) {
        program.endpoints.iter_mut().for_each(|endpoint| endpoint.isolation.clear());
    }
}

pub(super) fn same_node_is_open(program: &mut Program, site: &Site<'_>) {
    let pods = pods(site.snapshot, |node| node == site.node);
    also_allow(program, &BOTH, of(pods), Ports::Any);
}

pub(super) fn other_nodes_are_open(program: &mut Program, site: &Site<'_>) {
    let pods = pods(site.snapshot, |node| node != site.node);
    also_allow(program, &BOTH, of(pods), Ports::Any);
}

pub(super) fn clients_outside_are_let_in(program: &mut Program, site: &Site<'_>) {
    also_allow(program, &[Direction::Ingress], of(outside(site.snapshot)), Ports::Any);
}

pub(super) fn servers_outside_are_open(program: &mut Program, site: &Site<'_>) {
    also_allow(program, &[Direction::Egress], of(outside(site.snapshot)), Ports::Any);
}

pub(super) fn udp_is_open(program: &mut Program, _: &Site<'_>) {
    also_allow(program, &BOTH, Peers::Any, all_of(Protocol::Udp));
}

pub(super) fn sctp_is_open(program: &mut Program, _: &Site<'_>) {
    also_allow(program, &BOTH, Peers::Any, all_of(Protocol::Sctp));
}

fn all_of(protocol: Protocol) -> Ports {
    Ports::Of { numbers: vec![PortRange { protocol, first: 0, last: u16::MAX }], names: None }
}

fn of(addresses: BTreeSet<IpAddr>) -> Peers {
    Peers::Of { pods: Some(addresses), blocks: Vec::new() }
}

/// The addresses of the pods whose node is wanted.
fn pods(snapshot: &Snapshot, wanted: impl Fn(&str) -> bool) -> BTreeSet<IpAddr> {
    let pods = snapshot.pods.values().filter(|pod| !pod.host_network && !pod.phase.has_ended());
    let pods = pods.filter(|pod| pod.node_name.as_deref().is_some_and(&wanted));
    pods.flat_map(|pod| pod.pod_ips.iter().copied()).collect()
}

fn outside(snapshot: &Snapshot) -> BTreeSet<IpAddr> {
    snapshot.externals.values().flat_map(|host| host.addresses.iter().copied()).collect()
}

/// One more policy on every pod that is isolated, with one rule.
fn also_allow(program: &mut Program, directions: &[Direction], peers: Peers, ports: Ports) {
    for direction in directions {
        let position = program.policies.len();
        program.policies.push(Policy {
            policy: PolicyRef::network_policy("mutants", "fault"),
            direction: *direction,
            rules: vec![Rule { peers: peers.clone(), ports: ports.clone() }],
        });
        for endpoint in &mut program.endpoints {
            if let Some(policies) = endpoint.isolation.get_mut(direction) {
                policies.push(position);
            }
        }
    }
}
