//! Which labels a selector matches, requirement by requirement.

use netproof_api::{LabelSelector, Labels, Operator, Requirement};

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
