//! ClusterNetworkPolicies held against tables of good and bad objects, which are the files of `testdata`.

use super::*;
use crate::reader::{Report, Tolerance};
use netproof_text::yaml::{Node, Reading, from_node, parse};
use netproof_text::{Diagnostic, Diagnostics, Source};
use serde::Deserialize;
use std::sync::Arc;

#[derive(Deserialize)]
struct Pair {
    case: String,
    written: Node,
    stored: Node,
}

/// What is kept of an object, and what is said of it.
fn read(node: &Node, source: &Arc<Source>) -> (Option<ClusterNetworkPolicy>, Vec<Diagnostic>) {
    let report = Report::new(source, Reading::Strict);
    let field = Field::document(&report, node);
    let read = match node.get("kind").and_then(Node::as_str) {
        Some("ClusterNetworkPolicy") => cluster_network_policy,
        Some("AdminNetworkPolicy") => admin_network_policy,
        Some("BaselineAdminNetworkPolicy") => baseline_admin_network_policy,
        other => panic!("{other:?}"),
    };
    let is_exported = node.get("metadata").is_some_and(|it| it.get("resourceVersion").is_some());
    let tolerance = if is_exported { Tolerance::UnknownFields } else { Tolerance::Nothing };
    let policy = report.tolerating(tolerance, || read(&field, &Context::default()));
    (policy, report.into_diagnostics())
}

#[test]
fn objects_are_kept_as_the_api_server_stores_them() {
    let source = Source::new("stored.yaml", include_str!("testdata/stored.yaml"));
    for document in parse(&source).unwrap() {
        let Pair { case, written, stored } =
            from_node(&document, &source).unwrap_or_else(|errors| panic!("{errors}"));
        let stored: ClusterNetworkPolicy = from_node(&stored, &source).unwrap_or_else(|it| panic!("{it}"));
        let (policy, said) = read(&written, &source);
        assert!(said.is_empty(), "{case}: {said:?}");
        assert_eq!(policy, Some(stored), "{case}");
    }
}

#[test]
fn bad_objects_are_refused_with_every_reason() {
    let source = Source::new("refused.yaml", include_str!("testdata/refused.yaml"));
    let report = parse(&source)
        .unwrap()
        .iter()
        .map(|document| {
            let (policy, said) = read(document, &source);
            match Diagnostics::check(said) {
                Ok(_) => panic!("accepted: {policy:?}"),
                Err(errors) => errors.to_string(),
            }
        })
        .collect::<Vec<_>>();
    insta::assert_snapshot!(report.join("\n\n----\n\n"));
}

#[test]
fn odd_objects_are_taken_with_a_warning() {
    let source = Source::new("warned.yaml", include_str!("testdata/warned.yaml"));
    let mut report = Vec::new();
    for document in parse(&source).unwrap() {
        let (policy, said) = read(&document, &source);
        let said = Diagnostics::check(said).unwrap_or_else(|errors| panic!("{errors}"));
        report.extend(said.iter().map(ToString::to_string));
        report.push(format!("kept: {}", serde_json::to_string(&policy.map(|it| it.spec.egress)).unwrap()));
    }
    insta::assert_snapshot!(report.join("\n\n"));
}
