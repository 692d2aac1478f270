//! Whether labels are as a selector asks.

use super::known::{NAMESPACE, OF_NAMESPACE, OF_SERVICE_ACCOUNT};
use netproof_api::Labels;
use netproof_api::calico::{Condition, Selector};

/// What the names of labels in a selector mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Of {
    /// One's own labels.
    Itself,
    /// Those of one's namespace. `all()` is every namespace, and `global()` none: who is in no namespace.
    Namespace,
    /// Those of one's service account.
    ServiceAccount,
}

/// Whether the selector matches.
pub(super) fn holds(selector: &Selector, of: Of, labels: &Labels) -> bool {
    match selector {
        Selector::All => of != Of::Namespace || labels.contains_key(NAMESPACE),
        Selector::Global => of != Of::Namespace || !labels.contains_key(NAMESPACE),
        Selector::Label { name, condition } => {
            let value = match of {
                Of::Itself => labels.get(name),
                Of::Namespace => labels.get(&format!("{OF_NAMESPACE}{name}")),
                Of::ServiceAccount => labels.get(&format!("{OF_SERVICE_ACCOUNT}{name}")),
            };
            meets(condition, value.map(String::as_str))
        }
        Selector::Not(operand) => !holds(operand, of, labels),
        Selector::And(operands) => operands.iter().all(|it| holds(it, of, labels)),
        Selector::Or(operands) => operands.iter().any(|it| holds(it, of, labels)),
    }
}

/// Whether a label's value, `None` if it is absent, meets a condition. Those with a "not" are met without the label,
/// the others are not.
fn meets(condition: &Condition, value: Option<&str>) -> bool {
    let is = |test: &dyn Fn(&str) -> bool| value.is_some_and(test);
    match condition {
        Condition::Has => value.is_some(),
        Condition::Equals(text) => is(&|value| value == text),
        Condition::Differs(text) => !is(&|value| value == text),
        Condition::In(texts) => is(&|value| texts.iter().any(|text| text == value)),
        Condition::NotIn(texts) => !is(&|value| texts.iter().any(|text| text == value)),
        Condition::Contains(text) => is(&|value| value.contains(text.as_str())),
        Condition::StartsWith(text) => is(&|value| value.starts_with(text.as_str())),
        Condition::EndsWith(text) => is(&|value| value.ends_with(text.as_str())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// For the label `k` absent, empty, `v`, `vw` and `x`.
    const TABLE: &[(&str, [bool; 5])] = &[
        ("k == 'v'", [false, false, true, false, false]),
        ("k == ''", [false, true, false, false, false]),
        ("k == 'V'", [false, false, false, false, false]),
        ("k != 'v'", [true, true, false, true, true]),
        ("k != ''", [true, false, true, true, true]),
        ("!k == 'v'", [true, true, false, true, true]),
        ("!!k == 'v'", [false, false, true, false, false]),
        ("has(k)", [false, true, true, true, true]),
        ("!has(k)", [true, false, false, false, false]),
        ("k in {'v', 'x'}", [false, false, true, false, true]),
        ("k in {}", [false, false, false, false, false]),
        ("k in {''}", [false, true, false, false, false]),
        ("k not in {'v', 'x'}", [true, true, false, true, false]),
        ("k not in {}", [true, true, true, true, true]),
        ("k contains 'v'", [false, false, true, true, false]),
        ("k contains ''", [false, true, true, true, true]),
        ("k starts with 'v'", [false, false, true, true, false]),
        ("k starts with ''", [false, true, true, true, true]),
        ("k ends with 'w'", [false, false, false, true, false]),
        ("!k contains 'v'", [true, true, false, false, true]),
        ("all()", [true, true, true, true, true]),
        ("global()", [true, true, true, true, true]),
        ("!all()", [false, false, false, false, false]),
        ("has(k) && k != 'v'", [false, true, false, true, true]),
        ("k == 'v' || k == 'x'", [false, false, true, false, true]),
        ("!has(k) || k == 'v' && k == 'x'", [true, false, false, false, false]),
        ("(!has(k) || k == 'v') && k != 'x'", [true, false, true, false, false]),
        ("!(has(k) && k == 'v')", [true, true, false, true, true]),
    ];

    #[test]
    fn operators() {
        for (text, expected) in TABLE {
            let selector: Selector = text.parse().unwrap();
            for (prefix, of) in [("", Of::Itself), ("pcns.", Of::Namespace), ("pcsa.", Of::ServiceAccount)] {
                let found = [None, Some(""), Some("v"), Some("vw"), Some("x")].map(|value| {
                    let own = value.map(|value: &str| (format!("{prefix}k"), value.to_owned()));
                    let mut labels: Labels = own.into_iter().collect();
                    labels.insert(NAMESPACE.to_owned(), "shop".to_owned());
                    holds(&selector, of, &labels)
                });
                if (of, *text) != (Of::Namespace, "global()") {
                    assert_eq!(found, *expected, "{text} of {of:?}");
                }
            }
        }
    }

    /// In a selector of namespaces, `all()` and `global()` ask whether there is one.
    #[test]
    fn a_selector_of_namespaces_may_ask_whether_there_is_one() {
        let inside: Labels = [(NAMESPACE.to_owned(), "shop".to_owned())].into();
        for (text, in_namespace, in_none) in [
            ("all()", true, false),
            ("!all()", false, true),
            ("global()", false, true),
            ("!has(a)", true, true),
            ("a != 'b'", true, true),
            ("has(a)", false, false),
        ] {
            let selector: Selector = text.parse().unwrap();
            let found = [&inside, &Labels::new()].map(|labels| holds(&selector, Of::Namespace, labels));
            assert_eq!(found, [in_namespace, in_none], "{text}");
        }
    }
}
