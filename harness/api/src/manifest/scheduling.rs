//! Taints, tolerations and node selectors as written, defaulted and validated as the API server does.

use super::metadata::label_map;
use crate::core::{Node, Pod};
use crate::names;
use crate::reader::{Field, Fields};
use crate::scheduling::{Taint, TaintEffect, Toleration, TolerationOperator};

/// The taint that the node controller gives a node that is cordoned.
pub const UNSCHEDULABLE: &str = "node.kubernetes.io/unschedulable";

const EFFECTS: &[(&str, TaintEffect)] = &[
    ("NoSchedule", TaintEffect::NoSchedule),
    ("PreferNoSchedule", TaintEffect::PreferNoSchedule),
    ("NoExecute", TaintEffect::NoExecute),
];

const OPERATORS: &[(&str, TolerationOperator)] = &[
    ("Equal", TolerationOperator::Equal),
    ("Exists", TolerationOperator::Exists),
    ("Lt", TolerationOperator::Lt),
    ("Gt", TolerationOperator::Gt),
];

/// The taints of a node, from its `spec`.
pub(super) fn taints(spec: &Fields<'_>, node: &mut Node) {
    node.taints = spec.items("taints").iter().filter_map(taint).collect();
    let cordoned = spec.get("unschedulable").and_then(|field| field.boolean()).unwrap_or_default();
    if cordoned && !node.taints.iter().any(|taint| taint.key == UNSCHEDULABLE) {
        let (key, effect) = (UNSCHEDULABLE.to_owned(), TaintEffect::NoSchedule);
        node.taints.push(Taint { key, value: String::new(), effect });
    }
}

fn taint(field: &Field<'_>) -> Option<Taint> {
    let fields = field.fields(&["key", "value", "effect", "timeAdded"])?;
    let key = fields.require("key").and_then(|field| field.checked("taint key", names::check_label_key));
    let value = fields.text("value").and_then(|field| field.checked("taint value", names::check_label_value));
    let effect = fields.require("effect").and_then(|field| field.word("effect", EFFECTS));
    Some(Taint { key: key?.to_owned(), value: value.unwrap_or_default().to_owned(), effect: effect? })
}

/// The node selector and tolerations in a pod's `spec`.
pub(super) fn wishes(spec: &Fields<'_>, pod: &mut Pod) {
    pod.node_selector = spec.get("nodeSelector").map(|field| label_map(&field)).unwrap_or_default();
    pod.tolerations = spec.items("tolerations").iter().filter_map(toleration).collect();
}

fn toleration(field: &Field<'_>) -> Option<Toleration> {
    let fields = field.fields(&["key", "operator", "value", "effect", "tolerationSeconds"])?;
    let key = fields.text("key").filter(|field| field.node.as_str() != Some(""));
    let key = key.and_then(|field| field.checked("taint key", names::check_label_key)).unwrap_or_default();
    let written = |name| fields.text(name).filter(|field| field.node.as_str() != Some(""));
    let operator =
        written("operator").and_then(|field| field.word("operator", OPERATORS)).unwrap_or_default();
    let effect = written("effect").and_then(|field| field.word("effect", EFFECTS));
    let value = written("value");
    if key.is_empty() && operator != TolerationOperator::Exists {
        field.error("a toleration without a key", "name a key, or write `operator: Exists` for every taint");
    }
    if let (Some(value), TolerationOperator::Exists) = (&value, operator) {
        value.error("a value beside `operator: Exists`", "leave it out, or write `operator: Equal`");
    }
    let value = value.and_then(|field| field.string()).unwrap_or_default().to_owned();
    Some(Toleration { key: key.to_owned(), operator, value, effect })
}
