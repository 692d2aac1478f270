//! Manifests without a scenario: what they become, what is allowed for, and what is refused.

mod exports;

use super::*;
use netproof_api::Effect;
use netproof_model::{Families, Wiring};
use tempfile::TempDir;

/// The plan of one text.
fn of_text(text: &str, options: &Options) -> Result<Loaded, Diagnostics> {
    load_text(&Source::new("objects.yaml", text), options)
}

/// A folder of files that is gone when it is dropped.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = TempDir::new().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    folder
}

const WEB: &str = "\
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec: {containers: [{name: web, ports: [{containerPort: 80}]}]}
";

#[test]
fn a_folder_is_one_cluster() {
    let folder = folder(&[
        ("b/web.yaml", WEB),
        (
            "b/list.json",
            r#"{"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "v1", "kind": "Secret"}]}"#,
        ),
        (
            "a.yaml",
            "{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: dev}, spec: {containers: [{name: a}]}}",
        ),
        ("z.yaml", "{apiVersion: v1, kind: Namespace, metadata: {name: dev, labels: {team: a}}}"),
        ("node.yaml", "{apiVersion: v1, kind: Node, metadata: {name: ip-10-0-0-1}}"),
        ("values.yaml", "replicas: 2"),
        ("README.md", "# not read"),
    ]);
    let loaded =
        load(&[folder.path().to_owned()], &Options::default()).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(loaded.implied_namespaces, ["shop"]);
    let ignored: Vec<(String, usize)> =
        loaded.ignored.of(Effect::None).into_iter().map(|kind| (kind.kind, kind.count)).collect();
    assert_eq!(ignored, [("Secret".to_owned(), 1)]);
    assert_eq!((loaded.files, loaded.passed_over_files), (5, 1));
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    let [plan] = &loaded.plans[..] else { panic!("one plan") };
    let snapshot = plan.start.snapshot();
    let pods: Vec<String> = snapshot.pods.keys().map(ToString::to_string).collect();
    assert_eq!(pods, ["dev/a", "kube-system/coredns", "shop/web-0"]);
    assert_eq!(snapshot.namespaces["dev"].metadata.labels["team"], "a", "declared after its pod");
    assert!(!has_scenarios(&[folder.path().to_owned()]));
}

#[test]
fn a_folder_with_a_scenario_is_scenarios() {
    let folder =
        folder(&[("web.yaml", WEB), ("scenario.yaml", "{apiVersion: netproof/v1alpha1, kind: Scenario}")]);
    assert!(has_scenarios(&[folder.path().to_owned()]));
}

#[test]
fn wrong_manifests_say_where_and_why() {
    let policy = |api_version: &str, selector: &str| {
        format!(
            "{{apiVersion: {api_version}, kind: NetworkPolicy, metadata: {{name: a, namespace: shop}}, spec: {{podSelector: {selector}}}}}"
        )
    };
    let wrong = [
        format!(
            "{WEB}---\n{{apiVersion: v1, kind: Pod, metadata: {{name: web-0, namespace: shop}}, spec: {{containers: [{{name: a}}]}}}}"
        ),
        WEB.replace("labels: {app: web}", "labels: {app: wep}"),
        WEB.replace("containerPort: 80", "containerport: 80"),
        policy("networking.k8s.io/v1beta1", "{}"),
        "replicas: 2".to_owned(),
        "# Nothing".to_owned(),
        "{apiVersion: v1, kind: List, items: []}".to_owned(),
        "a: [".to_owned(),
    ];
    let all: Vec<String> = wrong
        .iter()
        .map(|text| match of_text(text, &Options::default()) {
            Ok(loaded) => panic!("accepted {text}: {:?}", loaded.plans),
            Err(errors) => errors.to_string(),
        })
        .collect();
    insta::assert_snapshot!(all.join("\n\n----\n\n"));
    // The nodes are those that the manifests name, unless a topology is asked for.
    let elsewhere = WEB.replace("containers: [", "nodeName: node7, containers: [");
    assert!(of_text(&elsewhere, &Options::default()).is_ok());
    let named = Options { topology: Some("two-nodes".into()), ..Options::default() };
    let error = of_text(&elsewhere, &named).unwrap_err().to_string();
    assert!(error.contains("there is no node `node7` in topology `two-nodes`"), "{error}");
    let nowhere = Options { topology: Some("two-node".into()), ..Options::default() };
    let error = of_text(WEB, &nowhere).unwrap_err().to_string();
    assert!(error.contains("did you mean `two-nodes`"), "{error}");
}

#[test]
fn of_two_that_are_written_of_one_object_the_later_counts() {
    let again = WEB.replace("containerPort: 80", "containerPort: 81");
    let service = |rest: &str| {
        format!(
            "{{apiVersion: v1, kind: Service, metadata: {{name: web, namespace: shop}}, spec: {{{rest}}}}}\n"
        )
    };
    let given = service("clusterIP: 10.96.9.9, selector: {app: web}, ports: [{port: 80}]");
    let free = service("selector: {app: web}, ports: [{port: 80}]");
    for (texts, warnings) in [
        ([WEB, WEB], 0),
        ([WEB, &again], 1),
        // What the earlier one has from an API server stays.
        ([&given, &free], 0),
        ([&free, &given], 0),
        ([&given, &service("clusterIP: None, selector: {app: web}, ports: [{port: 80}]")], 1),
    ] {
        let text = texts.join("---\n") + "---\n" + WEB;
        let loaded = of_text(&text, &Options::default()).unwrap_or_else(|errors| panic!("{errors}"));
        let differ = loaded.warnings.iter().filter(|warning| warning.message.contains("replaces the one at"));
        let back = usize::from(texts[1] == again);
        assert_eq!(differ.count(), warnings + back, "{text}");
        let [plan] = &loaded.plans[..] else { panic!("one plan") };
        let snapshot = plan.start.snapshot();
        let name = NamespacedName::new("shop", "web");
        if let Some(service) = snapshot.services.get(&name) {
            let kept: Vec<String> = service.cluster_ips.iter().map(ToString::to_string).collect();
            assert_eq!(kept, if warnings == 0 { vec!["10.96.9.9"] } else { Vec::new() }, "{text}");
        }
    }
}

#[test]
fn selectors_that_match_nothing_are_warned_of() {
    let text = format!(
        "{WEB}---\n{{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {{name: a, namespace: shop}}, spec: {{podSelector: {{matchLabels: {{app: wep}}}}}}}}"
    );
    let loaded = of_text(&text, &Options::default()).unwrap();
    let warnings: Vec<String> = loaded.warnings.iter().map(ToString::to_string).collect();
    insta::assert_snapshot!(warnings.join("\n"));
}
