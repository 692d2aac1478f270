//! `http` of a rule: checked and not kept. Where packets are filtered, nobody reads it.

use super::scalars::at_most;
use crate::calico::{CalicoAction, ProtocolNumber};
use crate::reader::Field;
use netproof_model::Direction;
use netproof_text::quote::quote;
use std::collections::BTreeSet;

/// The most methods, and the most paths.
const MAX_ITEMS: usize = 20;
/// The most characters of a path.
const MAX_PATH: usize = 1024;
const TCP: u8 = 6;

pub(super) fn check_http(
    field: &Field<'_>,
    action: Option<CalicoAction>,
    protocol: Option<ProtocolNumber>,
    direction: Direction,
) {
    if action.is_some_and(|action| action != CalicoAction::Allow) {
        field.error("`http` is for rules that allow", "leave it out, or write `action: Allow`");
    }
    if direction == Direction::Egress {
        field.error("`http` is for ingress rules", "leave it out, or write the rule for the servers");
    }
    if protocol.is_some_and(|protocol| protocol.get() != TCP) {
        field.error("`http` is for TCP", "write `protocol: TCP`");
    }
    let Some(fields) = field.fields(&["methods", "paths"]) else { return };
    let list =
        |name, what| fields.get(name).map(|field| at_most(&field, MAX_ITEMS, what)).unwrap_or_default();
    let mut known = BTreeSet::new();
    for method in list("methods", "methods") {
        if let Some(text) = method.string()
            && !known.insert(text)
        {
            method.error(format!("the method {} stands twice", quote(text)), "leave one of them out");
        }
    }
    list("paths", "paths").iter().for_each(check_path);
    field.warn(
        "`http` is not read where packets are filtered: the rule matches without it",
        "every request on what is left of the rule is allowed",
    );
}

fn check_path(field: &Field<'_>) {
    let Some(fields) = field.fields(&["exact", "prefix"]) else { return };
    let path = match (fields.text("exact"), fields.text("prefix")) {
        (Some(path), None) | (None, Some(path)) => path,
        _ => return field.error("a path is either exact or a prefix", "write `exact` or `prefix`"),
    };
    let Some(text) = path.string() else { return };
    let length = text.chars().count();
    if length > MAX_PATH {
        path.error(format!("the path has {length} characters"), format!("it may have {MAX_PATH}"));
    }
    if !text.starts_with('/') {
        path.error(format!("the path {} does not start with `/`", quote(text)), "write it from the root");
    }
    if let Some(c) = text.chars().find(|c| matches!(c, '?' | '#' | ' ')) {
        path.error(format!("a path has no `{c}`"), "leave it out: queries and fragments are not compared");
    }
}
