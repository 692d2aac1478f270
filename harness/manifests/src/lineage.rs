//! Who made what: the objects above a pod or a workload, as `ownerReferences` say, and as the names and labels of
//! well-known controllers do where an export has the pod and not what is between.

use netproof_api::manifest::Located;
use netproof_api::{Ignored, Object, ObjectMeta, OwnerReference, WorkloadKind};
use std::collections::{HashMap, HashSet};

/// Namespace, kind as references write it, name. Of what no namespace holds the namespace is empty.
pub(super) type Reference = (String, String, String);

/// Controllers whose ReplicaSets or ReplicationControllers are named `NAME-SUFFIX`: the kind of those, the label
/// of pods that has the suffix, and the kind of the controller.
const BY_SUFFIX: [(&str, &str, &str); 2] = [
    ("replicaset", "pod-template-hash", "deployment"),
    ("replicaset", "rollouts-pod-template-hash", "rollout.argoproj.io"),
];

/// Labels of pods that have the name of an object: the label, and the kind of the object.
const BY_LABEL: [(&str, &str); 2] = [
    ("deploymentconfig", "deploymentconfig.apps.openshift.io"),
    ("serving.knative.dev/service", "service.serving.knative.dev"),
];

/// The objects that own others.
pub(super) struct Lineage {
    owners: HashMap<Reference, Vec<Reference>>,
}

impl Lineage {
    /// That of these objects.
    pub(super) fn of(objects: &[Located], ignored: &[Ignored]) -> Lineage {
        let kept = objects.iter().filter_map(|Located { object, .. }| {
            let metadata = object.metadata();
            let owner = metadata.controller.as_ref()?;
            Some((reference(metadata, object.kind()), vec![above(&namespace(metadata), owner)]))
        });
        let others = ignored.iter().map(|object| {
            let namespace = object.namespace.clone().unwrap_or_default();
            let owners = object.owners.iter().map(|owner| above(&namespace, owner)).collect();
            (reference_of(object, ""), owners)
        });
        Lineage { owners: others.chain(kept).collect() }
    }

    /// Every object above one that is kept: its controller, whose that is, and so on.
    pub(super) fn above(&self, object: &Object) -> HashSet<Reference> {
        let mut found = HashSet::new();
        let metadata = object.metadata();
        let mut next: Vec<Reference> = metadata
            .controller
            .iter()
            .map(|owner| above(&namespace(metadata), owner))
            .chain(by_labels(object))
            .collect();
        while let Some(reference) = next.pop() {
            let (namespace, kind, name) = &reference;
            let own = self.owners.get(&reference);
            // What no namespace holds may own what one holds.
            let cluster = || (String::new(), kind.clone(), name.clone());
            let own = own.or_else(|| self.owners.get(&cluster()).filter(|_| !namespace.is_empty()));
            let own = own.cloned().unwrap_or_default();
            if found.insert(reference) {
                next.extend(own);
            }
        }
        found
    }
}

/// The controllers that the labels of a pod, or of a ReplicaSet, name.
fn by_labels(object: &Object) -> Vec<Reference> {
    let metadata = object.metadata();
    let mut found = Vec::new();
    if let Some(owner) = &metadata.controller {
        let kind = WorkloadKind::word_of(&owner.group, &owner.kind);
        for (made, label, controller) in BY_SUFFIX {
            let suffix = metadata.labels.get(label).filter(|_| kind == made);
            let name = suffix.and_then(|suffix| owner.name.strip_suffix(suffix.as_str())?.strip_suffix('-'));
            found.extend(name.map(|name| (namespace(metadata), controller.to_owned(), name.to_owned())));
        }
    }
    for (label, kind) in BY_LABEL.iter().filter(|_| matches!(object, Object::Pod(_))) {
        let name = metadata.labels.get(*label).filter(|_| metadata.controller.is_some());
        found.extend(name.map(|name| (namespace(metadata), (*kind).to_owned(), name.clone())));
    }
    found
}

fn above(namespace: &str, owner: &OwnerReference) -> Reference {
    (namespace.to_owned(), WorkloadKind::word_of(&owner.group, &owner.kind), owner.name.clone())
}

/// The reference of an object that is kept.
pub(super) fn reference(metadata: &ObjectMeta, kind: &str) -> Reference {
    (namespace(metadata), kind.to_owned(), metadata.name.clone())
}

/// The reference of an object that is not kept; `default` is its namespace if it says none.
pub(super) fn reference_of(ignored: &Ignored, default: &str) -> Reference {
    let namespace = ignored.namespace.clone().unwrap_or_else(|| default.to_owned());
    (namespace, WorkloadKind::word_of(&ignored.group, &ignored.kind), ignored.name.clone())
}

pub(super) fn namespace(metadata: &ObjectMeta) -> String {
    metadata.namespace.clone().unwrap_or_default()
}
