//! Who may answer a flow, by what its service is like.

use super::*;
use netproof_api::core::{
    Endpoint, EndpointHints, LoadBalancerIngress, Service, TrafficDistribution, TrafficPolicy,
};
use netproof_controlplane::Snapshot;
use netproof_model::NamespacedName;
use netproof_plan::flows;
use std::sync::Arc;

const OBJECTS: &str = "    - pod: {name: a, labels: {app: web}, ports: [8080]}
    - pod: {name: b, labels: {app: web}, ports: [8080]}
    - pod: {name: client}
    - service: {name: web, selector: {app: web}, ports: [\"80:8080\"]}
";

/// A change of the service, and one of each endpoint by the name of its pod.
fn with(
    mut snapshot: Snapshot,
    service: impl Fn(&mut Service),
    endpoint: impl Fn(&str, &mut Endpoint),
) -> Snapshot {
    let name = NamespacedName::new("default", "web");
    service(Arc::make_mut(snapshot.services.get_mut(&name).unwrap()));
    for slice in snapshot.endpoint_slices.values_mut() {
        for one in &mut Arc::make_mut(slice).endpoints {
            let pod = one.pod.clone().unwrap_or_default();
            endpoint(&pod, one);
        }
    }
    snapshot
}

fn leaves(one: &mut Endpoint) {
    (one.ready, one.serving, one.terminating) = (false, true, true);
}

/// The backends of a flow, and whether it sticks and narrows.
fn resolved(snapshot: &Snapshot, flow: &str) -> Result<(String, bool, bool), String> {
    let found = flows::resolve(snapshot, &flow.parse().unwrap(), false).map_err(|it| it.message)?;
    let backends: Vec<String> = found.backends.iter().map(ToString::to_string).collect();
    Ok((backends.join(" "), found.sticks, found.narrows))
}

#[test]
fn who_may_answer_a_service() {
    type Change = (fn(&mut Service), fn(&str, &mut Endpoint));
    let local: fn(&mut Service) = |it| it.external_traffic_policy = TrafficPolicy::Local;
    let both = "pod/default/a pod/default/b";
    let table: [(Change, &str, bool, bool); 9] = [
        ((|_| {}, |_, _| {}), both, false, false),
        ((|it| it.session_affinity = Some(10800), |_, _| {}), both, true, false),
        ((|_| {}, |pod, it| it.ready = pod == "a"), "pod/default/a", false, false),
        // A terminating endpoint serves where none is ready: anywhere, or on the node that is asked.
        (
            (
                |_| {},
                |pod, it| {
                    if pod == "b" {
                        leaves(it)
                    }
                },
            ),
            "pod/default/a",
            false,
            false,
        ),
        ((|_| {}, |_, it| leaves(it)), both, false, false),
        (
            (local, |pod, it| {
                if pod == "b" {
                    leaves(it)
                }
            }),
            both,
            false,
            true,
        ),
        ((|it| it.internal_traffic_policy = TrafficPolicy::Local, |_, _| {}), both, false, true),
        (
            (|it| it.traffic_distribution = Some(TrafficDistribution::PreferSameZone), |_, _| {}),
            both,
            false,
            true,
        ),
        ((|_| {}, |_, it| it.hints = Some(EndpointHints::default())), both, false, true),
    ];
    for ((service, endpoint), backends, sticks, narrows) in table {
        let snapshot = with(snapshot_of(OBJECTS), service, endpoint);
        let found = resolved(&snapshot, "pod/client -> service/web:80");
        assert_eq!(found, Ok((backends.to_owned(), sticks, narrows)));
    }
}

#[test]
fn every_address_of_a_service_leads_to_it() {
    let flow = "pod/client -> loadbalancer/web:80";
    let plain = snapshot_of(OBJECTS);
    let error = "service/default/web has no address of a load balancer in this step";
    assert_eq!(resolved(&plain, flow).unwrap_err(), error);
    let change = |it: &mut Service| {
        let ip = "192.0.2.10".parse().unwrap();
        it.load_balancer_ingress = vec![LoadBalancerIngress { ip, ip_mode: Default::default() }];
        it.external_ips = vec!["198.51.100.10".parse().unwrap()];
        it.health_check_node_port = Some(32000);
    };
    let snapshot = with(plain, change, |_, _| {});
    let both = "pod/default/a pod/default/b".to_owned();
    for flow in [
        flow,
        "pod/client -> ip/192.0.2.10:80",
        "pod/client -> ip/198.51.100.10:80",
        "pod/client -> dns/web:80",
    ] {
        assert_eq!(resolved(&snapshot, flow), Ok((both.clone(), false, false)), "{flow}");
    }
    assert!(resolved(&snapshot, "pod/client -> ip/192.0.2.11:80").is_err());
    // The proxy itself answers health checks, on every node.
    let checks = resolved(&snapshot, "pod/client -> node/node2:32000/http");
    assert_eq!(checks, Ok(("node/node2".to_owned(), false, false)));
}

#[test]
fn an_alias_is_what_it_stands_for() {
    let alias = |to: &'static str| {
        with(snapshot_of(OBJECTS), move |it| it.external_name = Some(to.to_owned()), |_, _| {})
    };
    let dns = "pod/client -> dns/web:53/udp";
    let kube_dns = alias("kube-dns.kube-system.svc.cluster.local.");
    assert_eq!(resolved(&kube_dns, dns).unwrap().0, "pod/kube-system/coredns");
    assert!(resolved(&kube_dns, "pod/client -> service/web:80").unwrap_err().contains("is an alias of"));
    // In circles, and into nothing.
    for to in ["web.default.svc.cluster.local", "nobody.example.com"] {
        assert!(resolved(&alias(to), dns).unwrap_err().contains("does not know `web`"), "{to}");
    }
}

#[test]
fn a_service_may_have_the_address_of_a_node() {
    let own = |it: &mut Service| it.external_ips = vec!["172.18.0.2".parse().unwrap()];
    let snapshot = with(snapshot_of(OBJECTS), own, |_, _| {});
    let both = Ok(("pod/default/a pod/default/b".to_owned(), false, false));
    assert_eq!(resolved(&snapshot, "pod/client -> node/node1:80"), both);
    assert_eq!(resolved(&snapshot, "pod/client -> ip/172.18.0.2:80"), both);
    assert!(resolved(&snapshot, "pod/client -> node/node2:80").is_err());
}
