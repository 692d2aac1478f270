//! What a real cluster exports, and what it becomes.

use super::*;
use netproof_api::Effect;
use netproof_controlplane::Snapshot;
use netproof_plan::flows;
use std::fmt::Write as _;

const FLAT: &str = include_str!("flat.yaml");
const DUAL: &str = include_str!("dual.json");

fn loaded(text: &str, options: &Options) -> (Loaded, Arc<Snapshot>) {
    let loaded = of_text(text, options).unwrap_or_else(|errors| panic!("{errors}"));
    let [plan] = &loaded.plans[..] else { panic!("one plan") };
    let snapshot = plan.start.snapshot();
    (loaded, snapshot)
}

/// Everything that has an address, and what was said about it.
fn told((loaded, snapshot): (Loaded, Arc<Snapshot>)) -> String {
    let list = |items: Vec<String>| items.join(" ");
    let mut text = String::new();
    let topology = &snapshot.topology;
    writeln!(text, "{} {}: {:?}", topology.wiring, topology.family, topology.ranges).unwrap();
    for host in snapshot.externals.values() {
        writeln!(text, "external/{} {:?}", host.name, host.addresses).unwrap();
    }
    for (name, node) in &snapshot.nodes {
        writeln!(text, "node/{name} {:?} {:?} {:?}", node.addresses, node.pod_cidrs, node.metadata.labels)
            .unwrap();
    }
    for (name, pod) in &snapshot.pods {
        let node = pod.node_name.as_deref().unwrap_or_default();
        writeln!(text, "pod/{name} {:?} {:?} on {node}", pod.phase, pod.pod_ips).unwrap();
    }
    for (name, service) in &snapshot.services {
        writeln!(text, "service/{name} {:?}", service.cluster_ips).unwrap();
    }
    for (name, slice) in &snapshot.endpoint_slices {
        let addresses = slice.endpoints.iter().flat_map(|it| &it.addresses).map(ToString::to_string);
        writeln!(text, "endpointslice/{name} {}", list(addresses.collect())).unwrap();
    }
    let ignored =
        loaded.ignored.of(Effect::None).into_iter().map(|kind| format!("{} {}", kind.count, kind.kind));
    writeln!(text, "ignored: {}", list(ignored.collect())).unwrap();
    for note in &loaded.notes {
        writeln!(text, "note: {note}").unwrap();
    }
    for warning in &loaded.warnings {
        writeln!(text, "{warning}").unwrap();
    }
    text
}

#[test]
fn pods_in_the_subnets_of_their_nodes() {
    insta::assert_snapshot!(told(loaded(FLAT, &Options::default())));
}

/// A pod that waits is no end of a flow, and stands in no table.
#[test]
fn a_pod_that_waits_has_no_network() {
    let (_, snapshot) = loaded(FLAT, &Options::default());
    let explain = |flow: &str| {
        let flow = flows::flow_in(flow.parse().unwrap(), "shop");
        flows::resolve(&snapshot, &flow, true).unwrap_err().message
    };
    let running = "pod/web-7d9c8b6f5-2xk9q";
    for flow in [format!("pod/waiting -> {running}:8080"), format!("{running} -> pod/waiting:80")] {
        let error = explain(&flow);
        assert!(error.contains("pod/shop/waiting has not started and has no network yet"), "{error}");
    }
    let error = explain(&format!("{running} -> pod/evicted:80"));
    assert!(error.contains("pod/shop/evicted has ended and has no network any more"), "{error}");
}

#[test]
fn a_dual_stack_cluster_as_json() {
    insta::assert_snapshot!(told(loaded(DUAL, &Options::default())));
}

#[test]
fn an_enforcer_chooses_how_interfaces_are_named() {
    const POD: &str =
        "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: a, image: a}]}}";
    for topology in [None, Some("two-nodes".to_owned())] {
        let options =
            Options { interface_prefix: Some("cali".parse().unwrap()), topology, ..Options::default() };
        let (_, snapshot) = loaded(POD, &options);
        assert_eq!(snapshot.topology.interface_prefix.as_str(), "cali");
    }
}

#[test]
fn the_command_line_chooses_wiring_and_family() {
    for wiring in Wiring::ALL {
        for family in [Families::Ipv4, Families::Dual] {
            let options = Options { wiring: Some(wiring), family: Some(family), ..Options::default() };
            let (_, snapshot) = loaded(DUAL, &options);
            assert_eq!((snapshot.topology.wiring, snapshot.topology.family), (wiring, family));
            let db = &snapshot.pods[&NamespacedName::new("prod", "db-0")];
            assert_eq!(db.pod_ips[0], "10.244.2.3".parse::<std::net::IpAddr>().unwrap());
            assert_eq!(db.pod_ips.len(), family.list().len());
        }
    }
}

/// A topology that is asked for stays as it is.
#[test]
fn a_named_topology_is_not_changed() {
    let options = Options { topology: Some("three-nodes".into()), ..Options::default() };
    let error = of_text(FLAT, &options).unwrap_err().to_string();
    assert!(
        error.contains("there is no node `ip-10-0-12-7.ec2.internal` in topology `three-nodes`"),
        "{error}"
    );
}

#[test]
fn parts_of_a_cluster() {
    let pod = |name: &str, node: &str, status: &str| {
        format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{nodeName: {node}, \
             containers: [{{name: a, ports: [{{containerPort: 80}}]}}]}}, status: {{{status}}}}}\n---\n"
        )
    };
    let service = |name: &str, ip: &str, more: &str| {
        format!(
            "{{apiVersion: v1, kind: Service, metadata: {{name: {name}}}, spec: {{clusterIP: {ip}, \
             selector: {{app: {name}}}, ports: [{{port: 80}}]{more}}}}}\n---\n"
        )
    };
    let deployment = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 2, selector: \
                      {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {containers: [{name: a}]}}}}\n---\n";
    let replica_set = "{apiVersion: apps/v1, kind: ReplicaSet, metadata: {name: web-5c9f8, ownerReferences: [{apiVersion: apps/v1, \
                       kind: Deployment, name: web, uid: a, controller: true}]}, spec: {replicas: 2, selector: {matchLabels: {app: web}}, \
                       template: {metadata: {labels: {app: web}}, spec: {containers: [{name: a}]}}}}\n---\n";
    let cases = [
        ("services and no pods", service("web", "10.43.7.7", "") + deployment + replica_set),
        ("nodes by name, and their addresses from pods", {
            pod("a", "worker-1", "podIP: 10.244.1.2, hostIP: 192.168.1.4")
                + &pod("b", "worker-2", "podIP: 10.244.2.2, hostIP: 192.168.1.5")
                + deployment
        }),
        ("where the cluster's DNS would be", {
            pod("a", "node1", "podIP: 10.244.1.2") + &service("web", "10.96.0.10", "")
        }),
        ("the address of the host outside", {
            service("web", "10.43.0.9", ", externalIPs: [203.0.113.10, 203.0.113.11]")
        }),
        ("a daemon for nodes that are not there", {
            "{apiVersion: apps/v1, kind: DaemonSet, metadata: {name: gpu}, spec: {selector: {matchLabels: {a: b}}, template: \
             {metadata: {labels: {a: b}}, spec: {nodeSelector: {gpu: 'yes'}, containers: [{name: a}]}}}}"
                .to_owned()
        }),
    ];
    let all = cases.map(|(what, text)| format!("# {what}\n{}", told(loaded(&text, &Options::default()))));
    insta::assert_snapshot!(all.join("\n"));
}

/// Kustomizations and charts are not what is applied: nothing of them is read.
#[test]
fn folders_that_are_to_be_rendered_are_refused() {
    let patch = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}, spec: {replicas: 3}}";
    let folder = folder(&[
        ("kustomize/kustomization.yaml", "resources: [web.yaml]"),
        ("kustomize/patches/replicas.yaml", patch),
        ("chart/Chart.yaml", "name: web"),
        ("chart/templates/web.yaml", "replicas: {{ .Values.replicas }}"),
    ]);
    let errors = load(&[folder.path().to_owned()], &Options::default()).unwrap_err().to_string();
    insta::assert_snapshot!(errors.replace(&folder.path().display().to_string(), "FOLDER"));
}

mod random {
    use super::*;
    use proptest::prelude::*;
    use std::net::IpAddr;

    /// Third and last part of an address.
    type Part = (u8, u8);

    /// Whatever addresses a cluster gives out, each has its own in ours, and the cluster is one that works.
    fn check(
        nodes: &[(u8, u8)],
        pods: &[(usize, u8, Part)],
        services: &[Part],
        loose: usize,
    ) -> Result<(), TestCaseError> {
        let mut text = String::new();
        // First, so that its pods could take what others have.
        writeln!(text, "---\n{{apiVersion: apps/v1, kind: Deployment, metadata: {{name: d}}, spec: {{replicas: {loose}, selector: {{matchLabels: {{a: b}}}}, template: {{metadata: {{labels: {{a: b}}}}, spec: {{containers: [{{name: a}}]}}}}}}}}").unwrap();
        let mut given: BTreeMap<String, Option<IpAddr>> = BTreeMap::new();
        for (i, (kind, last)) in nodes.iter().enumerate() {
            let address = format!("10.{}.{i}.{last}", [0, 200][usize::from(kind & 1)]);
            let cidr = if kind & 2 == 0 { String::new() } else { format!("podCIDR: 10.42.{i}.0/24") };
            writeln!(text, "---\n{{apiVersion: v1, kind: Node, metadata: {{name: n{i}}}, spec: {{{cidr}}}, status: {{addresses: [{{type: InternalIP, address: {address}}}]}}}}").unwrap();
            given.insert(format!("node n{i}"), address.parse().ok());
        }
        for (i, (node, block, (third, last))) in pods.iter().enumerate() {
            let node = node % nodes.len();
            let third = match block % 4 {
                0 => format!("10.42.{node}"),
                1 => format!("10.42.{third}"),
                2 => format!("100.64.{third}"),
                _ => format!("10.0.{}", third | 128),
            };
            let address = format!("{third}.{last}");
            if given.values().flatten().any(|other| other.to_string() == address) {
                continue;
            }
            writeln!(text, "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: p{i}}}, spec: {{nodeName: n{node}, containers: [{{name: a}}]}}, status: {{podIP: {address}}}}}").unwrap();
            given.insert(format!("pod p{i}"), address.parse().ok());
        }
        for (i, (third, last)) in services.iter().enumerate() {
            let address = format!("10.43.{third}.{last}");
            if given.values().flatten().any(|other| other.to_string() == address) {
                continue;
            }
            writeln!(text, "---\n{{apiVersion: v1, kind: Service, metadata: {{name: s{i}}}, spec: {{clusterIP: {address}, selector: {{a: b}}, ports: [{{port: 80}}]}}}}").unwrap();
            given.insert(format!("service s{i}"), address.parse().ok());
        }
        let (_, snapshot) = match of_text(&text, &Options::default()) {
            Ok(_) => loaded(&text, &Options::default()),
            Err(errors) => return Err(TestCaseError::fail(format!("{errors}\n{text}"))),
        };
        let mut all: Vec<IpAddr> = Vec::new();
        for (name, node) in &snapshot.nodes {
            prop_assert_eq!(given.remove(&format!("node {name}")).flatten(), node.addresses.first().copied());
            all.extend(&node.addresses);
        }
        for (name, pod) in &snapshot.pods {
            if let Some(address) = given.remove(&format!("pod {}", name.name)) {
                prop_assert_eq!(address, pod.pod_ips.first().copied());
            }
            all.extend(&pod.pod_ips);
        }
        for (name, service) in &snapshot.services {
            if let Some(address) = given.remove(&format!("service {}", name.name)) {
                prop_assert_eq!(address, service.cluster_ips.first().copied());
            }
            all.extend(&service.cluster_ips);
        }
        prop_assert!(given.is_empty(), "{given:?}\n{text}");
        let count = all.len();
        all.sort();
        all.dedup();
        prop_assert_eq!(count, all.len(), "an address twice: {}", text);
        Ok(())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn given_addresses_are_kept(
            nodes in prop::collection::vec((0u8..4, 1u8..255), 1..5),
            pods in prop::collection::vec((0usize..4, prop_oneof![4 => Just(0u8), 1 => 0u8..4], (any::<u8>(), prop_oneof![2u8..8, any::<u8>()])), 0..10),
            services in prop::collection::vec((any::<u8>(), 1u8..255), 0..5),
            loose in 0usize..10,
        ) {
            check(&nodes, &pods, &services, loose)?;
        }
    }
}
