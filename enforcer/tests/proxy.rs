//! What becomes of packets to services: a tracer over the rules of one node, in both families and for
//! every protocol.

#![allow(
    clippy::allow_attributes,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test says what went wrong by panicking"
)]

mod tracer;
mod world;

use netproof_api::core::{
    AddressType, EndpointHints, IntOrString, IpMode, LoadBalancerIngress, ServiceType, TrafficPolicy,
    TransportProtocol,
};
use netproof_api::{Endpoint, EndpointPort, EndpointSlice, ObjectMeta, Service, ServicePort};
use netproof_controlplane::Snapshot;
use netproof_enforcer::backend::nft::services::{render, table};
use netproof_enforcer::proxy::inputs;
use netproof_enforcer::services::{Inputs, NodeView, ServiceProgram, ServiceSite, compile};
use netproof_enforcer::{Numbers, ProxyMode};
use netproof_model::{Families, Family, NamespacedName, Wiring};
use netproof_netfilter::nft::Table;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use tracer::{Fate, Packet, Tracer};
use world::{World, service};

/// What the service is, which endpoints it has, who sends to what, and where that ends.
///
/// Endpoints: e1, e3 on node1, e2 on node2; `~` serves while it ends, `!` is not ready. Hints follow `@`.
const CASES: &[(&str, &str, &str, &str, &str)] = &[
    // The cluster IP.
    ("", "e1 e2", "pod", "cluster-ip:80", "e1 e2"),
    ("", "e1 e2", "internet", "cluster-ip:80", "e1 masq, e2 masq"),
    ("", "e1 e2", "host", "cluster-ip:80", "e1 masq, e2 masq"),
    ("", "e1 e2", "e1", "cluster-ip:80", "e1 masq, e2"),
    ("masquerade-all", "e1 e2", "pod", "cluster-ip:80", "e1 masq, e2 masq"),
    ("", "e1 e2", "pod", "cluster-ip:81", "rejected in forward"),
    ("", "e1 e2", "host", "cluster-ip:81", "rejected in output"),
    ("iptables", "e1 e2", "pod", "cluster-ip:81", "cluster-ip:81"),
    ("", "e1 e2", "pod", "nobody:80", "dropped in forward"),
    ("", "e1 e2", "host", "nobody:80", "dropped in output"),
    ("iptables", "e1 e2", "pod", "nobody:80", "nobody:80"),
    ("", "e1! e2!", "pod", "cluster-ip:80", "rejected in forward"),
    ("", "", "host", "cluster-ip:80", "rejected in output"),
    ("iptables", "", "host", "cluster-ip:80", "rejected in output"),
    ("internal=Local", "e1 e2", "pod", "cluster-ip:80", "e1"),
    ("internal=Local", "e1 e2", "internet", "cluster-ip:80", "e1 masq"),
    ("internal=Local", "e2", "pod", "cluster-ip:80", "dropped in forward"),
    ("internal=Local", "e2", "host", "cluster-ip:80", "dropped in output"),
    ("internal=Local", "", "pod", "cluster-ip:80", "rejected in forward"),
    ("internal=Local", "e1 e2", "internet", "external-ip:80", "e1 masq, e2 masq"),
    ("external=Local", "e1 e2", "pod", "cluster-ip:80", "e1 e2"),
    // The ways from outside, policy Cluster.
    ("", "e1 e2", "internet", "external-ip:80", "e1 masq, e2 masq"),
    ("", "e1 e2", "internet", "lb:80", "e1 masq, e2 masq"),
    ("", "e1 e2", "internet", "node:30080", "e1 masq, e2 masq"),
    ("", "e1 e2", "pod", "node:30080", "e1 masq, e2 masq"),
    ("", "e1 e2", "host", "node:30080", "e1 masq, e2 masq"),
    ("", "e1 e2", "internet", "node:80", "node:80"),
    ("", "e1 e2", "internet", "second:30080", "second:30080"),
    ("iptables", "e1 e2", "internet", "second:30080", "e1 masq, e2 masq"),
    ("iptables", "e1 e2", "host", "loopback:30080", "loopback:30080"),
    ("", "e1 e2", "host", "loopback:30080", "loopback:30080"),
    ("", "", "internet", "external-ip:80", "rejected in forward"),
    ("", "", "internet", "lb:80", "rejected in forward"),
    ("", "", "internet", "node:30080", "rejected in input"),
    ("", "", "host", "external-ip:80", "rejected in output"),
    ("proxied", "e1 e2", "pod", "lb:80", "lb:80"),
    ("proxied", "e1 e2", "internet", "node:30080", "e1 masq, e2 masq"),
    // Policy Local: sources stay; pods and the node itself have the endpoints of the cluster.
    ("external=Local", "e1 e2", "internet", "external-ip:80", "e1"),
    ("external=Local", "e1 e2", "internet", "lb:80", "e1"),
    ("external=Local", "e1 e2", "internet", "node:30080", "e1"),
    ("external=Local", "e1 e2", "node2", "node:30080", "e1"),
    ("external=Local", "e1 e2", "pod", "lb:80", "e1 e2"),
    ("external=Local", "e1 e2", "pod", "node:30080", "e1 e2"),
    ("external=Local", "e1 e2", "e1", "node:30080", "e1 masq, e2"),
    ("external=Local", "e1 e2", "e2", "node:30080", "e1, e2 masq"),
    ("external=Local", "e1 e2", "host", "lb:80", "e1 masq, e2 masq"),
    ("external=Local", "e2", "internet", "external-ip:80", "dropped in forward"),
    ("external=Local", "e2", "internet", "lb:80", "dropped in forward"),
    ("external=Local", "e2", "internet", "node:30080", "dropped in input"),
    ("external=Local", "e2", "pod", "lb:80", "e2"),
    ("external=Local", "e2", "pod", "node:30080", "e2"),
    ("external=Local", "e2", "host", "lb:80", "e2 masq"),
    ("external=Local", "e2", "host", "node:30080", "e2 masq"),
    ("external=Local", "", "internet", "lb:80", "rejected in forward"),
    ("external=Local internal=Local", "e2", "pod", "cluster-ip:80", "dropped in forward"),
    ("external=Local internal=Local", "e1 e2", "pod", "lb:80", "e1 e2"),
    // Endpoints that end, for each policy by itself.
    ("", "e1~ e2", "pod", "cluster-ip:80", "e2"),
    ("", "e1~ e2~", "pod", "cluster-ip:80", "e1 e2"),
    ("external=Local", "e1~ e2", "internet", "lb:80", "e1"),
    ("external=Local", "e1~ e3 e2", "internet", "lb:80", "e3"),
    ("external=Local", "e1~ e2", "pod", "lb:80", "e2"),
    ("internal=Local", "e1! e2", "pod", "cluster-ip:80", "dropped in forward"),
    // Several at one address: one that does not end counts before one that does; then one that is ready.
    ("", "e1~ e1", "pod", "cluster-ip:80", "e1"),
    ("", "e1~ e1!", "pod", "cluster-ip:80", "rejected in forward"),
    ("", "e1! e1~", "pod", "cluster-ip:80", "rejected in forward"),
    ("", "e1! e1 e1!", "pod", "cluster-ip:80", "e1"),
    // Hints: this node, else this zone, else everybody.
    ("", "e1@zone1 e2@zone2", "pod", "cluster-ip:80", "e1"),
    ("", "e1@zone1 e2@zone2 e3", "pod", "cluster-ip:80", "e1 e2 e3"),
    ("", "e1@zone2 e2@zone2", "pod", "cluster-ip:80", "e1 e2"),
    ("", "e1@zone2 e2@zone1", "pod", "cluster-ip:80", "e2"),
    ("", "e1@zone1,node1 e3@zone1,node3 e2@zone1,node2", "pod", "cluster-ip:80", "e1"),
    ("", "e1@zone2,node3 e2@zone1,node2", "pod", "cluster-ip:80", "e2"),
    ("", "e1@zone1 e2@zone2 e3!", "internet", "lb:80", "e1 masq"),
    ("external=Local", "e1@zone2 e2@zone1", "internet", "lb:80", "e1"),
    // Source ranges hold for the load balancer's addresses only.
    ("ranges=internet", "e1 e2", "internet", "lb:80", "e1 masq, e2 masq"),
    ("ranges=internet", "e1 e2", "node2", "lb:80", "dropped in prerouting"),
    ("ranges=internet", "e1 e2", "pod", "lb:80", "dropped in prerouting"),
    ("ranges=internet", "e1 e2", "host", "lb:80", "dropped in output"),
    ("ranges=internet", "e1 e2", "node2", "external-ip:80", "e1 masq, e2 masq"),
    ("ranges=internet", "e1 e2", "node2", "node:30080", "e1 masq, e2 masq"),
    ("ranges=internet", "e1 e2", "lb", "lb:80", "dropped in prerouting"),
    ("ranges=internet,host", "e1 e2", "lb", "lb:80", "e1 masq, e2 masq"),
    ("ranges=internet,host", "e1 e2", "host", "lb:80", "e1 masq, e2 masq"),
    ("ranges=internet", "", "node2", "lb:80", "dropped in prerouting"),
    ("ranges=internet", "", "internet", "lb:80", "rejected in forward"),
    ("iptables ranges=internet", "e1 e2", "internet", "lb:80", "e1 masq, e2 masq"),
    ("iptables ranges=internet", "e1 e2", "node2", "lb:80", "dropped in forward"),
    ("iptables ranges=internet", "e1 e2", "host", "lb:80", "dropped in output"),
    ("iptables ranges=internet", "", "node2", "lb:80", "rejected in forward"),
    // Affinity: the endpoint that the client had.
    ("affinity", "e1 e2", "pod", "cluster-ip:80", "e1 e2"),
    ("affinity", "e1 e2", "e1", "cluster-ip:80", "e1 masq, e2"),
    ("affinity had=e2", "e1 e2", "pod", "cluster-ip:80", "e2"),
    ("affinity had=e2", "e1 e2", "internet", "node:30080", "e2 masq"),
    ("affinity had=e2 external=Local", "e1 e2", "internet", "lb:80", "e1"),
    ("affinity had=e1 external=Local", "e1 e3 e2", "internet", "lb:80", "e1"),
];

#[test]
fn packets_end_where_kube_proxy_leads_them() {
    let mut wrong = Vec::new();
    for family in [Family::Ipv4, Family::Ipv6] {
        let cluster = Cluster::new(family);
        for protocol in [TransportProtocol::Tcp, TransportProtocol::Udp, TransportProtocol::Sctp] {
            for (words, endpoints, from, to, expected) in CASES {
                let got = cluster.trace(words, endpoints, protocol, from, to);
                let expected = normal(expected);
                if got != expected {
                    wrong.push(format!(
                        "{family} {protocol:?} [{words}] [{endpoints}] {from} -> {to}: {got:?}, expected {expected:?}"
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// While endpoints change, a packet that is in the middle of the old rules meets the new maps: it gets an
/// endpoint all the same.
#[test]
fn a_packet_that_meets_a_change_gets_an_endpoint() {
    for family in [Family::Ipv4, Family::Ipv6] {
        let cluster = Cluster::new(family);
        let packet = Packet::new(cluster.names["pod"], cluster.names["cluster-ip"], 6, 80);
        let locals = [cluster.names["node"]];
        for (words, before, after) in [
            ("", "e1 e2", "e1"),
            ("", "e1 e2 e3", "e2"),
            ("", "e1 e2", "e3"),
            ("", "e2", "e1 e2 e3"),
            ("affinity", "e1 e2 e3", "e1"),
        ] {
            let old = cluster.table(words, before, TransportProtocol::Tcp);
            let new = cluster.table(words, after, TransportProtocol::Tcp);
            // What is gone is taken away afterwards.
            let sets = old.sets.into_iter().chain(new.sets).collect();
            let torn = Table { chains: old.chains, sets };
            let fates = Tracer { table: &torn, locals: &locals, torn: true }.trace(&packet);
            let served = |fate: &Fate| matches!(fate, Fate::Sent { to, .. } if *to != packet.destination);
            assert!(fates.iter().all(served), "{family} [{words}] {before} -> {after}: {fates:?}");
        }
    }
}

/// `e1 e2` and `e1 masq, e2 masq` alike, as a set.
fn normal(expected: &str) -> BTreeSet<String> {
    let single = |text: &str| text.contains(':') || text.contains(" in ") || text.ends_with("masq");
    let parts = expected.split(", ").flat_map(|part| match single(part) {
        true => vec![part.to_owned()],
        false => part.split(' ').map(str::to_owned).collect(),
    });
    parts.collect()
}

struct Cluster {
    family: Family,
    snapshot: Snapshot,
    names: BTreeMap<&'static str, IpAddr>,
}

impl Cluster {
    fn new(family: Family) -> Cluster {
        let families = match family {
            Family::Ipv4 => Families::Ipv4,
            Family::Ipv6 => Families::Ipv6,
        };
        let mut world = World::new(families, Wiring::Routed);
        let snapshot = world.apply(&service("web", "{ports: [{port: 80, targetPort: 8080}]}"));
        let mut snapshot = (*snapshot).clone();
        let of = |ipv4: &str, ipv6: &str| match family {
            Family::Ipv4 => ipv4.parse().unwrap(),
            Family::Ipv6 => ipv6.parse().unwrap(),
        };
        let node = Arc::make_mut(snapshot.nodes.get_mut("node1").unwrap());
        node.metadata.labels.insert("topology.kubernetes.io/zone".into(), "zone1".into());
        let names = BTreeMap::from([
            ("pod", of("10.244.1.77", "fd00:10:244:1::77")),
            ("e1", of("10.244.1.91", "fd00:10:244:1::91")),
            ("e3", of("10.244.1.93", "fd00:10:244:1::93")),
            ("e2", of("10.244.2.92", "fd00:10:244:2::92")),
            ("internet", of("203.0.113.10", "2001:db8:113::10")),
            ("host", node.addresses[0]),
            ("node", node.addresses[0]),
            ("second", of("192.168.7.1", "fd00:7::1")),
            ("loopback", of("127.0.0.1", "::1")),
            ("node2", snapshot.nodes["node2"].addresses[0]),
            ("cluster-ip", snapshot.services[&name()].cluster_ips[0]),
            ("nobody", of("10.96.77.77", "fd00:10:96::77")),
            ("external-ip", of("192.0.2.10", "2001:db8:2::10")),
            ("lb", of("198.51.100.7", "2001:db8:100::7")),
        ]);
        Cluster { family, snapshot, names }
    }

    fn trace(
        &self,
        words: &str,
        endpoints: &str,
        protocol: TransportProtocol,
        from: &str,
        to: &str,
    ) -> BTreeSet<String> {
        let table = self.table(words, endpoints, protocol);
        let locals = ["node", "second", "loopback"].map(|name| self.names[name]);
        let (destination, port) = to.split_once(':').unwrap();
        let number = match protocol {
            TransportProtocol::Tcp => 6,
            TransportProtocol::Udp => 17,
            TransportProtocol::Sctp => 132,
        };
        let mut packet =
            Packet::new(self.names[from], self.names[destination], number, port.parse().unwrap());
        if let Some(had) = words.split(' ').find_map(|word| word.strip_prefix("had=")) {
            let address = self.names[had].to_string().replace(':', ".");
            let sets = table.sets.keys().filter(|set| set.starts_with("affinity-600s/"));
            packet.remembered = sets.filter(|set| set.contains(&format!("/{address}/"))).cloned().collect();
        }
        let tracer = Tracer { table: &table, locals: &locals, torn: false };
        tracer.trace(&packet).into_iter().map(|fate| self.show(fate)).collect()
    }

    fn table(&self, words: &str, endpoints: &str, protocol: TransportProtocol) -> Table {
        let inputs = self.inputs(words, endpoints, protocol);
        let node = NodeView::new(&self.snapshot, "node1").unwrap();
        let mode = match words.contains("iptables") {
            true => ProxyMode::Iptables,
            false => ProxyMode::Nftables,
        };
        let site = ServiceSite {
            masquerade_all: words.contains("masquerade-all"),
            ..site(&self.snapshot, &node, mode)
        };
        let program = ServiceProgram::new([(&name(), &inputs)], BTreeSet::new(), site);
        let mut rendered = render(&program, site, &mut Numbers::even());
        rendered.ruleset.tables.remove(&table(self.family)).unwrap()
    }

    fn show(&self, fate: Fate) -> String {
        match fate {
            Fate::Dropped(hook) => format!("dropped in {hook}"),
            Fate::Rejected(hook) => format!("rejected in {hook}"),
            Fate::Sent { to, port, masqueraded } => {
                let (name, _) = self.names.iter().rfind(|(_, address)| **address == to).unwrap();
                let port = if port == 8080 { String::new() } else { format!(":{port}") };
                let masquerade = if masqueraded { " masq" } else { "" };
                format!("{name}{port}{masquerade}")
            }
        }
    }

    fn inputs(&self, words: &str, endpoints: &str, protocol: TransportProtocol) -> Inputs {
        let mut service = Service::clone(&self.snapshot.services[&name()]);
        service.service_type = ServiceType::LoadBalancer;
        service.ports = vec![ServicePort {
            name: None,
            protocol,
            port: 80,
            target_port: IntOrString::Int(8080),
            node_port: Some(30080),
        }];
        service.external_ips = vec![self.names["external-ip"]];
        let ip_mode = if words.contains("proxied") { IpMode::Proxy } else { IpMode::VIP };
        service.load_balancer_ingress = vec![LoadBalancerIngress { ip: self.names["lb"], ip_mode }];
        for word in words.split(' ') {
            match word.split_once('=') {
                Some(("external", "Local")) => service.external_traffic_policy = TrafficPolicy::Local,
                Some(("internal", "Local")) => service.internal_traffic_policy = TrafficPolicy::Local,
                Some(("ranges", names)) => {
                    service.load_balancer_source_ranges =
                        names.split(',').map(|name| self.names[name].into()).collect();
                }
                None if word == "affinity" => service.session_affinity = Some(600),
                _ => {}
            }
        }
        Inputs {
            service: Arc::new(service),
            slices: vec![Arc::new(self.slice(endpoints, protocol))],
            taken: BTreeSet::new(),
        }
    }

    fn slice(&self, endpoints: &str, protocol: TransportProtocol) -> EndpointSlice {
        let endpoint = |text: &str| {
            let (text, hints) =
                text.split_once('@').map_or((text, None), |(text, hints)| (text, Some(hints)));
            let state = text.trim_start_matches(|c: char| c.is_ascii_alphanumeric());
            let of = |kind: &str| {
                hints
                    .into_iter()
                    .flat_map(|hints| hints.split(','))
                    .filter(|hint| hint.starts_with(kind))
                    .map(str::to_owned)
                    .collect()
            };
            Endpoint {
                addresses: vec![self.names[text.trim_end_matches(['~', '!'])]],
                ready: state.is_empty(),
                serving: state != "!",
                terminating: state == "~",
                hostname: None,
                zone: None,
                hints: hints.map(|_| EndpointHints { for_zones: of("zone"), for_nodes: of("node") }),
                node_name: Some(if text.starts_with("e2") { "node2" } else { "node1" }.into()),
                pod: None,
            }
        };
        EndpointSlice {
            metadata: ObjectMeta::default(),
            address_type: match self.family {
                Family::Ipv4 => AddressType::IPv4,
                Family::Ipv6 => AddressType::IPv6,
            },
            endpoints: endpoints.split_whitespace().map(endpoint).collect(),
            ports: vec![EndpointPort { name: None, port: 8080, protocol }],
        }
    }
}

fn name() -> NamespacedName {
    NamespacedName::new("default", "web")
}

fn site<'a>(snapshot: &'a Snapshot, node: &'a NodeView, mode: ProxyMode) -> ServiceSite<'a> {
    ServiceSite {
        generation: snapshot.generation,
        topology: &snapshot.topology,
        node,
        behaviour: mode.into(),
        masquerade_all: false,
    }
}

/// A way to a service belongs to the first in the order of names, whatever the way is to each.
#[test]
fn a_way_belongs_to_one_service() {
    let cluster = Cluster::new(Family::Ipv4);
    let first = cluster.inputs("", "e1", TransportProtocol::Tcp).service;
    let mut other = Service::clone(&first);
    let own: IpAddr = "10.96.5.5".parse().unwrap();
    other.cluster_ips = vec![own];
    // The load balancer's address of the first, and its cluster IP.
    other.external_ips =
        vec![cluster.names["lb"], cluster.names["cluster-ip"], "192.0.2.77".parse().unwrap()];
    // The cluster IP of the other.
    let mut before = Service::clone(&first);
    before.cluster_ips = vec!["10.96.6.6".parse().unwrap()];
    (before.external_ips, before.load_balancer_ingress) = (vec![own], Vec::new());
    before.ports[0].node_port = None;
    let mut snapshot = cluster.snapshot.clone();
    let of = |namespace: &str| NamespacedName::new(namespace, "web");
    snapshot.services = [(of("a"), Arc::new(before)), (name(), first), (of("other"), Arc::new(other))].into();
    let snapshot = Arc::new(snapshot);
    let node = NodeView::new(&snapshot, "node1").unwrap();
    let program =
        ServiceProgram::new(&inputs(&snapshot), BTreeSet::new(), site(&snapshot, &node, ProxyMode::Nftables));
    let [before, first, other] = program.ports.as_slice() else { panic!("{program:?}") };
    assert!(first.at_cluster_ip && first.node_port == Some(30080), "{first:?}");
    assert_eq!((first.external_ips.len(), first.load_balancer_ips.len()), (1, 1), "{first:?}");
    assert!(before.at_cluster_ip && before.external_ips == BTreeSet::from([own]), "{before:?}");
    assert!(!other.at_cluster_ip && other.node_port.is_none(), "{other:?}");
    assert!(other.load_balancer_ips.is_empty() && other.external_ips.len() == 1, "{other:?}");
}

/// An endpoint that is in two slices is ready if it is so in one of them; unnamed and named ports differ.
#[test]
fn slices_add_up() {
    let cluster = Cluster::new(Family::Ipv4);
    let mut inputs = cluster.inputs("", "e1! e2", TransportProtocol::Tcp);
    inputs.slices.push(Arc::new(cluster.slice("e1", TransportProtocol::Tcp)));
    let mut other = cluster.slice("e3", TransportProtocol::Tcp);
    other.ports[0].name = Some("other".into());
    inputs.slices.push(Arc::new(other));
    inputs.slices.push(Arc::new(cluster.slice("e3", TransportProtocol::Udp)));
    let node = NodeView::new(&cluster.snapshot, "node1").unwrap();
    let ports = compile(&name(), &inputs, Families::Ipv4, &node);
    let addresses: Vec<String> =
        ports[0].cluster.iter().map(|endpoint| format!("{}:{}", endpoint.address, endpoint.port)).collect();
    assert_eq!(addresses, ["10.244.1.91:8080", "10.244.2.92:8080"]);
    assert_eq!(ports[0].local.len(), 1);
}
