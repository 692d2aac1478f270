//! Selectors held against tables of texts, which are the files of `testdata`, and what holds for every text.

use super::*;
use proptest::prelude::*;

/// Lines that are no comments.
fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().filter(|line| !line.starts_with('#'))
}

#[test]
fn selectors_are_read_and_written() {
    let mut wrong = Vec::new();
    for line in lines(include_str!("testdata/read.txt")) {
        let (text, expected) = line.split_once(" => ").unwrap();
        match text.parse::<Selector>() {
            Ok(selector) if selector.to_string() == expected => {}
            Ok(selector) => wrong.push(format!("{text}: {selector}")),
            Err(error) => wrong.push(error.to_string()),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn each_mistake_is_told_at_its_place() {
    let told: Vec<String> = lines(include_str!("testdata/refused.txt"))
        .map(|line| {
            let text = line.replace("\\n", "\n");
            text.parse::<Selector>().map_or_else(|error| error.to_string(), |it| panic!("{it} is accepted"))
        })
        .collect();
    insta::assert_snapshot!(told.join("\n\n"));
}

#[test]
fn what_is_too_long_or_too_deep_is_refused() {
    let deep = |depth: usize| format!("{}has(a){}", "(".repeat(depth), ")".repeat(depth));
    let alternating = |depth: usize| format!("{}has(a){}", "!(".repeat(depth), ")".repeat(depth));
    let label = |length: usize| format!("has({})", "a".repeat(length));
    let value = |length: usize| format!("a == '{}'", "é".repeat(length));
    for (text, refusal) in [
        (deep(100), None),
        (deep(101), Some("parentheses are nested more than 100 times at column 101")),
        (alternating(100), None),
        (alternating(101), Some("parentheses are nested more than 100 times at column 202")),
        (label(512), None),
        (label(513), Some("a label name has at most 512 characters, and this one 513 at column 5")),
        (value(1017), None),
        (value(1018), Some("a selector has at most 1024 characters at column 1025")),
    ] {
        let found = text.parse::<Selector>().err().map(|error| error.to_string());
        match refusal {
            None => assert_eq!(found, None, "{text}"),
            Some(refusal) => assert!(found.as_ref().is_some_and(|it| it.starts_with(refusal)), "{found:?}"),
        }
    }
}

/// A text without one of the two kinds of quotes.
fn value() -> impl Strategy<Value = String> {
    prop_oneof!["[^']{0,6}", "[^\"]{0,6}", "[a-z]{1,3}"]
}

fn selector() -> impl Strategy<Value = Selector> {
    let name = prop_oneof!["[A-Za-z0-9_./-]{1,5}", Just("in".to_owned()), Just("not".to_owned())];
    let values = || prop::collection::vec(value(), 0..3);
    let condition = prop_oneof![
        Just(Condition::Has),
        value().prop_map(Condition::Equals),
        value().prop_map(Condition::Differs),
        values().prop_map(Condition::In),
        values().prop_map(Condition::NotIn),
        value().prop_map(Condition::Contains),
        value().prop_map(Condition::StartsWith),
        value().prop_map(Condition::EndsWith),
    ];
    let label = (name, condition).prop_map(|(name, condition)| Selector::Label { name, condition });
    let leaf = prop_oneof![label, Just(Selector::All), Just(Selector::Global)];
    leaf.prop_recursive(4, 20, 3, |inner| {
        let operands = || prop::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            inner.clone().prop_map(|it| Selector::Not(Box::new(it))),
            operands().prop_map(Selector::And),
            operands().prop_map(Selector::Or),
        ]
    })
}

/// Texts that are nearly selectors.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "has(", "all(", "global(", ")", "(", "!", "&&", "||", "&", "==", "!=", "=", "in", "not", "contains",
        "starts", "with", "ends", "{", "}", ",", "'a'", "\"b\"", "'", "\"", "role", "a.b/c", " ", "\t", "\n",
        "é", "and", "’",
    ]);
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    /// Whatever the text, there is a selector, which its text gives again, or an error that can be shown.
    #[test]
    fn every_text_is_survived(text in prop_oneof![any::<String>(), pieces()]) {
        match text.parse::<Selector>() {
            Ok(selector) => prop_assert_eq!(selector.to_string().parse::<Selector>(), Ok(selector)),
            Err(error) => {
                prop_assert!(error.text.get(error.part.clone()).is_some(), "{:?}", error);
                prop_assert!(error.to_string().contains('^'));
            }
        }
    }

    #[test]
    fn a_selectors_text_is_that_selector(selector in selector()) {
        let text = selector.to_string();
        prop_assume!(text.chars().count() <= MAX_SELECTOR_CHARACTERS);
        prop_assert_eq!(text.parse::<Selector>(), Ok(selector));
    }
}
