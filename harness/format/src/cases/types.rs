//! A case table as it is written, and its JSON Schema. Cases stay trees until their placeholders are filled in.

use crate::cases::tags::WrittenTags;
use crate::types::{Metadata, ScenarioSpec};
use crate::words::CaseTableKind;
use netproof_api::yaml::Node;
use netproof_documents::words::ApiVersion;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Many scenarios that differ in a few values.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "netproof case table", rename = "CaseTable")]
pub struct CaseTableFile {
    /// The version of this format.
    pub api_version: ApiVersion,
    /// `CaseTable`.
    pub kind: CaseTableKind,
    /// Name, labels and tags. The name is the last part of the cases' suite; labels and tags are every case's.
    pub metadata: Metadata,
    /// The table.
    pub spec: CaseTableSpec,
}

/// What a case table says.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(rename = "CaseTableSpec")]
pub struct CaseTableSpec {
    /// What the table is about; the description of a case that has none.
    pub description: String,
    /// Tags and their sub-tags: a case with a sub-tag has its parent, too. If there are any, a case may have no
    /// others.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, Vec<String>>")]
    pub tags: WrittenTags,
    /// What all cases have: fields of a scenario's `spec`.
    #[serde(default)]
    #[schemars(with = "Option<SharedSchema>")]
    pub scenario: Option<Node>,
    /// Values with a name, for placeholders: `$(NAME)`, or `$(NAME.FIELD)`. Each may use those above it.
    #[serde(default)]
    #[schemars(with = "Option<BTreeMap<String, Value>>")]
    pub parts: Option<Node>,
    /// The cases.
    #[schemars(with = "Vec<CaseSchema>", length(min = 1))]
    pub cases: Node,
}

/// The properties of a scenario's spec.
fn scenario_fields(generator: &mut SchemaGenerator) -> Map<String, Value> {
    match ScenarioSpec::json_schema(generator).remove("properties") {
        Some(Value::Object(fields)) => fields,
        _ => Map::new(),
    }
}

/// `spec.scenario`.
struct SharedSchema;

impl JsonSchema for SharedSchema {
    fn schema_name() -> Cow<'static, str> {
        "SharedSpec".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut fields = scenario_fields(generator);
        fields.remove("description");
        json_schema!({ "type": "object", "properties": fields, "additionalProperties": false })
    }
}

/// An item of `spec.cases`.
struct CaseSchema;

impl JsonSchema for CaseSchema {
    fn schema_name() -> Cow<'static, str> {
        "Case".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut fields = scenario_fields(generator);
        let own = json!({
            "name": {
                "description": "The name, unique within the suite: lower-case letters, digits, `-` and `.`.",
                "type": "string",
            },
            "tags": {
                "description": "Tags, which `--filter tag=NAME` chooses by.",
                "type": "array",
                "items": { "type": "string" },
            },
            "description": {
                "description": "What the case is about; the table's description if absent.",
                "type": "string",
            },
            "note": {
                "description": "What else there is to say, after the description.",
                "type": ["string", "null"],
            },
            "for": {
                "description": "Variables and the list that each runs over: one case for each combination. \
                    `{after: VARIABLE}` runs over the values of an earlier variable that follow its own, which \
                    gives all unordered pairs.",
                "type": "object",
                "additionalProperties": {
                    "anyOf": [
                        { "type": "array" },
                        {
                            "type": "object",
                            "properties": { "after": { "description": "An earlier variable.", "type": "string" } },
                            "required": ["after"],
                            "additionalProperties": false,
                        },
                    ],
                },
            },
        });
        fields.extend(own.as_object().cloned().unwrap_or_default());
        json_schema!({
            "description": "A scenario: what all cases have, with these fields on top.",
            "type": "object",
            "properties": fields,
            "required": ["name"],
            "additionalProperties": false,
        })
    }
}

/// Lets a placeholder stand in the place of every value of the definitions, and `like` among objects.
pub fn allow_placeholders(schema: &mut Value) {
    let Some(Value::Object(definitions)) = schema.get_mut("definitions") else { return };
    definitions.remove("ScenarioSpec");
    for (name, definition) in definitions.iter_mut() {
        if name == "CaseTableSpec" || name == "Metadata" {
            continue;
        }
        inside(definition);
        if name == "Items"
            && let Some(Value::Array(forms)) = definition.pointer_mut("/items/anyOf")
        {
            forms.push(json!({
                "type": "object",
                "title": "like",
                "description": "A part, with some of its fields changed.",
                "properties": {
                    "like": { "description": "The part's name." },
                    "set": {
                        "description": "New values by path, as in `spec.ingress[0].from`; null removes.",
                        "type": "object",
                    },
                },
                "required": ["like"],
                "additionalProperties": false,
            }));
        }
    }
    definitions.insert(
        "Placeholder".to_owned(),
        json!({
            "description": "A part or a variable of the table.",
            "type": "string",
            "pattern": r"^\$\(.+\)$",
        }),
    );
}

/// Wraps what stands at properties, items and further properties of a schema.
fn inside(schema: &mut Value) {
    match schema {
        Value::Array(schemas) => schemas.iter_mut().for_each(inside),
        Value::Object(fields) => {
            for (key, value) in fields.iter_mut() {
                match (key.as_str(), &mut *value) {
                    ("properties", Value::Object(properties)) => {
                        for property in properties.values_mut() {
                            inside(property);
                            wrap(property);
                        }
                    }
                    ("items" | "additionalProperties", Value::Object(_)) => {
                        inside(value);
                        wrap(value);
                    }
                    ("anyOf" | "oneOf" | "allOf", _) => inside(value),
                    _ => {}
                }
            }
        }
        _ => {}
    }
}

/// A schema, or a placeholder; what takes any text takes placeholders already.
fn wrap(schema: &mut Value) {
    let Value::Object(fields) = schema else { return };
    let any = !["$ref", "type", "enum", "const", "anyOf", "oneOf", "allOf"]
        .iter()
        .any(|key| fields.contains_key(*key));
    let text = fields.get("type").is_some_and(|kind| kind == "string") && !fields.contains_key("enum");
    if any || text {
        return;
    }
    let description = fields.remove("description");
    let mut wrapped =
        json!({ "anyOf": [Value::Object(std::mem::take(fields)), { "$ref": "#/definitions/Placeholder" }] });
    if let (Some(description), Value::Object(fields)) = (description, &mut wrapped) {
        fields.insert("description".to_owned(), description);
    }
    *schema = wrapped;
}
