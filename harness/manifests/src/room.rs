//! Room for the pods of manifests: how many nodes are made up where none is named, and how many addresses the
//! pods of a node get.

use ipnet::IpNet;
use netproof_api::core::{HostPort, PodPhase, TransportProtocol};
use netproof_api::manifest::Located;
use netproof_api::{Object, Pod, WorkloadPods};
use netproof_controlplane::host_ports;
use netproof_model::Family;
use std::collections::{BTreeMap, HashMap};

/// How many nodes are made up for few pods.
const FEWEST_NODES: usize = 2;

/// How many nodes are made up at most because of ports that pods do not share. What they do not take waits.
const MOST_FOR_PORTS: usize = 100;

/// The prefix length of IPv4 that the pods of a node have, if no more is needed.
pub(super) const USUAL_PREFIX: u8 = 24;

/// The addresses of a range that no pod gets: the network's, the gateway's and the broadcast address.
const RESERVED: usize = 3;

/// How many pods a made-up node has room for beside those that each node has.
const SHARE: usize = 200;

/// The prefix length of the widest range that the pods of all nodes get.
const WIDEST: u8 = 10;

/// Addresses for the pods of netproof's own: the cluster's DNS.
const OF_NETPROOF: usize = 1;

/// Where pods without an address want one, and which ports of nodes are needed.
#[derive(Debug, Default)]
pub(super) struct Room<'a> {
    /// Pods that may run anywhere.
    anywhere: usize,
    /// Pods that every node has.
    on_each: usize,
    /// Pods that name their node.
    on: BTreeMap<&'a str, usize>,
    /// The pods that need ports of their node, each by the place in which it comes in its workload.
    need_ports: Vec<(usize, &'a Pod)>,
}

impl<'a> Room<'a> {
    pub(super) fn of(objects: &'a [Located]) -> Room<'a> {
        let mut room = Room { anywhere: OF_NETPROOF, ..Room::default() };
        for located in objects {
            match &located.object {
                Object::Pod(pod) => room.pods(pod, 0..1),
                Object::Workload(workload) => match &workload.pods {
                    WorkloadPods::Nodes(_) => room.on_each += usize::from(!workload.template.host_network),
                    WorkloadPods::Ordinals(ordinals) => room.pods(&workload.template, 0..ordinals.len()),
                },
                _ => {}
            }
        }
        room
    }

    fn pods(&mut self, pod: &'a Pod, turns: std::ops::Range<usize>) {
        let needs_address = !pod.host_network && pod.phase == PodPhase::Running && pod.pod_ips.is_empty();
        if needs_address {
            match &pod.node_name {
                Some(node) => *self.on.entry(node).or_default() += turns.len(),
                None => self.anywhere += turns.len(),
            }
        }
        if pod.node_name.is_none() && !pod.phase.has_ended() && host_ports(pod).next().is_some() {
            self.need_ports.extend(turns.map(|turn| (turn, pod)));
        }
    }

    /// How many nodes are made up, as many as the addresses and the ports of nodes ask for, and the prefix length
    /// of IPv4 of each.
    pub(super) fn made_up(&self, families: &[Family]) -> (usize, u8) {
        let prefix = prefix(self.on_each + SHARE);
        let usable = (1 << (32 - prefix)) - RESERVED - self.on_each;
        // A range of IPv6 is never full.
        let for_addresses = match families.contains(&Family::Ipv4) {
            true => self.anywhere.div_ceil(usable),
            false => 0,
        };
        let least = for_addresses.max(FEWEST_NODES);
        let most = least.max(MOST_FOR_PORTS);
        ((least..most).find(|nodes| self.ports_fit(*nodes)).unwrap_or(most), prefix)
    }

    /// Whether so many nodes have the ports that pods need, each pod put on the first node in turn.
    fn ports_fit(&self, nodes: usize) -> bool {
        let mut taken: Vec<HashMap<(u16, TransportProtocol), Vec<HostPort>>> = vec![HashMap::new(); nodes];
        self.need_ports.iter().all(|(turn, pod)| {
            let is_free = |taken: &HashMap<_, Vec<HostPort>>| {
                host_ports(pod).all(|(port, protocol)| {
                    let others = taken.get(&(port.port, protocol));
                    !others.into_iter().flatten().any(|other| other.overlaps(&port))
                })
            };
            let mut in_turn = (0..nodes).map(|step| (turn + step) % nodes);
            let free = in_turn.find(|node| taken.get(*node).is_some_and(is_free));
            let Some(node) = free.and_then(|node| taken.get_mut(node)) else { return false };
            for (port, protocol) in host_ports(pod) {
                node.entry((port.port, protocol)).or_default().push(port);
            }
            true
        })
    }

    /// The prefix length of IPv4 with which each of so many given nodes has room for the pods that it gets: all
    /// that name no node, as others may not take them, unless that is too much.
    pub(super) fn prefix(&self, nodes: usize) -> u8 {
        let own = self.on_each + self.on.values().max().copied().unwrap_or_default();
        let roomy = prefix(own + self.anywhere);
        let parts = u8::try_from((nodes + 1).next_power_of_two().trailing_zeros()).unwrap_or(u8::MAX);
        match roomy.saturating_sub(parts) >= WIDEST {
            true => roomy,
            false => prefix(own + self.anywhere.div_ceil(nodes.max(1))),
        }
    }

    /// How many more pods a node with a range of its own has room for, beside those that it has and those that
    /// are its own; `None` if these are too many.
    pub(super) fn left(&self, node: &str, range: &IpNet, has: usize) -> Option<usize> {
        let size =
            1usize.checked_shl(u32::from(range.max_prefix_len() - range.prefix_len())).unwrap_or(usize::MAX);
        let own = self.on.get(node).copied().unwrap_or_default() + self.on_each;
        size.checked_sub(RESERVED + has + own)
    }

    /// How many pods may run anywhere.
    pub(super) fn anywhere(&self) -> usize {
        self.anywhere
    }
}

/// The prefix length of IPv4 of a range with room for so many pods.
fn prefix(pods: usize) -> u8 {
    let bits = (pods + RESERVED).next_power_of_two().trailing_zeros();
    USUAL_PREFIX.min(32u8.saturating_sub(u8::try_from(bits).unwrap_or(u8::MAX)))
}
