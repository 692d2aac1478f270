//! What the control plane fills in for services, and what it refuses of them.

mod world;

use netproof_api::Service;
use netproof_api::core::{
    AddressType, IntOrString, IpFamilyPolicy, ServiceType, TrafficPolicy, TransportProtocol,
};
use netproof_controlplane::{Change, ControlPlane};
use netproof_model::topology::LoadBalancer;
use netproof_model::{Families, Family, Place, Wiring};
use std::sync::Arc;
use world::*;

const V4: AddressType = AddressType::IPv4;
const V6: AddressType = AddressType::IPv6;

fn external_name(name: &str) -> Service {
    let external_name = Some("db.example.com".to_owned());
    Service { service_type: ServiceType::ExternalName, external_name, ports: Vec::new(), ..service(name) }
}

fn local(service: Service) -> Service {
    Service { external_traffic_policy: TrafficPolicy::Local, ..service }
}

fn with_external_ips(addresses: &[&str], service: Service) -> Service {
    Service { external_ips: ips(addresses), ..service }
}

fn with_cluster_ips(addresses: &[&str], service: Service) -> Service {
    Service { cluster_ips: ips(addresses), ..service }
}

fn on_port(port: u16, mut service: Service) -> Service {
    service.ports = vec![service_port(port, IntOrString::Int(80))];
    service
}

#[test]
fn families_are_those_that_the_service_asks_for() {
    use IpFamilyPolicy::{PreferDualStack, RequireDualStack, SingleStack};
    let none: &[&str] = &[];
    for (topology, policy, families, given, expected) in [
        (Families::Dual, None, vec![], none, Ok("10.96.1.0 fd00:10:96::100")),
        (Families::Dual, None, vec![V6], none, Ok("fd00:10:96::100")),
        (Families::Dual, None, vec![V6, V4], none, Ok("fd00:10:96::100 10.96.1.0")),
        (Families::Dual, None, vec![], &["fd00:10:96::5"], Ok("fd00:10:96::5 10.96.1.0")),
        (Families::Dual, Some(SingleStack), vec![], none, Ok("10.96.1.0")),
        (Families::Dual, Some(SingleStack), vec![V6], none, Ok("fd00:10:96::100")),
        (Families::Dual, Some(SingleStack), vec![], &["fd00:10:96::5"], Ok("fd00:10:96::5")),
        (Families::Dual, Some(PreferDualStack), vec![V6], none, Ok("fd00:10:96::100 10.96.1.0")),
        (Families::Dual, Some(RequireDualStack), vec![], none, Ok("10.96.1.0 fd00:10:96::100")),
        (Families::Ipv4, None, vec![], none, Ok("10.96.1.0")),
        (Families::Ipv6, None, vec![V4, V6], none, Ok("fd00:10:96::100")),
        (Families::Ipv6, Some(SingleStack), vec![], none, Ok("fd00:10:96::100")),
        (Families::Ipv4, Some(PreferDualStack), vec![], none, Ok("10.96.1.0")),
        (Families::Ipv4, Some(PreferDualStack), vec![V6, V4], none, Ok("10.96.1.0")),
        (
            Families::Ipv4,
            Some(RequireDualStack),
            vec![],
            none,
            Err("service/default/web requires both families, and the topology has ipv4 only"),
        ),
        (
            Families::Ipv4,
            None,
            vec![V6],
            none,
            Err("service/default/web asks for ipv6, and the topology has ipv4 only"),
        ),
        (
            Families::Ipv4,
            None,
            vec![],
            &["fd00:10:96::5"],
            Err("service/default/web asks for ipv6, and the topology has ipv4 only"),
        ),
        (
            Families::Dual,
            None,
            vec![V6],
            &["fd00:10:96::5", "10.96.0.5"],
            Err("service/default/web has the cluster IP 10.96.0.5, and not its family"),
        ),
    ] {
        let case = format!("{topology} {policy:?} {families:?} {given:?}");
        let web = Service { ip_family_policy: policy, ip_families: families, ..service("web") };
        let change = with_cluster_ips(given, web).change();
        let mut cluster = cluster(topology);
        match expected {
            Ok(addresses) => {
                let snapshot = apply(&mut cluster, [change]);
                let web = &snapshot.services[&name("web")];
                assert_eq!(join(&web.cluster_ips), addresses, "{case}");
                let families: Vec<bool> = web.ip_families.iter().map(|family| *family == V4).collect();
                let of_addresses: Vec<bool> = web.cluster_ips.iter().map(|ip| ip.is_ipv4()).collect();
                assert_eq!(families, of_addresses, "{case}");
            }
            Err(message) => assert_eq!(refused(&mut cluster, [change]).message, message, "{case}"),
        }
    }
}

#[test]
fn a_second_family_comes_and_goes() {
    let mut cluster = cluster(Families::Dual);
    let with = |families: &[AddressType]| Service { ip_families: families.to_vec(), ..service("web") };
    let snapshot = apply(&mut cluster, [with(&[V6]).change()]);
    assert_eq!(join(&snapshot.services[&name("web")].cluster_ips), "fd00:10:96::100");
    let snapshot = apply(&mut cluster, [service("web").change()]);
    assert_eq!(
        join(&snapshot.services[&name("web")].cluster_ips),
        "fd00:10:96::100 10.96.1.0",
        "the first stays"
    );
    let snapshot = apply(
        &mut cluster,
        [with(&[V6]).change(), with_cluster_ips(&["10.96.1.0"], service("new")).change()],
    );
    assert_eq!(join(&snapshot.services[&name("web")].cluster_ips), "fd00:10:96::100");
    assert_eq!(
        join(&snapshot.services[&name("new")].cluster_ips),
        "10.96.1.0 fd00:10:96::101",
        "it was freed"
    );
    let error = refused(&mut cluster, [with(&[V4]).change()]);
    assert_eq!(error.message, "the first family of service/default/web cannot change from IPv6 to IPv4");
}

#[test]
fn load_balancers_have_node_ports_and_addresses() {
    let mut cluster = balanced_cluster(Families::Dual);
    let no_ports = Service { allocate_load_balancer_node_ports: false, ..load_balancer_service("bare", &[]) };
    let given = load_balancer_service("given", &["198.51.100.9", "2001:db8:51::9", "198.51.100.10"]);
    let snapshot = apply(
        &mut cluster,
        [
            load_balancer_service("web", &[]).change(),
            given.change(),
            local(no_ports).change(),
            local(load_balancer_service("local", &["192.0.2.40"])).change(),
        ],
    );
    let seen: Vec<String> = ["web", "given", "bare", "local"]
        .map(|service| {
            let service = &snapshot.services[&name(service)];
            let (port, check) = (service.ports[0].node_port, service.health_check_node_port);
            format!("{} {port:?} {check:?}", balancer_ips(service))
        })
        .into();
    assert_eq!(
        seen,
        [
            "192.0.2.1 2001:db8:2::1 Some(30000) None",
            "198.51.100.9 2001:db8:51::9 198.51.100.10 Some(30001) None",
            "192.0.2.2 2001:db8:2::2 None Some(30002)",
            "192.0.2.40 2001:db8:2::3 Some(30004) Some(30003)",
        ]
    );

    // Applied again, it has what it had; of another type, it has no more, and another gets it.
    let again =
        [load_balancer_service("given", &[]).change(), local(load_balancer_service("local", &[])).change()];
    let snapshot = apply(&mut cluster, again);
    let local = &snapshot.services[&name("local")];
    assert_eq!(balancer_ips(&snapshot.services[&name("given")]), "198.51.100.9 198.51.100.10 2001:db8:51::9");
    assert_eq!(
        (balancer_ips(local).as_str(), local.health_check_node_port),
        ("192.0.2.40 2001:db8:2::3", Some(30003))
    );
    let error = refused(&mut cluster, [load_balancer_service("more", &[]).change()]);
    assert_eq!(error.message, "no ipv4 address of the load balancer is left for service/default/more");
    let snapshot = apply(
        &mut cluster,
        [service("web").change(), delete("service/bare"), load_balancer_service("more", &[]).change()],
    );
    let web = &snapshot.services[&name("web")];
    assert_eq!((balancer_ips(web).as_str(), web.ports[0].node_port), ("", None));
    assert_eq!(balancer_ips(&snapshot.services[&name("more")]), "192.0.2.1 2001:db8:2::4");
    // What a deleted service had can be given to another.
    let mut heir = load_balancer_service("heir", &["192.0.2.2"]);
    heir.ports[0].node_port = Some(30002);
    apply(&mut cluster, [heir.change()]);
}

#[test]
fn without_a_load_balancer_there_are_given_addresses_only() {
    let mut cluster = cluster(Families::Ipv4);
    let given = load_balancer_service("given", &["2001:db8:51::9", "198.51.100.9"]);
    let snapshot = apply(&mut cluster, [load_balancer_service("web", &[]).change(), given.change()]);
    assert_eq!(balancer_ips(&snapshot.services[&name("web")]), "");
    assert_eq!(balancer_ips(&snapshot.services[&name("given")]), "198.51.100.9", "the topology has no IPv6");
}

#[test]
fn a_name_elsewhere_has_no_addresses() {
    let mut cluster = balanced_cluster(Families::Dual);
    let snapshot = apply(&mut cluster, [with_external_ips(&["198.51.100.7"], external_name("db")).change()]);
    let db = &snapshot.services[&name("db")];
    assert!(db.cluster_ips.is_empty() && db.ip_families.is_empty() && db.external_ips.is_empty());
    // A service may become one and be a service again; its addresses are freed in between.
    let snapshot = apply(&mut cluster, [service("db").change()]);
    assert_eq!(join(&snapshot.services[&name("db")].cluster_ips), "10.96.1.0 fd00:10:96::100");
    let other = with_cluster_ips(&["10.96.1.0"], service("other"));
    let snapshot = apply(&mut cluster, [external_name("db").change(), other.change()]);
    assert!(snapshot.services[&name("db")].cluster_ips.is_empty());
    let headless = Service { headless: true, ..service("db") };
    let snapshot = apply(&mut cluster, [headless.change()]);
    assert_eq!(snapshot.services[&name("db")].ip_families, [V4, V6]);
}

#[test]
fn addresses_lead_to_their_service() {
    let mut cluster = balanced_cluster(Families::Dual);
    let web = with_external_ips(&["198.51.100.7", "172.18.0.3"], load_balancer_service("web", &[]));
    let snapshot = apply(&mut cluster, [web.change()]);
    for (address, expected) in [
        ("10.96.1.0", Some("web")),
        ("192.0.2.1", Some("web")),
        ("2001:db8:2::1", Some("web")),
        ("198.51.100.7", Some("web")),
        ("10.96.0.10", Some("kube-system/kube-dns")),
        ("198.51.100.8", None),
    ] {
        let found = snapshot.service_of_address(address.parse().unwrap()).map(|(found, _)| found.clone());
        assert_eq!(found, expected.map(name), "{address}");
    }
}

#[test]
fn a_node_has_an_end_of_the_overlay_in_wiring_vxlan() {
    for wiring in Wiring::ALL {
        let topology = netproof_model::Topology { wiring, ..topology(Families::Dual) };
        let snapshot = ControlPlane::new(Arc::new(topology)).unwrap().snapshot();
        let ends = if wiring == Wiring::Vxlan { "10.244.2.1 fd00:10:244:2::1" } else { "" };
        assert_eq!(join(&snapshot.nodes["node2"].tunnel_addresses), ends, "{wiring}");
        let place = snapshot.place_of_address("10.244.2.1".parse().unwrap());
        assert_eq!(place, (wiring == Wiring::Vxlan).then(|| Place::node("node2")), "{wiring}");
        assert_eq!(
            snapshot.address_of(&Place::node("node2"), Family::Ipv4),
            Some("172.18.0.3".parse().unwrap()),
            "what others use first is the node's own"
        );
    }
}

#[test]
fn services_may_share_an_address_outside_the_cluster() {
    let mut cluster = balanced_cluster(Families::Ipv4);
    let on_port = |number: u16, mut service: Service| {
        service.ports[0].port = number;
        service
    };
    let balanced = |name: &str, address: &str| load_balancer_service(name, &[address]);
    let snapshot = apply(
        &mut cluster,
        [
            balanced("a", "192.0.2.1").change(),
            on_port(81, balanced("b", "192.0.2.1")).change(),
            with_external_ips(&["192.0.2.1"], service("c")).change(),
            // A node's.
            on_port(82, balanced("d", "172.18.0.2")).change(),
        ],
    );
    let contested: Vec<String> = snapshot
        .contested()
        .iter()
        .map(|it| format!("{} by {} at {}:{}/{}", it.service, it.by, it.address, it.port, it.protocol))
        .collect();
    assert_eq!(contested, ["default/c by default/a at 192.0.2.1:80/TCP"]);
    // As long as one of them has it, nobody gets it as the next free one.
    let snapshot = apply(&mut cluster, [delete("service/a"), load_balancer_service("next", &[]).change()]);
    assert_eq!(balancer_ips(&snapshot.services[&name("next")]), "192.0.2.2");
    assert!(snapshot.contested().is_empty());
}

#[test]
fn what_is_refused_names_the_other() {
    let mut check_port = local(load_balancer_service("new", &[]));
    check_port.health_check_node_port = Some(30000);
    let mut both = local(load_balancer_service("new", &[]));
    (both.health_check_node_port, both.ports[0].node_port) = (Some(30100), Some(30100));
    let mut moved = local(load_balancer_service("local", &[]));
    moved.health_check_node_port = Some(30200);
    let useless = Service { health_check_node_port: Some(30100), ..load_balancer_service("new", &[]) };
    let mut udp = node_port_service("new", Some(30000));
    udp.ports[0].protocol = TransportProtocol::Udp;
    let mut given = load_balancer_service("new", &["198.51.100.9"]);
    given.service_type = ServiceType::NodePort;
    let mut with_port = external_name("new");
    with_port.ports = node_port_service("new", Some(30100)).ports;
    let balanced = |address: &str| load_balancer_service("new", &[address]);
    let outside = |address: &str| with_external_ips(&[address], service("new"));
    let cases: Vec<(Change, &str)> = vec![
        (
            check_port.change(),
            "30000 is the node port of service/default/np; service/default/new cannot have it too",
        ),
        (both.change(), "30100 is a node port and the health check node port of service/default/new"),
        (
            moved.change(),
            "the health check node port of service/default/local cannot change from 30001 to 30200",
        ),
        (useless.change(), "service/default/new has the health check node port 30100, and no use for it"),
        (
            udp.change(),
            "30000 is the node port of service/default/np; service/default/new cannot have it too",
        ),
        (
            given.change(),
            "service/default/new is of type NodePort and has the load balancer address 198.51.100.9",
        ),
        (with_port.change(), "service/default/new is of type ExternalName and has the node port 30100"),
        (
            with_cluster_ips(&["10.96.9.9"], external_name("new")).change(),
            "service/default/new is of type ExternalName and has the cluster IP 10.96.9.9",
        ),
        (
            with_cluster_ips(&["10.96.1.0"], service("new")).change(),
            "10.96.1.0 is the cluster IP of service/default/np; service/default/new cannot have it too",
        ),
        (
            balanced("10.244.1.9").change(),
            "the load balancer address 10.244.1.9 of service/default/new is in the cluster's range of pods, 10.244.0.0/16",
        ),
        (
            balanced("172.18.0.9").change(),
            "the load balancer address 172.18.0.9 of service/default/new is in the cluster's range of nodes, 172.18.0.0/24",
        ),
        (
            balanced("203.0.113.10").change(),
            "the load balancer address 203.0.113.10 of service/default/new is the address of external/internet",
        ),
        (balanced("127.0.0.1").change(), "127.0.0.1 cannot be the address of a service"),
        (
            outside("10.96.3.3").change(),
            "the external IP 10.96.3.3 of service/default/new is in the cluster's range of services, 10.96.0.0/12",
        ),
        (
            outside("172.18.0.1").change(),
            "the external IP 172.18.0.1 of service/default/new is in the cluster's range of nodes, 172.18.0.0/24",
        ),
        (
            outside("203.0.113.10").change(),
            "the external IP 203.0.113.10 of service/default/new is the address of external/internet",
        ),
        (
            external("x", &["198.51.100.7"]).change(),
            "service/default/out and external/x both have 198.51.100.7",
        ),
        (external("x", &["192.0.2.40"]).change(), "service/default/far and external/x both have 192.0.2.40"),
        (
            external("x", &["192.0.2.2"]).change(),
            "192.0.2.2 of external/x is in the cluster's range of load balancer addresses, 192.0.2.0/30",
        ),
    ];
    let mut cluster = balanced_cluster(Families::Ipv4);
    let start = [
        node_port_service("np", None).change(),
        local(load_balancer_service("local", &[])).change(),
        load_balancer_service("far", &["192.0.2.40"]).change(),
        with_external_ips(&["198.51.100.7"], service("out")).change(),
    ];
    apply(&mut cluster, start);
    for (change, message) in cases {
        let error = refused(&mut cluster, [service("first").change(), change]);
        assert_eq!(error.message, message);
        assert_eq!(error.index, Some(1), "{message}");
        assert!(!error.help.is_empty(), "{message}");
    }
    // Another port of the same external IP, and a node's address, are free to have.
    let fine = on_port(81, with_external_ips(&["198.51.100.7", "172.18.0.2"], service("new")));
    apply(&mut cluster, [fine.change()]);
}

#[test]
fn a_load_balancer_that_cannot_work_is_refused() {
    let with = |change: fn(&mut LoadBalancer)| {
        let mut topology = balanced(Families::Dual);
        change(topology.load_balancer.as_mut().unwrap());
        ControlPlane::new(Arc::new(topology)).expect_err("refused").message
    };
    for (message, expected) in [
        (
            with(|balancer| balancer.range.ipv4 = "172.18.0.128/25".parse().unwrap()),
            "the ranges of nodes (172.18.0.0/24) and load balancer addresses (172.18.0.128/25) overlap",
        ),
        (
            with(|balancer| balancer.range.ipv6 = "192.0.2.0/24".parse().unwrap()),
            "the ipv6 range of load balancer addresses is 192.0.2.0/24",
        ),
        (
            with(|balancer| balancer.range.ipv4 = "203.0.113.0/24".parse().unwrap()),
            "203.0.113.10 of external/internet is in the cluster's range of load balancer addresses, 203.0.113.0/24",
        ),
        (
            with(|balancer| balancer.nodes = vec!["node2".into(), "node3".into()]),
            "the load balancer sends to a node `node3`, which the topology does not have",
        ),
    ] {
        assert_eq!(message, expected);
    }
}
