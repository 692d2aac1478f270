//! The values of `testdata/as_kubectl.txt`, each in its field of an object, read as kubectl and the API server
//! read it.

use super::{Context, Manifest, read_manifests};
use crate::object::Object;
use netproof_text::diagnostic::Severity;
use netproof_text::source::Source;
use serde_json::{Value as Json, json};

/// An object with a value in a field, and where the value is in the object as it is kept.
fn document(field: &str, value: &str) -> (String, &'static str) {
    let pod = |metadata: &str, spec: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: a{metadata}}}\nspec: {{{spec}containers: [{{name: c}}]}}\n"
        )
    };
    let policy = |spec: &str| {
        format!(
            "apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: a}}\nspec: {spec}\n"
        )
    };
    let container_port = |value: &str| {
        pod("", "").replace("{name: c}", &format!("{{name: c, ports: [{{containerPort: {value}}}]}}"))
    };
    match field {
        "label" => (pod(&format!(", labels: {{v: {value}}}"), ""), "/metadata/labels/v"),
        "key" => (pod(&format!(", labels: {{{value}}}"), ""), "/metadata/labels"),
        "annotation" => (pod(&format!(", annotations: {{v: {value}}}"), ""), "/metadata/annotations/v"),
        "name" => (pod("", "").replacen("name: a", &format!("name: {value}"), 1), "/metadata/name"),
        "bool" => (pod("", &format!("hostNetwork: {value}, ")), "/hostNetwork"),
        "containerPort" => (container_port(value), "/containers/0/ports/0/containerPort"),
        "replicas" => {
            let text = format!(
                "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: a}}\nspec:\n  replicas: {value}\n  \
                 selector: {{matchLabels: {{a: b}}}}\n  template:\n    metadata: {{labels: {{a: b}}}}\n    \
                 spec: {{containers: [{{name: c}}]}}\n"
            );
            (text, "/replicas")
        }
        "port" => (
            policy(&format!("{{ingress: [{{ports: [{{port: {value}}}]}}]}}")),
            "/spec/ingress/0/ports/0/port",
        ),
        "protocol" => (
            policy(&format!("{{ingress: [{{ports: [{{protocol: {value}}}]}}]}}")),
            "/spec/ingress/0/ports/0/protocol",
        ),
        "types" => (policy(&format!("{{policyTypes: {value}}}")), "/spec/policyTypes"),
        "spec" => (policy(value), "/spec"),
        "rule" => (policy(&format!("{{ingress: [{value}]}}")), "/spec/ingress/0"),
        "values" => {
            let selector =
                format!("{{podSelector: {{matchExpressions: [{{key: a, operator: In, values: {value}}}]}}}}");
            (policy(&selector), "/spec/podSelector/matchExpressions/0/values")
        }
        _ => panic!("no field {field}"),
    }
}

/// The only object, without what is empty.
fn kept(manifest: &Manifest) -> Json {
    fn tidy(value: &mut Json) {
        match value {
            Json::Object(fields) => {
                fields.values_mut().for_each(tidy);
                fields.retain(|_, value| !value.is_null() && *value != json!([]));
            }
            Json::Array(items) => items.iter_mut().for_each(tidy),
            _ => {}
        }
    }
    let mut object = match &manifest.objects[0].object {
        Object::Pod(pod) => serde_json::to_value(pod).unwrap(),
        Object::Policy(crate::Policy::NetworkPolicy(policy)) => serde_json::to_value(&**policy).unwrap(),
        Object::Workload(workload) => json!({"replicas": workload.pod_names(std::iter::empty()).len()}),
        other => panic!("{other:?}"),
    };
    tidy(&mut object);
    object
}

/// What is wrong with a line of the table, if anything.
fn mistake(line: &str) -> Option<String> {
    let (field, rest) = line.split_once(" | ").unwrap();
    let (value, expected) = rest.split_once("| ").unwrap();
    let (text, path) = document(field, value.trim());
    let manifest = match read_manifests(&Source::new("in.yaml", text), &Context::default()) {
        Ok(manifest) => manifest,
        Err(errors) => {
            let said = errors.to_string();
            let wanted = expected.strip_prefix("decode: ").or_else(|| expected.strip_prefix("validate: "));
            return (!wanted.is_some_and(|wanted| said.contains(wanted)))
                .then(|| format!("{line}\n  {said}"));
        }
    };
    let said: String = manifest.problems.iter().map(ToString::to_string).collect();
    assert!(manifest.problems.iter().all(|problem| problem.severity == Severity::Warning));
    let (warning, wanted) = match expected.strip_prefix("warn: ") {
        Some(rest) => rest.split_once(" | ").unwrap(),
        None => ("", expected),
    };
    let found = kept(&manifest).pointer(path).cloned().unwrap_or_default();
    let same = serde_json::from_str::<Json>(wanted).is_ok_and(|wanted| wanted == found);
    let is_said = said.contains(warning) && warning.is_empty() == said.is_empty();
    (!same || !is_said).then(|| format!("{line}\n  {found} {said}"))
}

#[test]
fn values_are_read_as_kubectl_and_the_api_server_read_them() {
    let table = include_str!("testdata/as_kubectl.txt");
    let lines: Vec<&str> = table.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    assert!(lines.len() > 100, "{} lines", lines.len());
    let mistakes: Vec<String> = lines.into_iter().filter_map(mistake).collect();
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n"));
}
