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

/// One of the requirements that a selector consists of.
enum Part<'a> {
    /// An entry of `matchLabels`.
    Label(&'a str, &'a str),
    /// An element of `matchExpressions`.
    Expression(&'a Requirement),
}

/// The first requirement of the selector that the labels do not meet; `None` if it matches. An entry of
/// `matchLabels` counts as `In` with that one value.
pub(crate) fn unmet(selector: &LabelSelector, labels: &Labels) -> Option<Unmet> {
    let requirement = match first_unmet(selector, labels)? {
        Part::Expression(requirement) => requirement.clone(),
        Part::Label(key, value) => {
            Requirement { key: key.to_owned(), operator: Operator::In, values: vec![value.to_owned()] }
        }
    };
    Some(Unmet { found: labels.get(&requirement.key).cloned(), requirement })
}

/// Whether the selector matches.
pub(crate) fn matches(selector: &LabelSelector, labels: &Labels) -> bool {
    first_unmet(selector, labels).is_none()
}

/// Requirements are ANDed: one that is not met is enough, and a selector without any matches every object.
fn first_unmet<'a>(selector: &'a LabelSelector, labels: &Labels) -> Option<Part<'a>> {
    let equal = selector.match_labels.iter().map(|(key, value)| Part::Label(key, value));
    equal.chain(selector.match_expressions.iter().map(Part::Expression)).find(|part| match part {
        Part::Label(key, value) => labels.get(*key).is_none_or(|found| found != value),
        Part::Expression(requirement) => !met(requirement, labels),
    })
}

/// Two facts about the object decide: whether it has the label, and whether it has it with a listed value (an
/// empty value is a value). Each operator is one of them or its opposite, so `NotIn` holds without the label.
fn met(Requirement { key, operator, values }: &Requirement, labels: &Labels) -> bool {
    let has_key = labels.contains_key(key);
    let has_listed_value = values.iter().any(|value| labels.get(key) == Some(value));
    match operator {
        Operator::In => has_listed_value,
        Operator::NotIn => !has_listed_value,
        Operator::Exists => has_key,
        Operator::DoesNotExist => !has_key,
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
