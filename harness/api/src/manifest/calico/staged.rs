//! What makes a policy a staged one, and the staged NetworkPolicy of Kubernetes.

use super::super::Context;
use super::super::metadata::MetadataRules;
use super::super::network_policy;
use super::super::tables;
use super::Dialect;
use super::metadata::metadata;
use crate::calico::{StagedAction, StagedKubernetesNetworkPolicy};
use crate::reader::{Field, Fields};
use netproof_text::yaml::Value;

const ACTIONS: &[(&str, StagedAction)] = &[
    ("Set", StagedAction::Set),
    ("Delete", StagedAction::Delete),
    ("Learn", StagedAction::Learn),
    ("Ignore", StagedAction::Ignore),
];

/// `stagedAction`; Set where none is written. One that deletes says nothing but its tier.
pub(super) fn staged_action(spec: &Fields<'_>, known: &[&str]) -> StagedAction {
    let action = spec.text("stagedAction").and_then(|field| field.word("staged action", ACTIONS));
    let action = action.unwrap_or(StagedAction::Set);
    if action == StagedAction::Delete {
        for name in known.iter().filter(|name| !matches!(**name, "tier" | "stagedAction")) {
            if let Some(field) = spec.get(name).filter(|field| !is_zero(&field.node.value)) {
                let help = "leave it out: the policy of that name would go";
                field.error(format!("`{name}` cannot stand beside `stagedAction: Delete`"), help);
            }
        }
    }
    action
}

/// Whether it says what an absent field does.
fn is_zero(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text.is_empty(),
        Value::Sequence(items) => items.is_empty(),
        Value::Mapping(entries) => entries.is_empty(),
        Value::Bool(true) | Value::Int(_) | Value::Float(_) => false,
    }
}

pub(super) fn kubernetes_policy(
    document: &Field<'_>,
    dialect: Dialect,
    context: &Context,
) -> Option<StagedKubernetesNetworkPolicy> {
    let object = document.fields(tables::OBJECT)?;
    let metadata = metadata(&object, MetadataRules::NAMESPACED, dialect, context);
    let known: Vec<&str> = network_policy::SPEC.iter().copied().chain(["stagedAction"]).collect();
    let spec = object.get("spec").and_then(|field| field.fields(&known));
    let staged = spec.as_ref().map_or(StagedAction::Set, |spec| staged_action(spec, &known));
    Some(StagedKubernetesNetworkPolicy { metadata, staged, spec: network_policy::spec(spec.as_ref()) })
}
