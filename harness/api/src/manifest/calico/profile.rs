//! Profile.

use super::super::Context;
use super::super::metadata::label_map;
use super::super::tables;
use super::Dialect;
use super::metadata::{metadata, rules};
use super::rule::{Owner, rules as rules_of};
use crate::calico::{Profile, ProfileSpec};
use crate::names;
use crate::reader::Field;
use netproof_model::Direction;

pub(super) fn profile(document: &Field<'_>, dialect: Dialect, context: &Context) -> Option<Profile> {
    let object = document.fields(tables::OBJECT)?;
    let metadata = metadata(&object, rules(false, names::check_dns_subdomain), dialect, context);
    let spec = object.get("spec").and_then(|field| field.fields(&["ingress", "egress", "labelsToApply"]));
    let Some(spec) = spec else { return Some(Profile { metadata, spec: ProfileSpec::default() }) };
    let owner = |direction| Owner { direction, is_namespaced: false, dialect };
    let spec = ProfileSpec {
        ingress: rules_of(&spec, owner(Direction::Ingress)),
        egress: rules_of(&spec, owner(Direction::Egress)),
        labels_to_apply: spec.get("labelsToApply").map(|field| label_map(&field)).unwrap_or_default(),
    };
    Some(Profile { metadata, spec })
}
