//! Calico's objects beside those of a world, written as its API server stores them.

use netproof_api::calico::{CalicoPolicy, NetworkSet, Tier};
use netproof_api::yaml::{Node, from_node, parse};
use netproof_api::{Policy, Source};
use netproof_controlplane::Snapshot;
use netproof_model::PolicyKey;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The objects that there are.
#[derive(Default)]
pub struct CalicoObjects(BTreeMap<PolicyKey, Policy>);

impl CalicoObjects {
    /// Adds or replaces objects; their keys.
    pub fn apply(&mut self, objects: &str) -> Vec<PolicyKey> {
        let source = Source::new("calico.yaml", objects);
        let mut keys = Vec::new();
        for node in parse(&source).unwrap() {
            let object = match node.get("kind").and_then(Node::as_str).unwrap() {
                "policy" => from_node::<CalicoPolicy>(&node, &source).map(Policy::from),
                "set" => from_node::<NetworkSet>(&node, &source).map(Policy::from),
                "tier" => from_node::<Tier>(&node, &source).map(Policy::from),
                other => panic!("{other} is no kind of these"),
            };
            let object = object.unwrap_or_else(|errors| panic!("{errors}"));
            let metadata = object.metadata();
            let (namespace, name) = (metadata.namespace.clone(), metadata.name.clone());
            let key = PolicyKey { kind: object.kind(), namespace, name };
            self.0.insert(key.clone(), object);
            keys.push(key);
        }
        keys
    }

    /// Removes an object; whether it was there.
    pub fn delete(&mut self, key: &PolicyKey) -> bool {
        self.0.remove(key).is_some()
    }

    /// A snapshot with them.
    pub fn beside(&self, snapshot: &Arc<Snapshot>) -> Arc<Snapshot> {
        let mut with = Snapshot::clone(snapshot);
        with.policies.extend(self.0.clone());
        Arc::new(with)
    }
}

/// `[NAMESPACE/]NAME` as metadata, with labels.
fn metadata(name: &str, labels: &str) -> String {
    match name.split_once('/') {
        Some((namespace, name)) => format!("{{name: {name}, namespace: {namespace}, labels: {{{labels}}}}}"),
        None => format!("{{name: {name}, labels: {{{labels}}}}}"),
    }
}

/// A policy: `[NAMESPACE/]NAME`, and its spec but for `tier: default`.
pub fn calico_policy(name: &str, spec: &str) -> String {
    let tier = if spec.contains("tier:") { "" } else { "tier: default, " };
    format!("---\nkind: policy\nmetadata: {}\nspec: {{{tier}{spec}}}\n", metadata(name, ""))
}

/// A network set: `[NAMESPACE/]NAME`, labels as `a: b`, and ranges.
pub fn set(name: &str, labels: &str, nets: &str) -> String {
    format!("---\nkind: set\nmetadata: {}\nnets: [{nets}]\n", metadata(name, labels))
}

/// A tier.
pub fn tier(name: &str, order: f64, default_action: &str) -> String {
    format!(
        "---\nkind: tier\nmetadata: {}\nspec: {{order: {order}, defaultAction: {default_action}}}\n",
        metadata(name, "")
    )
}
