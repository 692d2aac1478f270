//! The pods of workloads: their names, nodes and labels, and what becomes of them when the workload
//! changes.

mod world;

use netproof_api::{WorkloadKind, WorkloadPods};
use netproof_controlplane::Snapshot;
use netproof_model::Families;
use world::*;

/// The pods of a namespace in one line, `NAME@NODE=ADDRESS`.
fn pods(snapshot: &Snapshot, namespace: &str) -> String {
    let of_namespace = snapshot.pods.iter().filter(|(name, _)| name.namespace == namespace);
    let line = of_namespace.map(|(name, pod)| {
        format!("{}@{}={}", name.name, pod.node_name.as_deref().unwrap_or("?"), join(&pod.pod_ips))
    });
    line.collect::<Vec<_>>().join(" ")
}

#[test]
fn every_kind_makes_its_pods_on_the_nodes_in_turn() {
    for (kind, expected) in [
        (WorkloadKind::Deployment, "x-0@node1=10.244.1.3 x-1@node2=10.244.2.2 x-2@node1=10.244.1.4"),
        (WorkloadKind::ReplicaSet, "x-0@node1=10.244.1.3 x-1@node2=10.244.2.2 x-2@node1=10.244.1.4"),
        (WorkloadKind::StatefulSet, "x-0@node1=10.244.1.3 x-1@node2=10.244.2.2 x-2@node1=10.244.1.4"),
        (WorkloadKind::Job, "x-0@node1=10.244.1.3 x-1@node2=10.244.2.2 x-2@node1=10.244.1.4"),
        (
            WorkloadKind::ReplicationController,
            "x-0@node1=10.244.1.3 x-1@node2=10.244.2.2 x-2@node1=10.244.1.4",
        ),
        (WorkloadKind::DaemonSet, "x-node1@node1=10.244.1.3 x-node2@node2=10.244.2.2"),
        (
            WorkloadKind::foreign("argoproj.io", "Rollout"),
            "x-0@node1=10.244.1.3 x-1@node2=10.244.2.2 x-2@node1=10.244.1.4",
        ),
    ] {
        let mut cluster = cluster(Families::Ipv4);
        let snapshot = apply(&mut cluster, [workload(kind.clone(), "x", 3).change()]);
        assert_eq!(pods(&snapshot, "default"), expected, "{kind:?}");
        let snapshot = apply(&mut cluster, [delete(&format!("{}/x", kind.word()))]);
        assert_eq!(pods(&snapshot, "default"), "", "{kind:?}");
    }
}

#[test]
fn pods_have_the_labels_of_the_template_and_those_of_their_controller() {
    let mut cluster = cluster(Families::Ipv4);
    let mut set = workload(WorkloadKind::StatefulSet, "db", 1);
    set.pods = WorkloadPods::Ordinals(3..4);
    let snapshot = apply(&mut cluster, [set.change(), workload(WorkloadKind::Job, "once", 1).change()]);
    let of_set = [
        ("app", "web"),
        ("apps.kubernetes.io/pod-index", "3"),
        ("statefulset.kubernetes.io/pod-name", "db-3"),
    ];
    assert_eq!(snapshot.pods[&name("db-3")].metadata.labels, labels(&of_set));
    let of_job = [("app", "web"), ("batch.kubernetes.io/job-name", "once"), ("job-name", "once")];
    assert_eq!(snapshot.pods[&name("once-0")].metadata.labels, labels(&of_job));
}

#[test]
fn a_template_may_name_its_node() {
    let mut web = workload(WorkloadKind::Deployment, "web", 2);
    web.template.node_name = Some("node2".into());
    let snapshot = apply(&mut cluster(Families::Ipv4), [web.change()]);
    assert_eq!(pods(&snapshot, "default"), "web-0@node2=10.244.2.2 web-1@node2=10.244.2.3");
}

#[test]
fn scaling_keeps_the_pods_that_stay_and_a_new_template_replaces_all() {
    let mut cluster = cluster(Families::Ipv4);
    let web = |count| workload(WorkloadKind::Deployment, "web", count);
    apply(&mut cluster, [web(3).change(), service("web").change()]);
    let snapshot = apply(&mut cluster, [web(1).change()]);
    assert_eq!(pods(&snapshot, "default"), "web-0@node1=10.244.1.3");
    let snapshot = apply(&mut cluster, [web(2).change()]);
    assert_eq!(pods(&snapshot, "default"), "web-0@node1=10.244.1.3 web-1@node2=10.244.2.3");
    let mut other = web(2);
    other.template.metadata.labels = labels(&[("app", "web"), ("version", "v2")]);
    let snapshot = apply(&mut cluster, [other.change()]);
    assert_eq!(pods(&snapshot, "default"), "web-0@node1=10.244.1.5 web-1@node2=10.244.2.4");
    assert_eq!(snapshot.pods[&name("web-0")].metadata.labels["version"], "v2");
    let [slice] = &slices(&snapshot, "web")[..] else { panic!("one slice") };
    assert!(slice.contains("[web-0@node1=10.244.1.5 web-1@node2=10.244.2.4]"), "{slice}");
}

#[test]
fn a_pod_that_is_deleted_comes_back_and_one_that_is_labelled_stays() {
    let mut cluster = cluster(Families::Ipv4);
    apply(&mut cluster, [workload(WorkloadKind::Deployment, "web", 2).change()]);
    let snapshot = apply(&mut cluster, [delete("pod/web-1")]);
    assert_eq!(pods(&snapshot, "default"), "web-0@node1=10.244.1.3 web-1@node2=10.244.2.3");
    let snapshot = apply(&mut cluster, [label("pod/web-0", "app", None)]);
    assert_eq!(snapshot.pods[&name("web-0")].metadata.labels, labels(&[]));
    assert_eq!(pods(&snapshot, "default"), "web-0@node1=10.244.1.3 web-1@node2=10.244.2.3");
    // The labels of the workload are its own.
    let snapshot = apply(&mut cluster, [label("deployment/web", "team", Some("a"))]);
    assert_eq!(snapshot.pods[&name("web-1")].metadata.labels, labels(&[("app", "web")]));
}

#[test]
fn a_namespace_takes_its_workloads_with_it() {
    let mut cluster = cluster(Families::Ipv4);
    let web = || workload(WorkloadKind::Deployment, "shop/web", 1).change();
    apply(&mut cluster, [namespace("shop").change(), web()]);
    let snapshot = apply(&mut cluster, [delete("namespace/shop"), namespace("shop").change()]);
    assert_eq!(pods(&snapshot, "shop"), "");
    assert_eq!(pods(&apply(&mut cluster, [web()]), "shop"), "web-0@node1=10.244.1.4");
}

#[test]
fn names_that_are_taken_are_refused() {
    let mut cluster = cluster(Families::Ipv4);
    apply(&mut cluster, [workload(WorkloadKind::Deployment, "web", 1).change(), pod("own-0").change()]);
    let mut message = |change| refused(&mut cluster, [change]).message;
    assert_eq!(
        message(workload(WorkloadKind::StatefulSet, "web", 1).change()),
        "statefulset/default/web cannot make pod/default/web-0: deployment/default/web makes one of that name"
    );
    assert_eq!(
        message(workload(WorkloadKind::Job, "own", 1).change()),
        "job/default/own cannot make pod/default/own-0: there is one of that name already"
    );
    assert_eq!(message(pod("web-0").change()), "pod/default/web-0 is made by deployment/default/web");
    assert_eq!(message(delete("job/web")), "job/web does not exist");
    assert_eq!(
        message(workload(WorkloadKind::Job, "none/web", 1).change()),
        "job/none/web is in namespace `none`, which does not exist"
    );
}

#[test]
fn a_daemon_runs_where_its_node_selector_says() {
    let mut cluster = cluster(Families::Ipv4);
    let mut daemon = workload(WorkloadKind::DaemonSet, "x", 1);
    daemon.pods = WorkloadPods::Nodes(labels(&[("disk", "fast"), ("kubernetes.io/os", "linux")]));
    let snapshot = apply(&mut cluster, [daemon.clone().change()]);
    assert_eq!(pods(&snapshot, "default"), "");
    let snapshot = apply(&mut cluster, [label("node/node2", "disk", Some("fast"))]);
    assert_eq!(pods(&snapshot, "default"), "x-node2@node2=10.244.2.2");
    let snapshot = apply(&mut cluster, [label("node/node1", "disk", Some("fast"))]);
    assert_eq!(pods(&snapshot, "default"), "x-node1@node1=10.244.1.3 x-node2@node2=10.244.2.2");
    let snapshot = apply(&mut cluster, [label("node/node2", "disk", Some("slow"))]);
    assert_eq!(pods(&snapshot, "default"), "x-node1@node1=10.244.1.3");
    daemon.pods = WorkloadPods::Nodes(labels(&[]));
    let snapshot = apply(&mut cluster, [daemon.change()]);
    assert_eq!(pods(&snapshot, "default"), "x-node1@node1=10.244.1.3 x-node2@node2=10.244.2.3");
}
