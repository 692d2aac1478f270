//! The load balancer for addresses in `ipMode: Proxy`: on the router it rewrites the destination to a node and node
//! port, and the source to its own.

use crate::hooks::{SOURCE_NAT, hook};
use netproof_api::Service;
use netproof_api::core::{AddressType, IpMode, ServiceType, TrafficPolicy};
use netproof_controlplane::{SERVICE_NAME_LABEL, Snapshot};
use netproof_model::{Family, Hook, NamespacedName, Protocol};
use netproof_netfilter::nft::{
    Chain, ChainType, Field, KeyType, Part, Rule, Set, Statement, Table, Test, Value, Verdict, any_of,
    destinations, names,
};
use std::net::IpAddr;

const DNAT: i32 = -100;

/// Address, protocol and port of a service to the chain that chooses a node.
const BALANCED: &str = "balanced";

/// The load balancer's table of one family.
pub(super) fn table(snapshot: &Snapshot, family: Family) -> Table {
    let mut balancing = Balancing::new(family);
    for (name, service) in &snapshot.services {
        balancing.service(name, service, snapshot);
    }
    balancing.table
}

/// Writes the load balancer's table of one family.
struct Balancing {
    family: Family,
    table: Table,
}

impl Balancing {
    fn new(family: Family) -> Balancing {
        let destination = Field::destination(family);
        let mut table = Table::default();
        let key = [destination.key_type(), KeyType::Protocol, KeyType::Port];
        table.sets.insert(BALANCED.into(), Set::map(&key));
        let fields = vec![destination, Field::Protocol, Field::DestinationPort];
        let lead = Rule::new([Statement::VerdictMap(fields, BALANCED.into())]);
        hook(&mut table, "prerouting", ChainType::Nat, Hook::Prerouting, DNAT, vec![lead]);
        // Nothing else translates destinations on the router.
        let hide = Rule::new([Statement::Translated, Statement::Masquerade]);
        hook(&mut table, "postrouting", ChainType::Nat, Hook::Postrouting, SOURCE_NAT, vec![hide]);
        Balancing { family, table }
    }

    /// Maps a service's addresses to the nodes that serve it. A port that no node serves has no entry, and
    /// the router has no route to the address.
    fn service(&mut self, name: &NamespacedName, service: &Service, snapshot: &Snapshot) {
        let ingress = service
            .load_balancer_ingress
            .iter()
            .filter(|ingress| ingress.ip_mode == IpMode::Proxy && Family::of(ingress.ip) == self.family);
        let addresses: Vec<IpAddr> = ingress.map(|ingress| ingress.ip).collect();
        if service.service_type != ServiceType::LoadBalancer || service.headless || addresses.is_empty() {
            return;
        }
        let balancer = snapshot.topology.load_balancer.as_ref();
        let takes_part = |node: &str| {
            balancer.is_some_and(|it| it.nodes.is_empty() || it.nodes.iter().any(|own| own == node))
        };
        let nodes = snapshot.nodes.iter().filter(|(node, _)| takes_part(node));
        let healthy = nodes.filter(|(node, _)| is_healthy(snapshot, name, service, node));
        let address = |addresses: &[IpAddr]| {
            addresses.iter().copied().find(|address| Family::of(*address) == self.family)
        };
        let targets: Vec<IpAddr> = healthy.filter_map(|(_, node)| address(&node.addresses)).collect();
        for port in &service.ports {
            let Some(node_port) = port.node_port.filter(|_| !targets.is_empty()) else { continue };
            let protocol = Protocol::from(port.protocol);
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

    /// Drops sources outside the ranges, and chooses a node for all others.
    fn choice(
        &mut self,
        name: &NamespacedName,
        part: &str,
        protocol: u8,
        node_port: u16,
        targets: &[IpAddr],
        service: &Service,
    ) -> Vec<Rule> {
        let targets = targets.iter().map(|target| (*target, node_port));
        let (count, set) = destinations(Field::destination(self.family), targets);
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
        let ranges = Set::of_networks(self.family, &ranges);
        let set = ranges.name(names::object("source-ranges", name));
        self.table.sets.insert(set.clone(), ranges);
        let allowed = Statement::Match(vec![Field::source(self.family)], Test::In(set));
        let mut rules = any(&[allowed, of_protocol]);
        rules.push(Rule::new([Statement::Verdict(Verdict::Drop)]));
        rules
    }
}

/// Whether a node passes the service's health check: one of a `Local` service passes with a ready endpoint on it.
fn is_healthy(snapshot: &Snapshot, name: &NamespacedName, service: &Service, node: &str) -> bool {
    if service.external_traffic_policy == TrafficPolicy::Cluster {
        return true;
    }
    // Both families have the same endpoints; use those of the primary one.
    let Some(primary) = service.cluster_ips.first() else { return false };
    let of_family = |address_type| match Family::of(*primary) {
        Family::Ipv4 => address_type == AddressType::IPv4,
        Family::Ipv6 => address_type == AddressType::IPv6,
    };
    let slices = snapshot.endpoint_slices.iter().filter(|(slice_name, slice)| {
        slice_name.namespace == name.namespace
            && slice.metadata.labels.get(SERVICE_NAME_LABEL) == Some(&name.name)
            && of_family(slice.address_type)
    });
    // Where no pod has the port that a service names, its slices have no ports, and kube-proxy counts no endpoint of them
    // (endpointInfoByServicePort in pkg/proxy/endpointslicecache.go).
    let slices = slices.filter(|(_, slice)| !slice.ports.is_empty());
    let mut endpoints = slices.flat_map(|(_, slice)| &slice.endpoints);
    endpoints.any(|endpoint| {
        endpoint.ready && endpoint.node_name.as_deref() == Some(node) && !endpoint.addresses.is_empty()
    })
}
