//! Label selectors, as `meta/v1` LabelSelector defines them.

use netproof_api::{LabelSelector, Labels, Operator, Requirement};

/// A requirement of a selector that an object does not meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmet {
    /// The requirement; `key: value` of `matchLabels` reads as `key In [value]`.
    pub requirement: Requirement,
    /// The value that the object's label has; `None` where it has no such label.
    pub found: Option<String>,
}

/// The first requirement of the selector that the labels do not meet; `None` if it matches.
///
/// "The result of matchLabels and matchExpressions are ANDed. An empty label selector matches all
/// objects."
pub(crate) fn unmet(selector: &LabelSelector, labels: &Labels) -> Option<Unmet> {
    // "A single {key,value} in the matchLabels map is equivalent to an element of matchExpressions, whose
    // key field is "key", the operator is "In", and the values array contains only "value"."
    let equal = selector.match_labels.iter().map(|(key, value)| Requirement {
        key: key.clone(),
        operator: Operator::In,
        values: vec![value.clone()],
    });
    equal
        .chain(selector.match_expressions.iter().cloned())
        .find(|requirement| !met(requirement, labels))
        .map(|requirement| Unmet { found: labels.get(&requirement.key).cloned(), requirement })
}

/// Whether the selector matches.
pub(crate) fn matches(selector: &LabelSelector, labels: &Labels) -> bool {
    selector.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
        && selector.match_expressions.iter().all(|requirement| met(requirement, labels))
}

fn met(requirement: &Requirement, labels: &Labels) -> bool {
    let value = labels.get(&requirement.key);
    match requirement.operator {
        // The label must be there, with one of the values. An empty value is a value.
        Operator::In => value.is_some_and(|value| requirement.values.contains(value)),
        // An object without the label has none of the values, so it matches.
        Operator::NotIn => value.is_none_or(|value| !requirement.values.contains(value)),
        Operator::Exists => value.is_some(),
        Operator::DoesNotExist => value.is_none(),
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
