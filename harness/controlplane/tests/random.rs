//! Whatever is applied: no panic, no address or port with two owners, nothing half done, and the same
//! again in every run.

mod world;

use netproof_api::core::{IntOrString, PodPhase, ServiceType};
use netproof_controlplane::{Change, Snapshot};
use netproof_model::{Families, NamespacedName};
use proptest::prelude::*;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use world::*;

fn one_of(words: &'static [&'static str]) -> impl Strategy<Value = &'static str> {
    proptest::sample::select(words)
}

fn pod_change() -> impl Strategy<Value = Change> {
    let phases =
        [PodPhase::Running, PodPhase::Running, PodPhase::Pending, PodPhase::Succeeded, PodPhase::Failed];
    (
        one_of(&["a", "b", "c", "shop/a", "none/a"]),
        proptest::option::of(one_of(&["node1", "node2", "node3"])),
        proptest::option::of(one_of(&[
            "10.244.1.3",
            "10.244.2.2",
            "10.244.1.1",
            "10.9.9.9",
            "fd00:10:244:1::3",
        ])),
        proptest::sample::select(phases.to_vec()),
        proptest::bool::weighted(0.2),
        one_of(&["web", "db"]),
    )
        .prop_map(|(name, node, ip, phase, host_network, app)| {
            let mut pod = in_phase(phase, pod(name));
            pod.node_name = node.map(str::to_owned);
            pod.pod_ips = ips(&Vec::from_iter(ip));
            pod.host_network = host_network;
            pod.metadata.labels = labels(&[("app", app)]);
            pod.change()
        })
}

fn service_change() -> impl Strategy<Value = Change> {
    (
        one_of(&["a", "b", "shop/a"]),
        any::<bool>(),
        proptest::bool::weighted(0.2),
        proptest::option::of(one_of(&["10.96.0.10", "10.96.1.1", "fd00:10:96::55"])),
        proptest::option::of(29999u16..30003),
        any::<bool>(),
    )
        .prop_map(|(name, node_port_type, headless, ip, node_port, named)| {
            let mut service = service(name);
            if node_port_type {
                service.service_type = ServiceType::NodePort;
            }
            service.headless = headless;
            service.cluster_ips = ips(&Vec::from_iter(ip));
            service.ports[0].node_port = node_port;
            if named {
                service.ports[0].target_port = IntOrString::String("http".into());
            }
            service.change()
        })
}

fn change() -> impl Strategy<Value = Change> {
    let references = &[
        "pod/a",
        "pod/shop/a",
        "service/a",
        "service/shop/a",
        "namespace/shop",
        "namespace/default",
        "networkpolicy/a",
        "node/node1",
        "endpointslice/a-ipv4",
        "external/internet",
        "lamp/a",
    ];
    prop_oneof![
        6 => pod_change(),
        4 => service_change(),
        1 => Just(namespace("shop").change()),
        1 => one_of(&["a", "shop/a"]).prop_map(|name| policy(name).change()),
        1 => one_of(&["203.0.113.10", "192.0.2.1", "10.96.0.1", "2001:db8::1"])
            .prop_map(|address| external("x", &[address]).change()),
        2 => (one_of(references), one_of(&["app", "kubernetes.io/metadata.name"]), proptest::option::of(one_of(&["web", "db"])))
            .prop_map(|(object, key, value)| label(object, key, value)),
        4 => one_of(references).prop_map(delete),
        1 => one_of(&["a", "none/a"]).prop_map(|pod| Change::Listen { pod: name(pod), ports: Vec::new() }),
    ]
}

/// Every address, cluster IP and node port has one owner, and every living pod has what it needs.
fn check(snapshot: &Snapshot) {
    let families = snapshot.topology.family.list().len();
    let mut owners: HashMap<IpAddr, String> = HashMap::new();
    let mut own = |address: IpAddr, owner: String| {
        let other = owners.insert(address, owner.clone());
        assert_eq!(other, None, "{address} belongs to {owner}, too");
    };
    for node in snapshot.nodes.values() {
        node.addresses.iter().for_each(|address| own(*address, format!("node {}", node.metadata.name)));
    }
    for (name, pod) in &snapshot.pods {
        assert!(pod.node_name.as_ref().is_some_and(|node| snapshot.nodes.contains_key(node)), "{name}");
        if pod.phase == PodPhase::Running {
            assert_eq!(pod.pod_ips.len(), families, "{name}");
        }
        if !pod.phase.has_ended() && !pod.host_network {
            pod.pod_ips.iter().for_each(|address| own(*address, format!("pod {name}")));
        }
    }
    let mut ports: BTreeMap<u16, &NamespacedName> = BTreeMap::new();
    for (name, service) in &snapshot.services {
        assert_eq!(service.cluster_ips.len(), if service.headless { 0 } else { families }, "{name}");
        service.cluster_ips.iter().for_each(|address| own(*address, format!("service {name}")));
        for port in &service.ports {
            assert_eq!(port.node_port.is_some(), service.service_type == ServiceType::NodePort, "{name}");
            let other = port.node_port.and_then(|port| ports.insert(port, name));
            assert_eq!(other, None, "{:?} belongs to {name}, too", port.node_port);
        }
        assert!(!slices(snapshot, &name.to_string()).is_empty(), "{name}");
    }
    for (name, slice) in &snapshot.endpoint_slices {
        for endpoint in &slice.endpoints {
            let pod = endpoint.pod.as_deref().unwrap_or_default();
            let pod = &snapshot.pods[&NamespacedName::new(name.namespace.as_str(), pod)];
            assert_eq!(pod.phase, PodPhase::Running, "{name}");
            assert!(endpoint.addresses.iter().all(|address| pod.pod_ips.contains(address)), "{name}");
        }
    }
    let namespaces = &snapshot.namespaces;
    let named = snapshot.pods.keys().chain(snapshot.services.keys()).chain(snapshot.endpoint_slices.keys());
    assert!(
        named.chain(snapshot.network_policies.keys()).all(|name| namespaces.contains_key(&name.namespace))
    );
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_changes(sets in proptest::collection::vec(proptest::collection::vec(change(), 1..4), 1..30)) {
        for family in Families::ALL {
            let mut first = cluster(family);
            let mut second = cluster(family);
            for changes in &sets {
                let before = first.snapshot();
                let copy = Snapshot::clone(&before);
                let result = first.apply(changes);
                prop_assert_eq!(&result, &second.apply(changes));
                prop_assert_eq!(&*before, &copy, "a snapshot never changes");
                match result {
                    Ok(after) => prop_assert_eq!(after.generation, before.generation + 1),
                    Err(error) => {
                        prop_assert!(error.index.is_some_and(|index| index < changes.len()));
                        prop_assert_eq!(&first.snapshot(), &before);
                    }
                }
                check(&first.snapshot());
            }
        }
    }

    /// Making the slices only of what changed gives what making all of them anew would.
    #[test]
    fn slices_are_as_if_made_anew(sets in proptest::collection::vec(change(), 1..40)) {
        let mut cluster = cluster(Families::Dual);
        for change in sets {
            let _ = cluster.apply(&[change]);
        }
        let snapshot = cluster.snapshot();
        // Applying every service again as it is makes all of its slices again.
        let again = snapshot.services.values().map(|service| netproof_api::Service::clone(service).change());
        let anew = apply(&mut cluster, again);
        prop_assert_eq!(&snapshot.endpoint_slices, &anew.endpoint_slices);
        prop_assert_eq!(&snapshot.services, &anew.services);
    }
}
