//! What stands around the nodes whoever enforces policy and whoever leads services: an observer, the
//! masquerade of what pods send to the outside, and the load balancer.
//!
//! - The table `netproof-observer` logs every request that reaches the hooks of policy, right before
//!   policy decides: with its destination translated and its source not masqueraded yet. It decides
//!   nothing.
//! - The table `netproof-nat` masquerades what leaves the pods' range, where the topology says
//!   `natOutgoing`.
//! - The table `netproof-unreachable`, on nodes and the router, says "host unreachable" where no route
//!   leads on. The kernel says it too, but in IPv4 to the same sender five times and then once a second
//!   (`route.error_burst`, which no namespace can change), and what is not said looks like a drop.
//! - On the router, `netproof-balancer` is the load balancer for addresses in `ipMode: Proxy`: it
//!   rewrites the destination to a node and node port, and the source to its own.

use crate::agents::Agents;
use crate::identities::Numbers;
use crate::names;
use crate::nft::{
    Base, Chain, ChainType, Field, KeyType, Part, Rule, Ruleset, Set, Statement, Table, TableFamily, TableId,
    Test, Value, Verdict,
};
use crate::program::protocol;
use crate::proxy::{
    Inputs, NodeView, any_of, destinations, disjoint, inputs, local_endpoints, part_of, table_family,
};
use crate::{EnforcerError, NodeHandle, Options};
use ipnet::IpNet;
use netproof_api::Service;
use netproof_api::core::{IpMode, ServiceType, TrafficPolicy};
use netproof_controlplane::{Snapshot, router_interface};
use netproof_model::{Family, Hook, NamespacedName, Topology};
use std::net::IpAddr;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

/// The table of the observer.
pub const OBSERVER: TableId = TableId { family: TableFamily::Inet, name: "netproof-observer" };

/// The table of what has no route.
pub const UNREACHABLE: TableId = TableId { family: TableFamily::Ip, name: "netproof-unreachable" };

/// What the log prefix of a request says that this node did not lead anywhere, after
/// [`NFLOG_PREFIX`](crate::NFLOG_PREFIX).
pub const PASSED: &str = "passed";

/// What it says where this node translated the destination.
pub const LED: &str = "led";

/// Right before policy, whose chains stand at 0.
const BEFORE_POLICY: i32 = -1;
const DNAT: i32 = -100;
/// After every translation of destinations.
const AFTER_DNAT: i32 = -80;
const SOURCE_NAT: i32 = 100;
/// An ICMPv6 echo request.
const ECHO_REQUEST: u32 = 128;
/// What the router is called among the agents; no node has such a name.
const ROUTER: &str = "the router";

/// The observer and natOutgoing on every node, the load balancer on the router.
pub struct Surroundings {
    nodes: Agents,
    router: Agents,
}

impl Surroundings {
    /// Agents in each node's namespace, and in the router's. Nothing is programmed yet.
    pub fn new(
        nodes: &[NodeHandle<'_>],
        router: Option<BorrowedFd<'_>>,
        options: &Options,
    ) -> Result<Self, EnforcerError> {
        let router = router.map(|netns| NodeHandle { name: ROUTER.into(), netns });
        Ok(Surroundings {
            nodes: Agents::open(nodes, options, Numbers::odd())?,
            router: Agents::open(router.as_slice(), options, Numbers::odd())?,
        })
    }

    /// Programs the snapshot, and returns when its generation is in force everywhere. To be called before
    /// the proxy is programmed for the first time.
    pub fn program(&mut self, snapshot: &Arc<Snapshot>) -> Result<(), EnforcerError> {
        for node in self.nodes.nodes() {
            self.nodes.apply(&node, of_a_node(&snapshot.topology))?;
        }
        self.router.apply(ROUTER, of_the_router(snapshot))
    }

    /// The rules in force on a node, as a person reads them.
    pub fn rules(&self, node: &str) -> Option<String> {
        self.nodes.rules(node)
    }

    /// The load balancer's rules, as a person reads them.
    pub fn router_rules(&self) -> Option<String> {
        self.router.rules(ROUTER)
    }
}

/// The observer, and natOutgoing where the topology has it.
pub fn of_a_node(topology: &Topology) -> Ruleset {
    let mut ruleset = Ruleset::default();
    ruleset.tables.insert(OBSERVER, observer(topology));
    if topology.family.contains(Family::Ipv4) {
        ruleset.tables.insert(UNREACHABLE, unreachable());
    }
    for family in topology.family.list().iter().filter(|_| topology.nat_outgoing) {
        let (source, destination) = addresses(*family);
        let pods: Vec<_> = topology.pod_ranges(*family).map(part_of).collect();
        let rules = pods.iter().map(|own| {
            let from_a_pod = Statement::Match(vec![source], Test::Is(own.clone()));
            let elsewhere = |pods: &_| Statement::Match(vec![destination], Test::IsNot(Part::clone(pods)));
            let leaves = pods.iter().map(elsewhere);
            Rule::new(std::iter::once(from_a_pod).chain(leaves).chain([Statement::Masquerade]))
        });
        let mut table = Table::default();
        let rules = rules.collect();
        hook(&mut table, "postrouting", ChainType::Nat, Hook::Postrouting, SOURCE_NAT, rules);
        ruleset.tables.insert(TableId { family: table_family(*family), name: "netproof-nat" }, table);
    }
    ruleset
}

/// Who says that no route leads on.
fn unreachable() -> Table {
    let mut table = Table::default();
    let own = Rule::new([Statement::ToThisNode, Statement::Verdict(Verdict::Return)]);
    let nowhere = Rule::new([Statement::NoRoute, Statement::Unreachable]);
    hook(&mut table, "prerouting", ChainType::Filter, Hook::Prerouting, AFTER_DNAT, vec![own, nowhere]);
    table
}

/// The same on the router, which knows the addresses of services to those only who come from outside.
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
    let services = disjoint(&services, Family::Ipv4).into_iter().map(|part| vec![part]);
    let services = Set::intervals(&[KeyType::Ipv4]).with(services);
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
        // Neighbour discovery and the like are nobody's requests.
        let other = Test::IsNot(Part::One(Value::Number(ECHO_REQUEST)));
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

/// Who says that no route leads on, and the load balancer for addresses in `ipMode: Proxy`, where there is
/// one.
pub fn of_the_router(snapshot: &Snapshot) -> Ruleset {
    let mut ruleset = Ruleset::default();
    let topology = &snapshot.topology;
    if topology.family.contains(Family::Ipv4) {
        ruleset.tables.insert(UNREACHABLE, unreachable_from_the_router(snapshot));
    }
    let Some(balancer) = &topology.load_balancer else { return ruleset };
    let takes_part = |name: &&String| balancer.nodes.is_empty() || balancer.nodes.contains(*name);
    let nodes: Vec<NodeView> =
        snapshot.nodes.keys().filter(takes_part).map(|name| NodeView::new(snapshot, name)).collect();
    let services = inputs(snapshot);
    for family in topology.family.list() {
        let mut balancing = Balancing::new(*family);
        for (name, inputs) in &services {
            balancing.service(name, inputs, &nodes);
        }
        let id = TableId { family: table_family(*family), name: "netproof-balancer" };
        ruleset.tables.insert(id, balancing.table);
    }
    ruleset
}

/// Address, protocol and port of a service to the chain that chooses a node.
const BALANCED: &str = "balanced";

/// Writes the load balancer's table of one family.
struct Balancing {
    family: Family,
    table: Table,
}

impl Balancing {
    fn new(family: Family) -> Balancing {
        let (_, destination) = addresses(family);
        let mut table = Table::default();
        let key = [destination.key_type(), KeyType::Protocol, KeyType::Port];
        table.sets.insert(BALANCED.into(), Set::map(&key));
        let fields = vec![destination, Field::Protocol, Field::DestinationPort];
        let lead = Rule::new([Statement::VerdictMap(fields, BALANCED.into())]);
        hook(&mut table, "prerouting", ChainType::Nat, Hook::Prerouting, DNAT, vec![lead]);
        // Nobody else translates destinations on the router.
        let hide = Rule::new([Statement::Translated, Statement::Masquerade]);
        hook(&mut table, "postrouting", ChainType::Nat, Hook::Postrouting, SOURCE_NAT, vec![hide]);
        Balancing { family, table }
    }

    /// The ways from a service's addresses to the nodes that may have it. A port that no node serves has
    /// none, and the router knows no route to the address.
    fn service(&mut self, name: &NamespacedName, inputs: &Inputs, nodes: &[NodeView]) {
        let service = &inputs.service;
        let ingress = service
            .load_balancer_ingress
            .iter()
            .filter(|ingress| ingress.ip_mode == IpMode::Proxy && Family::of(ingress.ip) == self.family);
        let addresses: Vec<IpAddr> = ingress.map(|ingress| ingress.ip).collect();
        if service.service_type != ServiceType::LoadBalancer || addresses.is_empty() {
            return;
        }
        // A node without ready endpoints of a `Local` service fails its health check.
        let healthy = |node: &&NodeView| {
            service.external_traffic_policy == TrafficPolicy::Cluster
                || local_endpoints(inputs, &node.name) > 0
        };
        let address = |node: &NodeView| {
            node.addresses.iter().copied().find(|address| Family::of(*address) == self.family)
        };
        let targets: Vec<IpAddr> = nodes.iter().filter(healthy).filter_map(address).collect();
        for port in &service.ports {
            let Some(node_port) = port.node_port.filter(|_| !targets.is_empty()) else { continue };
            let protocol = protocol(port.protocol);
            let part = format!("{protocol}/{}", port.port);
            let chain = names::object_part("balance", name, &part);
            let number = protocol.number(self.family);
            let rules = self.choice(name, &part, number, node_port, &targets, service);
            self.table.chains.insert(chain.clone(), Chain { base: None, rules });
            for address in &addresses {
                let key = vec![
                    Part::One((*address).into()),
                    Part::One(Value::Protocol(number)),
                    Part::One(Value::Port(port.port)),
                ];
                if let Some(map) = self.table.sets.get_mut(BALANCED) {
                    map.elements.entry(key).or_insert_with(|| Some(Verdict::Goto(chain.clone()).into()));
                }
            }
        }
    }

    /// Whom the source ranges leave out is dropped; everybody else gets one of the nodes.
    fn choice(
        &mut self,
        name: &NamespacedName,
        part: &str,
        protocol: u8,
        node_port: u16,
        targets: &[IpAddr],
        service: &Service,
    ) -> Vec<Rule> {
        let (source, destination) = addresses(self.family);
        let targets = targets.iter().map(|target| (*target, node_port));
        let (count, set) = destinations(destination, targets);
        let map = names::object_part("nodes", name, part);
        self.table.sets.insert(map.clone(), set);
        let of_protocol = Test::Is(Part::One(Value::Protocol(protocol)));
        let of_protocol = Statement::Match(vec![Field::Protocol], of_protocol);
        let any = |conditions: &[Statement]| {
            any_of(conditions, count, |among| Statement::RandomDnat(among, map.clone()))
        };
        let ranges = service.load_balancer_source_ranges.iter();
        let ranges: Vec<_> =
            ranges.filter(|range| Family::of(range.addr()) == self.family).copied().collect();
        if ranges.is_empty() {
            return any(&[of_protocol]);
        }
        let elements = disjoint(&ranges, self.family).into_iter().map(|part| vec![part]);
        let ranges = Set::intervals(&[source.key_type()]).with(elements);
        let set = ranges.name(names::object("source-ranges", name));
        self.table.sets.insert(set.clone(), ranges);
        let allowed = Statement::Match(vec![source], Test::In(set));
        let mut rules = any(&[allowed, of_protocol]);
        rules.push(Rule::new([Statement::Verdict(Verdict::Drop)]));
        rules
    }
}

fn hook(table: &mut Table, name: &str, chain_type: ChainType, hook: Hook, priority: i32, rules: Vec<Rule>) {
    let base = Some(Base { chain_type, hook, priority });
    table.chains.insert(name.to_owned(), Chain { base, rules });
}

/// Source and destination.
fn addresses(family: Family) -> (Field, Field) {
    match family {
        Family::Ipv4 => (Field::SourceV4, Field::DestinationV4),
        Family::Ipv6 => (Field::SourceV6, Field::DestinationV6),
    }
}
