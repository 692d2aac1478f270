//! Services as an nftables ruleset: one table for each family, in the layout of kube-proxy's nftables
//! mode, so that a packet's cost does not grow with the number of services.
//!
//! nat: `services` finds the chain of a service port by one look into a map; that chain marks what must
//! be masqueraded, and translates the destination to an endpoint that it chooses at random, or to the one
//! that the client had; after routing what is marked is masqueraded, and a pod that reaches itself.
//! filter, just before DNAT's place in the order of hooks: what the load balancer's source ranges do not
//! let in is dropped; what would lead to a service without endpoints is refused, and so is an unknown
//! port of a service's address; an address of the service range that no service has is dropped.
//!
//! A packet is local, and keeps its source, if that is in the range of all pods (kube-proxy's
//! `--cluster-cidr`).

use super::base::{
    CLUSTER_IPS, FIREWALL_IPS, NO_ENDPOINT_NODE_PORTS, NO_ENDPOINT_SERVICES, SERVICE_IPS, SERVICE_NODE_PORTS,
    mark,
};
use super::host_ports;
use crate::identities::Numbers;
use crate::services::{Refusal, ServicePort, ServiceProgram, ServiceSite, SourceRanges};
use ipnet::IpNet;
use netproof_api::core::TrafficPolicy;
use netproof_model::{Action, Family, Identity, NamespacedName};
use netproof_netfilter::nft::{
    Chain, Data, Element, Field, Part, Rule, Ruleset, Set, Statement, Table, TableFamily, TableId, Test,
    Value, Verdict, names,
};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The table of a family's services.
pub fn table(family: Family) -> TableId {
    TableId { family: TableFamily::of(family), name: "netproof-proxy" }
}

/// A ruleset, or a part of one.
#[derive(Clone, Debug, Default)]
pub struct Rendered {
    /// The rules.
    pub ruleset: Ruleset,
    /// How often each address is an endpoint's.
    pub endpoints: BTreeMap<IpAddr, usize>,
}

/// The whole ruleset of a node.
pub fn render(program: &ServiceProgram, site: ServiceSite<'_>, numbers: &mut Numbers) -> Rendered {
    let mut rendered = draw(&program.ports, site, numbers, true);
    host_ports::add(&mut rendered.ruleset, &program.host_ports, site.topology.family);
    rendered
}

/// What ports of services add to the rules that are there without any: a part for
/// [`Agent::patch`](netproof_netfilter::nft::Agent::patch).
pub(super) fn render_ports(ports: &[ServicePort], site: ServiceSite<'_>, numbers: &mut Numbers) -> Rendered {
    draw(ports, site, numbers, false)
}

fn draw(ports: &[ServicePort], site: ServiceSite<'_>, numbers: &mut Numbers, whole: bool) -> Rendered {
    let mut rendered = Rendered::default();
    for family in site.topology.family.list() {
        let mut renderer = Renderer {
            family: *family,
            site,
            source: Field::source(*family),
            destination: Field::destination(*family),
            table: Table::default(),
            endpoints: BTreeMap::new(),
            numbers,
        };
        renderer.maps();
        if whole {
            renderer.base();
        }
        for port in ports.iter().filter(|port| port.family() == *family) {
            renderer.service(port);
        }
        rendered.endpoints.append(&mut renderer.endpoints);
        rendered.ruleset.tables.insert(table(*family), renderer.table);
    }
    rendered
}

/// Writes one family's table.
pub(super) struct Renderer<'a> {
    pub(super) family: Family,
    pub(super) site: ServiceSite<'a>,
    pub(super) source: Field,
    pub(super) destination: Field,
    pub(super) table: Table,
    /// How often each address is an endpoint's.
    pub(super) endpoints: BTreeMap<IpAddr, usize>,
    numbers: &'a mut Numbers,
}

impl Renderer<'_> {
    /// The node's first address of the family.
    pub(super) fn primary(&self) -> Option<IpAddr> {
        self.site.node.addresses.iter().copied().find(|address| Family::of(*address) == self.family)
    }

    fn service(&mut self, port: &ServicePort) {
        if self.site.behaviour.closed_range {
            let unknown_port = names::object("unknown-port", &port.service);
            if !self.table.chains.contains_key(&unknown_port) {
                let rule = self.refusal(&port.service, Refusal::NoSuchPort);
                self.chain(&unknown_port, vec![rule]);
            }
            self.element(CLUSTER_IPS, vec![Part::One(port.cluster_ip.into())], &unknown_port);
        }
        if port.cluster.is_empty() {
            self.without_endpoints(port);
            return;
        }
        self.policy_chains(port);
        self.cluster_ip(port);
        if port.is_external() {
            self.external(port);
        }
    }

    /// Nobody serves it, on any node: every way to it is refused at once.
    fn without_endpoints(&mut self, port: &ServicePort) {
        let chain = self.refusal_chain(port, "no-endpoints", Refusal::NoEndpoints);
        if port.at_cluster_ip {
            self.element(NO_ENDPOINT_SERVICES, self.on(port.cluster_ip, port), &chain);
        }
        self.refuse_external(port, &chain);
        if self.site.behaviour.source_ranges == SourceRanges::First {
            self.firewall(port);
        }
    }

    fn refuse_external(&mut self, port: &ServicePort, chain: &str) {
        for address in port.external_ips.iter().chain(&port.load_balancer_ips) {
            self.element(NO_ENDPOINT_SERVICES, self.on(*address, port), chain);
        }
        if let Some(number) = port.node_port {
            self.element(NO_ENDPOINT_NODE_PORTS, on_node(number, port), chain);
        }
    }

    /// The chains that choose among the endpoints of each traffic policy in use.
    fn policy_chains(&mut self, port: &ServicePort) {
        for policy in [TrafficPolicy::Cluster, TrafficPolicy::Local] {
            let external = match policy {
                // Pods and the node itself have the endpoints of the cluster under both.
                TrafficPolicy::Cluster => port.is_external(),
                TrafficPolicy::Local => port.is_external() && port.external_policy == policy,
            };
            let endpoints = port.endpoints(policy);
            if endpoints.is_empty() || !(external || port.internal_policy == policy) {
                continue;
            }
            let mut rules = Vec::new();
            if port.internal_policy == policy {
                rules.push(self.masquerade_for_cluster_ip(port));
            }
            rules.extend(self.choice(port, policy, endpoints));
            self.chain(&policy_chain(port, policy), rules);
        }
    }

    fn masquerade_for_cluster_ip(&self, port: &ServicePort) -> Rule {
        let own = Test::Is(Part::One(port.cluster_ip.into()));
        let to_cluster_ip = Statement::Match(vec![self.destination], own);
        let mut statements = vec![to_cluster_ip];
        if !self.site.masquerade_all {
            let elsewhere = |pods| Statement::Match(vec![self.source], Test::IsNot(pods));
            statements.extend(self.pods().map(elsewhere));
        }
        statements.push(mark());
        Rule::new(statements).comment(comment(port))
    }

    fn cluster_ip(&mut self, port: &ServicePort) {
        if !port.at_cluster_ip {
            return;
        }
        let key = self.on(port.cluster_ip, port);
        if !port.endpoints(port.internal_policy).is_empty() {
            self.element(SERVICE_IPS, key, &policy_chain(port, port.internal_policy));
            return;
        }
        let chain =
            self.refusal_chain(port, "no-local-endpoints-internal", Refusal::NoLocalEndpointsInternal);
        self.element(NO_ENDPOINT_SERVICES, key, &chain);
    }

    /// The ways from outside: external IPs, the load balancer's addresses, the node port.
    fn external(&mut self, port: &ServicePort) {
        let chain = name(port, "external");
        let cluster = || Statement::Verdict(Verdict::Goto(policy_chain(port, TrafficPolicy::Cluster)));
        let mut rules = Vec::new();
        match port.external_policy {
            TrafficPolicy::Cluster => {
                rules.push(Rule::new([mark()]).comment(comment(port)));
                rules.push(Rule::new([cluster()]));
            }
            TrafficPolicy::Local => {
                for pods in self.pods() {
                    let from_a_pod = Statement::Match(vec![self.source], Test::Is(pods));
                    rules.push(Rule::new([from_a_pod, cluster()]).comment(comment(port)));
                }
                rules.push(Rule::new([Statement::FromThisNode, mark()]));
                rules.push(Rule::new([Statement::FromThisNode, cluster()]));
                if port.local.is_empty() {
                    let refusal = Refusal::NoLocalEndpointsExternal;
                    let refusal = self.refusal_chain(port, "no-local-endpoints-external", refusal);
                    self.refuse_external(port, &refusal);
                } else {
                    let local = policy_chain(port, TrafficPolicy::Local);
                    rules.push(Rule::new([Statement::Verdict(Verdict::Goto(local))]));
                }
            }
        }
        self.chain(&chain, rules);
        for address in &port.external_ips {
            self.element(SERVICE_IPS, self.on(*address, port), &chain);
        }
        let way_in = self.firewall(port).unwrap_or_else(|| chain.clone());
        for address in &port.load_balancer_ips {
            self.element(SERVICE_IPS, self.on(*address, port), &way_in);
        }
        if let Some(number) = port.node_port {
            self.element(SERVICE_NODE_PORTS, on_node(number, port), &chain);
        }
    }

    /// Holds the load balancer's addresses to its source ranges. Gives the chain that stands before the
    /// external one in nat, if there is one: in iptables mode a packet from elsewhere gets no endpoint.
    fn firewall(&mut self, port: &ServicePort) -> Option<String> {
        if port.load_balancer_ips.is_empty() || port.source_ranges.is_empty() {
            return None;
        }
        let mut ranges = port.source_ranges.clone();
        if let Some(node) = self.primary()
            && ranges.iter().any(|range| range.contains(&node))
        {
            // A node may have the load balancer's address as its own, and then that is its source.
            ranges.extend(port.load_balancer_ips.iter().copied().map(IpNet::from));
        }
        let ranges = Set::of_networks(self.family, &ranges);
        let set = ranges.name(names::object("source-ranges", &port.service));
        self.table.sets.insert(set.clone(), ranges);
        let allowed = Statement::Match(vec![self.source], Test::In(set));
        let refusal = self.refusal(&port.service, Refusal::SourceRanges);
        let chain = name(port, "firewall");
        let checked = match self.site.behaviour.source_ranges {
            SourceRanges::First => {
                let pass = Rule::new([allowed, Statement::Verdict(Verdict::Return)]);
                self.chain(&chain, vec![pass, refusal]);
                chain.clone()
            }
            SourceRanges::OnTheWay => {
                let on = Statement::Verdict(Verdict::Goto(name(port, "external")));
                self.chain(&chain, vec![Rule::new([allowed, on])]);
                let outside = name(port, "outside-source-ranges");
                self.chain(&outside, vec![refusal]);
                outside
            }
        };
        for address in &port.load_balancer_ips {
            self.element(FIREWALL_IPS, self.on(*address, port), &checked);
        }
        (self.site.behaviour.source_ranges == SourceRanges::OnTheWay).then_some(chain)
    }

    fn refusal_chain(&mut self, port: &ServicePort, kind: &str, refusal: Refusal) -> String {
        let chain = name(port, kind);
        let rule = self.refusal(&port.service, refusal);
        self.chain(&chain, vec![rule]);
        chain
    }

    fn refusal(&mut self, service: &NamespacedName, refusal: Refusal) -> Rule {
        self.denial(refusal.of(service))
    }

    pub(super) fn denial(&mut self, identity: Identity) -> Rule {
        let comment = identity.decision.to_string();
        let end = match identity.action {
            Action::Reject => Statement::Reject,
            Action::Allow | Action::Drop => Statement::Verdict(Verdict::Drop),
        };
        let number = self.numbers.of(identity);
        Rule::new([Statement::Log(number), end]).comment(format!("{number} {comment}"))
    }

    fn pods(&self) -> impl Iterator<Item = Part> {
        self.site.topology.pod_ranges(self.family).map(Part::from)
    }

    pub(super) fn chain(&mut self, name: &str, rules: Vec<Rule>) {
        self.table.chains.insert(name.into(), Chain { base: None, rules });
    }

    /// A service port on an address, as a key.
    fn on(&self, address: IpAddr, port: &ServicePort) -> Element {
        vec![Part::One(address.into()), protocol(port), Part::One(Value::Port(port.port))]
    }

    /// Leads from a key of a map to a chain. Where a service has an address in two ways the first stays.
    fn element(&mut self, map: &str, key: Element, chain: &str) {
        let map = self.table.sets.get_mut(map);
        debug_assert!(map.is_some(), "every map is there before the services");
        if let Some(map) = map {
            map.elements.entry(key).or_insert_with(|| Some(Data::from(Verdict::Goto(chain.into()))));
        }
    }
}

fn on_node(number: u16, port: &ServicePort) -> Element {
    vec![protocol(port), Part::One(Value::Port(number))]
}

pub(super) fn protocol(port: &ServicePort) -> Part {
    Part::One(Value::Protocol(port.protocol.number(port.family())))
}

fn comment(port: &ServicePort) -> String {
    format!("service/{} port {}/{}", port.service, port.port, port.protocol)
}

pub(super) fn name(port: &ServicePort, kind: &str) -> String {
    names::object_part(kind, &port.service, &format!("{}/{}", port.protocol, port.port))
}

fn policy_chain(port: &ServicePort, policy: TrafficPolicy) -> String {
    match policy {
        TrafficPolicy::Cluster => name(port, "service"),
        TrafficPolicy::Local => name(port, "local"),
    }
}
