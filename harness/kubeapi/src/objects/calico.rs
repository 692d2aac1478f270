//! The objects of Calico's API, whose types have the API's form.

use super::metadata::metadata;
use super::network_policy::spec_fields;
use super::{fields, object};
use netproof_api::ObjectMeta;
use netproof_api::calico::{CalicoPolicy, StagedKubernetesNetworkPolicy};
use netproof_model::PolicyKind;
use serde::Serialize;
use serde_json::{Value, json};

const VERSION: &str = "projectcalico.org/v3";

pub(super) fn policy(policy: &CalicoPolicy) -> Value {
    let mut spec = json!(policy.spec);
    if let (Some(action), Some(spec)) = (policy.staged, spec.as_object_mut()) {
        spec.insert("stagedAction".to_owned(), json!(action));
    }
    of(policy.kind(), &policy.metadata, &spec)
}

pub(super) fn staged_kubernetes_policy(policy: &StagedKubernetesNetworkPolicy) -> Value {
    let mut spec = spec_fields(&policy.spec);
    spec.insert("stagedAction".to_owned(), json!(policy.staged));
    of(PolicyKind::StagedKubernetesNetworkPolicy, &policy.metadata, &spec)
}

pub(super) fn of(kind: PolicyKind, meta: &ObjectMeta, spec: &impl Serialize) -> Value {
    object(VERSION, kind.name(), metadata(meta), [("spec", json!(spec))])
}

/// A set's addresses, as its spec has them.
pub(super) fn nets(nets: &impl Serialize) -> Value {
    fields([("nets", json!(nets))]).into()
}
