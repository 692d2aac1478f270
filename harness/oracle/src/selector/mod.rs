//! Label selectors, as `meta/v1` LabelSelector defines them.

pub(crate) mod words;

use netproof_api::{LabelSelector, Labels, Operator, Requirement};

/// A requirement of a selector that an object does not meet. `key: value` of `matchLabels` is `key In [value]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unmet<'a> {
    /// The label that it is about.
    pub key: &'a str,
    /// What it asks of the label.
    pub operator: Operator,
    /// The values that it lists.
    pub values: &'a [String],
    /// The value that the object's label has; `None` where it has no such label.
    pub found: Option<&'a str>,
}

/// Whether the selector matches.
pub(crate) fn matches(selector: &LabelSelector, labels: &Labels) -> bool {
    unmet(selector, labels).is_none()
}

/// The first requirement of the selector that the labels do not meet; `None` if it matches.
///
/// Requirements are ANDed: one that is not met is enough, and a selector without any matches every object. An entry
/// of `matchLabels` counts as `In` with that one value.
pub(crate) fn unmet<'a>(selector: &'a LabelSelector, labels: &'a Labels) -> Option<Unmet<'a>> {
    let label = selector.match_labels.iter().find_map(|(key, value)| {
        let found = labels.get(key);
        let values = std::slice::from_ref(value);
        (found != Some(value)).then(|| Unmet { key, operator: Operator::In, values, found: text(found) })
    });
    label.or_else(|| {
        selector.match_expressions.iter().find_map(|Requirement { key, operator, values }| {
            let found = text(labels.get(key));
            (!met(*operator, values, found)).then_some(Unmet { key, operator: *operator, values, found })
        })
    })
}

fn text(value: Option<&String>) -> Option<&str> {
    value.map(String::as_str)
}

/// Two facts about the object decide: whether it has the label, and whether it has it with a listed value (an
/// empty value is a value). Each operator is one of them or its opposite, so `NotIn` holds without the label.
fn met(operator: Operator, values: &[String], found: Option<&str>) -> bool {
    let has_listed_value = found.is_some_and(|found| values.iter().any(|value| value == found));
    match operator {
        Operator::In => has_listed_value,
        Operator::NotIn => !has_listed_value,
        Operator::Exists => found.is_some(),
        Operator::DoesNotExist => found.is_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators() {
        use Operator::*;
        let labels: Labels =
            [("app", "web"), ("empty", "")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        for (key, operator, values, expected) in [
            ("app", In, &["web", "db"][..], true),
            ("app", In, &["db"], false),
            ("none", In, &["web"], false),
            ("none", In, &[""], false),
            ("empty", In, &[""], true),
            ("app", NotIn, &["db"], true),
            ("app", NotIn, &["web"], false),
            ("none", NotIn, &["web"], true),
            ("empty", NotIn, &[""], false),
            ("app", Exists, &[], true),
            ("empty", Exists, &[], true),
            ("none", Exists, &[], false),
            ("app", DoesNotExist, &[], false),
            ("empty", DoesNotExist, &[], false),
            ("none", DoesNotExist, &[], true),
        ] {
            let values = values.iter().map(|value| (*value).to_owned()).collect();
            let requirement = Requirement { key: key.to_owned(), operator, values };
            let selector = LabelSelector { match_expressions: vec![requirement], ..Default::default() };
            assert_eq!(matches(&selector, &labels), expected, "{selector:?}");
            assert_eq!(unmet(&selector, &labels).is_none(), expected, "{selector:?}");
        }
    }

    #[test]
    fn every_requirement_must_hold() {
        let labels: Labels = [("a", "1"), ("b", "2")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        let label = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let expression =
            |key: &str| Requirement { key: key.to_owned(), operator: Operator::Exists, values: Vec::new() };
        for (equal, exist, expected) in [
            (vec![], vec![], true),
            (vec![label("a", "1"), label("b", "2")], vec![], true),
            (vec![label("a", "1"), label("b", "1")], vec![], false),
            (vec![label("a", "1"), label("c", "")], vec![], false),
            (vec![label("a", "1")], vec!["c"], false),
            (vec![label("a", "2")], vec!["b"], false),
            (vec![], vec!["a", "c"], false),
            (vec![label("a", "1")], vec!["a", "b"], true),
        ] {
            let selector = LabelSelector {
                match_labels: equal.into_iter().collect(),
                match_expressions: exist.into_iter().map(expression).collect(),
            };
            assert_eq!(matches(&selector, &labels), expected, "{selector:?}");
            assert_eq!(unmet(&selector, &labels).is_none(), expected, "{selector:?}");
        }
    }
}
