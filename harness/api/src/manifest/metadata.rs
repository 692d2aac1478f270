//! `metadata`: names by the rule of their kind, namespaces by scope, labels and annotations by syntax.

use super::{Context, tables};
use crate::meta::{Labels, ObjectMeta, OwnerReference};
use crate::names;
use crate::reader::{Field, Fields};

/// The rules for a kind's metadata.
#[derive(Clone, Copy)]
pub(super) struct MetadataRules {
    pub(super) namespaced: bool,
    pub(super) check_name: fn(&str) -> Result<(), String>,
}

impl MetadataRules {
    pub(super) const NAMESPACED: MetadataRules =
        MetadataRules { namespaced: true, check_name: names::check_dns_subdomain };
    pub(super) const CLUSTER: MetadataRules =
        MetadataRules { namespaced: false, check_name: names::check_dns_subdomain };
}

/// The metadata of an object, its namespace filled in.
pub(super) fn object_meta(object: &Fields<'_>, rules: MetadataRules, context: &Context) -> ObjectMeta {
    let Some(metadata) = object.require("metadata").and_then(|field| field.fields(tables::OBJECT_META))
    else {
        return ObjectMeta::default();
    };
    let name = match (metadata.text("name"), metadata.text("generateName")) {
        (Some(field), _) => field.checked("name", rules.check_name).unwrap_or_default().to_owned(),
        (None, Some(field)) => {
            let help = "write `name`: what is tested needs the same name in every run";
            field.error("`generateName` cannot be used here", help);
            String::new()
        }
        (None, None) => {
            metadata.missing("name");
            String::new()
        }
    };
    let namespace = match (metadata.text("namespace"), rules.namespaced) {
        (Some(field), true) => field.checked("namespace", names::check_dns_label).map(str::to_owned),
        (None, true) => Some(context.namespace.clone()),
        (Some(field), false) => {
            field.error("this kind is not in a namespace", "leave `namespace` out");
            None
        }
        (None, false) => None,
    };
    let (labels, annotations) = (labels(&metadata), annotations(&metadata));
    ObjectMeta { name, namespace, labels, annotations, controller: controller(&metadata) }
}

/// The object's controller: at most one of its owners.
fn controller(metadata: &Fields<'_>) -> Option<OwnerReference> {
    let owners = metadata.items("ownerReferences").into_iter();
    let mut owners = owners.filter_map(|owner| owner.mapping());
    let owner =
        owners.find(|owner| owner.get("controller").and_then(|field| field.boolean()).unwrap_or_default())?;
    let text = |name| owner.require(name).and_then(|field| field.string()).map(str::to_owned);
    let version = owner.get("apiVersion").and_then(|field| field.string());
    let (group, _) = version.and_then(|version| version.split_once('/')).unwrap_or_default();
    Some(OwnerReference { group: group.to_owned(), kind: text("kind")?, name: text("name")? })
}

/// The labels of an object or of a pod template.
pub(super) fn labels(metadata: &Fields<'_>) -> Labels {
    metadata.get("labels").map(|field| label_map(&field)).unwrap_or_default()
}

/// A mapping of label keys to label values.
pub(super) fn label_map(field: &Field<'_>) -> Labels {
    field.string_map(names::check_label_key, names::check_label_value)
}

/// The annotations of an object or of a pod template.
pub(super) fn annotations(metadata: &Fields<'_>) -> Labels {
    // The API server compares annotation keys in lower case.
    let check_key = |key: &str| names::check_label_key(&key.to_lowercase());
    metadata.get("annotations").map(|field| field.string_map(check_key, |_| Ok(()))).unwrap_or_default()
}
