//! The committed JSON Schemas are those of the types.

use super::*;

/// Compares with the committed file; with `INSTA_UPDATE=always` it is written anew.
fn check(name: &str, generated: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema").join(name);
    if std::env::var("INSTA_UPDATE").is_ok_and(|update| update == "always") {
        std::fs::write(&path, generated).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        committed == generated,
        "schema/{name} is not what the types say: run this test with INSTA_UPDATE=always and commit the file"
    );
}

#[test]
fn scenario() {
    check("scenario.json", &scenario_schema());
}

#[test]
fn topology() {
    check("topology.json", &topology_schema());
}

#[test]
fn case_table() {
    check("case-table.json", &case_table_schema());
}

#[test]
fn explanation() {
    check("explanation.json", &explanation_schema());
}

#[test]
fn matrix() {
    check("matrix.json", &matrix_schema());
}

#[test]
fn suite() {
    check("suite.json", &suite_schema());
}

/// Editors show descriptions: no field goes without.
#[test]
fn every_field_is_described() {
    fn walk(path: &str, value: &serde_json::Value, missing: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(fields) => {
                if let Some(serde_json::Value::Object(properties)) = fields.get("properties") {
                    for (name, property) in properties {
                        // Of an enum's variant, it is the variant that is described.
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
        explanation_schema(),
        matrix_schema(),
    ] {
        let mut missing = Vec::new();
        walk("", &serde_json::from_str(&schema).unwrap(), &mut missing);
        assert_eq!(missing, Vec::<String>::new());
    }
}
