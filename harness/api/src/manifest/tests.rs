//! Manifests held against tables of good and bad objects, which are the files of `testdata`.

use super::*;
use crate::workload::Workload;
use netproof_text::yaml::{Node, from_node, parse};
use proptest::prelude::*;
use serde::Deserialize;

const STORED: &str = include_str!("testdata/stored.yaml");
const REFUSED: &str = include_str!("testdata/refused.yaml");

#[derive(Deserialize)]
struct Pair {
    case: String,
    written: Node,
    stored: Node,
}

fn stored(object: &Object, node: &Node, source: &Arc<Source>) -> Object {
    let read = match object {
        Object::Namespace(_) => from_node(node, source).map(Object::Namespace),
        Object::Node(_) => from_node(node, source).map(Object::Node),
        Object::Pod(_) => from_node(node, source).map(Object::Pod),
        Object::Service(_) => from_node(node, source).map(Object::Service),
        Object::EndpointSlice(_) => from_node(node, source).map(Object::EndpointSlice),
        Object::Policy(crate::Policy::NetworkPolicy(_)) => {
            from_node(node, source).map(|policy: crate::NetworkPolicy| Object::Policy(policy.into()))
        }
        Object::Policy(_) | Object::Workload(_) => panic!("{object:?} has a test of its own"),
    };
    read.unwrap_or_else(|errors| panic!("{errors}"))
}

#[test]
fn objects_are_stored_with_their_defaults() {
    let source = Source::new("stored.yaml", STORED);
    for document in parse(&source).unwrap() {
        let pair: Pair = from_node(&document, &source).unwrap_or_else(|errors| panic!("{errors}"));
        let manifest = read_manifest(&pair.written, &source, &Context::default())
            .checked()
            .unwrap_or_else(|errors| panic!("{errors}"));
        let [located] = manifest.objects.as_slice() else { panic!("{}: {:?}", pair.case, manifest.objects) };
        assert_eq!(located.object, stored(&located.object, &pair.stored, &source), "{}", pair.case);
    }
}

#[test]
fn bad_objects_are_refused_with_every_reason() {
    let source = Source::new("refused.yaml", REFUSED);
    let report: Vec<String> = parse(&source)
        .unwrap()
        .iter()
        .map(|document| match read_manifest(document, &source, &Context::default()).checked() {
            Ok(manifest) => panic!("accepted: {:?}", manifest.objects),
            Err(errors) => errors.to_string(),
        })
        .collect();
    insta::assert_snapshot!(report.join("\n\n----\n\n"));
}

#[test]
fn odd_objects_are_accepted_with_a_warning() {
    let source = Source::new("warned.yaml", include_str!("testdata/warned.yaml"));
    let mut report = Vec::new();
    for document in parse(&source).unwrap() {
        let manifest = read_manifest(&document, &source, &Context::default()).checked();
        let manifest = manifest.unwrap_or_else(|errors| panic!("{errors}"));
        report.extend(manifest.problems.iter().map(ToString::to_string));
    }
    insta::assert_snapshot!(report.join("\n\n"));
}

#[test]
fn workloads_keep_their_template_and_lists_become_their_items() {
    let source = Source::new("workloads.yaml", include_str!("testdata/workloads.yaml"));
    let manifest = read_manifests(&source, &Context::default()).unwrap_or_else(|errors| panic!("{errors}"));
    let lines: Vec<String> = manifest
        .objects
        .iter()
        .map(|located| {
            let (line, _) = located.source.location(located.span.start);
            let metadata = located.object.metadata();
            let mut text = format!("line {line}: {}", located.object.kind());
            if let Some(namespace) = &metadata.namespace {
                text += &format!(" {namespace}/");
            }
            text += &format!(" {} {:?}", metadata.name, metadata.labels);
            if let Object::Workload(Workload { pods, template, .. }) = &located.object {
                text += &format!(": {pods:?} of {:?} on {:?}", template.metadata.labels, template.node_name);
            }
            text
        })
        .chain(manifest.ignored.iter().map(|it| format!("ignored: {} ({:?})", it.kind, it.effect)))
        .collect();
    assert!(manifest.problems.is_empty(), "{:?}", manifest.problems);
    insta::assert_snapshot!(lines.join("\n"));
}

#[test]
fn the_errors_of_all_documents_are_reported() {
    let source = Source::new("x", "apiVersion: v1\n---\nkind: Pod\n");
    assert_eq!(read_manifests(&source, &Context::default()).unwrap_err().iter().count(), 2);
    let many = format!("{{apiVersion: v1, kind: List, items: [{}]}}", "1, ".repeat(100_000));
    assert_eq!(read_manifests(&Source::new("x", many), &Context::default()).unwrap_err().iter().count(), 100);
}

/// kubectl takes no list that is not an object; calicoctl does.
#[test]
fn objects_of_calico_may_stand_in_a_list_of_their_own() {
    let list = "
- {apiVersion: projectcalico.org/v3, kind: Tier, metadata: {name: a}}
- {apiVersion: projectcalico.org/v3, kind: Tier, metadata: {name: b}}
";
    let manifest = read_manifests(&Source::new("x", list), &Context::default()).unwrap();
    assert_eq!(manifest.objects.len() + manifest.ignored.len(), 2, "{manifest:?}");
    let pods = list.replace("projectcalico.org/v3", "v1").replace("Tier", "Namespace");
    let errors = read_manifests(&Source::new("x", pods), &Context::default()).unwrap_err().to_string();
    assert!(errors.contains("a mapping is wanted here, not a list"), "{errors}");
}

#[test]
fn a_byte_order_mark_moves_no_place() {
    let said = |mark: &str| {
        let text = format!("{mark}{{apiVersion: v1, kind: Pdo, metadata: {{name: a}}}}\n");
        read_manifests(&Source::new("x", text), &Context::default()).unwrap_err().to_string()
    };
    assert!(said("").starts_with("x:1:24: "), "{}", said(""));
    assert_eq!(said("\u{feff}"), said(""));
}

#[test]
fn the_namespace_of_the_context_is_the_default() {
    let source =
        Source::new("x", "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: a}}");
    let context = Context { namespace: "prod".into() };
    let manifest = read_manifests(&source, &context).unwrap();
    assert_eq!(manifest.objects[0].object.metadata().namespace.as_deref(), Some("prod"));
}

/// Replaces the values at some places of a tree by others.
fn mutate(node: &mut Node, places: &mut Vec<usize>, values: &[Node], count: &mut usize) {
    let here = *count;
    *count += 1;
    if places.contains(&here) {
        *node = values[here % values.len()].clone();
        return;
    }
    match &mut node.value {
        netproof_text::yaml::Value::Sequence(items) => {
            items.iter_mut().for_each(|item| mutate(item, places, values, count));
        }
        netproof_text::yaml::Value::Mapping(entries) => {
            entries.iter_mut().for_each(|(_, value)| mutate(value, places, values, count));
        }
        _ => {}
    }
}

proptest! {
    #[test]
    fn mutated_manifests_are_survived(
        document in any::<prop::sample::Index>(),
        mut places in prop::collection::vec(2..40usize, 1..4),
    ) {
        let source = Source::new("stored.yaml", STORED);
        let values = parse(&Source::new("x", "[~, true, -1, 0, 1.5, 99999999999999999999, '', a, \"é\", [], [~], {}, {a: ~}]"))
            .unwrap()[0]
            .items()
            .to_vec();
        let documents = parse(&source).unwrap();
        let mut node = documents[document.index(documents.len())].get("written").unwrap().clone();
        mutate(&mut node, &mut places, &values, &mut 0);
        if let Err(errors) = read_manifest(&node, &source, &Context::default()).checked() {
            prop_assert!(errors.to_string().contains("error: "));
        }
    }
}
