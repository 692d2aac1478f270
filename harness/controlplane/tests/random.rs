//! Whatever is applied: no panic, no address or port with two owners, nothing half done, and the same
//! again in every run.

mod world;

use netproof_api::WorkloadKind;
use netproof_api::core::{AddressType, IntOrString, PodPhase, ServiceType, TrafficPolicy};
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
        one_of(&["a", "b", "c", "a-0", "shop/a", "none/a"]),
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
    let types =
        [ServiceType::ClusterIP, ServiceType::NodePort, ServiceType::LoadBalancer, ServiceType::ExternalName];
    let families = [vec![], vec![], vec![AddressType::IPv4], vec![AddressType::IPv6, AddressType::IPv4]];
    let outside =
        || proptest::option::of(one_of(&["192.0.2.1", "198.51.100.1", "2001:db8:51::1", "10.96.1.1"]));
    let what = (
        one_of(&["a", "b", "shop/a"]),
        proptest::sample::select(types.to_vec()),
        proptest::bool::weighted(0.2),
        proptest::option::of(one_of(&["10.96.0.10", "10.96.1.1", "fd00:10:96::55"])),
        proptest::option::of(29999u16..30003),
        any::<bool>(),
    );
    (what, proptest::sample::select(families.to_vec()), outside(), outside(), any::<[bool; 2]>()).prop_map(
        |(
            (name, service_type, headless, ip, node_port, named),
            ip_families,
            balanced,
            external,
            [local, allocate],
        )| {
            let mut service = load_balancer_service(name, &Vec::from_iter(balanced));
            if service_type != ServiceType::LoadBalancer {
                service.load_balancer_ingress.clear();
            }
            service.service_type = service_type;
            service.headless = headless && service_type == ServiceType::ClusterIP;
            service.cluster_ips = ips(&Vec::from_iter(ip));
            service.ip_families = ip_families;
            service.external_ips = ips(&Vec::from_iter(external));
            service.ports[0].node_port = node_port;
            service.allocate_load_balancer_node_ports = allocate;
            if local {
                service.external_traffic_policy = TrafficPolicy::Local;
            }
            if named {
                service.ports[0].target_port = IntOrString::String("http".into());
            }
            service.change()
        },
    )
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
        "deployment/a",
        "daemonset/shop/a",
        "pod/a-0",
        "pod/shop/a-node1",
        "lamp/a",
    ];
    prop_oneof![
        6 => pod_change(),
        4 => service_change(),
        2 => (one_of(&["a", "shop/a"]), 0..3u32, one_of(&["web", "db"])).prop_map(|(name, count, app)| {
            let kinds = [WorkloadKind::Deployment, WorkloadKind::DaemonSet, WorkloadKind::StatefulSet];
            let mut workload = workload(kinds[count as usize].clone(), name, count + 1);
            workload.template.metadata.labels = labels(&[("app", app)]);
            workload.change()
        }),
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
        match &pod.node_name {
            Some(node) => assert!(snapshot.nodes.contains_key(node), "{name}"),
            None => assert_eq!((pod.phase, pod.pod_ips.len()), (PodPhase::Pending, 0), "{name} waits"),
        }
        if pod.phase == PodPhase::Running {
            assert_eq!(pod.pod_ips.len(), families, "{name}");
        }
        if !pod.phase.has_ended() && !pod.host_network {
            pod.pod_ips.iter().for_each(|address| own(*address, format!("pod {name}")));
        }
    }
    let mut ports: BTreeMap<u16, &NamespacedName> = BTreeMap::new();
    let mut balanced_at: Vec<IpAddr> = Vec::new();
    for (name, service) in &snapshot.services {
        let kind = service.service_type;
        let families = service.ip_families.len();
        assert_eq!(families == 0, kind == ServiceType::ExternalName, "{name}");
        assert_eq!(service.cluster_ips.len(), if service.headless { 0 } else { families }, "{name}");
        service.cluster_ips.iter().for_each(|address| own(*address, format!("service {name}")));
        // Services may share these.
        balanced_at.extend(service.load_balancer_ingress.iter().map(|entry| entry.ip));
        let balanced = kind == ServiceType::LoadBalancer;
        for family in &service.ip_families {
            let ipv4 = *family == AddressType::IPv4;
            let has = service.load_balancer_ingress.iter().any(|entry| entry.ip.is_ipv4() == ipv4);
            assert_eq!(has, balanced, "{name}");
        }
        for port in &service.ports {
            let (any, all) = match kind {
                ServiceType::NodePort => (true, true),
                ServiceType::LoadBalancer => (true, service.allocate_load_balancer_node_ports),
                ServiceType::ClusterIP | ServiceType::ExternalName => (false, false),
            };
            assert!(if port.node_port.is_some() { any } else { !all }, "{name}");
        }
        let checked = balanced && service.external_traffic_policy == TrafficPolicy::Local;
        assert_eq!(service.health_check_node_port.is_some(), checked, "{name}");
        let node_ports = service.ports.iter().filter_map(|port| port.node_port);
        for port in node_ports.chain(service.health_check_node_port) {
            let other = ports.insert(port, name);
            assert_eq!(other, None, "{port} belongs to {name}, too");
        }
        assert_eq!(
            slices(snapshot, &name.to_string()).is_empty(),
            kind == ServiceType::ExternalName,
            "{name}"
        );
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
    let mut named =
        snapshot.pods.keys().chain(snapshot.services.keys()).chain(snapshot.endpoint_slices.keys());
    assert!(named.all(|name| namespaces.contains_key(&name.namespace)));
    let mut of_policies = snapshot.policies.keys().filter_map(|key| key.namespace.as_ref());
    assert!(of_policies.all(|namespace| namespaces.contains_key(namespace)));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_changes(sets in proptest::collection::vec(proptest::collection::vec(change(), 1..4), 1..30)) {
        for family in Families::ALL {
            let mut first = balanced_cluster(family);
            let mut second = balanced_cluster(family);
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
        let mut cluster = balanced_cluster(Families::Dual);
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
