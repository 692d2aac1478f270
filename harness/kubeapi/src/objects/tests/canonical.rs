//! What is optional and empty is not there.

use super::super::policy;
use crate::world::{self, World};
use netproof_model::{Families, Wiring};
use serde_json::{Value, json};

/// What is written, and the fields of it that are then there: canonical, as a server of Kubernetes 1.37 answers.
const AS_STORED: &[(&str, &str, &str)] = &[
    (
        "no rules for ingress",
        "{podSelector: {}, ingress: []}",
        r#"{"podSelector": {}, "policyTypes": ["Ingress"]}"#,
    ),
    (
        "no rules, both ways",
        "{podSelector: {}, policyTypes: [Ingress, Egress], ingress: [], egress: []}",
        r#"{"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}"#,
    ),
    (
        "a rule of nothing but empty lists",
        "{podSelector: {}, policyTypes: [Egress], egress: [{to: [], ports: []}]}",
        r#"{"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]}"#,
    ),
    (
        "a rule without anything",
        "{podSelector: {}, ingress: [{}]}",
        r#"{"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{}]}"#,
    ),
    (
        "selectors without requirements",
        "{podSelector: {matchLabels: {}, matchExpressions: []}, ingress: [{from: [{podSelector: {}}, {namespaceSelector: {matchLabels: {}}}]}]}",
        r#"{"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": [{"podSelector": {}}, {"namespaceSelector": {}}]}]}"#,
    ),
    (
        "a block without exceptions",
        "{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8, except: []}}], ports: []}]}",
        r#"{"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [{"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}}]}]}"#,
    ),
    (
        "requirements without values",
        "{podSelector: {matchExpressions: [{key: a, operator: Exists, values: []}]}, ingress: [{ports: [{}]}]}",
        r#"{"podSelector": {"matchExpressions": [{"key": "a", "operator": "Exists"}]}, "policyTypes": ["Ingress"], "ingress": [{"ports": [{"protocol": "TCP"}]}]}"#,
    ),
];

#[test]
fn what_is_optional_and_empty_is_not_there() {
    for (what, written, stored) in AS_STORED {
        let mut world = World::new(Families::Ipv4, Wiring::Routed);
        let snapshot = world.apply(&world::policy("p", written));
        let policies: Vec<Value> = snapshot.policies.values().map(policy).collect();
        let expected: Value = serde_json::from_str(stored).unwrap();
        let expected = json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
            "metadata": {"name": "p", "namespace": "default"}, "spec": expected,
        });
        assert_eq!(policies, [expected], "{what}");
    }
}

/// Everything that a cluster has of itself, and objects with as little in them as they can have: nothing in them is
/// empty but what is required, or means something.
#[test]
fn no_object_has_an_empty_optional_field() {
    let mut world = World::new(Families::Ipv4, Wiring::Routed);
    let after = world.apply(
        &[
            world::namespace("dev", ""),
            world::pod("dev/a", "node1", "", ""),
            world::service("dev/a", "{selector: {app: a}, ports: [{port: 80}]}"),
            world::service("dev/b", "{clusterIP: None}"),
            world::policy("dev/p", "{podSelector: {}, ingress: []}"),
        ]
        .concat(),
    );
    let mut empty = Vec::new();
    for event in crate::events::between(None, &after) {
        find_empty(&event.object, event.object["kind"].as_str().unwrap(), &mut empty);
    }
    empty.sort();
    empty.dedup();
    let meant = [
        "EndpointSlice.endpoints",
        "EndpointSlice.ports",
        "NetworkPolicy.spec.podSelector",
        "Service.status.loadBalancer",
    ];
    assert_eq!(empty, meant);
}

fn find_empty(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Null => found.push(path.to_owned()),
        Value::Object(map) if map.is_empty() => found.push(path.to_owned()),
        Value::Object(map) => {
            map.iter().for_each(|(key, value)| find_empty(value, &format!("{path}.{key}"), found))
        }
        Value::Array(list) if list.is_empty() => found.push(path.to_owned()),
        Value::Array(list) => list.iter().for_each(|value| find_empty(value, &format!("{path}[]"), found)),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => (),
    }
}
