//! Which addresses outside the cluster its policies tell apart, and a host that stands for each class of them.
//!
//! Ranges either contain each other or have nothing in common. So each range that a policy (or a service's
//! `loadBalancerSourceRanges`) names, without the ranges inside it that are named as well, is a class: no policy
//! tells two of its addresses apart. What no range has is one more.

use crate::inferred::ports::of_hosts;
use ipnet::IpNet;
use netproof_api::networking::{NetworkPolicyPeer, PolicyType};
use netproof_api::{ClusterNetworkPolicy, ClusterPeer, NetworkPolicy, Policy, Service};
use netproof_controlplane::{Snapshot, is_outside};
use netproof_model::topology::{ExternalHost, ListenPort};
use netproof_model::{Family, Topology};
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::IpAddr;

/// The most classes of one family and direction that get a host made up for them.
const MOST: usize = 32;

/// Where addresses of documentation are, which stand for the rest of the world first.
const USUAL: [&str; 4] = ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1"];

/// Addresses outside that no policy tells apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Class {
    /// The range that a policy or a service names; that of all addresses for the rest of the world.
    pub range: IpNet,
    /// The ranges inside that are named as well.
    pub without: Vec<IpNet>,
    /// The host outside that stands for them.
    pub host: Result<String, Absent>,
    /// The blocks that match these addresses.
    blocks: Vec<usize>,
}

/// Why no host stands for a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absent {
    /// Every address is one of the cluster's own ranges, or of no host.
    Own,
    /// The cluster has no addresses of this family.
    NoFamily,
    /// There are too many classes.
    TooMany,
}

/// The classes by which ingress policies and source ranges, and those by which egress policies, tell addresses
/// outside apart; none where nothing tells any apart.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outside {
    /// By ingress policies and source ranges.
    pub ingress: Vec<Class>,
    /// By egress policies.
    pub egress: Vec<Class>,
}

/// Whether the source ranges of services count: they tell sources apart at load balancers only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balancers {
    /// They count.
    Asked,
    /// They do not.
    NotAsked,
}

/// What classes are made of.
struct Ground<'a> {
    topology: &'a Topology,
    /// Each host's name and addresses, by name.
    hosts: BTreeMap<String, Vec<IpAddr>>,
    /// What is no address of a host outside.
    taken: Vec<IpNet>,
}

/// The hosts that stand for classes that no host of the topology is in, and the ports at which every host outside
/// is asked: where those of the topology listen, and those in egress rules that lead outside.
pub fn stand_ins(
    topology: &Topology,
    policies: &[&Policy],
    services: &[&Service],
    in_use: impl Iterator<Item = IpAddr>,
) -> (Vec<ExternalHost>, BTreeSet<ListenPort>) {
    let mut ground = Ground::new(topology, topology.externals.iter(), services, in_use);
    let before: BTreeSet<String> = ground.hosts.keys().cloned().collect();
    ground.classes(policies, services, Balancers::NotAsked, true);
    ground.classes(policies, services, Balancers::Asked, true);
    let mut ports: BTreeSet<ListenPort> = of_hosts(policies.iter().copied());
    ports.extend(topology.externals.iter().flat_map(|host| &host.ports));
    let made_up = ground.hosts.into_iter().filter(|(name, _)| !before.contains(name));
    let host = |(name, addresses)| {
        let ports = ports.iter().copied().collect();
        ExternalHost { name, addresses, ports, dns: Vec::new() }
    };
    (made_up.map(host).collect(), ports)
}

impl Outside {
    /// The classes of a cluster, with those of its hosts outside that are in them.
    pub fn of(snapshot: &Snapshot, balancers: Balancers) -> Outside {
        let policies: Vec<&Policy> = snapshot.policies.values().collect();
        let services: Vec<&Service> = snapshot.services.values().map(AsRef::as_ref).collect();
        let hosts = snapshot.externals.values().map(AsRef::as_ref);
        let nodes = snapshot.nodes.values().flat_map(|node| node.addresses.iter().copied());
        let mut ground = Ground::new(&snapshot.topology, hosts, &services, nodes);
        ground.classes(&policies, &services, balancers, false)
    }
}

impl<'a> Ground<'a> {
    fn new<'h>(
        topology: &'a Topology,
        hosts: impl Iterator<Item = &'h ExternalHost>,
        services: &[&Service],
        in_use: impl Iterator<Item = IpAddr>,
    ) -> Ground<'a> {
        let hosts: BTreeMap<String, Vec<IpAddr>> =
            hosts.map(|host| (host.name.clone(), host.addresses.clone())).collect();
        let mut taken: Vec<IpNet> = topology.ranges.other_pods.clone();
        for family in Family::ALL {
            let ranges = &topology.ranges;
            taken.extend([&ranges.pods, &ranges.services, &ranges.nodes].map(|range| *range.get(family)));
            taken.extend(topology.load_balancer.iter().map(|balancer| *balancer.range.get(family)));
        }
        let of_nodes = topology.nodes.iter().flat_map(|node| node.addresses.iter().copied());
        let of_services = services.iter().flat_map(|service| {
            let balancer = service.load_balancer_ingress.iter().map(|entry| entry.ip);
            service.external_ips.iter().copied().chain(balancer)
        });
        taken.extend(of_nodes.chain(of_services).chain(in_use).map(IpNet::from));
        taken.extend(NOBODY.iter().filter_map(|text| text.parse::<IpNet>().ok()));
        Ground { topology, hosts, taken }
    }

    fn classes(
        &mut self,
        policies: &[&Policy],
        services: &[&Service],
        balancers: Balancers,
        make_up: bool,
    ) -> Outside {
        let mut blocks = Blocks::default();
        blocks.of_policies(policies, PolicyType::Ingress);
        for service in services.iter().filter(|_| balancers == Balancers::Asked) {
            // Each service tells its own ranges from all others.
            blocks.add(service.load_balancer_source_ranges.iter().copied(), &[]);
        }
        let ingress = self.of_blocks(&blocks, make_up);
        let mut blocks = Blocks::default();
        blocks.of_policies(policies, PolicyType::Egress);
        let egress = self.of_blocks(&blocks, make_up);
        Outside { ingress, egress }
    }

    fn of_blocks(&mut self, blocks: &Blocks, make_up: bool) -> Vec<Class> {
        let mut all = Vec::new();
        for family in Family::ALL {
            let mut ranges: BTreeSet<IpNet> = blocks.ranges();
            ranges.retain(|range| Family::of(range.addr()) == family);
            if ranges.is_empty() {
                continue;
            }
            let is_there = self.topology.family.contains(family);
            if is_there {
                ranges.insert(everything(family));
            }
            let mut classes: Vec<Class> = ranges.iter().map(|range| class(*range, &ranges, blocks)).collect();
            // Of classes that the same blocks match one is enough, where there are too many.
            let mut seen = HashSet::new();
            let repeats: Vec<bool> = classes.iter().map(|it| !seen.insert(it.blocks.clone())).collect();
            let mut made_up = 0;
            for again in [false, true] {
                for (class, _) in classes.iter_mut().zip(&repeats).filter(|(_, repeats)| **repeats == again) {
                    class.host = match is_there {
                        false => Err(Absent::NoFamily),
                        true => self.host(class, make_up && made_up < MOST),
                    };
                    made_up += usize::from(class.host.is_ok());
                }
            }
            all.append(&mut classes);
        }
        all
    }

    /// A host in a class; one that is made up if there is none yet.
    fn host(&mut self, class: &Class, make_up: bool) -> Result<String, Absent> {
        let is_in = |address: &IpAddr| class.has(*address);
        let here = self.hosts.iter().filter(|(_, addresses)| addresses.iter().any(is_in));
        // One with a name of its own was there first.
        if let Some((name, _)) = here.min_by_key(|(name, _)| name.parse::<IpAddr>().is_ok()) {
            return Ok(name.clone());
        }
        let free = self.free(class).ok_or(Absent::Own)?;
        if !make_up {
            return Err(Absent::TooMany);
        }
        self.hosts.insert(free.to_string(), vec![free]);
        Ok(free.to_string())
    }

    /// An address of a class that a host outside can have.
    fn free(&self, class: &Class) -> Option<IpAddr> {
        let is_free = |address: IpAddr| {
            class.has(address)
                && is_outside(address)
                && !self.taken.iter().any(|range| range.contains(&address))
                && (self.topology.networks.is_empty() || self.topology.network_of(address).is_some())
        };
        if class.range.prefix_len() == 0 {
            let mut usual = USUAL.iter().filter_map(|text| text.parse::<IpAddr>().ok());
            if let Some(found) = usual.find(|address| is_free(*address)) {
                return Some(found);
            }
        }
        let last = number(class.range.broadcast());
        let first = number(class.range.network());
        // The first address of a range is the network's.
        let mut next = if last - first > 1 { first + 1 } else { first };
        // Each step leaves a range, or a single address, behind.
        let most = 2 * (self.taken.len() + class.without.len()) + 4;
        for _ in 0..most {
            let candidate = address(class.range, next);
            if is_free(candidate) {
                return Some(candidate);
            }
            let over = self.taken.iter().chain(&class.without);
            let end =
                over.filter(|range| range.contains(&candidate)).map(|range| number(range.broadcast())).max();
            next = end.unwrap_or(next).checked_add(1)?;
            if next > last {
                return None;
            }
        }
        None
    }
}

/// Ranges in which no host outside has an address.
const NOBODY: [&str; 8] = [
    "0.0.0.0/8",
    "127.0.0.0/8",
    "169.254.1.1/32",
    "224.0.0.0/3",
    "::/127",
    "::ffff:0:0/96",
    "fe80::/10",
    "ff00::/8",
];

/// What tells addresses apart.
#[derive(Default)]
struct Blocks(Vec<(IpNet, Vec<IpNet>)>);

impl Blocks {
    fn of_policies(&mut self, policies: &[&Policy], direction: PolicyType) {
        for policy in policies {
            match policy {
                Policy::NetworkPolicy(policy) => self.of_network_policy(policy, direction),
                Policy::ClusterNetworkPolicy(policy) => self.of_cluster_network_policy(policy, direction),
                _ => {}
            }
        }
    }

    fn of_network_policy(&mut self, policy: &NetworkPolicy, direction: PolicyType) {
        if !policy.spec.policy_types.contains(&direction) {
            return;
        }
        let rules = match direction {
            PolicyType::Ingress => &policy.spec.ingress,
            PolicyType::Egress => &policy.spec.egress,
        };
        for peer in rules.iter().flat_map(|rule| &rule.peers) {
            let NetworkPolicyPeer::IpBlock(block) = peer else { continue };
            let except: Vec<IpNet> = block.except.iter().map(|except| except.net()).collect();
            self.add(std::iter::once(block.cidr.net()), &except);
        }
    }

    fn of_cluster_network_policy(&mut self, policy: &ClusterNetworkPolicy, direction: PolicyType) {
        let rules = match direction {
            PolicyType::Ingress => &policy.spec.ingress,
            PolicyType::Egress => &policy.spec.egress,
        };
        for peer in rules.iter().flat_map(|rule| &rule.peers) {
            let ClusterPeer::Networks(networks) = peer else { continue };
            self.add(networks.iter().map(|network| network.net()), &[]);
        }
    }

    fn add(&mut self, ranges: impl Iterator<Item = IpNet>, except: &[IpNet]) {
        self.0.extend(ranges.map(|range| (range.trunc(), except.iter().map(IpNet::trunc).collect())));
    }

    fn ranges(&self) -> BTreeSet<IpNet> {
        self.0.iter().flat_map(|(range, except)| except.iter().chain([range])).copied().collect()
    }
}

/// The class of a range among all that are named.
fn class(range: IpNet, all: &BTreeSet<IpNet>, blocks: &Blocks) -> Class {
    let inside: Vec<IpNet> =
        all.iter().filter(|other| **other != range && range.contains(*other)).copied().collect();
    let is_outer = |one: &&IpNet| !inside.iter().any(|other| other != *one && other.contains(*one));
    let without = inside.iter().filter(is_outer).copied().collect();
    let matches = |(_, (cidr, except)): &(usize, &(IpNet, Vec<IpNet>))| {
        cidr.contains(&range) && !except.iter().any(|except| except.contains(&range))
    };
    let blocks = blocks.0.iter().enumerate().filter(matches).map(|(index, _)| index).collect();
    Class { range, without, host: Err(Absent::TooMany), blocks }
}

impl Class {
    /// Whether an address is one of these.
    pub fn has(&self, address: IpAddr) -> bool {
        self.range.contains(&address) && !self.without.iter().any(|range| range.contains(&address))
    }

    /// Whether it is what no range has.
    pub fn is_rest(&self) -> bool {
        self.range.prefix_len() == 0 && self.blocks.is_empty()
    }
}

fn everything(family: Family) -> IpNet {
    match family {
        Family::Ipv4 => IpNet::V4(ipnet::Ipv4Net::default()),
        Family::Ipv6 => IpNet::V6(ipnet::Ipv6Net::default()),
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The address of a number, of the family of a range that has it.
fn address(range: IpNet, number: u128) -> IpAddr {
    match (range, u32::try_from(number)) {
        (IpNet::V4(_), Ok(number)) => IpAddr::V4(number.into()),
        _ => IpAddr::V6(number.into()),
    }
}
