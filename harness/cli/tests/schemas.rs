//! The committed JSON Schemas of the format, and of what `explain` and `matrix` write, are those of the types.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking")]

use netproof_enforcer_agent::profile::profile_schema;
use netproof_format::{case_table_schema, scenario_schema, suite_schema, topology_schema};
use std::path::Path;

/// Compares with the committed file of a crate; with `INSTA_UPDATE=always` it is written anew.
fn check(room: &str, name: &str, generated: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(room).join("schema").join(name);
    if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        std::fs::write(&path, generated).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == generated,
        "{room}/schema/{name} is not what the types say: run this test with INSTA_UPDATE=always and commit the file"
    );
}

#[test]
fn scenario() {
    check("harness/format", "scenario.json", &scenario_schema());
}

#[test]
fn topology() {
    check("harness/format", "topology.json", &topology_schema());
}

#[test]
fn case_table() {
    check("harness/format", "case-table.json", &case_table_schema());
}

#[test]
fn explanation() {
    check("harness/explain", "explanation.json", &netproof_explain::schema());
}

#[test]
fn matrix() {
    check("harness/matrix", "matrix.json", &netproof_matrix::schema());
}

#[test]
fn suite() {
    check("harness/format", "suite.json", &suite_schema());
}

#[test]
fn agent_profile() {
    check("enforcer/agent", "agent-profile.json", &profile_schema());
}

/// Editors show descriptions: every field has one.
#[test]
fn every_field_is_described() {
    fn walk(path: &str, value: &serde_json::Value, missing: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(fields) => {
                if let Some(serde_json::Value::Object(properties)) = fields.get("properties") {
                    for (name, property) in properties {
                        // For an enum's variant, the description is the variant's.
                        let described = properties.len() == 1 && fields.contains_key("description")
                            || property.get("description").is_some()
                            || property.get("$ref").is_some()
                            || matches!(name.as_str(), "apiVersion" | "kind");
                        if !described {
                            missing.push(format!("{path}.{name}"));
                        }
                    }
                }
                for (name, inner) in fields {
                    walk(&format!("{path}.{name}"), inner, missing);
                }
            }
            serde_json::Value::Array(items) => items.iter().for_each(|item| walk(path, item, missing)),
            _ => {}
        }
    }
    for schema in [
        scenario_schema(),
        suite_schema(),
        topology_schema(),
        case_table_schema(),
        profile_schema(),
        netproof_explain::schema(),
        netproof_matrix::schema(),
    ] {
        let mut missing = Vec::new();
        walk("", &serde_json::from_str(&schema).unwrap(), &mut missing);
        assert_eq!(missing, Vec::<String>::new());
    }
}
