//! Namespaces, and the objects that are in one.

use crate::change::{ChangeError, ObjectRef};
use netproof_api::Namespace;
use netproof_model::NamespacedName;
use std::collections::BTreeMap;

/// The namespaces that the API server refuses to delete.
const UNDELETABLE: [&str; 3] = ["default", "kube-public", "kube-system"];

/// The label that the API server gives every namespace.
pub(crate) const NAMESPACE_NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// A namespace with the label that the API server gives it.
pub(crate) fn complete(namespace: &Namespace) -> Result<Namespace, ChangeError> {
    let mut namespace = namespace.clone();
    let name = namespace.metadata.name.clone();
    let label =
        namespace.metadata.labels.entry(NAMESPACE_NAME_LABEL.to_owned()).or_insert_with(|| name.clone());
    if *label != name {
        return Err(ChangeError::new(
            format!("the label {NAMESPACE_NAME_LABEL} of namespace/{name} says `{label}`"),
            "leave the label out: the API server sets it",
        ));
    }
    Ok(namespace)
}

/// Refuses the namespaces that the API server keeps.
pub(crate) fn check_deletable(name: &str) -> Result<(), ChangeError> {
    match UNDELETABLE.contains(&name) {
        true => Err(ChangeError::new(
            format!("namespace/{name} cannot be deleted"),
            "delete what is in it, or use a namespace of your own",
        )),
        false => Ok(()),
    }
}

/// Refuses another value for the label that says a namespace's name.
pub(crate) fn check_labels(
    object: &ObjectRef,
    labels: &BTreeMap<String, Option<String>>,
) -> Result<(), ChangeError> {
    let fixed = labels.get(NAMESPACE_NAME_LABEL);
    match fixed.is_some_and(|value| value.as_deref() != Some(&object.name)) {
        true => Err(ChangeError::new(
            format!("the label {NAMESPACE_NAME_LABEL} of {object} cannot be changed"),
            "select the namespace by another label, or delete it and create one of another name",
        )),
        false => Ok(()),
    }
}

/// The names of the objects of one namespace.
pub(crate) fn names_in<T>(objects: &BTreeMap<NamespacedName, T>, namespace: &str) -> Vec<NamespacedName> {
    in_namespace(objects, namespace).map(|(name, _)| name.clone()).collect()
}

/// The objects of one namespace.
pub(crate) fn in_namespace<'a, T>(
    objects: &'a BTreeMap<NamespacedName, T>,
    namespace: &'a str,
) -> impl Iterator<Item = (&'a NamespacedName, &'a T)> {
    objects
        .range(NamespacedName::new(namespace, "")..)
        .take_while(move |(name, _)| name.namespace == namespace)
}
