//! Field selectors: `metadata.name=web,spec.clusterIP!=None`, on whichever field that has one value.

use serde_json::Value;
use std::borrow::Cow;

/// Requirements that must all hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct FieldSelector(Vec<Requirement>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Requirement {
    path: String,
    value: String,
    is: bool,
}

/// Fields that a server shows as `false` where they are not there.
const FALSE_IF_ABSENT: [&str; 2] = ["spec.hostNetwork", "spec.unschedulable"];

impl FieldSelector {
    pub(super) fn parse(text: &str) -> Result<FieldSelector, String> {
        let parts = split(text).into_iter().filter(|part| !part.is_empty());
        parts.map(Requirement::parse).collect::<Result<_, _>>().map(FieldSelector)
    }

    pub(super) fn matches(&self, object: &Value) -> bool {
        self.0.iter().all(|requirement| {
            let value = field(object, &requirement.path);
            (value == requirement.value) == requirement.is
        })
    }
}

impl Requirement {
    fn parse(text: &str) -> Result<Requirement, String> {
        let wrong = || format!("invalid selector: '{text}'; can't understand '{text}'");
        let (path, value) = text.split_once('=').ok_or_else(wrong)?;
        let (path, is) = path.strip_suffix('!').map_or((path, true), |path| (path, false));
        // `==` is `=`.
        let value = if is { value.strip_prefix('=').unwrap_or(value) } else { value };
        Ok(Requirement { path: path.to_owned(), value: unescaped(value).ok_or_else(wrong)?, is })
    }
}

/// At each comma without a backslash before it.
fn split(text: &str) -> Vec<&str> {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut escaped = false;
    for (at, letter) in text.char_indices() {
        if letter == ',' && !escaped {
            parts.extend(text.get(start..at));
            start = at + 1;
        }
        escaped = letter == '\\' && !escaped;
    }
    parts.extend(text.get(start..));
    parts
}

/// Without the backslashes before commas, equals signs and backslashes; no others may stand bare.
fn unescaped(value: &str) -> Option<String> {
    let mut text = String::new();
    let mut letters = value.chars();
    while let Some(letter) = letters.next() {
        text.push(match letter {
            '\\' => letters.next().filter(|it| matches!(it, '\\' | ',' | '='))?,
            '=' => return None,
            letter => letter,
        });
    }
    Some(text)
}

/// The field's value as text: empty if it is not there, or is no single value.
fn field<'a>(object: &'a Value, path: &str) -> Cow<'a, str> {
    let value = path.split('.').try_fold(object, |value, key| value.get(key));
    match value {
        Some(Value::String(text)) => Cow::Borrowed(text),
        Some(Value::Bool(it)) => Cow::Owned(it.to_string()),
        Some(Value::Number(it)) => Cow::Owned(it.to_string()),
        None if FALSE_IF_ABSENT.contains(&path) => Cow::Borrowed("false"),
        None | Some(Value::Null | Value::Array(_) | Value::Object(_)) => Cow::Borrowed(""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn selectors_select() {
        let object = json!({
            "metadata": {"name": "a,b"},
            "spec": {"nodeName": "node1", "clusterIP": "None", "replicas": 3, "hostNetwork": true, "e": "x=y"},
        });
        let table = [
            ("", true),
            ("spec.nodeName=node1", true),
            ("spec.nodeName==node1", true),
            ("spec.nodeName!=node1", false),
            ("spec.nodeName=node2", false),
            ("spec.nodeName=", false),
            ("spec.clusterIP!=None", false),
            ("spec.externalName!=None", true),
            ("spec.externalName=", true),
            (r"metadata.name=a\,b", true),
            (r"metadata.name=a\,b,spec.nodeName=node1,", true),
            (r"spec.e=x\=y", true),
            ("spec.replicas=3,spec.hostNetwork=true", true),
            ("spec.unschedulable=false", true),
            ("spec.unschedulable!=false", false),
            ("spec=x", false),
            ("spec.nodeName.x=", true),
        ];
        for (text, expected) in table {
            let selector = FieldSelector::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
            assert_eq!(selector.matches(&object), expected, "{text}");
        }
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        for text in ["spec", "a,b=c", r"a=\x", r"a=\", "a=b=c", r"metadata.name=a\", "!"] {
            let result = FieldSelector::parse(text);
            assert!(result.is_err(), "{text}: {result:?}");
        }
    }
}
