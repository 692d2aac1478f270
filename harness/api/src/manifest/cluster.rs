//! Namespaces and nodes as written, defaulted and validated as the API server does.

use super::metadata::{MetadataRules, object_meta};
use super::{Context, scalars, scheduling, tables};
use crate::core::{Namespace, Node};
use crate::names;
use crate::reader::Field;

/// The label by which policies select a namespace by name; the API server always sets it.
pub const NAMESPACE_NAME_LABEL: &str = "kubernetes.io/metadata.name";

pub(super) fn namespace(document: &Field<'_>, context: &Context) -> Option<Namespace> {
    let object = document.fields(tables::OBJECT)?;
    if let Some(spec) = object.get("spec") {
        spec.fields(&["finalizers"]);
    }
    let rules = MetadataRules { check_name: names::check_dns_label, ..MetadataRules::CLUSTER };
    let mut metadata = object_meta(&object, rules, context);
    let name = metadata.name.clone();
    let written = metadata.labels.insert(NAMESPACE_NAME_LABEL.to_owned(), name.clone());
    if written.is_some_and(|written| written != name) {
        let help = "leave it out: the API server sets it to the name";
        document.warn(format!("the label `{NAMESPACE_NAME_LABEL}` is `{name}`, whatever is written"), help);
    }
    Some(Namespace { metadata })
}

pub(super) fn node(document: &Field<'_>, context: &Context) -> Option<Node> {
    let object = document.fields(tables::OBJECT)?;
    let mut node =
        Node { metadata: object_meta(&object, MetadataRules::CLUSTER, context), ..Node::default() };
    if let Some(spec) = object.get("spec").and_then(|field| field.fields(tables::NODE_SPEC)) {
        let ranges = spec.items("podCIDRs");
        let ranges = if ranges.is_empty() { spec.text("podCIDR").into_iter().collect() } else { ranges };
        node.pod_cidrs = ranges.iter().filter_map(scalars::net).collect();
        scheduling::taints(&spec, &mut node);
    }
    if let Some(status) = object.get("status").and_then(|field| field.fields(tables::NODE_STATUS)) {
        for item in status.items("addresses") {
            let Some(fields) = item.fields(&["type", "address"]) else { continue };
            if fields.get("type").and_then(|field| field.string()) == Some("InternalIP")
                && let Some(address) = fields.require("address").and_then(|field| scalars::address(&field))
            {
                node.addresses.push(address);
            }
        }
    }
    Some(node)
}
