//! What Calico's selectors match. Source of the rules: the page "Selectors" of Calico's resource reference, and the cases
//! of its parser (`libcalico-go/lib/selector`).

use super::Wanted;
use netproof_api::calico::{Condition, Selector};

/// What is known of a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known<'l> {
    /// Nothing yet.
    Unknown,
    /// It is not there.
    Absent,
    /// Its value.
    Value(&'l str),
}

/// Whether a selector matches, as far as what is known of labels decides it.
pub(super) fn truth<'l>(selector: &Selector, label: &impl Fn(&str) -> Known<'l>) -> Option<bool> {
    match selector {
        // What `global()` means is said by whoever scopes a rule's end.
        Selector::All | Selector::Global => Some(true),
        Selector::Label { name, condition } => match label(name) {
            Known::Unknown => None,
            Known::Absent => Some(holds(condition, None)),
            Known::Value(value) => Some(holds(condition, Some(value))),
        },
        Selector::Not(operand) => truth(operand, label).map(|it| !it),
        Selector::And(operands) => decided(operands, label, false),
        Selector::Or(operands) => decided(operands, label, true),
    }
}

/// One operand with the deciding truth decides; else all of them must be known.
fn decided<'l>(operands: &[Selector], label: &impl Fn(&str) -> Known<'l>, deciding: bool) -> Option<bool> {
    let mut all_known = true;
    for operand in operands {
        match truth(operand, label) {
            Some(truth) if truth == deciding => return Some(deciding),
            Some(_) => {}
            None => all_known = false,
        }
    }
    all_known.then_some(!deciding)
}

/// An absent label meets `!=` and `not in` alone.
fn holds(condition: &Condition, value: Option<&str>) -> bool {
    let is_there = |test: &dyn Fn(&str) -> bool| value.is_some_and(test);
    match condition {
        Condition::Has => value.is_some(),
        Condition::Equals(text) => is_there(&|value| value == text),
        Condition::Differs(text) => !is_there(&|value| value == text),
        Condition::In(texts) => is_there(&|value| texts.iter().any(|text| text == value)),
        Condition::NotIn(texts) => !is_there(&|value| texts.iter().any(|text| text == value)),
        Condition::Contains(text) => is_there(&|value| value.contains(text.as_str())),
        Condition::StartsWith(text) => is_there(&|value| value.starts_with(text.as_str())),
        Condition::EndsWith(text) => is_there(&|value| value.ends_with(text.as_str())),
    }
}

/// Labels that whatever it matches has.
pub(super) fn wanted(selector: &Selector) -> Vec<Wanted<'_>> {
    match selector {
        Selector::Label { name, condition } => wanted_by(name, condition).into_iter().collect(),
        Selector::And(operands) => operands.iter().flat_map(wanted).collect(),
        Selector::All | Selector::Global | Selector::Not(_) | Selector::Or(_) => Vec::new(),
    }
}

fn wanted_by<'s>(name: &'s str, condition: &'s Condition) -> Option<Wanted<'s>> {
    let values = match condition {
        Condition::Equals(text) => Some(vec![text.as_str()]),
        Condition::In(texts) => Some(texts.iter().map(String::as_str).collect()),
        Condition::Has | Condition::Contains(_) | Condition::StartsWith(_) | Condition::EndsWith(_) => None,
        Condition::Differs(_) | Condition::NotIn(_) => return None,
    };
    Some(Wanted { key: name, values })
}

/// The labels that it asks about, added to those that are there.
pub(super) fn keys<'s>(selector: &'s Selector, found: &mut Vec<&'s str>) {
    match selector {
        Selector::All | Selector::Global => {}
        Selector::Label { name, .. } => found.push(name),
        Selector::Not(operand) => keys(operand, found),
        Selector::And(operands) | Selector::Or(operands) => {
            operands.iter().for_each(|operand| keys(operand, found));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::Selector as Any;
    use netproof_api::Labels;

    fn selector(text: &str) -> Selector {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error:?}"))
    }

    /// Each selector against the label `k` absent, empty, `v`, `vw` and `xv`.
    #[test]
    fn conditions_on_an_absent_an_empty_and_a_present_label() {
        let states = [None, Some(""), Some("v"), Some("vw"), Some("xv")];
        for (text, expected) in [
            ("k == 'v'", [false, false, true, false, false]),
            ("k == ''", [false, true, false, false, false]),
            ("k != 'v'", [true, true, false, true, true]),
            ("!(k == 'v')", [true, true, false, true, true]),
            ("k in {'v', ''}", [false, true, true, false, false]),
            ("k in {}", [false; 5]),
            ("k not in {'v', ''}", [true, false, false, true, true]),
            ("k not in {}", [true; 5]),
            ("has(k)", [false, true, true, true, true]),
            ("!has(k)", [true, false, false, false, false]),
            ("k contains 'v'", [false, false, true, true, true]),
            ("k contains ''", [false, true, true, true, true]),
            ("k starts with 'v'", [false, false, true, true, false]),
            ("k ends with 'v'", [false, false, true, false, true]),
            ("all()", [true; 5]),
            ("!all()", [false; 5]),
            ("k == 'v' || k == 'vw' && k != 'vw'", [false, false, true, false, false]),
            ("(k == 'v' || k == 'vw') && k != 'v'", [false, false, false, true, false]),
        ] {
            let matches = states.map(|value| {
                let labels: Labels =
                    value.map(|value| ("k".to_owned(), value.to_owned())).into_iter().collect();
                Any::Calico(selector(text)).matches(&labels)
            });
            assert_eq!(matches, expected, "{text}");
        }
    }

    /// What `known` decides where `other` is not known.
    #[test]
    fn what_is_known_may_decide() {
        for (text, expected) in [
            ("known == 'v' && other == 'v'", None),
            ("known == 'w' && other == 'v'", Some(false)),
            ("known == 'v' || other == 'v'", Some(true)),
            ("!(known == 'v' || other == 'v')", Some(false)),
            ("known == 'w' || !has(other)", None),
        ] {
            let label = |key: &str| if key == "known" { Known::Value("v") } else { Known::Unknown };
            assert_eq!(truth(&selector(text), &label), expected, "{text}");
        }
    }

    #[test]
    fn what_a_selector_wants_and_asks_about() {
        let text = "a == 'x' && (b in {'y', 'z'} && has(c)) && !has(d) && (e == 'x' || f == 'x') && g != 'x'";
        let selector = selector(text);
        let wanted: Vec<_> = wanted(&selector).into_iter().map(|it| (it.key, it.values)).collect();
        assert_eq!(wanted, [("a", Some(vec!["x"])), ("b", Some(vec!["y", "z"])), ("c", None)]);
        let mut found = Vec::new();
        keys(&selector, &mut found);
        assert_eq!(found, ["a", "b", "c", "d", "e", "f", "g"]);
    }
}
