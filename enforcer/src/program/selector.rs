//! The one interface by which selectors are evaluated: which labels a selector matches, whatever its API.

use netproof_api::{LabelSelector, Labels, Operator, Requirement};

/// A selector of some API. Another language of selectors is another variant here, and nothing elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Selector {
    /// Of Kubernetes: labels and expressions.
    Labels(LabelSelector),
}

impl Selector {
    /// Whether it matches an object that has these labels.
    pub fn matches(&self, labels: &Labels) -> bool {
        match self {
            Selector::Labels(selector) => matches(selector, labels),
        }
    }

    /// Requirements that whatever it matches meets, each as the labels (key and value) of which one must be there. Not
    /// all of its requirements can be said so.
    pub(super) fn wanted(&self) -> Vec<Vec<(&str, &str)>> {
        let Selector::Labels(selector) = self;
        let labels = selector.match_labels.iter().map(|(key, value)| vec![(key.as_str(), value.as_str())]);
        let expressions = selector.match_expressions.iter().filter(|it| it.operator == Operator::In);
        labels.chain(expressions.map(wanted_by)).collect()
    }
}

impl From<LabelSelector> for Selector {
    fn from(selector: LabelSelector) -> Selector {
        Selector::Labels(selector)
    }
}

/// The labels of which `In` wants one.
fn wanted_by(requirement: &Requirement) -> Vec<(&str, &str)> {
    requirement.values.iter().map(|value| (requirement.key.as_str(), value.as_str())).collect()
}

/// Whether *all* of the selector's requirements hold. An empty selector matches everything.
pub fn matches(selector: &LabelSelector, labels: &Labels) -> bool {
    selector.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
        && selector.match_expressions.iter().all(|requirement| holds(requirement, labels))
}

/// Whether one entry of `matchExpressions` holds. An absent key satisfies NotIn and DoesNotExist, and
/// neither In nor Exists.
fn holds(requirement: &Requirement, labels: &Labels) -> bool {
    let value = labels.get(&requirement.key);
    match requirement.operator {
        Operator::In => value.is_some_and(|value| requirement.values.contains(value)),
        Operator::NotIn => value.is_none_or(|value| !requirement.values.contains(value)),
        Operator::Exists => value.is_some(),
        Operator::DoesNotExist => value.is_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
    }

    fn expression(key: &str, operator: Operator, values: &[&str]) -> LabelSelector {
        let values = values.iter().map(|value| (*value).into()).collect();
        LabelSelector {
            match_labels: Labels::new(),
            match_expressions: vec![Requirement { key: key.into(), operator, values }],
        }
    }

    #[test]
    fn operators_on_a_present_an_absent_and_an_empty_label() {
        use Operator::{DoesNotExist, Exists, In, NotIn};
        let web = labels(&[("app", "web")]);
        let none = labels(&[]);
        let empty = labels(&[("app", "")]);
        // (operator, values, [app=web, no label, app=""])
        let table: [(Operator, &[&str], [bool; 3]); 7] = [
            (In, &["web"], [true, false, false]),
            (In, &["db", "web"], [true, false, false]),
            (In, &[""], [false, false, true]),
            (NotIn, &["web"], [false, true, true]),
            (NotIn, &["db"], [true, true, true]),
            (Exists, &[], [true, false, true]),
            (DoesNotExist, &[], [false, true, false]),
        ];
        for (operator, values, expected) in table {
            let selector = expression("app", operator, values);
            let got = [&web, &none, &empty].map(|labels| matches(&selector, labels));
            assert_eq!(got, expected, "{operator:?} {values:?}");
        }
    }

    #[test]
    fn requirements_are_anded_and_an_empty_value_must_be_there() {
        let mut selector = expression("tier", Operator::Exists, &[]);
        selector.match_labels = labels(&[("app", "web"), ("role", "")]);
        assert!(matches(&selector, &labels(&[("app", "web"), ("role", ""), ("tier", "x")])));
        assert!(!matches(&selector, &labels(&[("app", "web"), ("tier", "x")])));
        assert!(!matches(&selector, &labels(&[("app", "web"), ("role", "")])));
        assert!(matches(&LabelSelector::default(), &labels(&[])));
    }
}
