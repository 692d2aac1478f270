//! Calico's objects held against tables of good and bad ones, which are the files of `testdata`.

use super::*;
use crate::calico::{CalicoPolicy, IpPool, NetworkSet, Profile, StagedKubernetesNetworkPolicy, Tier};
use crate::reader::Report;
use netproof_text::yaml::{Reading, from_node, parse};
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
fn read_object(node: &Node, source: &Arc<Source>) -> (Option<Policy>, Vec<Diagnostic>) {
    let report = Report::new(source, Reading::Strict);
    let text = |name| node.get(name).and_then(Node::as_str).unwrap();
    let (dialect, version) = Dialect::of(text("apiVersion").split_once('/').unwrap().0).unwrap();
    assert!(text("apiVersion").ends_with(version), "{}", text("apiVersion"));
    let kind = kind_of(text("kind")).unwrap();
    let object = read(kind, &Field::document(&report, node), dialect, &Context::default());
    (object, report.into_diagnostics())
}

fn stored(like: &Policy, node: &Node, source: &Arc<Source>) -> Policy {
    let read = match like {
        Policy::CalicoPolicy(_) => from_node::<CalicoPolicy>(node, source).map(Policy::from),
        Policy::StagedKubernetesNetworkPolicy(_) => {
            from_node::<StagedKubernetesNetworkPolicy>(node, source).map(Policy::from)
        }
        Policy::Tier(_) => from_node::<Tier>(node, source).map(Policy::from),
        Policy::NetworkSet(_) => from_node::<NetworkSet>(node, source).map(Policy::from),
        Policy::Profile(_) => from_node::<Profile>(node, source).map(Policy::from),
        Policy::IpPool(_) => from_node::<IpPool>(node, source).map(Policy::from),
        other => panic!("{other:?} is not Calico's"),
    };
    read.unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn objects_are_kept_as_the_api_server_stores_them() {
    let source = Source::new("stored.yaml", include_str!("testdata/stored.yaml"));
    for document in parse(&source).unwrap() {
        let Pair { case, written, stored: expected } =
            from_node(&document, &source).unwrap_or_else(|errors| panic!("{errors}"));
        let (object, said) = read_object(&written, &source);
        assert!(said.is_empty(), "{case}: {said:?}");
        let object = object.unwrap_or_else(|| panic!("{case}: nothing is kept"));
        assert_eq!(object, stored(&object, &expected, &source), "{case}");
        let name = written.get("kind").and_then(Node::as_str).unwrap();
        assert_eq!((object.kind().name(), object.kind().group()), (name, API_GROUP), "{case}");
    }
}

#[test]
fn bad_objects_are_refused_with_every_reason() {
    let source = Source::new("refused.yaml", include_str!("testdata/refused.yaml"));
    let report = parse(&source).unwrap().into_iter().map(|document| {
        let (object, said) = read_object(&document, &source);
        Diagnostics::check(said).map_or_else(|errors| errors.to_string(), |_| panic!("accepted: {object:?}"))
    });
    insta::assert_snapshot!(report.collect::<Vec<_>>().join("\n\n----\n\n"));
}

#[test]
fn odd_objects_are_taken_with_a_warning() {
    let source = Source::new("warned.yaml", include_str!("testdata/warned.yaml"));
    let mut report = Vec::new();
    for document in parse(&source).unwrap() {
        let (object, said) = read_object(&document, &source);
        let said = Diagnostics::check(said).unwrap_or_else(|errors| panic!("{errors}"));
        report.extend(said.iter().map(ToString::to_string));
        let Some(Policy::CalicoPolicy(policy)) = object else { panic!("{object:?}") };
        report.push(format!("kept: {}", serde_json::to_string(&policy.spec).unwrap()));
    }
    insta::assert_snapshot!(report.join("\n\n"));
}

/// What lists may have at most.
#[test]
fn lists_and_annotations_have_limits() {
    let rules = |count: usize| format!("ingress: [{}]", "{action: Allow}, ".repeat(count));
    let entity = |list: String| format!("ingress: [{{action: Allow, protocol: TCP, source: {{{list}}}}}]");
    let nets = |count: usize| entity(format!("nets: [{}]", "10.0.0.0/8, ".repeat(count)));
    let ports = |count: usize| entity(format!("notPorts: [{}]", "80, ".repeat(count)));
    let http = |list: String| format!("ingress: [{{action: Allow, http: {{{list}}}}}]");
    let methods = |count: usize| {
        let methods: Vec<String> = (0..count).map(|number| format!("M{number}")).collect();
        http(format!("methods: [{}]", methods.join(", ")))
    };
    let paths = |count: usize| http(format!("paths: [{}]", "{exact: /}, ".repeat(count)));
    let path = |length: usize| http(format!("paths: [{{exact: /{}}}]", "a".repeat(length - 1)));
    for (spec, refusal) in [
        (rules(1024), None),
        (rules(1025), Some("1025 rules are too many")),
        (nets(256), None),
        (nets(257), Some("257 ranges are too many")),
        (ports(50), None),
        (ports(51), Some("51 ports are too many")),
        (methods(20), None),
        (methods(21), Some("21 methods are too many")),
        (paths(20), None),
        (paths(21), Some("21 paths are too many")),
        (path(1024), None),
        (path(1025), Some("the path has 1025 characters")),
    ] {
        let text = format!(
            "{{apiVersion: projectcalico.org/v3, kind: GlobalNetworkPolicy, metadata: {{name: a}}, spec: {{{spec}}}}}"
        );
        let source = Source::new("x", text);
        let (_, said) = read_object(&parse(&source).unwrap()[0], &source);
        let said = Diagnostics::check(said).err().map(|errors| errors.to_string());
        match refusal {
            None => assert_eq!(said, None),
            Some(refusal) => assert!(said.as_ref().is_some_and(|it| it.contains(refusal)), "{said:?}"),
        }
    }
    for (bytes, refused) in [(256 << 10, false), ((256 << 10) + 1, true)] {
        let annotation = "x".repeat(bytes - 1);
        let text = format!(
            "{{apiVersion: projectcalico.org/v3, kind: Tier, metadata: {{name: a, annotations: {{a: {annotation}}}}}}}"
        );
        let source = Source::new("x", text);
        let (_, said) = read_object(&parse(&source).unwrap()[0], &source);
        assert_eq!(Diagnostics::check(said).is_err(), refused);
    }
}
