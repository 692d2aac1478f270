//! Objects as the Kubernetes API would give them: JSON, as stored, with what a cluster has filled in.
//!
//! The form is canonical: what is optional and empty (a list, a map, a text, `false`) is not there, as in an API server,
//! which stores messages in which an empty list and none are the same. Agents tell one from the other: an
//! `ingress: []` may mean "everything" to them. What means something when it is empty stays: a selector, a rule.
//!
//! Fields that have nothing to do with the network (images, resources, versions of objects) are not kept
//! anywhere in netproof, and are not here.

mod calico;
mod cluster;
mod cluster_network_policy;
mod endpoint_slice;
mod metadata;
mod network_policy;
mod pod;
mod service;
#[cfg(test)]
mod tests;

pub use cluster::{TUNNEL_ADDRESSES_ANNOTATION, namespace, node, service_account, service_cidr};
pub use endpoint_slice::endpoint_slice;
pub use network_policy::policy;
pub use pod::{INTERFACE_ANNOTATION, pod};
pub use service::service;

use serde::Serialize;
use serde_json::{Map, Value, json};

/// An object of its kind with its fields.
fn object<const N: usize>(
    api_version: &str,
    kind: &str,
    metadata: Map<String, Value>,
    rest: [(&str, Value); N],
) -> Value {
    let mut object = fields([("apiVersion", api_version.into()), ("kind", kind.into())]);
    object.insert("metadata".into(), metadata.into());
    object.extend(fields(rest));
    object.into()
}

fn fields<const N: usize>(fields: [(&str, Value); N]) -> Map<String, Value> {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Inserts what is there.
fn insert<T: Serialize>(fields: &mut Map<String, Value>, name: &str, value: &Option<T>) {
    if let Some(value) = value {
        fields.insert(name.to_owned(), json!(value));
    }
}

/// Inserts a list, a map or a text that is not empty.
fn insert_filled(fields: &mut Map<String, Value>, name: &str, value: Value) {
    let is_empty = match &value {
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::String(text) => text.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    };
    if !is_empty {
        fields.insert(name.to_owned(), value);
    }
}
