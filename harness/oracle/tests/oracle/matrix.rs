//! The matrix and the prediction agree, cell by cell, on random clusters.

use crate::random::{Case, case, ports};
use crate::world::World;
use netproof_model::{Family, Place, Protocol};
use netproof_oracle::*;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

fn agrees(case: &Case, ports: &[PortProtocol]) -> Result<(), TestCaseError> {
    let snapshot = case.snapshot();
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
