//! `hostPort` in manifests: a node's port leads to the pod, and the pod's policies decide.

use crate::command::{Folder, run};

const INPUT: &str = include_str!("inputs/host-port.yaml");

fn asked(folder: &Folder, flow: &str) -> String {
    folder.run(&["explain", "edge.yaml", "--flow", flow])
}

#[test]
fn a_host_port_leads_to_the_pod_and_its_policy_decides() {
    let folder = Folder::with(&[("edge.yaml", INPUT)]);
    let text = asked(&folder, "external/internet -> node/node1:80");
    for part in [
        "external/internet -> node/node1:80: deny",
        "node/node1 translates the host port of pod/default/edge-node1 to pod/default/edge-node1 at",
        "the source 203.0.113.10 is not in 198.51.100.0/24",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("warning"), "{text}");
    let open = Folder::with(&[("edge.yaml", &INPUT.replace("198.51.100.0/24", "203.0.113.0/24"))]);
    let text = asked(&open, "external/internet -> node/node1:80");
    assert!(
        text.contains("node/node1:80: allow") && text.contains("sees it from external/internet"),
        "{text}"
    );
    // The node reaches its own pods, whatever the policy says.
    let text = asked(&folder, "node/node1 -> node/node1:80");
    assert!(text.contains("node/node1:80: allow"), "{text}");
}

#[test]
fn two_pods_do_not_share_a_port_of_a_node() {
    let pod = |name: &str, ip: &str| {
        format!(
            "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{nodeName: node1, containers: \
             [{{name: c, image: c, ports: [{{containerPort: 8080, hostPort: 80{ip}}}]}}]}}}}\n"
        )
    };
    let both = Folder::with(&[("edge.yaml", &(pod("a", "") + &pod("b", "")))]);
    let text = asked(&both, "external/internet -> node/node1:80");
    let note = "note: pod/default/b is Pending and part of no answer, as no node takes it: port 80/TCP is another \
                pod's on node1, the node that it names";
    assert!(text.starts_with("exit code 0\n") && text.contains(note), "{text}");
    assert!(text.contains("to pod/default/a at"), "{text}");
    let apart = pod("a", ", hostIP: 192.0.2.1") + &pod("b", ", hostIP: 192.0.2.2");
    let text = asked(&Folder::with(&[("edge.yaml", &apart)]), "external/internet -> pod/a:8080");
    assert!(text.starts_with("exit code 0\n"), "{text}");
}

#[test]
fn the_scenario_of_host_ports_passes_with_packets() {
    let file = format!("{}/../../scenarios/services/host-ports.yaml", env!("CARGO_MANIFEST_DIR"));
    let text = run(&["run", &file, "--wiring", "bridge"]);
    assert!(text.starts_with("exit code 0\n"), "{text}");
}
