//! ipBlocks that are read wrongly.

use crate::rewrite;
use crate::site::Site;
use ipnet::IpNet;
use netproof_api::NetworkPolicyPeer;
use netproof_api::networking::{Cidr, IpBlock};
use netproof_controlplane::Snapshot;
use netproof_enforcer::program::Program;
use netproof_model::{Direction, NamespacedName};
use std::net::{Ipv4Addr, Ipv6Addr};

pub(super) fn except_is_ignored(snapshot: &mut Snapshot) {
    rewrite::blocks(snapshot, |block| block.except.clear());
}

pub(super) fn first_except_only(snapshot: &mut Snapshot) {
    rewrite::blocks(snapshot, |block| block.except.truncate(1));
}

pub(super) fn excepts_of_the_rule(snapshot: &mut Snapshot) {
    rewrite::rules(snapshot, |rule| {
        let excepts: Vec<Cidr> = rule.peers.iter().flat_map(excepts).collect();
        for peer in &mut rule.peers {
            if let NetworkPolicyPeer::IpBlock(block) = peer {
                block.except.clone_from(&excepts);
            }
        }
    });
}

pub(super) fn excepts_of_the_policy(snapshot: &mut Snapshot) {
    rewrite::rule_lists(snapshot, |rules| {
        let excepts: Vec<Cidr> = rules.iter().flat_map(|rule| &rule.peers).flat_map(excepts).collect();
        for peer in rules.iter_mut().flat_map(|rule| &mut rule.peers) {
            if let NetworkPolicyPeer::IpBlock(block) = peer {
                block.except.clone_from(&excepts);
            }
        }
    });
}

pub(super) fn excepts(peer: &NetworkPolicyPeer) -> Vec<Cidr> {
    match peer {
        NetworkPolicyPeer::IpBlock(block) => block.except.clone(),
        NetworkPolicyPeer::Pods { .. } => Vec::new(),
    }
}

/// How many exceptions such an enforcer's blocks have room for.
const EXCEPTIONS: usize = 8;

pub(super) fn room_for_few_excepts(snapshot: &mut Snapshot) {
    rewrite::blocks(snapshot, |block| block.except.truncate(EXCEPTIONS));
}

/// Of several entries with one range only the last is there, with its exceptions.
pub(super) fn one_entry_for_a_range(snapshot: &mut Snapshot) {
    rewrite::rules(snapshot, |rule| {
        let range = |peer: &NetworkPolicyPeer| match peer {
            NetworkPolicyPeer::IpBlock(block) => Some(block.cidr),
            NetworkPolicyPeer::Pods { .. } => None,
        };
        let ranges: Vec<Option<Cidr>> = rule.peers.iter().map(range).collect();
        let mut position = 0;
        rule.peers.retain(|peer| {
            position += 1;
            range(peer).is_none_or(|own| !ranges.iter().skip(position).any(|later| *later == Some(own)))
        });
    });
}

/// The addresses of selected peers without those that a block beside the selector excepts.
pub(super) fn except_is_a_deny_beside_selectors(program: &mut Program, site: &Site<'_>) {
    for policy in program.policies_mut() {
        let direction = policy.direction;
        let namespace = policy.policy.namespace.clone().unwrap_or_default();
        let name = NamespacedName::new(namespace, policy.policy.name.clone());
        let Some(object) = site.snapshot.network_policy(&name) else { continue };
        let rules = match policy.direction {
            Direction::Ingress => &object.spec.ingress,
            Direction::Egress => &object.spec.egress,
        };
        for (rule, written) in policy.rules.iter_mut().zip(rules) {
            let excepts: Vec<Cidr> = written.peers.iter().flat_map(excepts).collect();
            for members in rule.matches.peers_mut(direction).iter_mut().filter_map(|it| it.members.as_mut()) {
                members.retain(|address| !excepts.iter().any(|except| except.net().contains(address)));
            }
        }
    }
}

pub(super) fn not_for_pods(snapshot: &mut Snapshot) {
    let pods = snapshot.pods.values().filter(|pod| !pod.host_network).flat_map(|pod| pod.pod_ips.clone());
    let pods: Vec<Cidr> = pods.map(|address| Cidr::new(address.into())).collect();
    rewrite::blocks(snapshot, |block| block.except.extend(&pods));
}

pub(super) fn only_for_pods(snapshot: &mut Snapshot) {
    let pods = snapshot.pods.values().filter(|pod| !pod.host_network).flat_map(|pod| pod.pod_ips.clone());
    let pods: Vec<IpNet> = pods.map(IpNet::from).collect();
    rewrite::peers(snapshot, |peer| match peer {
        NetworkPolicyPeer::IpBlock(block) => {
            let within = |pod: &&IpNet| block.cidr.net().contains(*pod);
            let excepted = |pod: &&IpNet| block.except.iter().any(|except| except.net().contains(*pod));
            let pods = pods.iter().filter(within).filter(|pod| !excepted(pod));
            let mut pods: Vec<NetworkPolicyPeer> = pods.map(|pod| whole(*pod)).collect();
            if pods.is_empty() {
                pods.push(rewrite::nobody());
            }
            pods
        }
        peer => vec![peer],
    });
}

fn whole(net: IpNet) -> NetworkPolicyPeer {
    NetworkPolicyPeer::IpBlock(IpBlock { cidr: Cidr::new(net), except: Vec::new() })
}

pub(super) fn one_bit_too_wide(snapshot: &mut Snapshot) {
    rewrite::blocks(snapshot, |block| {
        block.cidr = block.cidr.net().supernet().map_or(block.cidr, Cidr::new);
    });
}

pub(super) fn one_bit_too_narrow(snapshot: &mut Snapshot) {
    rewrite::blocks(snapshot, |block| {
        let net = block.cidr.net();
        let half = IpNet::new(net.network(), net.prefix_len().saturating_add(1));
        block.cidr = half.map_or(block.cidr, Cidr::new);
    });
}

pub(super) fn without_its_last_address(snapshot: &mut Snapshot) {
    rewrite::blocks(snapshot, |block| {
        let net = block.cidr.net();
        if net.prefix_len() < net.max_prefix_len() {
            block.except.push(Cidr::new(net.broadcast().into()));
        }
    });
}

pub(super) fn all_of_ipv4_is_all(snapshot: &mut Snapshot) {
    everything_of_one_is_everything(snapshot, Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into());
}

pub(super) fn all_of_ipv6_is_all(snapshot: &mut Snapshot) {
    everything_of_one_is_everything(snapshot, Ipv6Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into());
}

fn everything_of_one_is_everything(snapshot: &mut Snapshot, one: std::net::IpAddr, other: std::net::IpAddr) {
    rewrite::peers(snapshot, |peer| {
        let is_all = matches!(&peer, NetworkPolicyPeer::IpBlock(block)
            if block.cidr.net().prefix_len() == 0 && block.cidr.net().addr() == one);
        let other = IpNet::new(other, 0).ok().filter(|_| is_all).map(whole);
        [peer].into_iter().chain(other).collect()
    });
}
