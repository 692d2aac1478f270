//! Rules that every node and the router have whatever enforcer and proxy run: observer, natOutgoing,
//! unreachable, and the load balancer.
//!
//! - The table `netproof-observer` logs every request at the hooks of policy, right before policy decides:
//!   after the destination is translated and before the source is masqueraded. It decides nothing.
//! - The table `netproof-nat` masquerades what leaves the pods' range, if the topology has `natOutgoing`.
//! - The table `netproof-unreachable`, on nodes and the router, answers "host unreachable" where there is no
//!   route. The kernel does so too, but for IPv4 limits it to five answers per sender and then one a second
//!   (`route.error_burst`, which no namespace can change), and a missing answer looks like a drop.
//! - On the router, `netproof-balancer` is the load balancer for addresses in `ipMode: Proxy`: it
//!   rewrites the destination to a node and node port, and the source to its own.

#![warn(clippy::indexing_slicing)]

mod balancer;
mod hooks;

use hooks::{SOURCE_NAT, hook};
use ipnet::IpNet;
use netproof_api::core::IpMode;
use netproof_controlplane::{Snapshot, router_interface};
use netproof_model::{Family, Hook, Topology};
use netproof_netfilter::nft::{
    Agent, ChainType, DEFAULT_SEND_BUFFER, Field, KernelError, KeyType, Part, Rule, Ruleset, Set, Statement,
    Table, TableFamily, TableId, Test, Value, Verdict,
};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::os::fd::BorrowedFd;
use thiserror::Error;

/// The table of the observer.
pub const OBSERVER: TableId = TableId { family: TableFamily::Inet, name: "netproof-observer" };

/// The table that answers where there is no route.
pub const UNREACHABLE: TableId = TableId { family: TableFamily::Ip, name: "netproof-unreachable" };

/// The word in a request's log prefix, after [`NFLOG_PREFIX`](netproof_netfilter::NFLOG_PREFIX), if this
/// node did not translate the destination.
pub const PASSED: &str = "passed";

/// The word if this node translated the destination.
pub const LED: &str = "led";

/// Right before policy, whose chains have priority 0.
const BEFORE_POLICY: i32 = -1;
/// After every translation of destinations.
const AFTER_DNAT: i32 = -80;
/// An ICMPv6 echo request.
const ECHO_REQUEST: u8 = 128;

/// Why the rules are not in force everywhere.
#[derive(Debug, Error)]
#[error("{place}: {source}")]
pub struct SurroundingsError {
    /// The node, or the router.
    place: String,
    #[source]
    source: KernelError,
}

/// The observer and natOutgoing on every node, the load balancer on the router.
pub struct Surroundings {
    nodes: BTreeMap<String, Agent>,
    router: Option<Agent>,
}

impl Surroundings {
    /// Opens agents in each node's namespace, by name, and in the router's. Programs nothing yet.
    ///
    /// # Errors
    /// If the kernel's rules cannot be reached.
    pub fn new<'a>(
        nodes: impl IntoIterator<Item = (&'a str, BorrowedFd<'a>)>,
        router: Option<BorrowedFd<'_>>,
    ) -> Result<Self, SurroundingsError> {
        let open = |place: String, netns| {
            Agent::open(netns, DEFAULT_SEND_BUFFER).map_err(|source| SurroundingsError { place, source })
        };
        let nodes = nodes.into_iter().map(|(name, netns)| Ok((name.to_owned(), open(of_node(name), netns)?)));
        let router = router.map(|netns| open(ROUTER.to_owned(), netns)).transpose()?;
        Ok(Surroundings { nodes: nodes.collect::<Result<_, _>>()?, router })
    }

    /// Programs the rules for a snapshot, and returns when they are in force everywhere. Call it before the
    /// proxy is programmed for the first time.
    ///
    /// # Errors
    /// If a kernel refuses the rules.
    pub fn program(&mut self, snapshot: &Snapshot) -> Result<(), SurroundingsError> {
        for (name, agent) in &mut self.nodes {
            let applied = agent.apply(of_a_node(&snapshot.topology));
            applied.map_err(|source| SurroundingsError { place: of_node(name), source })?;
        }
        if let Some(router) = &mut self.router {
            let applied = router.apply(of_the_router(snapshot));
            applied.map_err(|source| SurroundingsError { place: ROUTER.to_owned(), source })?;
        }
        Ok(())
    }

    /// The rules in force on a node, as a person reads them.
    pub fn rules(&self, node: &str) -> Option<String> {
        Some(self.nodes.get(node)?.current().to_string())
    }

    /// The load balancer's rules, as a person reads them.
    pub fn router_rules(&self) -> Option<String> {
        Some(self.router.as_ref()?.current().to_string())
    }
}

/// What errors call the router.
const ROUTER: &str = "the router";

fn of_node(name: &str) -> String {
    format!("node {name}")
}

/// The rules of a node: the observer, and natOutgoing if the topology has it.
pub fn of_a_node(topology: &Topology) -> Ruleset {
    let mut ruleset = Ruleset::default();
    ruleset.tables.insert(OBSERVER, observer(topology));
    if topology.family.contains(Family::Ipv4) {
        ruleset.tables.insert(UNREACHABLE, unreachable());
    }
    for family in topology.family.list().iter().filter(|_| topology.nat_outgoing) {
        let (source, destination) = (Field::source(*family), Field::destination(*family));
        let pods: Vec<_> = topology.pod_ranges(*family).map(Part::from).collect();
        let rules = pods.iter().map(|own| {
            let from_a_pod = Statement::Match(vec![source], Test::Is(own.clone()));
            let elsewhere = |pods: &_| Statement::Match(vec![destination], Test::IsNot(Part::clone(pods)));
            let leaves = pods.iter().map(elsewhere);
            Rule::new(std::iter::once(from_a_pod).chain(leaves).chain([Statement::Masquerade]))
        });
        let mut table = Table::default();
        let rules = rules.collect();
        hook(&mut table, "postrouting", ChainType::Nat, Hook::Postrouting, SOURCE_NAT, rules);
        ruleset.tables.insert(TableId { family: TableFamily::of(*family), name: "netproof-nat" }, table);
    }
    ruleset
}

/// The table that answers where there is no route, on a node.
fn unreachable() -> Table {
    let mut table = Table::default();
    let own = Rule::new([Statement::ToThisNode, Statement::Verdict(Verdict::Return)]);
    let nowhere = Rule::new([Statement::NoRoute, Statement::Unreachable]);
    hook(&mut table, "prerouting", ChainType::Filter, Hook::Prerouting, AFTER_DNAT, vec![own, nowhere]);
    table
}

/// The same on the router, whose routes to services are only for packets from outside.
fn unreachable_from_the_router(snapshot: &Snapshot) -> Table {
    let topology = &snapshot.topology;
    let mut table = unreachable();
    let ports = topology.nodes.iter().map(|node| Value::Interface(router_interface(topology, &node.name)));
    let ports = Set::new(&[KeyType::Interface]).with(ports.map(|port| vec![Part::One(port)]));
    table.sets.insert("nodes".into(), ports);
    let of_a_node = |address: &IpAddr| snapshot.nodes.values().any(|node| node.addresses.contains(address));
    let vips = snapshot.services.values().flat_map(|service| {
        let balanced = service.load_balancer_ingress.iter().filter(|it| it.ip_mode == IpMode::VIP);
        service.external_ips.iter().copied().chain(balanced.map(|it| it.ip))
    });
    let vips = vips.filter(|address| address.is_ipv4() && !of_a_node(address)).map(IpNet::from);
    let services: Vec<IpNet> = vips.chain([topology.ranges.services.ipv4]).collect();
    let services = Set::of_networks(Family::Ipv4, &services);
    let services_set = services.name("services".into());
    table.sets.insert(services_set.clone(), services);
    let back = Rule::new([
        Statement::Match(vec![Field::InputInterface], Test::In("nodes".into())),
        Statement::Match(vec![Field::DestinationV4], Test::In(services_set)),
        Statement::Unreachable,
    ]);
    if let Some(chain) = table.chains.get_mut("prerouting") {
        chain.rules.push(back);
    }
    table
}

fn observer(topology: &Topology) -> Table {
    let mut rules = Vec::new();
    if topology.family.contains(Family::Ipv6) {
        // Neighbour discovery and the like are not requests.
        let other = Test::IsNot(Part::One(Value::Icmp(ECHO_REQUEST)));
        let other = Statement::Match(vec![Field::Icmpv6Type], other);
        rules.push(Rule::new([other, Statement::Verdict(Verdict::Return)]));
    }
    let led = [Statement::NewOrUntracked, Statement::Translated, Statement::Note(LED)];
    rules.push(Rule::new(led.into_iter().chain([Statement::Verdict(Verdict::Return)])));
    rules.push(Rule::new([Statement::NewOrUntracked, Statement::Note(PASSED)]));
    let mut table = Table::default();
    for (name, at) in [("forward", Hook::Forward), ("input", Hook::Input), ("output", Hook::Output)] {
        hook(&mut table, name, ChainType::Filter, at, BEFORE_POLICY, rules.clone());
    }
    table
}

/// The rules of the router: the answer where there is no route, and the load balancer for addresses in
/// `ipMode: Proxy`, if there is one.
pub fn of_the_router(snapshot: &Snapshot) -> Ruleset {
    let mut ruleset = Ruleset::default();
    let topology = &snapshot.topology;
    if topology.family.contains(Family::Ipv4) {
        ruleset.tables.insert(UNREACHABLE, unreachable_from_the_router(snapshot));
    }
    for family in topology.family.list().iter().filter(|_| topology.load_balancer.is_some()) {
        let id = TableId { family: TableFamily::of(*family), name: "netproof-balancer" };
        ruleset.tables.insert(id, balancer::table(snapshot, *family));
    }
    ruleset
}
