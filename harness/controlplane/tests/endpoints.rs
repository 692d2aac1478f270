//! EndpointSlices from selectors and readiness.

mod world;

use netproof_api::core::{
    AddressType, IntOrString, PodPhase, ServiceType, TrafficDistribution, TransportProtocol,
};
use netproof_api::{EndpointSlice, Object, ObjectMeta, Pod, Service};
use netproof_controlplane::{Change, SERVICE_NAME_LABEL, ZONE_LABEL};
use netproof_model::Families;
use std::time::{Duration, Instant};
use world::*;

#[test]
fn endpoints_are_the_running_pods_that_the_selector_names() {
    let mut cluster = cluster(Families::Dual);
    let unready = Pod { ready: false, ..on("node2", pod("unready")) };
    let mut other = pod("other");
    other.metadata.labels = labels(&[("app", "other")]);
    let snapshot = apply(
        &mut cluster,
        [
            service("web").change(),
            pod("a").change(),
            unready.change(),
            other.change(),
            pod("kube-public/elsewhere").change(),
            in_phase(PodPhase::Pending, pod("pending")).change(),
            in_phase(PodPhase::Failed, pod("failed")).change(),
            Pod { host_network: true, ..pod("host") }.change(),
        ],
    );
    assert_eq!(
        slices(&snapshot, "web"),
        [
            "web-ipv4 IPv4 [a@node1=10.244.1.3 host@node1=172.18.0.2 unready@node2=10.244.2.2!] [80/TCP]",
            "web-ipv6 IPv6 [a@node1=fd00:10:244:1::3 host@node1=fd00:172:18::2 unready@node2=fd00:10:244:2::2!] [80/TCP]",
        ]
    );
}

#[test]
fn slices_follow_pods_and_services() {
    let mut cluster = cluster(Families::Ipv4);
    let steps: Vec<(Change, &[&str])> = vec![
        (service("web").change(), &["web-ipv4 IPv4 [] []"]),
        (pod("a").change(), &["web-ipv4 IPv4 [a@node1=10.244.1.3] [80/TCP]"]),
        (label("pod/a", "app", Some("db")), &["web-ipv4 IPv4 [] []"]),
        (label("pod/a", "app", Some("web")), &["web-ipv4 IPv4 [a@node1=10.244.1.3] [80/TCP]"]),
        (Pod { ready: false, ..pod("a") }.change(), &["web-ipv4 IPv4 [a@node1=10.244.1.3!] [80/TCP]"]),
        (in_phase(PodPhase::Succeeded, pod("a")).change(), &["web-ipv4 IPv4 [] []"]),
        (delete("pod/a"), &["web-ipv4 IPv4 [] []"]),
        (pod("b").change(), &["web-ipv4 IPv4 [b@node1=10.244.1.4] [80/TCP]"]),
        (Service { selector: labels(&[("app", "x")]), ..service("web") }.change(), &["web-ipv4 IPv4 [] []"]),
        (Service { selector: labels(&[]), ..service("web") }.change(), &[]),
        (service("web").change(), &["web-ipv4 IPv4 [b@node1=10.244.1.4] [80/TCP]"]),
        (delete("service/web"), &[]),
    ];
    for (index, (change, expected)) in steps.into_iter().enumerate() {
        let snapshot = apply(&mut cluster, [change]);
        assert_eq!(slices(&snapshot, "web"), expected, "step {index}");
    }
}

#[test]
fn a_named_target_port_is_each_pods_own() {
    let mut cluster = cluster(Families::Ipv4);
    let named = |name: &str, ports: Vec<netproof_api::ContainerPort>| Pod {
        containers: vec![netproof_api::Container { name: "c".into(), ports }],
        ..pod(name)
    };
    let udp = netproof_api::ContainerPort { protocol: TransportProtocol::Udp, ..port("web", 53) };
    let mut service = service("web");
    service.ports[0].target_port = IntOrString::String("web".into());
    let snapshot = apply(
        &mut cluster,
        [
            named("a", vec![port("web", 8000)]).change(),
            named("b", vec![port("web", 9000)]).change(),
            named("c", vec![port("web", 8000)]).change(),
            named("without", vec![port("other", 8000)]).change(),
            named("wrong-protocol", vec![udp]).change(),
            service.change(),
        ],
    );
    assert_eq!(
        slices(&snapshot, "web"),
        [
            "web-ipv4 IPv4 [without@node1=10.244.1.6 wrong-protocol@node1=10.244.1.7] []",
            "web-ipv4-2 IPv4 [a@node1=10.244.1.3 c@node1=10.244.1.5] [8000/TCP]",
            "web-ipv4-3 IPv4 [b@node1=10.244.1.4] [9000/TCP]",
        ]
    );
}

#[test]
fn a_given_slice_stays_as_given() {
    let mut cluster = cluster(Families::Ipv4);
    let slice = |address_type| {
        Change::Apply(Object::EndpointSlice(EndpointSlice {
            metadata: ObjectMeta {
                name: "web-ipv4".into(),
                labels: labels(&[(SERVICE_NAME_LABEL, "web")]),
                ..ObjectMeta::default()
            },
            address_type,
            endpoints: Vec::new(),
            ports: Vec::new(),
        }))
    };
    apply(&mut cluster, [slice(AddressType::IPv4)]);
    let snapshot = apply(&mut cluster, [service("web").change(), pod("a").change()]);
    assert_eq!(
        slices(&snapshot, "web"),
        ["web-ipv4 IPv4 [] []", "web-ipv4-2 IPv4 [a@node1=10.244.1.3] [80/TCP]"]
    );
    let error = refused(&mut cluster, [slice(AddressType::IPv6)]);
    assert!(error.message.contains("addressType"), "{error}");
    let snapshot = apply(&mut cluster, [delete("service/web")]);
    assert_eq!(slices(&snapshot, "web"), ["web-ipv4 IPv4 [] []"], "the given one has no owner");
    apply(&mut cluster, [delete("endpointslice/web-ipv4")]);
}

/// Quadratic work would take minutes here: a thousand pods, services and policies, then two
/// hundred single changes.
#[test]
fn a_thousand_of_everything() {
    let mut cluster = cluster(Families::Dual);
    let start = Instant::now();
    let mut changes = Vec::new();
    for i in 0..1000 {
        let namespace_name = format!("ns{}", i % 10);
        if i < 10 {
            changes.push(namespace(&namespace_name).change());
        }
        let mut pod = on("node1", pod(&format!("{namespace_name}/p{i}")));
        if i % 5 != 0 {
            // A node has room for 253: most of these stay without an address.
            pod.phase = PodPhase::Pending;
        }
        pod.metadata.labels = labels(&[("app", &format!("app{i}")), ("all", "yes")]);
        let mut service = service(&format!("{namespace_name}/s{i}"));
        service.selector = labels(&[("all", "yes"), ("app", &format!("app{i}"))]);
        changes.extend([pod.change(), service.change(), policy(&format!("{namespace_name}/np{i}")).change()]);
    }
    apply(&mut cluster, changes);
    for i in 0..200 {
        apply(&mut cluster, [label(&format!("pod/ns{}/p{i}", i % 10), "role", Some("db"))]);
    }
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
}

#[test]
fn conditions_are_the_controllers() {
    let mut cluster = cluster(Families::Ipv4);
    let with = |name: &str, ready, terminating| Pod { ready, terminating, ..pod(name) };
    let all = Service { publish_not_ready_addresses: true, ..service("all") };
    let snapshot = apply(
        &mut cluster,
        [
            service("web").change(),
            all.change(),
            with("a", true, false).change(),
            with("b", false, false).change(),
            with("c", true, true).change(),
            with("d", false, true).change(),
        ],
    );
    assert_eq!(
        slices(&snapshot, "web"),
        [
            "web-ipv4 IPv4 [a@node1=10.244.1.3 b@node1=10.244.1.4! c@node1=10.244.1.5!+~ d@node1=10.244.1.6!~] [80/TCP]"
        ]
    );
    assert_eq!(
        slices(&snapshot, "all"),
        [
            "all-ipv4 IPv4 [a@node1=10.244.1.3 b@node1=10.244.1.4- c@node1=10.244.1.5~ d@node1=10.244.1.6-~] [80/TCP]"
        ]
    );
    let error = refused(&mut cluster, [label("pod/a", "a", Some("b")), pod("c").change()]);
    assert_eq!(error.message, "pod/default/c is being deleted and cannot be kept");
}

/// Each endpoint's zone and hints: `POD ZONE ZONES NODES`.
fn hints(snapshot: &netproof_controlplane::Snapshot, slice: &str) -> Vec<String> {
    let slice = &snapshot.endpoint_slices[&name(slice)];
    let line = |endpoint: &netproof_api::Endpoint| {
        let hints = match &endpoint.hints {
            Some(hints) => format!("{:?} {:?}", hints.for_zones, hints.for_nodes),
            None => "none".to_owned(),
        };
        format!("{} {:?} {hints}", endpoint.pod.as_deref().unwrap_or("?"), endpoint.zone.as_deref())
    };
    slice.endpoints.iter().map(line).collect()
}

#[test]
fn hints_follow_the_wish_and_the_zones_of_nodes() {
    let mut cluster = cluster(Families::Ipv4);
    let wish = |name: &str, wish| Service { traffic_distribution: Some(wish), ..service(name) };
    let changes = [
        service("none").change(),
        wish("zone", TrafficDistribution::PreferSameZone).change(),
        wish("node", TrafficDistribution::PreferSameNode).change(),
        pod("a").change(),
        on("node2", pod("b")).change(),
        Pod { ready: false, ..pod("unready") }.change(),
        label("node/node1", ZONE_LABEL, Some("east")),
    ];
    let snapshot = apply(&mut cluster, changes);
    assert_eq!(
        hints(&snapshot, "none-ipv4"),
        [r#"a Some("east") none"#, "b None none", r#"unready Some("east") none"#]
    );
    assert_eq!(
        hints(&snapshot, "zone-ipv4"),
        [r#"a Some("east") ["east"] []"#, "b None none", r#"unready Some("east") none"#],
        "an endpoint without a zone has no hint, so that proxies heed none"
    );
    assert_eq!(
        hints(&snapshot, "node-ipv4"),
        [r#"a Some("east") ["east"] ["node1"]"#, r#"b None [] ["node2"]"#, r#"unready Some("east") none"#]
    );
    // A node's new zone reaches the endpoints on it, whether it is labelled or applied.
    let snapshot = apply(&mut cluster, [label("node/node2", ZONE_LABEL, Some("west"))]);
    assert_eq!(hints(&snapshot, "zone-ipv4")[1], r#"b Some("west") ["west"] []"#);
    let mut node = netproof_api::Node::default();
    node.metadata.name = "node2".into();
    let snapshot = apply(&mut cluster, [Change::Apply(Object::Node(node))]);
    assert_eq!(hints(&snapshot, "zone-ipv4")[1], "b None none");
}

#[test]
fn slices_are_of_the_services_families() {
    let mut cluster = cluster(Families::Dual);
    let one = Service { ip_families: vec![AddressType::IPv6], headless: true, ..service("one") };
    let elsewhere = Service {
        service_type: ServiceType::ExternalName,
        external_name: Some("db.example.com".into()),
        ..service("elsewhere")
    };
    let snapshot = apply(&mut cluster, [pod("a").change(), one.change(), elsewhere.change()]);
    assert_eq!(slices(&snapshot, "one"), ["one-ipv6 IPv6 [a@node1=fd00:10:244:1::3] [80/TCP]"]);
    assert!(slices(&snapshot, "elsewhere").is_empty());
}
