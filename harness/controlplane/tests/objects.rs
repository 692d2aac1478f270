//! What the control plane fills in, and what it refuses.

mod world;

use netproof_api::core::PodPhase;
use netproof_controlplane::{Change, ControlPlane, ObjectRef};
use netproof_model::topology::ListenPort;
use netproof_model::{Families, Family, Place, Protocol, Topology};
use std::sync::Arc;
use world::*;

#[test]
fn a_cluster_starts_with_nodes_namespaces_and_dns() {
    for (family, node2, ranges, dns, coredns) in [
        (Families::Ipv4, "172.18.0.3", "10.244.2.0/24", "10.96.0.10", "10.244.1.2"),
        (Families::Ipv6, "fd00:172:18::3", "fd00:10:244:2::/64", "fd00:10:96::a", "fd00:10:244:1::2"),
        (
            Families::Dual,
            "172.18.0.3 fd00:172:18::3",
            "10.244.2.0/24 fd00:10:244:2::/64",
            "10.96.0.10 fd00:10:96::a",
            "10.244.1.2 fd00:10:244:1::2",
        ),
    ] {
        let snapshot = cluster(family).snapshot();
        assert_eq!(snapshot.generation, 1);
        let node = &snapshot.nodes["node2"];
        assert_eq!(join(&node.addresses), node2);
        let cidrs: Vec<String> = node.pod_cidrs.iter().map(ToString::to_string).collect();
        assert_eq!(cidrs.join(" "), ranges);
        assert_eq!(node.metadata.labels["kubernetes.io/hostname"], "node2");
        assert_eq!(node.metadata.labels["zone"], "node2");
        assert_eq!(join(&snapshot.services[&name("kube-system/kube-dns")].cluster_ips), dns);
        assert_eq!(pod_ips(&snapshot, "kube-system/coredns"), coredns);
        let label = &snapshot.namespaces["kube-system"].metadata.labels["kubernetes.io/metadata.name"];
        assert_eq!(label, "kube-system");
        let externals = snapshot.externals["internet"].addresses.len();
        assert_eq!(externals, family.list().len());
        assert_eq!(slices(&snapshot, "kube-system/kube-dns").len(), family.list().len());
    }
    let snapshot = cluster(Families::Ipv6).snapshot();
    assert_eq!(snapshot.cluster_dns(Family::Ipv6), Some("fd00:10:96::a".parse().unwrap()));
    assert_eq!(snapshot.cluster_dns(Family::Ipv4), None);
}

#[test]
fn pods_get_nodes_and_addresses_in_the_order_of_application() {
    let mut cluster = cluster(Families::Dual);
    let host = netproof_api::Pod { host_network: true, ..on("node2", pod("host")) };
    let snapshot = apply(
        &mut cluster,
        [
            on("node2", pod("z")).change(),
            pod("b").change(),
            at(&["10.244.1.4"], pod("given")).change(),
            pod("a").change(),
            pod("kube-public/c").change(),
            host.change(),
            in_phase(PodPhase::Pending, pod("pending")).change(),
        ],
    );
    for (pod, node, addresses) in [
        ("z", "node2", "10.244.2.2 fd00:10:244:2::2"),
        ("b", "node1", "10.244.1.3 fd00:10:244:1::3"),
        ("given", "node1", "10.244.1.4 fd00:10:244:1::4"),
        ("a", "node1", "10.244.1.5 fd00:10:244:1::5"),
        ("kube-public/c", "node1", "10.244.1.6 fd00:10:244:1::6"),
        ("host", "node2", "172.18.0.3 fd00:172:18::3"),
        ("pending", "node1", ""),
    ] {
        assert_eq!(pod_ips(&snapshot, pod), addresses, "{pod}");
        assert_eq!(snapshot.pods[&name(pod)].node_name.as_deref(), Some(node), "{pod}");
    }
    let place = snapshot.place_of_address("10.244.1.4".parse().unwrap());
    assert_eq!(place, Some(Place::pod("default", "given")));
    assert_eq!(snapshot.place_of_pod(&name("host")), Some(Place::node("node2")));
    let snapshot = apply(&mut cluster, [pod("pending").change()]);
    assert_eq!(pod_ips(&snapshot, "pending"), "10.244.1.7 fd00:10:244:1::7", "it has started now");
}

#[test]
fn an_address_is_reused_only_where_it_is_given() {
    let mut cluster = cluster(Families::Ipv4);
    apply(&mut cluster, [pod("a").change(), pod("b").change()]);
    let snapshot = apply(&mut cluster, [delete("pod/a"), pod("c").change()]);
    assert_eq!(pod_ips(&snapshot, "c"), "10.244.1.5");
    let snapshot = apply(&mut cluster, [at(&["10.244.1.3"], pod("d")).change()]);
    assert_eq!(pod_ips(&snapshot, "d"), "10.244.1.3");

    // A pod that ended keeps its address on record, and another may have it.
    let ended = in_phase(PodPhase::Succeeded, pod("b"));
    let snapshot = apply(&mut cluster, [ended.change(), at(&["10.244.1.4"], pod("e")).change()]);
    assert_eq!(pod_ips(&snapshot, "b"), pod_ips(&snapshot, "e"));
    assert_eq!(
        snapshot.place_of_address("10.244.1.4".parse().unwrap()),
        Some(Place::pod("default", "e")),
        "the living pod's"
    );
    // Deleting the pod that ended does not free what is another's now.
    apply(&mut cluster, [delete("pod/b")]);
    let error = refused(&mut cluster, [at(&["10.244.1.4"], pod("f")).change()]);
    assert!(error.message.contains("pod/default/e"), "{error}");
}

#[test]
fn a_full_node_says_so_and_then_reuses() {
    let mut cluster = cluster(Families::Ipv4);
    let more = || on("node1", pod("more")).change();
    let pods = (0..252).map(|i| pod(&format!("p{i}")).change());
    let snapshot = apply(&mut cluster, pods);
    assert_eq!(pod_ips(&snapshot, "p251"), "10.244.1.254");
    let error = refused(&mut cluster, [more()]);
    assert_eq!(error.message, "no ipv4 address is left on node1 for pod/default/more");
    let snapshot = apply(&mut cluster, [delete("pod/p7"), more()]);
    assert_eq!(pod_ips(&snapshot, "more"), "10.244.1.10");
}

#[test]
fn services_get_cluster_ips_and_node_ports() {
    let mut cluster = cluster(Families::Dual);
    let given = netproof_api::Service { cluster_ips: ips(&["10.96.0.100"]), ..service("given") };
    let headless = netproof_api::Service { headless: true, ..service("headless") };
    let snapshot = apply(
        &mut cluster,
        [
            service("a").change(),
            given.change(),
            headless.change(),
            node_port_service("b", Some(30001)).change(),
            node_port_service("c", None).change(),
            node_port_service("d", None).change(),
        ],
    );
    for (service, addresses, node_port) in [
        ("a", "10.96.1.0 fd00:10:96::100", None),
        ("given", "10.96.0.100 fd00:10:96::101", None),
        ("headless", "", None),
        ("b", "10.96.1.1 fd00:10:96::102", Some(30001)),
        ("c", "10.96.1.2 fd00:10:96::103", Some(30000)),
        ("d", "10.96.1.3 fd00:10:96::104", Some(30002)),
    ] {
        let object = &snapshot.services[&name(service)];
        assert_eq!(join(&object.cluster_ips), addresses, "{service}");
        assert_eq!(object.ports[0].node_port, node_port, "{service}");
    }
    let snapshot = apply(&mut cluster, [node_port_service("c", None).change(), service("d").change()]);
    assert_eq!(snapshot.services[&name("c")].ports[0].node_port, Some(30000), "kept");
    assert_eq!(snapshot.services[&name("d")].ports[0].node_port, None, "ClusterIP now");
    assert_eq!(join(&snapshot.services[&name("d")].cluster_ips), "10.96.1.3 fd00:10:96::104");
}

#[test]
fn one_service_port_over_two_protocols_has_one_node_port() {
    let mut cluster = cluster(Families::Ipv4);
    let mut dns = node_port_service("dns", None);
    dns.ports.push(netproof_api::ServicePort {
        protocol: netproof_api::core::TransportProtocol::Udp,
        ..dns.ports[0].clone()
    });
    let snapshot = apply(&mut cluster, [dns.change()]);
    let ports: Vec<_> = snapshot.services[&name("dns")].ports.iter().map(|port| port.node_port).collect();
    assert_eq!(ports, [Some(30000), Some(30000)]);
}

#[test]
fn what_is_refused_says_why_and_what_to_do() {
    let renamed = netproof_api::Pod {
        containers: vec![netproof_api::Container { name: "c".into(), ports: vec![port("http", 81)] }],
        ..pod("web")
    };
    let labelled = |mut object: netproof_api::Namespace| {
        object.metadata.labels = labels(&[("kubernetes.io/metadata.name", "x")]);
        object
    };
    let with_ip = |name: &str, ip: &str| netproof_api::Service { cluster_ips: ips(&[ip]), ..service(name) };
    let host = |name: &str| netproof_api::Pod { host_network: true, ..pod(name) };
    let cases: Vec<(Change, &str)> = vec![
        (pod("shop/web").change(), "pod/shop/web is in namespace `shop`, which does not exist"),
        (policy("shop/p").change(), "networkpolicy/shop/p is in namespace `shop`, which does not exist"),
        (on("node3", pod("new")).change(), "there is no node `node3` in topology `two-nodes`"),
        (on("node2", pod("web")).change(), "the node of pod/default/web cannot change from node1 to node2"),
        (renamed.change(), "the ports of pod/default/web cannot change from http=80/TCP to http=81/TCP"),
        (host("web").change(), "the hostNetwork of pod/default/web cannot change from false to true"),
        (
            at(&["10.244.1.9"], pod("web")).change(),
            "the address of pod/default/web cannot change from 10.244.1.3 to 10.244.1.9",
        ),
        (
            at(&["10.244.1.3"], pod("new")).change(),
            "10.244.1.3 is the address of pod/default/web; pod/default/new cannot have it too",
        ),
        (
            at(&["10.245.0.1"], pod("new")).change(),
            "10.245.0.1 of pod/default/new is not in the cluster's range of pods, 10.244.0.0/16",
        ),
        (
            at(&["10.244.2.1"], pod("new")).change(),
            "10.244.2.1 of pod/default/new is reserved in 10.244.2.0/24, the pod range of node2",
        ),
        (
            at(&["10.244.2.255"], pod("new")).change(),
            "10.244.2.255 of pod/default/new is reserved in 10.244.2.0/24, the pod range of node2",
        ),
        (at(&["fd00:10:244:1::9"], pod("new")).change(), "pod/default/new has no ipv4 address"),
        (at(&["10.244.1.8", "10.244.1.9"], pod("new")).change(), "pod/default/new has two ipv4 addresses"),
        (
            at(&["10.244.1.9"], host("h2")).change(),
            "pod/default/h2 is in its node's network and cannot have 10.244.1.9",
        ),
        (pod("done").change(), "pod/default/done has ended and cannot start again"),
        (
            with_ip("new", "10.96.0.10").change(),
            "10.96.0.10 is the cluster IP of service/kube-system/kube-dns; service/default/new cannot have it too",
        ),
        (
            with_ip("new", "10.95.0.1").change(),
            "the cluster IP 10.95.0.1 of service/default/new is not an address of the range of services, 10.96.0.0/12",
        ),
        (
            with_ip("web", "10.96.9.9").change(),
            "the cluster IP of service/default/web cannot change from 10.96.1.0 to 10.96.9.9",
        ),
        (
            netproof_api::Service { headless: true, ..service("web") }.change(),
            "the cluster IP of service/default/web cannot change from an address to None",
        ),
        (
            node_port_service("new", Some(30000)).change(),
            "30000 is the node port of service/default/np; service/default/new cannot have it too",
        ),
        (
            node_port_service("new", Some(80)).change(),
            "the node port 80 of service/default/new is not between 30000 and 32767",
        ),
        (delete("pod/nobody"), "pod/nobody does not exist"),
        (delete("pod/kube-system/web"), "pod/kube-system/web does not exist"),
        (delete("ingress/web"), "`ingress` is not a kind of object here"),
        (delete("node/node1"), "node/node1 cannot be deleted"),
        (delete("namespace/default"), "namespace/default cannot be deleted"),
        (delete("namespace/shop"), "namespace/shop does not exist"),
        (
            delete("endpointslice/web-ipv4"),
            "endpointslice/default/web-ipv4 is made from a service's selector and would be made again",
        ),
        (label("pod/nobody", "a", None), "pod/nobody does not exist"),
        (label("external/internet", "a", None), "external/internet has no labels"),
        (
            label("namespace/default", "kubernetes.io/metadata.name", None),
            "the label kubernetes.io/metadata.name of namespace/default cannot be changed",
        ),
        (
            labelled(namespace("new")).change(),
            "the label kubernetes.io/metadata.name of namespace/new says `x`",
        ),
        (
            external("x", &["10.244.3.4"]).change(),
            "10.244.3.4 of external/x is in the cluster's range of pods, 10.244.0.0/16",
        ),
        (
            external("x", &["203.0.113.10"]).change(),
            "external/internet and external/x both have 203.0.113.10",
        ),
        (external("x", &["127.0.0.1"]).change(), "127.0.0.1 cannot be the address of external/x"),
        (Change::Listen { pod: name("nobody"), ports: Vec::new() }, "pod/default/nobody does not exist"),
    ];
    let mut cluster = cluster(Families::Ipv4);
    let start = [
        pod("web").change(),
        service("web").change(),
        node_port_service("np", None).change(),
        in_phase(PodPhase::Failed, pod("done")).change(),
        host("h1").change(),
    ];
    apply(&mut cluster, start);
    for (change, message) in cases {
        let error = refused(&mut cluster, [label("pod/web", "a", Some("b")), change]);
        assert_eq!(error.message, message);
        assert_eq!(error.index, Some(1), "{message}");
        assert!(!error.help.is_empty(), "{message}");
    }
}

#[test]
fn a_topology_that_cannot_work_is_refused() {
    let with = |change: fn(&mut Topology)| {
        let mut topology = topology(Families::Dual);
        change(&mut topology);
        ControlPlane::new(Arc::new(topology)).expect_err("refused").message
    };
    for (message, expected) in [
        (with(|t| t.nodes.clear()), "the topology has no node"),
        (with(|t| t.nodes[1].name = "node1".into()), "two nodes are named `node1`"),
        (with(|t| t.externals.push(t.externals[0].clone())), "two external hosts are named `internet`"),
        (
            with(|t| t.ranges.pods.ipv4 = "10.244.0.0/24".parse().unwrap()),
            "the range of pods, 10.244.0.0/24, is too small for 2 nodes",
        ),
        (
            with(|t| t.ranges.nodes.ipv4 = "172.18.0.0/30".parse().unwrap()),
            "the range of nodes, 172.18.0.0/30, is too small for 2 nodes",
        ),
        (
            with(|t| t.ranges.services.ipv4 = "10.244.0.0/20".parse().unwrap()),
            "the ranges of pods (10.244.0.0/16) and services (10.244.0.0/20) overlap",
        ),
        (
            with(|t| t.ranges.services.ipv4 = "fd00::/108".parse().unwrap()),
            "the ipv4 range of services is fd00::/108",
        ),
        (
            with(|t| t.ranges.services.ipv6 = "fd00::/126".parse().unwrap()),
            "the range of services, fd00::/126, is too small for the cluster DNS",
        ),
    ] {
        assert_eq!(message, expected);
    }
}

#[test]
fn labels_merge_and_null_removes() {
    let mut cluster = cluster(Families::Ipv4);
    apply(&mut cluster, [pod("web").change(), namespace("shop").change()]);
    let snapshot = apply(
        &mut cluster,
        [
            label("pod/web", "role", Some("db")),
            label("pod/web", "app", None),
            label("namespace/shop", "team", Some("a")),
            label("node/node1", "zone", Some("z")),
        ],
    );
    assert_eq!(snapshot.pods[&name("web")].metadata.labels, labels(&[("role", "db")]));
    assert_eq!(
        snapshot.namespaces["shop"].metadata.labels,
        labels(&[("kubernetes.io/metadata.name", "shop"), ("team", "a")])
    );
    assert_eq!(snapshot.nodes["node1"].metadata.labels["zone"], "z");
}

#[test]
fn a_deleted_namespace_takes_everything_with_it() {
    let mut cluster = cluster(Families::Ipv4);
    apply(
        &mut cluster,
        [
            namespace("shop").change(),
            pod("shop/web").change(),
            service("shop/web").change(),
            policy("shop/p").change(),
            pod("web").change(),
        ],
    );
    let snapshot = apply(&mut cluster, [delete("namespace/shop")]);
    assert!(snapshot.policies.is_empty());
    let left = snapshot.pods.keys().chain(snapshot.services.keys());
    assert!(left.chain(snapshot.endpoint_slices.keys()).all(|name| name.namespace != "shop"));
    // Created again it is empty, and the same names get new addresses.
    let snapshot = apply(&mut cluster, [namespace("shop").change(), pod("shop/web").change()]);
    assert_eq!(pod_ips(&snapshot, "shop/web"), "10.244.1.5");
    assert!(slices(&snapshot, "shop/web").is_empty());
}

#[test]
fn listens_belong_to_the_pod_as_it_was_applied() {
    let mut cluster = cluster(Families::Ipv4);
    let listen =
        Change::Listen { pod: name("web"), ports: vec![ListenPort { port: 9, protocol: Protocol::Udp }] };
    let snapshot = apply(&mut cluster, [pod("web").change(), listen]);
    assert_eq!(snapshot.listens[&name("web")][0].port, 9);
    let snapshot = apply(&mut cluster, [pod("web").change()]);
    assert!(snapshot.listens.is_empty());
}

#[test]
fn what_did_not_change_is_shared() {
    let mut cluster = cluster(Families::Ipv4);
    let before = apply(&mut cluster, [pod("a").change(), pod("b").change(), service("web").change()]);
    let after = apply(&mut cluster, [label("pod/a", "role", Some("db"))]);
    assert_eq!(after.generation, before.generation + 1);
    assert!(Arc::ptr_eq(&before.pods[&name("b")], &after.pods[&name("b")]));
    assert!(!Arc::ptr_eq(&before.pods[&name("a")], &after.pods[&name("a")]));
    let slice = name("web-ipv4");
    assert!(Arc::ptr_eq(&before.endpoint_slices[&slice], &after.endpoint_slices[&slice]));
    assert_eq!(
        before.pods[&name("a")].metadata.labels,
        labels(&[("app", "web")]),
        "a snapshot never changes"
    );
}

#[test]
fn references_print_as_they_are_written() {
    for text in ["pod/web", "pod/shop/web", "namespace/shop"] {
        assert_eq!(reference(text).to_string(), text);
    }
    assert_eq!(ObjectRef::new("pod", Some("a"), "b").to_string(), "pod/a/b");
}

/// Nodes with addresses and ranges of their own: those are kept, and the others get theirs as usual.
#[test]
fn given_addresses_of_nodes_and_pods_may_lie_anywhere() {
    let mut topology = topology(Families::Ipv4);
    topology.ranges.other_pods = vec!["10.0.0.0/16".parse().unwrap(), "fd00::/48".parse().unwrap()];
    topology.nodes[1].addresses = vec!["fd00::9".parse().unwrap(), "10.0.12.7".parse().unwrap()];
    topology.nodes[1].pod_ranges = vec!["10.0.64.0/26".parse().unwrap()];
    let mut cluster = ControlPlane::new(Arc::new(topology.clone())).unwrap();
    let pods = [at(&["10.0.12.9"], pod("flat")), on("node2", pod("own")), on("node1", pod("usual"))];
    let snapshot = apply(&mut cluster, pods.map(|pod| pod.change()));
    let nodes: Vec<String> =
        snapshot.nodes.values().map(|node| format!("{:?} {:?}", node.addresses, node.pod_cidrs)).collect();
    assert_eq!(nodes, ["[172.18.0.2] [10.244.1.0/24]", "[10.0.12.7] [10.0.64.0/26]"]);
    let address = |pod: &str| snapshot.pods[&name(pod)].pod_ips[0].to_string();
    assert_eq!(["flat", "own", "usual"].map(address), ["10.0.12.9", "10.0.64.2", "10.244.1.3"]);
    let refused = cluster.apply(&[at(&["10.0.12.7"], pod("new")).change()]).unwrap_err();
    assert_eq!(refused.message, "10.0.12.7 of pod/default/new is the address of node/node2");

    let wrong = |change: &dyn Fn(&mut Topology)| {
        let mut topology = topology.clone();
        change(&mut topology);
        ControlPlane::new(Arc::new(topology)).unwrap_err().message
    };
    assert_eq!(
        wrong(&|it| it.nodes[0].addresses = it.nodes[1].addresses.clone()),
        "the nodes `node1` and `node2` both have 10.0.12.7"
    );
    assert_eq!(
        wrong(&|it| it.nodes[1].pod_ranges = vec!["10.244.1.0/25".parse().unwrap()]),
        "the pod ranges of the nodes `node1` and `node2` overlap at 10.244.1.0/25"
    );
    assert_eq!(
        wrong(&|it| it.nodes[0].addresses = vec!["10.96.0.1".parse().unwrap()]),
        "10.96.0.1/32, of pods or of a node, and the range of services, 10.96.0.0/12, overlap"
    );
}
