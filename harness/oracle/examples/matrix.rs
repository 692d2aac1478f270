//! How long the full matrix of a large cluster takes, and how much memory.
//!
//!     cargo run --release -p netproof-oracle --example matrix [PODS [POLICIES]]
//!
//! Two clusters: `apps`, in which pods are replicas of applications in a hundred namespaces, as they are in
//! practice; and `all different`, in which policies tell almost every pod from every other.

#![expect(clippy::expect_used, reason = "an example says what went wrong by panicking")]

use ipnet::IpNet;
use netproof_api::core::{Container, ContainerPort, IntOrString, TransportProtocol};
use netproof_api::networking::NetworkPolicySpec;
use netproof_api::*;
use netproof_controlplane::{Change, ControlPlane, Snapshot};
use netproof_model::topology::{PerFamily, Ranges, TopologyNode};
use netproof_model::{Families, Family, Place, Protocol, Topology, Wiring};
use netproof_oracle::{Cell, Oracle, PortProtocol, Profile};
use std::sync::Arc;
use std::time::Instant;

/// How many pods an IPv4 node range of /24 is asked to hold.
const PODS_ON_A_NODE: usize = 200;
const NAMESPACES: usize = 100;
const APPS: usize = 10;
/// In `all different`: the labels of a pod are the binary digits of its number.
const DIGITS: usize = 14;

fn main() {
    let mut numbers = std::env::args().skip(1).map(|word| word.parse().expect("a number"));
    let pods = numbers.next().unwrap_or(1_000);
    let policies = numbers.next().unwrap_or(1_000);
    measure("apps", &cluster(pods, apps_pod, policies, apps_policy));
    measure("all different", &cluster(pods, different_pod, policies, different_policy));
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    if let Some(peak) = status.lines().find(|line| line.starts_with("VmHWM")) {
        println!("most memory ever held{}", peak.trim_start_matches("VmHWM"));
    }
}

fn measure(what: &str, snapshot: &Snapshot) {
    let endpoints: Vec<Place> = snapshot.pods.keys().cloned().map(Place::Pod).collect();
    let ports = [
        PortProtocol::new(80, Protocol::Tcp),
        PortProtocol::new(8080, Protocol::Tcp),
        PortProtocol::new(53, Protocol::Udp),
    ];
    let start = Instant::now();
    let oracle = Oracle::new(snapshot, Profile::NETPROOF);
    let matrix = oracle.matrix(&endpoints, Family::Ipv4, &ports).expect("every pod has an address");
    let made = start.elapsed();
    let mut allowed = 0;
    for source in 0..endpoints.len() {
        for destination in 0..endpoints.len() {
            for port in 0..ports.len() {
                allowed += usize::from(matrix.cell(source, destination, port) == Some(Cell::Allow));
            }
        }
    }
    println!(
        "{what}: {} pods, {} policies, {} classes, {} cells of which {allowed} are allowed: {made:.2?}, and {:.2?} to read every cell",
        endpoints.len(),
        snapshot.policies.len(),
        matrix.classes(),
        endpoints.len() * endpoints.len() * ports.len(),
        start.elapsed() - made,
    );
}

fn cluster(
    pods: usize,
    pod: fn(usize) -> Pod,
    policies: usize,
    policy: fn(usize) -> NetworkPolicy,
) -> Snapshot {
    let range = |ipv4: &str| PerFamily {
        ipv4: ipv4.parse().expect("a range"),
        ipv6: "fd00::/64".parse().expect("a range"),
    };
    let topology = Topology {
        name: "large".into(),
        description: String::new(),
        wiring: Wiring::Routed,
        family: Families::Ipv4,
        neighbours: Default::default(),
        ranges: Ranges {
            pods: range("10.0.0.0/9"),
            other_pods: Vec::new(),
            services: range("10.128.0.0/12"),
            nodes: range("172.18.0.0/16"),
        },
        nodes: (0..=pods / PODS_ON_A_NODE)
            .map(|number| TopologyNode { name: format!("node{number}"), ..TopologyNode::default() })
            .collect(),
        externals: Vec::new(),
        nat_outgoing: false,
        advertised: Default::default(),
        networks: Vec::new(),
        load_balancer: None,
        proxy_mode: netproof_model::ProxyMode::default(),
        interface_prefix: netproof_model::InterfacePrefix::default(),
    };
    let namespaces = (0..NAMESPACES).map(|number| {
        let labels = [("team".to_owned(), format!("team{}", number % 7))].into();
        Object::Namespace(Namespace {
            metadata: ObjectMeta { name: format!("ns{number}"), labels, ..ObjectMeta::default() },
        })
    });
    let pods = (0..pods).map(|number| {
        let node_name = Some(format!("node{}", number / PODS_ON_A_NODE));
        Object::Pod(Pod { node_name, ..pod(number) })
    });
    let policies = (0..policies).map(|number| Object::Policy(policy(number).into()));
    let changes: Vec<Change> = namespaces.chain(pods).chain(policies).map(Change::Apply).collect();
    let mut plane = ControlPlane::new(Arc::new(topology)).expect("a topology");
    let snapshot = plane.apply(&changes).expect("objects that fit");
    Snapshot::clone(&snapshot)
}

fn metadata(namespace: usize, name: String, labels: Labels) -> ObjectMeta {
    ObjectMeta { name, namespace: Some(format!("ns{namespace}")), labels, ..ObjectMeta::default() }
}

fn pod_with(metadata: ObjectMeta, port: u16) -> Pod {
    let port = ContainerPort {
        name: Some("http".into()),
        container_port: port,
        protocol: TransportProtocol::Tcp,
        host_port: None,
    };
    let containers = vec![Container { name: "c".into(), ports: vec![port] }];
    Pod { metadata, containers, ready: true, ..Pod::default() }
}

/// A replica: of its labels one is its own.
fn apps_pod(number: usize) -> Pod {
    let labels = [
        ("app".to_owned(), format!("app{}", number / NAMESPACES % APPS)),
        ("replica".to_owned(), number.to_string()),
    ];
    let port = if number.is_multiple_of(3) { 8080 } else { 80 };
    pod_with(metadata(number % NAMESPACES, format!("pod{number}"), labels.into()), port)
}

fn equal(key: &str, value: String) -> LabelSelector {
    LabelSelector { match_labels: [(key.to_owned(), value)].into(), ..LabelSelector::default() }
}

fn pods(namespace_selector: Option<LabelSelector>, pod_selector: LabelSelector) -> NetworkPolicyPeer {
    NetworkPolicyPeer::Pods { namespace_selector, pod_selector: Some(pod_selector) }
}

fn block(number: usize) -> NetworkPolicyPeer {
    let cidr: IpNet = format!("10.0.{}.0/25", number % 256).parse().expect("a range");
    NetworkPolicyPeer::IpBlock(IpBlock { cidr: Cidr::new(cidr), except: Vec::new() })
}

fn ports(port: IntOrString) -> Vec<NetworkPolicyPort> {
    vec![NetworkPolicyPort { protocol: TransportProtocol::Tcp, port: Some(port), end_port: None }]
}

fn policy_with(
    metadata: ObjectMeta,
    pod_selector: LabelSelector,
    ingress: Vec<NetworkPolicyRule>,
    egress: Vec<NetworkPolicyRule>,
) -> NetworkPolicy {
    let policy_types = vec![PolicyType::Ingress, PolicyType::Egress];
    NetworkPolicy { metadata, spec: NetworkPolicySpec { pod_selector, policy_types, ingress, egress } }
}

/// One application of one namespace: from another one, from a team's namespaces, from a range; to all.
fn apps_policy(number: usize) -> NetworkPolicy {
    let (namespace, app) = (number % NAMESPACES, number / NAMESPACES % APPS);
    let from = vec![
        pods(None, equal("app", format!("app{}", (app + 1) % APPS))),
        pods(Some(equal("team", format!("team{}", number % 7))), LabelSelector::default()),
        block(number),
    ];
    policy_with(
        metadata(namespace, format!("policy{number}"), Labels::new()),
        equal("app", format!("app{app}")),
        vec![NetworkPolicyRule { peers: from, ports: ports(IntOrString::String("http".into())) }],
        vec![NetworkPolicyRule {
            peers: vec![pods(Some(LabelSelector::default()), LabelSelector::default())],
            ports: ports(IntOrString::Int(80)),
        }],
    )
}

/// All in one namespace, each with a label for each binary digit of its number.
fn different_pod(number: usize) -> Pod {
    let labels = (0..DIGITS).map(|digit| (format!("d{digit}"), (number >> digit & 1).to_string()));
    pod_with(metadata(0, format!("pod{number}"), labels.collect()), 80)
}

/// Selects a quarter of the pods by two digits, and peers by two others.
fn different_policy(number: usize) -> NetworkPolicy {
    let digits = |first: usize, values: usize| {
        let second = (first + 1 + number / DIGITS % (DIGITS - 1)) % DIGITS;
        let label = |digit: usize, value: usize| (format!("d{digit}"), (value & 1).to_string());
        LabelSelector {
            match_labels: [label(first % DIGITS, values), label(second, values >> 1)].into(),
            ..LabelSelector::default()
        }
    };
    let rule = |shift: usize| NetworkPolicyRule {
        peers: vec![pods(None, digits(number + shift, number / 7)), block(number + shift)],
        ports: ports(IntOrString::Int(80 + u16::from(number.is_multiple_of(2)) * 8000)),
    };
    policy_with(
        metadata(0, format!("policy{number}"), Labels::new()),
        digits(number, number / 3),
        vec![rule(3)],
        vec![rule(5)],
    )
}
