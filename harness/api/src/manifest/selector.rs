//! Label selectors (meta/v1 LabelSelector) as written.

use super::metadata::label_map;
use crate::names;
use crate::reader::Field;
use crate::selector::{LabelSelector, Operator, Requirement};

const OPERATORS: &[(&str, Operator)] = &[
    ("In", Operator::In),
    ("NotIn", Operator::NotIn),
    ("Exists", Operator::Exists),
    ("DoesNotExist", Operator::DoesNotExist),
];

pub(super) fn label_selector(field: &Field<'_>) -> LabelSelector {
    let Some(fields) = field.fields(&["matchLabels", "matchExpressions"]) else {
        return LabelSelector::default();
    };
    LabelSelector {
        match_labels: fields.get("matchLabels").map(|field| label_map(&field)).unwrap_or_default(),
        match_expressions: fields.items("matchExpressions").iter().filter_map(requirement).collect(),
    }
}

fn requirement(field: &Field<'_>) -> Option<Requirement> {
    let fields = field.fields(&["key", "operator", "values"])?;
    let key = fields.require("key").and_then(|field| field.checked("key", names::check_label_key));
    let operator = fields.require("operator").and_then(|field| field.word("operator", OPERATORS));
    let values: Vec<String> = fields
        .items("values")
        .iter()
        .filter_map(|value| value.checked("value", names::check_label_value))
        .map(str::to_owned)
        .collect();
    let written = fields.get("values").is_some_and(|field| !field.node.items().is_empty());
    match (operator?, fields.get("values")) {
        (Operator::In | Operator::NotIn, found) if !written => {
            let help = "list the values, or use the operator Exists or DoesNotExist";
            found.as_ref().unwrap_or(field).error("the operators In and NotIn need values", help);
        }
        (Operator::Exists | Operator::DoesNotExist, Some(found)) if written => {
            let help = "leave `values` out, or use the operator In or NotIn";
            found.error("the operators Exists and DoesNotExist take no values", help);
        }
        _ => {}
    }
    Some(Requirement { key: key?.to_owned(), operator: operator?, values })
}
