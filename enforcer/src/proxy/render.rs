//! Services as an nftables ruleset: one table for each family, in the layout of kube-proxy's nftables
//! mode, so that a packet's cost does not grow with the number of services.
//!
//! nat: `services` finds the chain of a service port by one look into a map; that chain marks what must
//! be masqueraded and chooses an endpoint at random; the endpoint's chain does the DNAT; after routing
//! what is marked is masqueraded. filter, just before DNAT's place in the order of hooks: what would lead
//! to a service without endpoints is rejected, and so is an unknown port of a service's address; an
//! address of the service range that no service has is dropped.

use super::program::{Endpoint, ServicePort};
use crate::identities::Numbers;
use crate::names;
use crate::nft::{
    Base, Chain, ChainType, Element, Field, KeyType, Part, Rule, Ruleset, Set, Statement, Table, TableFamily,
    TableId, Test, Value, Verdict,
};
use ipnet::IpNet;
use netproof_model::{Action, Decision, Family, Hook, Identity, NamespacedName, Topology};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The table of IPv4 services.
pub const TABLE_IPV4: TableId = TableId { family: TableFamily::Ip, name: "netproof-proxy" };
/// The table of IPv6 services.
pub const TABLE_IPV6: TableId = TableId { family: TableFamily::Ip6, name: "netproof-proxy" };

/// The bit of the packet mark that asks for masquerade.
const MASQUERADE: u32 = 0x4000;
const BEFORE_DNAT: i32 = -110;
const DNAT: i32 = -100;
const AFTER_DNAT: i32 = -90;
const SOURCE_NAT: i32 = 100;

const MARK_CHAIN: &str = "mark-for-masquerade";
const SERVICE_IPS: &str = "service-ips";
const SERVICE_NODE_PORTS: &str = "service-nodeports";
const NO_ENDPOINT_SERVICES: &str = "no-endpoint-services";
const NO_ENDPOINT_NODE_PORTS: &str = "no-endpoint-nodeports";
const CLUSTER_IPS: &str = "cluster-ips";
const NODE_PORT_IPS: &str = "nodeport-ips";

/// The ruleset of a node that has these addresses.
pub fn render(
    services: &[ServicePort],
    topology: &Topology,
    node_addresses: &[IpAddr],
    numbers: &mut Numbers,
) -> Ruleset {
    let mut ruleset = Ruleset::default();
    for family in topology.family.list() {
        let id = match family {
            Family::Ipv4 => TABLE_IPV4,
            Family::Ipv6 => TABLE_IPV6,
        };
        let mut renderer = Renderer {
            table: Table::default(),
            source: match family {
                Family::Ipv4 => Field::SourceV4,
                Family::Ipv6 => Field::SourceV6,
            },
            destination: match family {
                Family::Ipv4 => Field::DestinationV4,
                Family::Ipv6 => Field::DestinationV6,
            },
            pods: range(*topology.ranges.pods.get(*family)),
            services: range(*topology.ranges.services.get(*family)),
            numbers,
        };
        // Node ports are served on the node's primary address.
        let primary = node_addresses.iter().copied().find(|address| Family::of(*address) == *family);
        renderer.fixed(primary);
        for service in services.iter().filter(|service| service.family() == *family) {
            renderer.service(service);
        }
        ruleset.tables.insert(id, renderer.table);
    }
    ruleset
}

struct Renderer<'n> {
    table: Table,
    source: Field,
    destination: Field,
    pods: Part,
    services: Part,
    numbers: &'n mut Numbers,
}

impl Renderer<'_> {
    /// What is there without any service: hooks, maps, and the chains that look into them.
    fn fixed(&mut self, node_address: Option<IpAddr>) {
        let address = self.destination.key_type();
        let service_key = [address, KeyType::Protocol, KeyType::Port];
        let port_key = [KeyType::Protocol, KeyType::Port];
        for (name, set) in [
            (SERVICE_IPS, Set::map(&service_key)),
            (NO_ENDPOINT_SERVICES, Set::map(&service_key)),
            (SERVICE_NODE_PORTS, Set::map(&port_key)),
            (NO_ENDPOINT_NODE_PORTS, Set::map(&port_key)),
            (CLUSTER_IPS, Set::map(&[address])),
            (
                NODE_PORT_IPS,
                Set::new(&[address]).with(node_address.map(|address| vec![Part::One(address.into())])),
            ),
        ] {
            self.table.sets.insert(name.into(), set);
        }

        let service_port = vec![self.destination, Field::Protocol, Field::DestinationPort];
        let node_port = vec![Field::Protocol, Field::DestinationPort];
        let to_this_node = Statement::Match(vec![self.destination], Test::In(NODE_PORT_IPS.into()));
        let in_map = |fields: &[Field], map: &str| Statement::VerdictMap(fields.to_vec(), map.into());

        self.chain(
            "services",
            vec![
                Rule::new([in_map(&service_port, SERVICE_IPS)]),
                Rule::new([to_this_node.clone(), in_map(&node_port, SERVICE_NODE_PORTS)]),
            ],
        );
        self.chain("service-endpoints-check", vec![Rule::new([in_map(&service_port, NO_ENDPOINT_SERVICES)])]);
        self.chain(
            "nodeport-endpoints-check",
            vec![Rule::new([to_this_node, in_map(&node_port, NO_ENDPOINT_NODE_PORTS)])],
        );
        let in_range = Statement::Match(vec![self.destination], Test::Is(self.services.clone()));
        let mut unknown = self.denial(Decision::UnknownService, Action::Drop);
        unknown.statements.insert(0, in_range);
        self.chain("cluster-ips-check", vec![Rule::new([in_map(&[self.destination], CLUSTER_IPS)]), unknown]);
        self.chain(MARK_CHAIN, vec![Rule::new([Statement::SetMark(MASQUERADE)])]);
        self.chain(
            "masquerading",
            vec![
                Rule::new([Statement::MarkUnset(MASQUERADE), Statement::Verdict(Verdict::Return)]),
                // Taken off, so that a packet that passes here again is not masqueraded again.
                Rule::new([Statement::FlipMark(MASQUERADE)]),
                Rule::new([Statement::Masquerade]),
            ],
        );
        self.hooks();
    }

    fn hooks(&mut self) {
        let (filter, nat) = (ChainType::Filter, ChainType::Nat);
        let new = Some(Statement::New);
        // `reject` is not possible before routing; there, in the other hooks, the destination is still
        // the service's wherever no endpoint took its place.
        let checks: [(&str, ChainType, Hook, i32, &[&str]); 7] = [
            (
                "filter-input",
                filter,
                Hook::Input,
                BEFORE_DNAT,
                &["nodeport-endpoints-check", "service-endpoints-check"],
            ),
            (
                "filter-forward",
                filter,
                Hook::Forward,
                BEFORE_DNAT,
                &["service-endpoints-check", "cluster-ips-check"],
            ),
            ("filter-output", filter, Hook::Output, BEFORE_DNAT, &["service-endpoints-check"]),
            ("filter-output-post-dnat", filter, Hook::Output, AFTER_DNAT, &["cluster-ips-check"]),
            ("nat-prerouting", nat, Hook::Prerouting, DNAT, &["services"]),
            ("nat-output", nat, Hook::Output, DNAT, &["services"]),
            ("nat-postrouting", nat, Hook::Postrouting, SOURCE_NAT, &["masquerading"]),
        ];
        for (name, chain_type, hook, priority, targets) in checks {
            let condition = if chain_type == filter { new.clone() } else { None };
            let jump = |target: &&str| {
                Rule::new(
                    condition
                        .clone()
                        .into_iter()
                        .chain([Statement::Verdict(Verdict::Jump((*target).into()))]),
                )
            };
            let base = Some(Base { chain_type, hook, priority });
            let rules = targets.iter().map(jump).collect();
            self.table.chains.insert(name.into(), Chain { base, rules });
        }
    }

    fn service(&mut self, port: &ServicePort) {
        let name =
            |kind: &str| names::object_part(kind, &port.service, &format!("{}/{}", port.protocol, port.port));
        let address = Part::One(port.cluster_ip.into());
        let on_node = |number: u16| vec![protocol(port), Part::One(Value::Port(number))];
        let on_cluster_ip = vec![address.clone(), protocol(port), Part::One(Value::Port(port.port))];

        let unknown_port = names::object("unknown-port", &port.service);
        if !self.table.chains.contains_key(&unknown_port) {
            let rule = self.refusal(&port.service, "the service has no such port");
            self.chain(&unknown_port, vec![rule]);
        }
        self.element(CLUSTER_IPS, vec![address], &unknown_port);

        if port.endpoints.is_empty() {
            let chain = name("no-endpoints");
            let rule = self.refusal(&port.service, "it has no ready endpoints");
            self.chain(&chain, vec![rule]);
            self.element(NO_ENDPOINT_SERVICES, on_cluster_ip, &chain);
            if let Some(number) = port.node_port {
                self.element(NO_ENDPOINT_NODE_PORTS, on_node(number), &chain);
            }
            return;
        }

        let service_chain = name("service");
        let endpoints = name("endpoints");
        let mut choices = BTreeMap::new();
        for (position, endpoint) in (0u32..).zip(&port.endpoints) {
            let chain = self.endpoint(port, endpoint);
            choices.insert(vec![Part::One(Value::Number(position))], Some(Verdict::Goto(chain)));
        }
        let count = u32::try_from(choices.len()).unwrap_or(u32::MAX);
        self.table.sets.insert(endpoints.clone(), Set { elements: choices, ..Set::map(&[KeyType::Number]) });
        let comment = format!("service/{} port {}/{}", port.service, port.port, port.protocol);
        let from_elsewhere = Statement::Match(vec![self.source], Test::IsNot(self.pods.clone()));
        self.chain(
            &service_chain,
            vec![
                Rule::new([from_elsewhere, mark()]).comment(comment.clone()),
                Rule::new([Statement::RandomMap(count, endpoints)]),
            ],
        );
        self.element(SERVICE_IPS, on_cluster_ip, &service_chain);
        if let Some(number) = port.node_port {
            let external = name("external");
            let on = Statement::Verdict(Verdict::Goto(service_chain));
            self.chain(&external, vec![Rule::new([mark()]).comment(comment), Rule::new([on])]);
            self.element(SERVICE_NODE_PORTS, on_node(number), &external);
        }
    }

    /// The chain that leads to one endpoint; its name.
    fn endpoint(&mut self, port: &ServicePort, endpoint: &Endpoint) -> String {
        // A colon may not stand in a name.
        let address = endpoint.address.to_string().replace(':', ".");
        let part = format!("{}/{}/{address}/{}", port.protocol, port.port, endpoint.port);
        let name = names::object_part("endpoint", &port.service, &part);
        let own = Statement::Match(vec![self.source], Test::Is(Part::One(endpoint.address.into())));
        let of_protocol = Statement::Match(vec![Field::Protocol], Test::Is(protocol(port)));
        let hairpin = Rule::new([own, mark()]).comment("a pod that reaches itself by its service");
        let dnat = Rule::new([of_protocol, Statement::Dnat(endpoint.address, endpoint.port)]);
        self.chain(&name, vec![hairpin, dnat]);
        name
    }

    fn refusal(&mut self, service: &NamespacedName, reason: &str) -> Rule {
        let decision = Decision::Service { service: service.clone(), reason: reason.into() };
        self.denial(decision, Action::Reject)
    }

    fn denial(&mut self, decision: Decision, action: Action) -> Rule {
        let comment = decision.to_string();
        let end = match action {
            Action::Reject => Statement::Reject,
            Action::Allow | Action::Drop => Statement::Verdict(Verdict::Drop),
        };
        let number = self.numbers.of(Identity { decision, action });
        Rule::new([Statement::Log(number), end]).comment(format!("{number} {comment}"))
    }

    fn chain(&mut self, name: &str, rules: Vec<Rule>) {
        self.table.chains.insert(name.into(), Chain { base: None, rules });
    }

    fn element(&mut self, map: &str, key: Element, chain: &str) {
        if let Some(map) = self.table.sets.get_mut(map) {
            map.elements.insert(key, Some(Verdict::Goto(chain.into())));
        }
    }
}

fn mark() -> Statement {
    Statement::Verdict(Verdict::Jump(MARK_CHAIN.into()))
}

fn protocol(port: &ServicePort) -> Part {
    Part::One(Value::Protocol(port.protocol.number(port.family())))
}

fn range(net: IpNet) -> Part {
    Part::Range(net.network().into(), net.broadcast().into())
}
