//! The one interface by which selectors are evaluated: which labels a selector matches, whatever its API.

mod calico;

use calico::Known;
use netproof_api::calico::Selector as CalicoSelector;
use netproof_api::{LabelSelector, Labels, Operator, Requirement};

/// Labels that selectors are held against.
pub trait LabelSource {
    /// The value of a label, if it is there.
    fn value(&self, key: &str) -> Option<&str>;
}

impl LabelSource for Labels {
    fn value(&self, key: &str) -> Option<&str> {
        self.get(key).map(String::as_str)
    }
}

/// A selector of some API. Another language of selectors is another variant here, and nothing elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Selector {
    /// Of Kubernetes: labels and expressions.
    Labels(LabelSelector),
    /// Of Calico.
    Calico(CalicoSelector),
}

/// A label that whatever a selector matches has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Wanted<'s> {
    pub(super) key: &'s str,
    /// With one of these values; `None` for any.
    pub(super) values: Option<Vec<&'s str>>,
}

impl Selector {
    /// Whether it matches an object that has these labels.
    pub fn matches(&self, labels: &impl LabelSource) -> bool {
        match self {
            Selector::Labels(selector) => matches(selector, labels),
            Selector::Calico(selector) => {
                let known = |key: &str| labels.value(key).map_or(Known::Absent, Known::Value);
                calico::truth(selector, &known) == Some(true)
            }
        }
    }

    /// Whether it may match one of many objects, of which these labels are those that they have in common: `None` is a
    /// label that each has for itself.
    pub(super) fn may_match<'l>(&self, common: impl Fn(&str) -> Option<Option<&'l str>>) -> bool {
        match self {
            Selector::Labels(_) => true,
            Selector::Calico(selector) => {
                let known = |key: &str| match common(key) {
                    None => Known::Unknown,
                    Some(value) => value.map_or(Known::Absent, Known::Value),
                };
                calico::truth(selector, &known) != Some(false)
            }
        }
    }

    /// Labels that whatever it matches has. Not all of its requirements can be said so.
    pub(super) fn wanted(&self) -> Vec<Wanted<'_>> {
        match self {
            Selector::Labels(selector) => {
                let labels = selector.match_labels.iter();
                let labels = labels.map(|(key, value)| Wanted { key, values: Some(vec![value.as_str()]) });
                labels.chain(selector.match_expressions.iter().filter_map(wanted_by)).collect()
            }
            Selector::Calico(selector) => calico::wanted(selector),
        }
    }

    /// The labels that it asks about. With other labels it matches what it matched before.
    pub(super) fn keys(&self) -> Vec<&str> {
        match self {
            Selector::Labels(selector) => {
                let expressions = selector.match_expressions.iter().map(|it| it.key.as_str());
                selector.match_labels.keys().map(String::as_str).chain(expressions).collect()
            }
            Selector::Calico(selector) => {
                let mut found = Vec::new();
                calico::keys(selector, &mut found);
                found
            }
        }
    }
}

impl From<LabelSelector> for Selector {
    fn from(selector: LabelSelector) -> Selector {
        Selector::Labels(selector)
    }
}

fn wanted_by(requirement: &Requirement) -> Option<Wanted<'_>> {
    let values = match requirement.operator {
        Operator::In => Some(requirement.values.iter().map(String::as_str).collect()),
        Operator::Exists => None,
        Operator::NotIn | Operator::DoesNotExist => return None,
    };
    Some(Wanted { key: &requirement.key, values })
}

/// Whether *all* of the selector's requirements hold. An empty selector matches everything.
pub fn matches(selector: &LabelSelector, labels: &impl LabelSource) -> bool {
    selector.match_labels.iter().all(|(key, value)| labels.value(key) == Some(value))
        && selector.match_expressions.iter().all(|requirement| holds(requirement, labels))
}

/// Whether one entry of `matchExpressions` holds. An absent key satisfies NotIn and DoesNotExist, and
/// neither In nor Exists.
fn holds(requirement: &Requirement, labels: &impl LabelSource) -> bool {
    let value = labels.value(&requirement.key);
    let has_one = |value: &str| requirement.values.iter().any(|one| one == value);
    match requirement.operator {
        Operator::In => value.is_some_and(has_one),
        Operator::NotIn => !value.is_some_and(has_one),
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
