//! Names by the rule of their kind, and what Calico stores of metadata.

use super::super::Context;
use super::super::metadata::{MetadataRules, object_meta};
use super::Dialect;
use crate::meta::ObjectMeta;
use crate::names;
use crate::reader::Fields;
use netproof_text::Source;
use netproof_text::yaml::parse;

/// Most bytes of all annotations together.
const MAX_ANNOTATIONS: usize = 256 << 10;
/// Where the metadata that an object was written with are kept as JSON, labels and all.
const WRITTEN_METADATA: &str = "projectcalico.org/metadata";
/// Names with two dots or more, which are made of a Kubernetes policy's.
const MADE_NAMES: [&str; 2] = ["knp.default.", "ossg.default."];

/// The metadata of an object, its namespace filled in.
pub(super) fn metadata(
    object: &Fields<'_>,
    rules: MetadataRules,
    dialect: Dialect,
    context: &Context,
) -> ObjectMeta {
    let mut metadata = object_meta(object, rules, context);
    let size: usize = metadata.annotations.iter().map(|(key, value)| key.len() + value.len()).sum();
    let written = object.get("metadata").and_then(|field| field.mapping()?.get("annotations"));
    if size > MAX_ANNOTATIONS
        && let Some(field) = &written
    {
        field.error(
            format!("the annotations have {size} bytes"),
            format!("they may have {MAX_ANNOTATIONS} together"),
        );
    }
    if dialect == Dialect::Stored
        && let Some(kept) = metadata.annotations.remove(WRITTEN_METADATA)
    {
        let labels = parse(&Source::new(WRITTEN_METADATA, kept)).ok().and_then(|documents| {
            let labels = documents.first()?.get("labels")?.entries().iter();
            labels.map(|(key, value)| Some((key.name.clone(), value.as_str()?.to_owned()))).collect()
        });
        // Whoever stored it kept them there alone.
        metadata.labels = labels.unwrap_or_default();
    }
    metadata
}

/// Rules for objects of a kind.
pub(super) const fn rules(is_namespaced: bool, check_name: fn(&str) -> Result<(), String>) -> MetadataRules {
    MetadataRules { namespaced: is_namespaced, check_name }
}

/// The name of a tier: of one label, so that it can stand before the names of its policies.
pub(super) fn check_tier_name(name: &str) -> Result<(), String> {
    if name.contains('.') && names::check_dns_subdomain(name).is_ok() {
        return Err("is a tier's, and has no dot".to_owned());
    }
    names::check_dns_label(name)
}

/// The name of a policy: perhaps a tier's name and a dot, and a label.
pub(super) fn check_policy_name(name: &str) -> Result<(), String> {
    names::check_dns_subdomain(name)?;
    if name.split('.').count() > 2 {
        return Err("is a policy's, and has one dot at most".to_owned());
    }
    Ok(())
}

/// The name of a namespaced policy, which may be made of a Kubernetes policy's name.
pub(super) fn check_namespaced_policy_name(name: &str) -> Result<(), String> {
    match MADE_NAMES.iter().find_map(|prefix| name.strip_prefix(prefix)) {
        Some(rest) => names::check_dns_subdomain(rest),
        None => check_policy_name(name),
    }
}
