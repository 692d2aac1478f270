//! NetworkSet and GlobalNetworkSet.

use super::super::Context;
use super::super::scalars::lenient_cidr;
use super::super::tables;
use super::Dialect;
use super::metadata::{metadata, rules};
use crate::calico::NetworkSet;
use crate::names;
use crate::reader::Field;
use netproof_model::PolicyKind;

/// A label that Calico gives to sets itself.
const NAMESPACE_LABEL: &str = "projectcalico.org/namespace";

pub(super) fn network_set(
    kind: PolicyKind,
    document: &Field<'_>,
    dialect: Dialect,
    context: &Context,
) -> Option<NetworkSet> {
    let object = document.fields(tables::OBJECT)?;
    let rules = rules(kind.is_namespaced(), names::check_dns_subdomain);
    let metadata = metadata(&object, rules, dialect, context);
    if metadata.labels.contains_key(NAMESPACE_LABEL)
        && let Some(field) = object.get("metadata")
    {
        let message = format!("a set cannot have the label `{NAMESPACE_LABEL}`");
        field.error(message, "leave it out: Calico gives it to the sets of a namespace");
    }
    let nets = object.get("spec").and_then(|field| field.fields(&["nets"]));
    let nets = nets.map(|spec| spec.items("nets")).unwrap_or_default();
    Some(NetworkSet { metadata, nets: nets.iter().filter_map(lenient_cidr).collect() })
}
