//! What a proxy's table has without any service: hooks, maps, and the chains that look into them.

use super::render::Renderer;
use crate::services::{Behaviour, NodePortAddresses, SourceRanges, unknown_service};
use netproof_model::{Family, Hook};
use netproof_netfilter::nft::{
    Base, Chain, ChainType, Field, KeyType, Part, Rule, Set, Statement, Test, Value, Verdict,
};
use std::net::{Ipv4Addr, Ipv6Addr};

/// The bit of the packet mark that asks for masquerade.
const MASQUERADE: u32 = 0x4000;
const BEFORE_DNAT: i32 = -110;
const DNAT: i32 = -100;
const AFTER_DNAT: i32 = -90;
const SOURCE_NAT: i32 = 100;

const MARK_CHAIN: &str = "mark-for-masquerade";
const SERVICES: &str = "services";
const MASQUERADING: &str = "masquerading";
const SERVICE_CHECK: &str = "service-endpoints-check";
const NODE_PORT_CHECK: &str = "nodeport-endpoints-check";
const CLUSTER_IPS_CHECK: &str = "cluster-ips-check";
const FIREWALL_CHECK: &str = "firewall-check";
const INVALID_CHECK: &str = "invalid-check";

/// Address, protocol and port of a service to the chain that leads on from there.
pub(super) const SERVICE_IPS: &str = "service-ips";
/// Protocol and node port to the same.
pub(super) const SERVICE_NODE_PORTS: &str = "service-nodeports";
/// Address, protocol and port of a service to a refusal for want of endpoints.
pub(super) const NO_ENDPOINT_SERVICES: &str = "no-endpoint-services";
/// Protocol and node port to the same.
pub(super) const NO_ENDPOINT_NODE_PORTS: &str = "no-endpoint-nodeports";
/// Address, protocol and port of a load balancer to the chain that holds its source ranges.
pub(super) const FIREWALL_IPS: &str = "firewall-ips";
/// Cluster IP to the refusal of a port that the service does not have.
pub(super) const CLUSTER_IPS: &str = "cluster-ips";
/// Each endpoint's address twice: source and destination of a pod that reaches itself.
pub(super) const HAIRPINS: &str = "hairpins";
const NODE_PORT_IPS: &str = "nodeport-ips";

/// Marks the packet for masquerade.
pub(super) fn mark() -> Statement {
    Statement::Verdict(Verdict::Jump(MARK_CHAIN.into()))
}

impl Renderer<'_> {
    /// The maps that every service adds to, empty.
    pub(super) fn maps(&mut self) {
        let address = self.destination.key_type();
        let service_key = [address, KeyType::Protocol, KeyType::Port];
        let port_key = [KeyType::Protocol, KeyType::Port];
        let mut maps = vec![
            (SERVICE_IPS, Set::map(&service_key)),
            (NO_ENDPOINT_SERVICES, Set::map(&service_key)),
            (SERVICE_NODE_PORTS, Set::map(&port_key)),
            (NO_ENDPOINT_NODE_PORTS, Set::map(&port_key)),
            (FIREWALL_IPS, Set::map(&service_key)),
            (HAIRPINS, Set::new(&[address, address])),
        ];
        if self.site.behaviour.closed_range {
            maps.push((CLUSTER_IPS, Set::map(&[address])));
        }
        self.table.sets.extend(maps.into_iter().map(|(name, set)| (name.to_owned(), set)));
    }

    /// The chains that no service has for itself, and their hooks.
    pub(super) fn base(&mut self) {
        let service_port = vec![self.destination, Field::Protocol, Field::DestinationPort];
        let node_port = vec![Field::Protocol, Field::DestinationPort];
        let in_map = |fields: &[Field], map: &str| Statement::VerdictMap(fields.to_vec(), map.into());
        let on_node_port = self.node_port_address();
        let node_ports = |map: &str| Rule::new(on_node_port.iter().cloned().chain([in_map(&node_port, map)]));

        let services = vec![Rule::new([in_map(&service_port, SERVICE_IPS)]), node_ports(SERVICE_NODE_PORTS)];
        let node_ports_without = vec![node_ports(NO_ENDPOINT_NODE_PORTS)];
        self.chain(SERVICES, services);
        self.chain(SERVICE_CHECK, vec![Rule::new([in_map(&service_port, NO_ENDPOINT_SERVICES)])]);
        self.chain(NODE_PORT_CHECK, node_ports_without);
        self.chain(FIREWALL_CHECK, vec![Rule::new([in_map(&service_port, FIREWALL_IPS)])]);
        if self.site.behaviour.closed_range {
            let range = Part::from(*self.site.topology.ranges.services.get(self.family));
            let in_range = Statement::Match(vec![self.destination], Test::Is(range));
            let mut unknown = self.denial(unknown_service());
            unknown.statements.insert(0, in_range);
            let known = Rule::new([in_map(&[self.destination], CLUSTER_IPS)]);
            self.chain(CLUSTER_IPS_CHECK, vec![known, unknown]);
        }
        if self.site.behaviour.drops_invalid {
            // Nobody's service and nobody's policy: conntrack could make nothing of the packet.
            let drop = Statement::Verdict(Verdict::Drop);
            self.chain(INVALID_CHECK, vec![Rule::new([Statement::Invalid, drop])]);
        }
        self.chain(MARK_CHAIN, vec![Rule::new([Statement::SetMark(MASQUERADE)])]);
        let ends = vec![self.source, self.destination];
        let reaches_itself = Statement::Match(ends, Test::In(HAIRPINS.into()));
        self.chain(
            MASQUERADING,
            vec![
                // Whichever service led it there: an answer must come back by this node.
                Rule::new([Statement::Translated, reaches_itself, mark()])
                    .comment("a pod that reaches itself by its service"),
                Rule::new([Statement::MarkUnset(MASQUERADE), Statement::Verdict(Verdict::Return)]),
                // Taken off, so that a packet that passes here again is not masqueraded again.
                Rule::new([Statement::FlipMark(MASQUERADE)]),
                Rule::new([Statement::Masquerade]),
            ],
        );
        self.hooks();
    }

    /// That a packet is to an address at which the node's ports are.
    fn node_port_address(&mut self) -> Vec<Statement> {
        match self.site.behaviour.node_ports {
            NodePortAddresses::Primary => {
                let primary = self.primary().map(|address| vec![Part::One(address.into())]);
                let set = Set::new(&[self.destination.key_type()]).with(primary);
                self.table.sets.insert(NODE_PORT_IPS.into(), set);
                vec![Statement::Match(vec![self.destination], Test::In(NODE_PORT_IPS.into()))]
            }
            NodePortAddresses::AllButLoopback => {
                let loopback = match self.family {
                    Family::Ipv4 => Part::Range(
                        Value::Ipv4(Ipv4Addr::new(127, 0, 0, 0)),
                        Value::Ipv4(Ipv4Addr::new(127, 255, 255, 255)),
                    ),
                    Family::Ipv6 => Part::One(Value::Ipv6(Ipv6Addr::LOCALHOST)),
                };
                let elsewhere = Statement::Match(vec![self.destination], Test::IsNot(loopback));
                vec![elsewhere, Statement::ToThisNode]
            }
        }
    }

    fn hooks(&mut self) {
        // `reject` is not possible before routing; there, in the other hooks, the destination is still
        // the service's wherever no endpoint took its place. For the node's own packets that is so after
        // DNAT only: with `externalTrafficPolicy: Local` they have endpoints that others have not.
        let Behaviour { closed_range, drops_invalid, source_ranges, .. } = self.site.behaviour;
        let first = (source_ranges == SourceRanges::First).then_some(FIREWALL_CHECK);
        // A packet that the source ranges do not let in stays without DNAT, and is dropped for that.
        let late = (source_ranges == SourceRanges::OnTheWay).then_some(FIREWALL_CHECK);
        let unknown = closed_range.then_some(CLUSTER_IPS_CHECK);
        let (services, node_ports) = (Some(SERVICE_CHECK), Some(NODE_PORT_CHECK));
        let filter = [
            ("filter-prerouting", Hook::Prerouting, BEFORE_DNAT, [first, None, None]),
            ("filter-input", Hook::Input, BEFORE_DNAT, [node_ports, services, late]),
            ("filter-forward", Hook::Forward, BEFORE_DNAT, [services, unknown, late]),
            ("filter-output", Hook::Output, BEFORE_DNAT, [first, None, None]),
            ("filter-output-post-dnat", Hook::Output, AFTER_DNAT, [services, unknown, late]),
        ];
        let jump = |target: &str| Statement::Verdict(Verdict::Jump(target.into()));
        for (name, hook, priority, targets) in filter {
            let mut rules: Vec<Rule> =
                targets.into_iter().flatten().map(|it| Rule::new([Statement::New, jump(it)])).collect();
            if drops_invalid && hook == Hook::Forward {
                rules.insert(0, Rule::new([jump(INVALID_CHECK)]));
            }
            if !rules.is_empty() {
                self.hook(name, Base { chain_type: ChainType::Filter, hook, priority }, rules);
            }
        }
        for (name, hook, priority, target) in [
            ("nat-prerouting", Hook::Prerouting, DNAT, SERVICES),
            ("nat-output", Hook::Output, DNAT, SERVICES),
            ("nat-postrouting", Hook::Postrouting, SOURCE_NAT, MASQUERADING),
        ] {
            let base = Base { chain_type: ChainType::Nat, hook, priority };
            self.hook(name, base, vec![Rule::new([jump(target)])]);
        }
    }

    fn hook(&mut self, name: &str, base: Base, rules: Vec<Rule>) {
        self.table.chains.insert(name.to_owned(), Chain { base: Some(base), rules });
    }
}
