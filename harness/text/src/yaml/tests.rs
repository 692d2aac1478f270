//! The parser and the reader held against tables of good and bad texts.

use super::*;
use crate::source::Source;
use proptest::prelude::*;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

fn parsed(text: &str) -> Vec<Node> {
    parse(&Source::new("in.yaml", text)).unwrap_or_else(|errors| panic!("{text}\n{errors}"))
}

fn refused(text: &str) -> String {
    match parse(&Source::new("in.yaml", text)) {
        Ok(nodes) => panic!("accepted: {text}\n{nodes:?}"),
        Err(errors) => errors.to_string(),
    }
}

/// The tree as one line, with the written text of each key and value.
fn outline(node: &Node, source: &Source) -> String {
    match &node.value {
        Value::Sequence(items) => {
            let items: Vec<_> = items.iter().map(|item| outline(item, source)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Mapping(entries) => {
            let entries: Vec<_> = entries
                .iter()
                .map(|(key, value)| format!("{}: {}", source.slice(key.span), outline(value, source)))
                .collect();
            format!("{{{}}}", entries.join(", "))
        }
        _ => source.slice(node.span).to_owned(),
    }
}

#[test]
fn documents_keep_their_places() {
    for (text, expected) in [
        ("a: 1\n", "{a: 1}"),
        ("\u{feff}a: é\nb: 'x y'\n", "{a: é, b: 'x y'}"),
        ("# c\n---\na: [1, {b: \"c\"}]\n...\n---\n- x\n-   y # d\n", "{a: [1, {b: \"c\"}]} | [x, y]"),
        ("---\n---\n# nothing\n---\na:\n  - b: 1\n    c: 2\n---\n", "{a: [{b: 1, c: 2}]}"),
        ("a: &x {b: 1}\nc: *x\n", "{a: {b: 1}, c: {b: 1}}"),
        ("a:\nb: 1\n", "{a: a, b: 1}"),
        ("flow: pod/client -> service/web:80\n", "{flow: pod/client -> service/web:80}"),
        ("m: |\n  a\n  b\nn: 1\n", "{m: a\n  b\n, n: 1}"),
        ("!!str 80", "80"),
    ] {
        let source = Source::new("in.yaml", text);
        let nodes = parse(&source).unwrap();
        let outlines: Vec<_> = nodes.iter().map(|node| outline(node, &source)).collect();
        assert_eq!(outlines.join(" | "), expected, "{text}");
    }
}

#[test]
fn a_block_ends_with_its_last_value() {
    let source = Source::new("in.yaml", "spec:\n  a: 1\n  b: 2\n\n# comment\nnext: 3\n");
    let nodes = parse(&source).unwrap();
    assert_eq!(source.slice(nodes[0].get("spec").unwrap().span), "a: 1\n  b: 2");
}

#[test]
fn tags_say_what_a_scalar_is() {
    assert_eq!(parsed("!!str 80")[0].as_str(), Some("80"));
    assert_eq!(parsed("!!str yes")[0].as_str(), Some("yes"));
    assert_eq!(parsed("!!int '8_0'")[0].value, Value::Int(80));
    assert_eq!(parsed("!!bool yes")[0].value, Value::Bool(true));
    assert_eq!(parsed("!!float 80")[0].value, Value::Int(80));
    assert_eq!(parsed("'80'")[0].as_str(), Some("80"));
    assert_eq!(parsed("!!map {a: 1}")[0].get("a").unwrap().value, Value::Int(1));
}

#[test]
fn bad_texts() {
    let many_duplicates = "a: 1\n".repeat(100);
    let deep_flow = "[".repeat(100_000);
    let deep_block: String = (0..200).map(|depth| format!("{}a:\n", " ".repeat(depth))).collect();
    let deep_alias =
        format!("a: &a {}1{}\nb: {}*a{}\n", "[".repeat(40), "]".repeat(40), "[".repeat(40), "]".repeat(40));
    let report: Vec<String> = [
        "",
        "# only a comment\n",
        "---\n...\n---\n",
        "a: 1\nb: 2\na: 3\n",
        many_duplicates.as_str(),
        "a: 1\n\tb: 2\n",
        "a:\n\t- b\n",
        "a: *nowhere\n",
        "a: &a [*a]\n",
        "a: {<<: [{b: 1}, 2]}\n",
        "a: {b: 1, <<: {b: 2}}\n",
        "%YAML 1.1\n---\na: 1\n",
        "--- {a: 1}\n",
        "a: 1\n...\nb: 2\n",
        "{a: 1} b\n",
        "a: 1 # c\n\t\nb: 2\n",
        "a: @b\n",
        "80: web\n",
        "true: web\n",
        "? [a, b]\n: c\n",
        "~: c\n",
        "a: !secret b\n",
        "a: !!binary aGk=\n",
        "a: !!int b\n",
        "a: !!seq {}\n",
        "a: !e!x b\n",
        "a: [1, 2\nb: 3\n",
        "a: {b: 1\n",
        "a: 'b\n",
        "a: b: c\n",
        "a: b\n  c: d\n",
        "a: ]\n",
        "- a\nb: 1\n",
        "a: \"\\q\"\n",
        "a: \u{0}\n",
        "key\nb: 1\n",
        deep_flow.as_str(),
        deep_block.as_str(),
        deep_alias.as_str(),
    ]
    .into_iter()
    .map(refused)
    .collect();
    insta::assert_snapshot!(report.join("\n\n----\n\n"));
}

#[test]
fn bombs_end_quickly() {
    let mut laughs = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
    for level in 1..30 {
        let aliases = vec![format!("*a{}", level - 1); 9].join(", ");
        laughs += &format!("a{level}: &a{level} [{aliases}]\n");
    }
    let long = format!("a: &a {}\nb: [{}]\n", "x".repeat(1 << 20), "*a, ".repeat(1000));
    let nested_anchors: String =
        (0..60).map(|n| format!("{}&n{n} [", "")).collect::<String>() + &"x, ".repeat(300_000);
    let values = format!("[{}]", "1,".repeat(MAX_NODES + 1));
    let keys = format!("{{{}}}", (0..200_000).map(|n| format!("k{n}: 1,")).collect::<String>());
    let large = " ".repeat(crate::source::MAX_SOURCE_BYTES + 1);
    let started = Instant::now();
    assert!(refused(&laughs).contains("anchors and aliases expand to more than 8 MiB"));
    assert!(refused(&long).contains("anchors and aliases expand to more than 8 MiB"));
    refused(&nested_anchors);
    assert!(refused(&values).contains("more than 1000000 values"));
    assert_eq!(parsed(&keys)[0].entries().len(), 200_000);
    assert!(refused(&large).contains("larger than 16 MiB"));
    assert!(started.elapsed() < Duration::from_secs(60), "took {:?}", started.elapsed());
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Sample {
    name: Spanned<String>,
    #[serde(default)]
    ports: Vec<u16>,
    #[serde(default)]
    labels: BTreeMap<String, Option<String>>,
    kind: Option<Color>,
    #[serde(default)]
    inner: Option<Box<Sample>>,
    #[serde(default)]
    either: Option<Either>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Color {
    Red,
    Green,
    Mixed { red: u8 },
    Named(String),
}

#[derive(Debug, PartialEq)]
enum Either {
    Text(String),
    Whole(Box<Sample>),
}

impl<'de> Deserialize<'de> for Either {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let node = Node::deserialize(deserializer)?;
        match &node.value {
            Value::String(text) if text == "bad" => Err(serde::de::Error::custom("bad is not good")),
            Value::String(_) => node.read().map(Either::Text),
            _ => node.read().map(Either::Whole),
        }
    }
}

fn sample(text: &str) -> Result<Sample, String> {
    let source = Source::new("in.yaml", text);
    let nodes = parse(&source).unwrap();
    from_node(&nodes[0], &source).map_err(|errors| errors.to_string())
}

#[test]
fn typed_values() {
    let text =
        "name: a\nports: [80, 0x50]\nlabels: {x: null, y: z}\nkind: red\ninner: null\neither: {name: b}\n";
    let value = sample(text).unwrap();
    assert_eq!(value.name.span, crate::Span::new(6, 7));
    assert_eq!(value.ports, [80, 80]);
    assert_eq!(value.labels, BTreeMap::from([("x".into(), None), ("y".into(), Some("z".into()))]));
    assert_eq!(value.kind, Some(Color::Red));
    assert_eq!(value.inner, None);
    let Some(Either::Whole(whole)) = value.either else { panic!("{:?}", value.either) };
    assert_eq!(whole.name.value, "b");
    assert_eq!(
        sample("name: a\nports: null\nkind: {mixed: {red: 1}}\n").unwrap().kind,
        Some(Color::Mixed { red: 1 })
    );
    assert_eq!(sample("name: a\nkind: {named: x}\n").unwrap().kind, Some(Color::Named("x".into())));
    let source = Source::new("in.yaml", "a: 1\nb: 2\n");
    let keys: BTreeMap<Spanned<String>, u8> = from_node(&parse(&source).unwrap()[0], &source).unwrap();
    let spans: Vec<_> = keys.keys().map(|key| source.slice(key.span)).collect();
    assert_eq!(spans, ["a", "b"]);
    assert_eq!(serde_json::from_str::<Spanned<u8>>("7").unwrap().value, 7);
    assert!(serde_json::from_str::<Node>("null").is_err());
}

#[test]
fn values_of_the_wrong_type() {
    let report: Vec<String> = [
        "name: 80\n",
        "name: true\n",
        "name: [a]\n",
        "{}",
        "name: null\n",
        "nmae: a\n",
        "nmae: null\nname: a\n",
        "name: a\nports: [80, 70000]\n",
        "name: a\nports: [80, '81']\n",
        "name: a\nports: 80\n",
        "name: a\nlabels: {x: {}}\n",
        "name: a\nlabels: {a.b/c: 1}\n",
        "name: a\nkind: rde\n",
        "name: a\nkind: 7\n",
        "name: a\nkind: mixed\n",
        "name: a\nkind: {red: 1}\n",
        "name: a\nkind: {mixed: {red: 300}}\n",
        "name: a\nkind: {mixed: 1, red: 2}\n",
        "name: a\nkind: {mixed: {rde: 1}}\n",
        "name: a\neither: bad\n",
        "name: a\neither: {name: b, inner: {name: 7}}\n",
        "- name\n",
    ]
    .into_iter()
    .map(|text| sample(text).unwrap_err())
    .collect();
    insta::assert_snapshot!(report.join("\n\n----\n\n"));
}

const VALID: &str = "# a policy\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: \"a b\", labels: &l {a: 'é'}}\nspec:\n  podSelector:\n    matchLabels: *l\n  text: |\n    one\n     two\n  folded: >-\n    x\n    y\n  ingress:\n  - from: []\n    ports:\n    - port: 80\n---\n- 1\n";

fn inside(node: &Node, text: &str) {
    let good = |span: crate::Span| text.get(span.start..span.end).is_some();
    assert!(good(node.span), "{node:?}");
    for line in node.lines(&Source::new("x", text)) {
        assert!(good(line.span), "{line:?}");
    }
    node.items().iter().for_each(|item| inside(item, text));
    for (key, value) in node.entries() {
        assert!(good(key.span), "{key:?}");
        inside(value, text);
    }
}

fn survives(text: &str) {
    let source = Source::new("in.yaml", text);
    match parse(&source) {
        Ok(nodes) => {
            for node in &nodes {
                inside(node, text);
                let _ = from_node::<Sample>(node, &source).map_err(|errors| errors.to_string());
            }
        }
        Err(errors) => assert!(errors.to_string().starts_with("in.yaml:")),
    }
}

proptest! {
    #[test]
    fn any_text_is_survived(text in any::<String>()) {
        survives(&text);
    }

    #[test]
    fn yaml_like_text_is_survived(text in "[-a1&*!|>'\"%@`#{}\\[\\],:? \\n\\t~<é]{0,60}") {
        survives(&text);
    }

    #[test]
    fn mutated_yaml_is_survived(
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0..4usize, "[-a&*!|>'\":\\n \\t{}\\[\\],é]{0,3}"), 1..5)
    ) {
        let mut characters: Vec<char> = VALID.chars().collect();
        for (at, removed, inserted) in edits {
            let at = at.index(characters.len() + 1);
            let end = (at + removed).min(characters.len());
            characters.splice(at..end, inserted.chars());
        }
        survives(&characters.into_iter().collect::<String>());
    }
}
