//! Label selectors in words, as parts of sentences.

use super::Unmet;
use netproof_api::{LabelSelector, Operator};

/// `with app=web and the label tier`; `None` where the selector is empty.
pub(crate) fn with(selector: &LabelSelector) -> Option<String> {
    let mut parts: Vec<String> =
        selector.match_labels.iter().map(|(key, it)| format!("{key}={}", value(it))).collect();
    for requirement in &selector.match_expressions {
        let (key, values) = (&requirement.key, values(&requirement.values));
        parts.push(match (requirement.operator, requirement.values.as_slice()) {
            (Operator::In, [_]) => format!("{key}={values}"),
            (Operator::In, _) => format!("{key} in ({values})"),
            (Operator::NotIn, _) => format!("{key} not in ({values})"),
            (Operator::Exists, _) => format!("the label {key}"),
            (Operator::DoesNotExist, _) => format!("no label {key}"),
        });
    }
    let last = parts.pop()?;
    Some(match parts.as_slice() {
        [] => format!("with {last}"),
        others => format!("with {} and {last}", others.join(", ")),
    })
}

/// What an object lacks, to follow its name: `lacks purpose=production`.
pub(crate) fn unmet(Unmet { key, operator, values: listed, found }: &Unmet<'_>) -> String {
    let values = values(listed);
    let wanted = match listed {
        [_] => format!("{key}={values}"),
        _ => format!("{key} in ({values})"),
    };
    let found = found.map(value);
    match (operator, found) {
        (Operator::In, None) => format!("lacks {wanted}"),
        (Operator::In, Some(found)) => format!("has {key}={found}, not {wanted}"),
        (Operator::NotIn, found) => {
            format!("has {key}={}, which is excluded", found.unwrap_or_default())
        }
        (Operator::Exists, _) => format!("lacks the label {key}"),
        (Operator::DoesNotExist, _) => format!("has the label {key}"),
    }
}

/// A label's value, and what shows that it is empty.
fn value(value: &str) -> &str {
    if value.is_empty() { "\"\"" } else { value }
}

/// Values of a label: `web, api`.
fn values(values: &[String]) -> String {
    let values: Vec<&str> = values.iter().map(|it| value(it)).collect();
    values.join(", ")
}
