//! Ignored objects: those that make pods, those that restrict or route traffic, and unknown ones. None is
//! ignored silently.

use crate::command::{Folder, netproof, run};

/// The path of an input.
fn input(name: &str) -> String {
    format!("{}/tests/cli/field/inputs/kinds/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// The output of a command on an input, without the path.
fn said(command: &str, name: &str, arguments: &[&str]) -> String {
    let path = input(name);
    run(&[&[command, path.as_str()], arguments].concat()).replace(&path, name)
}

fn predicted(name: &str, arguments: &[&str]) -> String {
    said("matrix", name, &[&["--predict"], arguments].concat())
}

#[test]
fn objects_of_other_groups_make_the_pods_of_their_template() {
    insta::assert_snapshot!(predicted(
        "templates.yaml",
        &["--port", "8080", "--from", "shop", "--to", "shop"]
    ));
}

/// The pods of operators are missing: that is said last, and no selector that may mean them is called wrong.
#[test]
fn pods_of_operators_are_missing_and_named() {
    insta::assert_snapshot!(predicted("operators.yaml", &["--port", "80"]));
}

#[test]
fn every_object_that_is_left_out_is_named_with_the_reason() {
    insta::assert_snapshot!(predicted("everything.yaml", &["--port", "80"]));
    let json = netproof(&["matrix", "--predict", &input("everything.yaml"), "--json"]).output().unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let count = |reason: &str| json["ignored"][reason].as_array().map(Vec::len);
    let reasons = ["noEffect", "unknown", "routing", "podsLater", "missingPods", "perhapsMissingPods"];
    assert_eq!(reasons.map(count), [3, 1, 2, 1, 1, 1].map(Some));
    assert_eq!(["missingObjects", "policies"].map(count), [1, 5].map(Some));
    let kafka = serde_json::json!({
        "kind": "Kafka", "group": "kafka.strimzi.io", "count": 1, "names": ["data/bus"]
    });
    assert_eq!(json["ignored"]["missingPods"][0], kafka);
}

/// `explain` says the same, whatever is asked.
#[test]
fn explain_names_what_is_left_out() {
    let flow = ["--flow", "pod/web -> pod/web:80"];
    let text = said("explain", "everything.yaml", &flow);
    let of_matrix = predicted("everything.yaml", &["--port", "80"]);
    let errors = |text: &str| text.split("--- stderr\n").nth(1).map(str::to_owned);
    assert_eq!(errors(&text), errors(&of_matrix));
    let json =
        netproof(&["explain", &input("everything.yaml"), flow[0], flow[1], "--json"]).output().unwrap();
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(json["ignored"]["policies"][0]["kind"], "AuthorizationPolicy");
}

/// A question that cannot be answered may be about what is missing.
#[test]
fn what_is_missing_is_said_after_an_error_too() {
    let text = predicted("operators.yaml", &["--to", "prometheus-k8s-0"]);
    assert!(text.starts_with("exit code 2\n"), "{text}");
    let (error, warning) = (text.find("error: --to"), text.find("warning: makes pods that are missing"));
    assert!(error.is_some() && error < warning, "{text}");
}

#[test]
fn what_a_cluster_has_made_already_is_not_made_again() {
    insta::assert_snapshot!(predicted("rollout-export.yaml", &["--port", "80", "--to", "shop"]));
}

#[test]
fn a_rollout_takes_its_template_from_a_deployment() {
    insta::assert_snapshot!(predicted("rollout-by-reference.yaml", &["--port", "80", "--to", "web-*"]));
}

/// The API server of a newer Kubernetes has checked what it wrote. What is written by hand is checked here.
#[test]
fn unknown_fields_of_a_newer_cluster_are_warnings() {
    insta::assert_snapshot!(predicted("newer-cluster.yaml", &["--port", "80", "--to", "a0"]));
    let by_hand =
        "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {wishes: [], containers: [{name: a}]}}";
    let folder = Folder::with(&[("pod.yaml", by_hand)]);
    let text = folder.run(&["matrix", "--predict", "."]);
    assert!(text.starts_with("exit code 2\n") && text.contains("error: unknown field \"wishes\""), "{text}");
}

#[test]
fn fields_of_kubernetes_1_37_are_known() {
    let text = "\
apiVersion: v1
kind: Pod
metadata: {name: a}
spec: {schedulingGroup: {podGroupName: g}, evictionResponders: [], containers: [{name: a, ports: [{containerPort: 80}]}]}
status: {phase: Running, volumeHealth: [], nodeAllocatableResourceClaimStatuses: []}
---
apiVersion: batch/v1
kind: Job
metadata: {name: b}
spec: {scheduling: {}, template: {spec: {schedulingGroup: {}, restartPolicy: Never, containers: [{name: a}]}}}
---
{apiVersion: v1, kind: Node, metadata: {name: n1}, spec: {podPreemptionPolicy: Never}}
";
    let folder = Folder::with(&[("objects.yaml", text)]);
    let shown = folder.run(&["validate", "--strict", "objects.yaml"]);
    assert_eq!(shown.lines().next(), Some("exit code 0"), "{shown}");
}

#[test]
fn where_nothing_is_of_the_network_it_is_said_what_there_is() {
    let route = "{apiVersion: route.openshift.io/v1, kind: Route, metadata: {name: r}}";
    let cron = "{apiVersion: batch/v1, kind: CronJob, metadata: {name: c}}";
    let prometheus = "{apiVersion: monitoring.coreos.com/v1, kind: Prometheus, metadata: {name: k8s}}";
    for (text, expected) in [
        (route.to_owned(), "error: nothing here is of the network: 1 Route\n"),
        (cron.to_owned(), "error: nothing here is of the network: 1 CronJob\n"),
        (
            "{apiVersion: v1, kind: ConfigMap, metadata: {name: c}}".to_owned(),
            "of the network: 1 ConfigMap\n",
        ),
        (format!("{{apiVersion: v1, kind: List, items: [{route}, {cron}]}}"), "1 Route, 1 CronJob\n"),
        (
            "{apiVersion: example.com/v1, kind: Foo, metadata: {name: f}}".to_owned(),
            "of the network: 1 Foo\n",
        ),
        (prometheus.to_owned(), "error: nothing here can be asked about: 1 Prometheus\n"),
        ("{apiVersion: v1, kind: List, items: []}".to_owned(), "error: there is no object at only.yaml\n"),
        ("# only a comment\n".to_owned(), "error: there is no object at only.yaml\n"),
        (String::new(), "error: there is no object at only.yaml\n"),
    ] {
        let folder = Folder::with(&[("only.yaml", &text)]);
        for command in [&["matrix", "--predict", "only.yaml"][..], &["validate", "only.yaml"]] {
            let shown = folder.run(command);
            assert!(shown.starts_with("exit code 2\n") && shown.contains(expected), "{text}: {shown}");
        }
    }
}

/// Among others, a file without a document is ignored, and counted.
#[test]
fn an_empty_file_stops_no_folder() {
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: a}, spec: {containers: [{name: a, ports: [{containerPort: 80}]}]}}";
    let folder = Folder::with(&[("a.yaml", pod), ("b.yaml", "# Nothing yet.\n---\n"), ("c.yaml", "")]);
    let text = folder.run(&["matrix", "--predict", "."]);
    assert!(text.starts_with("exit code 0\n"), "{text}");
    assert!(text.contains("2 files have no object in them and were ignored"), "{text}");
    let folder = Folder::with(&[("b.yaml", ""), ("c.yaml", "# Nothing yet.")]);
    let text = folder.run(&["matrix", "--predict", "."]);
    assert!(text.contains("there is neither a scenario nor a manifest at ."), "{text}");
}

/// In a scenario every verdict must be right: a policy that netproof does not enforce is an error there.
#[test]
fn a_scenario_refuses_a_policy_that_is_not_looked_at() {
    let scenario = |object: &str| {
        format!(
            "apiVersion: netproof/v1alpha1\nkind: Scenario\nmetadata: {{name: s}}\nspec:\n  description: d\n  \
             objects:\n    - pod: {{name: a, ports: [80]}}\n    - {object}\n  steps:\n    - {{name: one, expect: oracle}}\n"
        )
    };
    let policy = "{apiVersion: security.istio.io/v1, kind: AuthorizationPolicy, metadata: {name: n}}";
    let prometheus = "{apiVersion: monitoring.coreos.com/v1, kind: Prometheus, metadata: {name: k8s}}";
    let folder = Folder::with(&[("policy.yaml", &scenario(policy)), ("pods.yaml", &scenario(prometheus))]);
    let text = folder.run(&["validate", "policy.yaml"]);
    assert!(
        text.contains("policy.yaml:8:48: error: AuthorizationPolicy of security.istio.io is not looked at"),
        "{text}"
    );
    let text = folder.run(&["validate", "pods.yaml"]);
    assert!(
        text.starts_with("exit code 0\n") && text.contains("makes pods that cannot be read from it"),
        "{text}"
    );
}
