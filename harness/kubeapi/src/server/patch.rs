//! Patches: JSON patches (RFC 6902), merge patches (RFC 7396), and strategic merge patches, which merge lists by key.

use serde_json::{Map, Value};

/// In which form a patch is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PatchForm {
    Json,
    Merge,
    Strategic,
}

/// Lists that a strategic patch merges, and the key of their items. Those of the kinds that are written; every other
/// list is replaced.
const KEYED: [(&str, &str); 4] =
    [("conditions", "type"), ("addresses", "type"), ("taints", "key"), ("containerStatuses", "name")];

/// What a strategic patch says beside what it changes.
const DIRECTIVE: char = '$';

impl PatchForm {
    /// The media types of the forms.
    pub(super) const NAMES: [&str; 3] = [
        "application/json-patch+json",
        "application/merge-patch+json",
        "application/strategic-merge-patch+json",
    ];

    pub(super) fn of(media_type: &str) -> Option<PatchForm> {
        let forms = [PatchForm::Json, PatchForm::Merge, PatchForm::Strategic];
        PatchForm::NAMES.iter().zip(forms).find(|(name, _)| **name == media_type).map(|(_, form)| form)
    }
}

/// Changes an object as a patch says. The error says what is wrong with the patch.
pub(super) fn apply(form: PatchForm, object: &mut Value, patch: &Value) -> Result<(), String> {
    match form {
        PatchForm::Json => {
            let patch: json_patch::Patch =
                serde_json::from_value(patch.clone()).map_err(|it| it.to_string())?;
            json_patch::patch(object, &patch).map_err(|it| it.to_string())?;
        }
        PatchForm::Merge if patch.is_object() => json_patch::merge(object, patch),
        PatchForm::Strategic if patch.is_object() => merge(object, patch)?,
        PatchForm::Merge | PatchForm::Strategic => return Err("the patch is no object".into()),
    }
    match object.get("metadata") {
        Some(Value::Object(_)) => Ok(()),
        _ => Err("the patch takes the object's metadata away".into()),
    }
}

/// As a merge patch, but for lists with keys.
fn merge(value: &mut Value, patch: &Value) -> Result<(), String> {
    let Value::Object(patch) = patch else {
        *value = patch.clone();
        return Ok(());
    };
    if !value.is_object() {
        *value = Map::new().into();
    }
    let Some(fields) = value.as_object_mut() else { return Ok(()) };
    for (name, change) in patch {
        let key = KEYED.iter().find(|(list, _)| list == name).map(|(_, key)| *key);
        match (change, key) {
            // The order of a list, or which fields of a union stay: it says nothing of what is in them.
            _ if name.starts_with("$setElementOrder") || name == "$retainKeys" => (),
            _ if name.starts_with(DIRECTIVE) => return Err(format!("{name} is not supported here")),
            (Value::Null, _) => drop(fields.remove(name)),
            (Value::Array(changes), Some(key)) => {
                let list = fields.entry(name).or_insert_with(|| Value::Array(Vec::new()));
                merge_list(list, changes, key)?;
            }
            (change, _) => merge(fields.entry(name).or_insert(Value::Null), change)?,
        }
    }
    Ok(())
}

fn merge_list(list: &mut Value, changes: &[Value], key: &str) -> Result<(), String> {
    if !list.is_array() {
        *list = Value::Array(Vec::new());
    }
    let Some(items) = list.as_array_mut() else { return Ok(()) };
    for change in changes {
        let id = change.get(key).ok_or_else(|| format!("an item of a list has no {key}"))?;
        if change.get("$patch").is_some_and(|it| it == "delete") {
            items.retain(|item| item.get(key) != Some(id));
            continue;
        }
        match items.iter_mut().find(|item| item.get(key) == Some(id)) {
            Some(item) => merge(item, change)?,
            None => items.push(change.clone()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_form_patches_as_it_should() {
        let node = json!({
            "metadata": {"name": "n", "annotations": {"a": "1"}},
            "status": {"conditions": [{"type": "Ready", "status": "True"}], "list": [1]},
        });
        let table = [
            (
                PatchForm::Merge,
                json!({"metadata": {"annotations": {"a": null, "b": "2"}}, "status": {"conditions": []}}),
                json!({
                    "metadata": {"name": "n", "annotations": {"b": "2"}},
                    "status": {"conditions": [], "list": [1]},
                }),
            ),
            (
                PatchForm::Strategic,
                json!({"status": {
                    "$setElementOrder/conditions": [{"type": "NetworkUnavailable"}],
                    "conditions": [
                        {"type": "NetworkUnavailable", "status": "False"},
                        {"type": "Ready", "reason": "r"},
                    ],
                    "list": [2],
                }}),
                json!({
                    "metadata": {"name": "n", "annotations": {"a": "1"}},
                    "status": {
                        "conditions": [
                            {"type": "Ready", "status": "True", "reason": "r"},
                            {"type": "NetworkUnavailable", "status": "False"},
                        ],
                        "list": [2],
                    },
                }),
            ),
            (
                PatchForm::Strategic,
                json!({"status": {"conditions": [{"type": "Ready", "$patch": "delete"}], "list": null}}),
                json!({"metadata": {"name": "n", "annotations": {"a": "1"}}, "status": {"conditions": []}}),
            ),
            (
                PatchForm::Json,
                json!([{"op": "add", "path": "/metadata/annotations/b", "value": "2"}, {"op": "remove", "path": "/status"}]),
                json!({"metadata": {"name": "n", "annotations": {"a": "1", "b": "2"}}}),
            ),
        ];
        for (form, patch, expected) in table {
            let mut object = node.clone();
            assert_eq!(apply(form, &mut object, &patch), Ok(()), "{patch}");
            assert_eq!(object, expected, "{patch}");
        }
    }

    #[test]
    fn what_is_no_patch_is_refused() {
        let table = [
            (PatchForm::Merge, json!([])),
            (PatchForm::Merge, json!({"metadata": null})),
            (PatchForm::Strategic, json!("x")),
            (PatchForm::Strategic, json!({"$patch": "replace"})),
            (PatchForm::Strategic, json!({"status": {"conditions": [{"status": "True"}]}})),
            (PatchForm::Json, json!({})),
            (PatchForm::Json, json!([{"op": "remove", "path": "/x"}])),
            (PatchForm::Json, json!([{"op": "replace", "path": "", "value": 1}])),
        ];
        for (form, patch) in table {
            assert!(apply(form, &mut json!({"metadata": {}}), &patch).is_err(), "{patch}");
        }
    }
}
