//! Names of the pods of a StatefulSet, asked of the API and with packets.

use crate::command::{Folder, run};

#[test]
fn the_scenario_of_the_suite_passes() {
    let path = format!("{}/../../scenarios/services/names-of-pods.yaml", env!("CARGO_MANIFEST_DIR"));
    let text = run(&["run", &path]);
    assert!(text.contains("PASS   2 scenario runs, all passed"), "{text}");
}

#[test]
fn a_pod_of_a_stateful_set_is_explained_by_its_name() {
    let manifests = "\
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: log}
spec:
  serviceName: log
  replicas: 2
  selector: {matchLabels: {app: log}}
  template: {metadata: {labels: {app: log}}, spec: {containers: [{name: c, ports: [{containerPort: 9200}]}]}}
---
{apiVersion: v1, kind: Service, metadata: {name: log}, spec: {clusterIP: None, selector: {app: log}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: client}, spec: {containers: [{name: c}]}}
";
    let folder = Folder::with(&[("log.yaml", manifests)]);
    let said = folder.run(&["explain", "log.yaml", "--flow", "pod/client -> dns/log-1.log:9200"]);
    assert!(said.contains("pod/default/log-1 sees it"), "{said}");
    let said = folder.run(&["explain", "log.yaml", "--flow", "pod/client -> dns/log-7.log:9200"]);
    assert!(said.contains("dns/log-7.log:9200: name-not-found"), "{said}");
}
