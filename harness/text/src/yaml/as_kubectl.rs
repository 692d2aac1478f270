//! The documents of `testdata/kubectl.txt`, each read as kubectl reads it.

use super::{Document, Node, Reading, Value, documents, kubectl_value};
use crate::diagnostic::Severity;
use crate::source::Source;
use serde_json::Value as Json;
use std::sync::Arc;

/// What kubectl hands on.
fn json(node: &Node, source: &Source) -> Json {
    match kubectl_value(node, source).into_owned() {
        Value::Null => Json::Null,
        Value::Bool(value) => value.into(),
        Value::Int(number) => number.into(),
        Value::Float(number) => number.into(),
        Value::String(text) => text.into(),
        Value::Sequence(items) => items.iter().map(|item| json(item, source)).collect(),
        Value::Mapping(entries) => {
            entries.iter().map(|(key, value)| (key.name.clone(), json(value, source))).collect()
        }
    }
}

/// What is read of a document, and what is said of it in the lines after it.
fn outcome(document: &Document, source: &Arc<Source>) -> String {
    let said: Vec<String> = document.problems.iter().map(ToString::to_string).collect();
    let is_error = document.problems.iter().any(|problem| problem.severity == Severity::Error);
    match &document.root {
        Some(root) if !is_error => [vec![json(root, source).to_string()], said].concat(),
        _ => [vec!["error".to_owned()], said].concat(),
    }
    .join("\n")
}

/// Name, document and result of a case of the table.
fn parts(case: &str) -> Option<(&str, String, &str)> {
    let (name, rest) = case.split_once('\n')?;
    let (text, expected) = rest.split_once("=> ")?;
    let text = text.replace('→', "\t").replace('¶', "\r").replace('␀', "\0").replace("␃\n", "");
    Some((name, text, expected.trim_end()))
}

/// What is wrong with a case of the table: its name, and what is read of it instead.
fn mistake(case: &str) -> Option<String> {
    let (name, text, expected) = parts(case).unwrap();
    let source = Source::new("in.yaml", text.as_str());
    let documents = documents(&source, Reading::Kubectl).unwrap();
    let found = documents.first().map_or_else(|| "nothing".to_owned(), |first| outcome(first, &source));
    let (said, wanted) = match expected.split_once(' ').unwrap() {
        ("error", said) => (said, "error"),
        ("warning", rest) => rest.split_once('\n').unwrap(),
        _ => ("", expected),
    };
    let is_said = found.contains(said) && said.is_empty() == (found.lines().count() == 1);
    let read = found.lines().next().unwrap_or_default();
    let same = match (serde_json::from_str::<Json>(wanted), serde_json::from_str::<Json>(read)) {
        (Ok(wanted), Ok(read)) => wanted == read,
        _ => wanted == read,
    };
    (!same || !is_said).then(|| format!("{name}: {found}"))
}

#[test]
fn documents_are_read_as_kubectl_reads_them() {
    let cases: Vec<&str> = include_str!("testdata/kubectl.txt").split("\n-- ").skip(1).collect();
    assert!(cases.len() > 50, "{} cases", cases.len());
    let mistakes: Vec<String> = cases.into_iter().filter_map(mistake).collect();
    assert!(mistakes.is_empty(), "{}", mistakes.join("\n\n"));
}
