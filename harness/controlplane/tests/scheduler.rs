//! Which node takes a pod that names none, and what becomes of one that no node takes.

mod world;

use netproof_api::core::PodPhase;
use netproof_api::{Pod, Workload, WorkloadKind};
use netproof_controlplane::{ControlPlane, Snapshot};
use netproof_model::Families;
use world::*;

fn in_host_network(mut pod: Pod) -> Pod {
    pod.host_network = true;
    pod
}

/// A Deployment whose pods use the network of their nodes, and have port 80 there.
fn gateways(name: &str, count: u32) -> Workload {
    let mut gateways = workload(WorkloadKind::Deployment, name, count);
    gateways.template = Box::new(in_host_network(*gateways.template));
    gateways
}

/// The nodes of the pods of the namespace `default`, `-` where one has none.
fn nodes(snapshot: &Snapshot) -> String {
    let pods = snapshot.pods.iter().filter(|(name, _)| name.namespace == "default");
    let node = |pod: &Pod| pod.node_name.clone().unwrap_or("-".into());
    pods.map(|(name, pod)| format!("{}@{}", name.name, node(pod))).collect::<Vec<_>>().join(" ")
}

/// The pods that wait, and why.
fn waiting(cluster: &ControlPlane) -> Vec<String> {
    cluster.unschedulable().map(|(name, why)| format!("{name}: {why}")).collect()
}

#[test]
fn what_has_no_address_left_is_not_chosen() {
    let mut cluster = cluster(Families::Dual);
    apply(&mut cluster, (0..252).map(|i| pod(&format!("p{i}")).change()));
    let snapshot = apply(&mut cluster, [pod("more").change()]);
    assert_eq!(pod_ips(&snapshot, "more"), "10.244.2.2 fd00:10:244:2::2");
    // What the full node gets back is given out again.
    let snapshot = apply(&mut cluster, [delete("pod/p7"), pod("again").change()]);
    assert_eq!(snapshot.pods[&name("again")].node_name.as_deref(), Some("node1"));
}

#[test]
fn pods_in_the_network_of_their_node_do_not_share_a_port() {
    let mut cluster = cluster(Families::Ipv4);
    let snapshot = apply(&mut cluster, [gateways("a", 1).change(), gateways("b", 2).change()]);
    assert_eq!(nodes(&snapshot), "a-0@node1 b-0@node2 b-1@-");
    assert_eq!(waiting(&cluster), ["default/b-1: port 80/TCP is another pod's on 2 nodes"]);
    let pod = &snapshot.pods[&name("b-1")];
    assert_eq!((pod.phase, pod.pod_ips.is_empty(), pod.ready), (PodPhase::Pending, true, false));
    // Another port is free, and so is one that a pod has given up.
    let mut other = in_host_network(world::pod("other"));
    other.containers[0].ports = vec![port("http", 81)];
    let snapshot = apply(&mut cluster, [other.change(), delete("deployment/a")]);
    assert_eq!(nodes(&snapshot), "b-0@node2 b-1@node1 other@node1");
    assert_eq!(snapshot.pods[&name("b-1")].phase, PodPhase::Running);
    assert!(waiting(&cluster).is_empty());
}

#[test]
fn a_pod_of_a_daemon_set_waits_for_its_own_node() {
    let mut cluster = cluster(Families::Ipv4);
    let mut daemons = gateways("d", 0);
    (daemons.kind, daemons.pods) = (WorkloadKind::DaemonSet, workload(WorkloadKind::DaemonSet, "d", 0).pods);
    let first = in_host_network(on("node1", pod("first")));
    let snapshot = apply(&mut cluster, [first.change(), daemons.change()]);
    assert_eq!(nodes(&snapshot), "d-node1@- d-node2@node2 first@node1");
    assert_eq!(waiting(&cluster), ["default/d-node1: port 80/TCP is another pod's on 1 node"]);
    // Who waits and is deleted is gone.
    apply(&mut cluster, [delete("daemonset/d")]);
    assert!(waiting(&cluster).is_empty());
}

#[test]
fn a_pod_that_names_its_node_waits_for_a_port_that_another_has_there() {
    let mut cluster = cluster(Families::Ipv4);
    let mut fixed = gateways("fixed", 2);
    *fixed.template = on("node1", *fixed.template);
    // Nobody else looks at a pod that names its node.
    fixed.template.node_selector.insert("disk".into(), "ssd".into());
    let snapshot = apply(&mut cluster, [fixed.change(), in_host_network(on("node1", pod("bare"))).change()]);
    assert_eq!(nodes(&snapshot), "bare@- fixed-0@node1 fixed-1@-");
    let why = "port 80/TCP is another pod's on node1, the node that it names";
    assert_eq!(waiting(&cluster), [format!("default/bare: {why}"), format!("default/fixed-1: {why}")]);
    // The port is free again, and the first who waits has it.
    let snapshot = apply(&mut cluster, [delete("deployment/fixed")]);
    assert_eq!(nodes(&snapshot), "bare@node1");
    assert!(waiting(&cluster).is_empty());
    // Who runs there has the port, however often it is written.
    let snapshot = apply(&mut cluster, [in_host_network(on("node1", pod("bare"))).change()]);
    assert_eq!(nodes(&snapshot), "bare@node1");
}
