//! Taints: which pods a node does not take, and what becomes of a pod that none takes.

use crate::command::{Folder, run};

#[test]
fn a_taint_keeps_away_who_does_not_tolerate_it() {
    let folder = format!("{}/tests/cli/field/inputs/taints/", env!("CARGO_MANIFEST_DIR"));
    let input = format!("{folder}cluster.yaml");
    insta::assert_snapshot!(
        run(&["matrix", "--predict", "--from", "internet", "--port", "80", "--to", "default", &input])
            .replace(&folder, "")
    );
}

#[test]
fn a_daemon_set_that_no_node_takes_is_warned_of() {
    let text = "\
{apiVersion: v1, kind: Node, metadata: {name: only}, spec: {taints: [{key: a, value: b, effect: NoExecute}]}}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec:
      tolerations: [{key: a, value: c}, {key: a, operator: Exists, effect: NoSchedule}]
      containers: [{name: c, ports: [{containerPort: 80}]}]
";
    let folder =
        Folder::with(&[("a.yaml", text), ("wrong.yaml", &text.replace("key: a, value: c", "value: c"))]);
    let said = folder.run(&["matrix", "--predict", "--from", "internet", "a.yaml"]);
    let expected = "daemonset/default/agent has no pods: its template does not tolerate the taints of its nodes (a=b:NoExecute)";
    assert!(said.contains(expected), "{said}");
    let said = folder.run(&["matrix", "--predict", "wrong.yaml"]);
    assert!(said.contains("wrong.yaml:11:21: error: a toleration without a key"), "{said}");
}
