//! Pods that declare no port: the ports at which they are tried all the same, and the notes about those that
//! are not tried.

use super::inputs;
use crate::command::{Folder, netproof, shown};

/// What the matrix of each file says, with packets, which agree everywhere.
#[test]
fn services_and_policies_say_where_pods_are_asked() {
    for name in [
        "behind-a-service",
        "named-target",
        "egress-leads-there",
        "protocols",
        "in-no-table",
        "own-slices",
        "only-quiet-pods",
        "many-quiet-pods",
    ] {
        let mut command = netproof(&["matrix", "--services", &format!("{name}.yaml")]);
        let text = shown(&command.current_dir(inputs("ports")).output().unwrap());
        insta::assert_snapshot!(format!("ports_{name}"), text);
    }
}

/// `--port` asks everybody: in manifests, and in a scenario, whose pods serve what they declare otherwise.
#[test]
fn a_port_that_is_asked_for_is_asked_of_everybody() {
    let mut command = netproof(&["matrix", "--port", "8080,53/udp", "behind-a-service.yaml"]);
    let text = shown(&command.current_dir(inputs("ports")).output().unwrap());
    insta::assert_snapshot!("ports_asked_of_everybody", text);
    let scenario = Folder::with(&[("quiet.yaml", QUIET)]);
    insta::assert_snapshot!(
        "ports_asked_of_a_scenario",
        scenario.run(&["matrix", "--port", "81", "quiet.yaml"])
    );
    let refused = scenario.run(&["run", "quiet.yaml"]);
    assert!(refused.starts_with("exit code 0\n"), "in its own steps nobody listens at 81: {refused}");
}

const QUIET: &str = "
apiVersion: netproof/v1alpha1
kind: Scenario
metadata: {name: quiet}
spec:
  description: A pod listens at its declared port, and nowhere else.
  objects:
    - pod: {name: web, ports: [80]}
    - pod: {name: quiet}
  steps:
    - name: nobody listens at 81
      expect:
        - {flow: pod/quiet -> pod/web, verdict: allow}
        - {flow: pod/quiet -> pod/web:81, outcome: refused}
";

/// For programs: names in full, and a word for the reason.
#[test]
fn what_stands_in_no_table_is_data() {
    let mut command = netproof(&["matrix", "--predict", "--services", "--json", "in-no-table.yaml"]);
    let output = command.current_dir(inputs("ports")).output().unwrap();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let named: Vec<String> = json["inNoTable"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| format!("{} {}", it["name"].as_str().unwrap(), it["why"].as_str().unwrap()))
        .collect();
    assert_eq!(
        named,
        [
            "pod/default/quiet no-port",
            "pod/default/exporter-node1 host-network",
            "pod/default/exporter-node2 host-network",
            "pod/default/done ended",
            "service/default/headless headless",
            "service/default/elsewhere alias",
        ]
    );
    let mut command = netproof(&["matrix", "--predict", "--json", "many-quiet-pods.yaml"]);
    let output = command.current_dir(inputs("ports")).output().unwrap();
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["inNoTable"].as_array().map(Vec::len), Some(45), "all of them, not the first few");
}
