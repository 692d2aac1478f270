//! `metadata` of an object: its name, labels, annotations and owner.

use super::{fields, insert, insert_filled};
use netproof_api::{ObjectMeta, OwnerReference};
use serde_json::{Map, Value, json};

pub(super) fn metadata(metadata: &ObjectMeta) -> Map<String, Value> {
    let mut fields = fields([("name", json!(metadata.name))]);
    insert(&mut fields, "namespace", &metadata.namespace);
    insert_filled(&mut fields, "labels", json!(metadata.labels));
    insert_filled(&mut fields, "annotations", json!(metadata.annotations));
    if let Some(controller) = &metadata.controller {
        own(&mut fields, controller);
    }
    fields
}

/// Adds an annotation of netproof's.
pub(super) fn annotate(metadata: &mut Map<String, Value>, key: &str, value: String) {
    let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
    if let Some(annotations) = annotations.as_object_mut() {
        annotations.insert(key.to_owned(), value.into());
    }
}

/// Names the controller of the object.
pub(super) fn own(metadata: &mut Map<String, Value>, controller: &OwnerReference) {
    let api_version = match controller.group.as_str() {
        "" => "v1".to_owned(),
        group => format!("{group}/v1"),
    };
    let owner = json!({
        "apiVersion": api_version, "kind": controller.kind, "name": controller.name,
        "controller": true, "blockOwnerDeletion": true,
    });
    metadata.insert("ownerReferences".into(), json!([owner]));
}
