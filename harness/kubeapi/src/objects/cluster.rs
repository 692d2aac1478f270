//! Namespaces, nodes, ServiceAccounts and the ServiceCIDR.

use super::metadata::{annotate, metadata};
use super::{fields, insert, insert_filled, object};
use ipnet::IpNet;
use netproof_api::scheduling::Taint;
use netproof_api::{Namespace, Node};
use netproof_model::NamespacedName;
use serde_json::{Map, Value, json};
use std::net::IpAddr;

/// The annotation of a node in an overlay: the addresses of its end of it, with a comma between them.
pub const TUNNEL_ADDRESSES_ANNOTATION: &str = "netproof.io/tunnel-addresses";

/// A Namespace (v1).
pub fn namespace(namespace: &Namespace) -> Value {
    object("v1", "Namespace", metadata(&namespace.metadata), [("status", json!({"phase": "Active"}))])
}

/// A Node (v1).
pub fn node(node: &Node) -> Value {
    let mut metadata = metadata(&node.metadata);
    if !node.tunnel_addresses.is_empty() {
        let addresses: Vec<String> = node.tunnel_addresses.iter().map(ToString::to_string).collect();
        annotate(&mut metadata, TUNNEL_ADDRESSES_ANNOTATION, addresses.join(","));
    }
    let internal = |address: &IpAddr| json!({"type": "InternalIP", "address": address});
    let mut spec = Map::new();
    insert(&mut spec, "podCIDR", &node.pod_cidrs.first());
    insert_filled(&mut spec, "podCIDRs", json!(node.pod_cidrs));
    insert_filled(&mut spec, "taints", node.taints.iter().map(taint).collect());
    let mut status = Map::new();
    insert_filled(&mut status, "addresses", node.addresses.iter().map(internal).collect());
    object("v1", "Node", metadata, [("spec", spec.into()), ("status", status.into())])
}

fn taint(taint: &Taint) -> Value {
    let mut fields = fields([("key", json!(taint.key)), ("effect", json!(taint.effect))]);
    insert_filled(&mut fields, "value", json!(taint.value));
    fields.into()
}

/// A ServiceAccount (v1).
pub fn service_account(name: &NamespacedName) -> Value {
    let metadata = fields([("name", json!(name.name)), ("namespace", json!(name.namespace))]);
    object("v1", "ServiceAccount", metadata, [])
}

/// The ServiceCIDR (networking.k8s.io/v1) that an API server makes of its own ranges of cluster IPs.
pub fn service_cidr(ranges: &Vec<IpNet>) -> Value {
    let metadata = fields([("name", "kubernetes".into())]);
    object("networking.k8s.io/v1", "ServiceCIDR", metadata, [("spec", json!({"cidrs": ranges}))])
}
