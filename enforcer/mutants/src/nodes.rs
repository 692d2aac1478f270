//! Packets that policy is not asked about: of some nodes, of some protocols, from some places.

use crate::site::Site;
use netproof_controlplane::Snapshot;
use netproof_enforcer::program::{
    AddressTest, Match, Policy, PortRange, PortTest, Program, Rule, RuleAction,
};
use netproof_model::{Direction, PolicyKey, PolicyKind, PolicyStage, Protocol};
use std::collections::BTreeSet;
use std::net::IpAddr;

const BOTH: [Direction; 2] = [Direction::Ingress, Direction::Egress];

pub(super) fn first_node_only(program: &mut Program, site: &Site<'_>) {
    if site.snapshot.nodes.keys().next().map(String::as_str) != Some(site.node) {
        program.endpoints.iter_mut().for_each(|endpoint| endpoint.tiers.clear());
    }
}

pub(super) fn same_node_is_open(program: &mut Program, site: &Site<'_>) {
    let pods = pods(site.snapshot, |node| node == site.node);
    also_allow(program, &BOTH, Some(pods), None);
}

pub(super) fn other_nodes_are_open(program: &mut Program, site: &Site<'_>) {
    let pods = pods(site.snapshot, |node| node != site.node);
    also_allow(program, &BOTH, Some(pods), None);
}

pub(super) fn clients_outside_are_let_in(program: &mut Program, site: &Site<'_>) {
    also_allow(program, &[Direction::Ingress], Some(outside(site.snapshot)), None);
}

pub(super) fn servers_outside_are_open(program: &mut Program, site: &Site<'_>) {
    also_allow(program, &[Direction::Egress], Some(outside(site.snapshot)), None);
}

pub(super) fn udp_is_open(program: &mut Program, _: &Site<'_>) {
    also_allow(program, &BOTH, None, Some(Protocol::Udp));
}

pub(super) fn sctp_is_open(program: &mut Program, _: &Site<'_>) {
    also_allow(program, &BOTH, None, Some(Protocol::Sctp));
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

/// One more policy on every pod that is isolated, with one rule: for these peers, and for all ports of a protocol.
fn also_allow(
    program: &mut Program,
    directions: &[Direction],
    peers: Option<BTreeSet<IpAddr>>,
    protocol: Option<Protocol>,
) {
    for direction in directions {
        let all = |protocol| PortRange { protocol, first: 0, last: u16::MAX };
        let ports = protocol.map(|protocol| PortTest { numbers: vec![all(protocol)], ..PortTest::default() });
        let mut matches = Match { destination_ports: ports.into_iter().collect(), ..Match::default() };
        let peers = peers.clone().map(|peers| AddressTest { members: Some(peers), ..AddressTest::default() });
        *matches.peers_mut(*direction) = peers.into_iter().collect();
        let policy = program.add(Policy {
            policy: PolicyKey::network_policy("mutants", "fault"),
            tier: PolicyKind::NetworkPolicy.word().to_owned(),
            stage: PolicyStage::Local,
            direction: *direction,
            rules: vec![Rule { action: RuleAction::Allow, matches }],
        });
        for endpoint in &mut program.endpoints {
            let tiers = endpoint.tiers.get_mut(&(PolicyStage::Local, *direction)).into_iter().flatten();
            tiers.for_each(|tier| tier.policies.push(policy));
        }
    }
}
