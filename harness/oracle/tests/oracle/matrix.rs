//! The matrix and the prediction agree, cell by cell, on random clusters.

use crate::world::World;
use netproof_model::{Family, Place, Protocol};
use netproof_oracle::*;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use proptest::test_runner::RngSeed;

/// The lines that make a cluster, before and after `topology`.
#[derive(Clone, Debug)]
struct Case {
    topology: String,
    lines: Vec<String>,
    profile: Profile,
}

const LABELS: [&str; 5] = ["app=a", "app=b", "role=x", "role=y", "tier="];
const PORTS: [&str; 5] = ["http:80", "http:8080", "dns:53/udp", "http:53/udp", "sig:80/sctp"];
const SELECTORS: [&str; 9] = [
    "{}",
    "{matchLabels: {app: a}}",
    "{matchLabels: {app: b, role: x}}",
    "{matchLabels: {tier: \"\"}}",
    "{matchExpressions: [{key: app, operator: In, values: [a, c]}]}",
    "{matchExpressions: [{key: role, operator: NotIn, values: [x]}]}",
    "{matchExpressions: [{key: role, operator: Exists}]}",
    "{matchExpressions: [{key: app, operator: DoesNotExist}]}",
    "{matchLabels: {app: a}, matchExpressions: [{key: role, operator: DoesNotExist}]}",
];
const BLOCKS: [&str; 8] = [
    "{cidr: 0.0.0.0/0}",
    "{cidr: \"::/0\"}",
    "{cidr: 10.244.0.0/16, except: [10.244.1.0/24]}",
    "{cidr: 10.244.1.0/24, except: [10.244.1.3/32, 10.244.1.4/31]}",
    "{cidr: 10.244.1.0/24}",
    "{cidr: 172.18.0.0/24}",
    "{cidr: 203.0.113.0/24, except: [203.0.113.8/29]}",
    "{cidr: \"fd00:10:244:1::/64\", except: [\"fd00:10:244:1::3/128\"]}",
];
const PORT_ENTRIES: [&str; 10] = [
    "{}",
    "{port: 80}",
    "{port: http}",
    "{port: 79, endPort: 81}",
    "{protocol: UDP}",
    "{protocol: UDP, port: http}",
    "{protocol: UDP, port: dns}",
    "{protocol: SCTP, port: 80}",
    "{protocol: SCTP, port: sig}",
    "{port: 30000, endPort: 30100}",
];

fn some(from: &'static [&'static str], at_most: usize) -> impl Strategy<Value = String> {
    subsequence(from, 0..=at_most).prop_map(|words| words.join(","))
}

fn peer() -> impl Strategy<Value = String> {
    prop_oneof![
        select(&SELECTORS[..]).prop_map(|pods| format!("{{podSelector: {pods}}}")),
        select(&SELECTORS[..]).prop_map(|namespaces| format!("{{namespaceSelector: {namespaces}}}")),
        (select(&SELECTORS[..]), select(&SELECTORS[..]))
            .prop_map(|(n, p)| format!("{{namespaceSelector: {n}, podSelector: {p}}}")),
        select(&BLOCKS[..]).prop_map(|block| format!("{{ipBlock: {block}}}")),
    ]
}

fn rules(peers: &'static str) -> impl Strategy<Value = String> {
    let rule = (proptest::collection::vec(peer(), 0..3), some(&PORT_ENTRIES, 3))
        .prop_map(move |(entries, ports)| format!("{{{peers}: [{}], ports: [{ports}]}}", entries.join(", ")));
    proptest::collection::vec(rule, 0..3).prop_map(|rules| format!("[{}]", rules.join(", ")))
}

fn policy() -> impl Strategy<Value = String> {
    let types = select(&["Ingress", "Egress", "Ingress, Egress"][..]);
    (select(&["default", "dev"][..]), select(&SELECTORS[..]), types, rules("from"), rules("to")).prop_map(
        |(namespace, selector, types, ingress, egress)| {
            format!("{namespace} {{podSelector: {selector}, policyTypes: [{types}], ingress: {ingress}, egress: {egress}}}")
        },
    )
}

fn pod() -> impl Strategy<Value = (&'static str, &'static str, String)> {
    let words = (some(&LABELS[..], 3), some(&PORTS[..], 2)).prop_map(|(labels, ports)| {
        // A key stands once, a port name once for a protocol: the first of each counts.
        format!("labels={labels} ports={}", ports.replacen(",http:8080", ",other:8080", 1))
    });
    (select(&["default", "dev"][..]), select(&["node1", "node2"][..]), words)
}

fn case() -> impl Strategy<Value = Case> {
    let topology = (select(&["routed", "bridge"][..]), select(&["", " nat-outgoing"][..]))
        .prop_map(|(wiring, nat)| format!("family=dual wiring={wiring}{nat}"));
    let extras = subsequence(
        vec![
            "pod agent node1 host labels=app=a ports=http:9100",
            "service web selector=app=a ports=80@30080",
            "service local selector=app=b ports=80@30081 external=Local",
            "service taken selector=app=a ports=80 external-ip=203.0.113.10",
        ],
        0..=4,
    );
    (
        topology,
        some(&LABELS, 2),
        proptest::collection::vec(pod(), 1..7),
        proptest::collection::vec(policy(), 0..6),
        extras,
        select(&PROFILES[..]),
    )
        .prop_map(|(topology, labels, pods, policies, extras, profile)| {
            let mut lines = vec![format!("namespace dev {labels}")];
            for (index, (namespace, node, words)) in pods.iter().enumerate() {
                lines.push(format!("pod {namespace}/pod-{index} {node} {words}"));
            }
            for (index, policy) in policies.iter().enumerate() {
                let (namespace, spec) = policy.split_once(' ').unwrap();
                lines.push(format!("policy {namespace}/policy-{index} {spec}"));
            }
            lines.extend(extras.into_iter().map(Into::into));
            Case { topology, lines, profile }
        })
}

fn ports() -> Vec<PortProtocol> {
    let numbers = [(80, Protocol::Tcp), (8080, Protocol::Tcp), (53, Protocol::Udp), (80, Protocol::Sctp)];
    let mut ports: Vec<PortProtocol> =
        numbers.into_iter().map(|(number, protocol)| PortProtocol::new(number, protocol)).collect();
    ports.push(PortProtocol::Echo);
    ports
}

fn agrees(case: &Case, ports: &[PortProtocol]) -> Result<(), TestCaseError> {
    let mut world = World::on(&case.topology);
    case.lines.iter().for_each(|line| world.change(line));
    let snapshot = world.snapshot();
    let oracle = Oracle::new(&snapshot, case.profile);
    let mut endpoints: Vec<Place> = snapshot.nodes.keys().map(|name| Place::Node(name.clone())).collect();
    endpoints.extend(snapshot.externals.keys().map(|name| Place::External(name.clone())));
    let pods = snapshot.pods.iter().filter(|(_, pod)| !pod.host_network);
    endpoints.extend(pods.map(|(name, _)| Place::Pod(name.clone())));
    for (endpoints, family) in [(&endpoints[..], Family::Ipv4), (&endpoints[2..], Family::Ipv6)] {
        let matrix = oracle.matrix(endpoints, family, ports).unwrap();
        for (s, from) in endpoints.iter().enumerate() {
            for (d, to) in endpoints.iter().enumerate() {
                for (p, port) in ports.iter().enumerate() {
                    let to = snapshot.address_of(to, family).unwrap();
                    let flow = Flow { from: from.clone(), to, port: *port };
                    let predicted = Cell::of(&oracle.predict(&flow).unwrap());
                    prop_assert_eq!(matrix.cell(s, d, p), Some(predicted), "{:?}", flow);
                }
            }
        }
        prop_assert_eq!(matrix.cell(endpoints.len(), 0, 0), None);
        prop_assert_eq!(matrix.cell(0, 0, ports.len()), None);
    }
    Ok(())
}

/// A profile that leaves nothing open.
fn settled() -> impl Strategy<Value = Profile> {
    let services = (
        select(
            &[OwnPodThroughService::Allow, OwnPodThroughService::Police, OwnPodThroughService::PoliceEgress]
                [..],
        ),
        select(&[PolicyAndDnat::After, PolicyAndDnat::Before][..]),
        select(&[PolicyAndMasquerade::After, PolicyAndMasquerade::Before][..]),
    );
    let nodes = (
        select(&[NodeToPodOnAnotherNode::Police, NodeToPodOnAnotherNode::Allow][..]),
        // A drop is not among the readings of the API: it denies what no policy isolates.
        select(&[PodToOwnNode::Police, PodToOwnNode::Allow][..]),
        select(&[HostNetworkPods::Ignore, HostNetworkPods::PoliceNode][..]),
        select(&[HostNetworkPeers::NeverMatch, HostNetworkPeers::MatchNode][..]),
    );
    let rules = (
        select(&[Icmp::PortlessRules, Icmp::Allow, Icmp::Deny][..]),
        select(&[IpBlockAndPods::Match, IpBlockAndPods::NeverMatch][..]),
        select(&[Sctp::Supported, Sctp::Unsupported][..]),
        select(&[EndPort::Supported, EndPort::Unsupported][..]),
    );
    (services, nodes, rules).prop_map(|(services, nodes, rules)| Profile {
        name: "settled",
        own_pod_through_service: services.0,
        policy_and_dnat: services.1,
        policy_and_masquerade: services.2,
        node_to_pod_on_another_node: nodes.0,
        pod_to_own_node: nodes.1,
        host_network_pods: nodes.2,
        host_network_peers: nodes.3,
        icmp: rules.0,
        ip_block_and_pods: rules.1,
        sctp: rules.2,
        end_port: rules.3,
        existing_connections: ExistingConnections::Keep,
        deny: Deny::Drop,
    })
}

/// What is settled in `strict` is so in every profile, and no profile that settles all leaves anything open.
fn is_covered(case: &Case, profile: Profile) -> Result<(), TestCaseError> {
    let mut world = World::on(&case.topology);
    case.lines.iter().for_each(|line| world.change(line));
    let snapshot = world.snapshot();
    let (strict, settled) = (Oracle::new(&snapshot, Profile::STRICT), Oracle::new(&snapshot, profile));
    let nodes = snapshot.nodes.keys().map(|name| Place::Node(name.clone()));
    let pods = snapshot.pods.iter().filter(|(_, pod)| !pod.host_network);
    let endpoints: Vec<Place> = nodes.chain(pods.map(|(name, _)| Place::Pod(name.clone()))).collect();
    let mut destinations: Vec<_> =
        endpoints.iter().map(|place| snapshot.address_of(place, Family::Ipv4).unwrap()).collect();
    destinations.extend(snapshot.services.values().map(|service| service.cluster_ips[0]));
    let mut ports = ports();
    ports.push(PortProtocol::new(30080, Protocol::Tcp));
    for from in endpoints {
        for to in &destinations {
            for port in &ports {
                let flow = Flow { from: from.clone(), to: *to, port: *port };
                let (open, settled) = (strict.predict(&flow).unwrap(), settled.predict(&flow).unwrap());
                prop_assert_eq!(open.alternatives.len(), settled.alternatives.len());
                for (open, settled) in open.alternatives.iter().zip(&settled.alternatives) {
                    match (&open.verdict, &settled.verdict) {
                        (_, Verdict::Either(switches)) => prop_assert!(false, "{flow:?}: {switches} is open"),
                        (Verdict::Either(_), Verdict::Allow | Verdict::Deny(_)) => {}
                        (
                            Verdict::Deny(Denial::Policy { .. }) | Verdict::Unreachable,
                            Verdict::Deny(Denial::Policy { .. }),
                        ) => {}
                        (open, settled) => prop_assert_eq!(open, settled, "{:?}", flow),
                    }
                }
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 128,
        rng_seed: RngSeed::Fixed(4),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_matrix_is_every_prediction(case in case()) {
        agrees(&case, &ports())?;
    }

    #[test]
    fn strict_covers_every_profile(case in case(), profile in settled()) {
        is_covered(&case, profile)?;
    }

    #[test]
    fn node_ports_too(case in case()) {
        let numbers = [30080, 30081, 80];
        let ports = numbers.map(|number| PortProtocol::new(number, Protocol::Tcp));
        agrees(&case, &ports)?;
    }
}

#[test]
fn equal_pods_are_one_class() {
    let mut world = World::default();
    for index in 0..10 {
        world.change(&format!("pod a{index} node1 labels=app=a,name=a{index}"));
        world.change(&format!("pod b{index} node2 labels=app=b,name=b{index}"));
    }
    world.change("policy p {podSelector: {matchLabels: {app: a}}, ingress: [{from: [{podSelector: {matchLabels: {app: a}}}]}]}");
    let snapshot = world.snapshot();
    let endpoints: Vec<Place> =
        snapshot.pods.keys().filter(|name| name.namespace == "default").cloned().map(Place::Pod).collect();
    let oracle = Oracle::new(&snapshot, Profile::NETPROOF);
    let matrix = oracle.matrix(&endpoints, Family::Ipv4, &ports()).unwrap();
    assert_eq!(matrix.classes(), 2);
    assert_eq!(matrix.class_of(0), matrix.class_of(9));
    assert_ne!(matrix.class_of(0), matrix.class_of(10));
    let allowed = |source: usize, destination: usize| matrix.cell(source, destination, 0).unwrap();
    assert_eq!(allowed(0, 1), Cell::Allow);
    assert_eq!(allowed(10, 1), Cell::Deny);
    assert_eq!(allowed(1, 10), Cell::Allow);
    assert_eq!(allowed(10, 11), Cell::Allow);

    let twice = [endpoints[0].clone(), endpoints[10].clone(), endpoints[10].clone()];
    world.change("policy q {podSelector: {}}");
    let snapshot = world.snapshot();
    let matrix = Oracle::new(&snapshot, Profile::NETPROOF).matrix(&twice, Family::Ipv4, &ports()).unwrap();
    assert_eq!(matrix.cell(0, 2, 0), Some(Cell::Deny));
    assert_eq!(matrix.cell(1, 2, 0), Some(Cell::Allow), "a pod that stands twice is one pod");
}

/// Two pods that no policy tells apart are two at a node port, where one of them is the endpoint.
#[test]
fn an_endpoint_is_itself_and_not_its_class() {
    let mut world = World::default();
    for line in [
        "pod endpoint node1 labels=app=a,role=endpoint",
        "pod other node1 labels=app=a,role=other",
        "service web selector=role=endpoint ports=80@30080",
        "policy deny {podSelector: {matchLabels: {app: a}}}",
    ] {
        world.change(line);
    }
    let snapshot = world.snapshot();
    let endpoints = [Place::pod("default", "endpoint"), Place::pod("default", "other"), Place::node("node1")];
    let oracle = Oracle::new(&snapshot, Profile::NETPROOF);
    let ports = [PortProtocol::new(30080, Protocol::Tcp)];
    let matrix = oracle.matrix(&endpoints, Family::Ipv4, &ports).unwrap();
    assert_eq!(matrix.cell(0, 2, 0), Some(Cell::Allow));
    assert_eq!(matrix.cell(1, 2, 0), Some(Cell::Deny));
}

/// Peers that differ in their exceptions only, and equal ones of two namespaces.
#[test]
fn peers_that_look_alike_are_kept_apart() {
    let mut world = World::default();
    for line in [
        "namespace dev",
        "pod a node1 labels=app=a ports=80",
        "pod b node1 labels=app=b ports=80",
        "pod client node2 ip=10.244.2.9",
        "pod dev/web node1 labels=app=a ports=80",
        "policy a {podSelector: {matchLabels: {app: a}}, policyTypes: [Ingress], ingress: [{from: [{ipBlock: {cidr: 10.244.2.0/24}}]}]}",
        "policy b {podSelector: {matchLabels: {app: b}}, policyTypes: [Ingress], ingress: [{from: [{ipBlock: {cidr: 10.244.2.0/24, except: [10.244.2.9/32]}}]}, {from: [{podSelector: {matchLabels: {app: a}}}]}]}",
        "policy dev/a {podSelector: {}, policyTypes: [Ingress], ingress: [{from: [{podSelector: {matchLabels: {app: a}}}]}]}",
    ] {
        world.change(line);
    }
    let snapshot = world.snapshot();
    let endpoints = [("default", "a"), ("default", "b"), ("default", "client"), ("dev", "web")]
        .map(|(namespace, name)| Place::pod(namespace, name));
    let oracle = Oracle::new(&snapshot, Profile::NETPROOF);
    let matrix = oracle.matrix(&endpoints, Family::Ipv4, &[PortProtocol::new(80, Protocol::Tcp)]).unwrap();
    let cell = |source: usize, destination: usize| matrix.cell(source, destination, 0).unwrap();
    assert_eq!((cell(2, 0), cell(2, 1)), (Cell::Allow, Cell::Deny));
    assert_eq!((cell(0, 1), cell(0, 3)), (Cell::Allow, Cell::Deny), "each in its own namespace");
}
