//! Plain manifests of many pods, read, laid out, predicted and written as text, against `serde_json` reading the same
//! bytes.

use crate::{median, ms, ratio, time};
use netproof_documents::Options;
use netproof_matrix::Question;
use serde_json::{Value, json};
use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

/// Workloads, each with a service.
const WORKLOADS: usize = 50;
const POLICIES: usize = 200;

pub fn measure() {
    println!("| pods | written as | read by serde_json | read and laid out | ratio | predicted | as text |");
    println!("|---|---|---|---|---|---|---|");
    for (pods, replicas) in [(1_000, true), (1_000, false), (5_000, true), (5_000, false)] {
        let documents: Vec<String> = documents(pods, replicas).iter().map(Value::to_string).collect();
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("all.yaml");
        std::fs::write(&file, documents.join("\n---\n")).expect("a file");
        let yardstick =
            median(5, || time(|| documents.iter().for_each(|text| drop(black_box(parse(text))))).0);
        let (load, predict, text) = once(&file);
        let kind = if replicas { "Deployments" } else { "Pods" };
        println!(
            "| {pods} | {kind} | {} | {} | {} | {} | {} |",
            ms(yardstick),
            ms(load),
            ratio(load, yardstick),
            ms(predict),
            ms(text)
        );
    }
}

fn parse(text: &str) -> Value {
    serde_json::from_str(text).expect("JSON")
}

/// How long reading, predicting and writing take.
fn once(file: &Path) -> (Duration, Duration, Duration) {
    let options = Options::default();
    let (load, loaded) = time(|| netproof_manifests::load(&[file.to_owned()], &options).expect("manifests"));
    let question = Question {
        step: None,
        from: Vec::new(),
        to: Vec::new(),
        ports: Vec::new(),
        services: false,
        profile: None,
    };
    let (predict, matrix) = time(|| netproof_matrix::predict(&loaded.plans[0], &question).expect("a matrix"));
    let (text, _) = time(|| netproof_matrix::text(&matrix, None, false));
    (load, predict, text)
}

/// Pods of 50 workloads in five namespaces, as many services, and policies with peers, blocks and named ports.
fn documents(pods: usize, replicas: bool) -> Vec<Value> {
    let namespace = |n: usize| format!("ns{}", n % 5);
    let app = |n: usize| format!("app{}", n % WORKLOADS);
    let template = |n: usize| {
        let ports = json!([
            {"name": "http", "containerPort": 8000 + n % WORKLOADS % 20},
            {"name": "metrics", "containerPort": 9090},
        ]);
        let containers = json!([{"name": "c", "image": "c", "ports": ports}]);
        (json!({"app": app(n), "tier": format!("t{}", n % WORKLOADS % 7)}), json!({"containers": containers}))
    };
    let mut all: Vec<Value> = (0..5)
        .map(|n| {
            let labels = json!({"team": format!("t{}", n % 3)});
            json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace(n), "labels": labels}})
        })
        .collect();
    match replicas {
        true => all.extend((0..WORKLOADS).map(|n| {
            let (labels, pod) = template(n);
            json!({"apiVersion": "apps/v1", "kind": "Deployment",
                "metadata": {"name": app(n), "namespace": namespace(n)},
                "spec": {"replicas": pods / WORKLOADS, "selector": {"matchLabels": {"app": app(n)}},
                    "template": {"metadata": {"labels": labels}, "spec": pod}}})
        })),
        false => all.extend((0..pods).map(|n| {
            let (labels, pod) = template(n);
            json!({"apiVersion": "v1", "kind": "Pod", "spec": pod,
                "metadata": {"name": format!("pod-{n}"), "namespace": namespace(n), "labels": labels}})
        })),
    }
    all.extend((0..WORKLOADS).map(|n| {
        json!({"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": app(n), "namespace": namespace(n)},
            "spec": {"selector": {"app": app(n)}, "ports": [{"port": 80, "targetPort": "http"}]}})
    }));
    all.extend((0..POLICIES).map(|n| {
        let tier = json!({"podSelector": {"matchLabels": {"tier": format!("t{}", n % 7)}}});
        let team = json!({"namespaceSelector": {"matchLabels": {"team": format!("t{}", n % 3)}}});
        let block = json!({"ipBlock": {"cidr": format!("10.{n}.0.0/16"), "except": [format!("10.{n}.3.0/24")]}});
        json!({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": {"name": format!("policy-{n}"), "namespace": namespace(n)},
            "spec": {"podSelector": {"matchLabels": {"app": app(n)}}, "policyTypes": ["Ingress", "Egress"],
                "ingress": [
                    {"from": [tier, team], "ports": [{"port": "http"}, {"port": 8000 + n % 20}]},
                    {"from": [block], "ports": [{"port": 9090, "endPort": 9100}]}],
                "egress": [{"to": [{"podSelector": {"matchLabels": {"app": app(3 * n)}}}], "ports": [{"port": "http"}]}]}})
    }));
    all
}
