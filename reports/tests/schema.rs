//! The published JSON Schema of the events is the one that the types give.

use netproof_model::event::Event;
use schemars::generate::SchemaSettings;
use std::path::Path;

#[test]
fn the_schema_of_the_events_is_current() {
    let schema = SchemaSettings::draft07().into_generator().into_root_schema_for::<Event>();
    let mut generated = serde_json::to_string_pretty(&schema).unwrap();
    generated.push('\n');
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/events.json");
    if std::env::var_os("UPDATE_SCHEMAS").is_some() {
        std::fs::write(&path, &generated).unwrap();
    }
    let published = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        published == generated,
        "schema/events.json is not what the types give; UPDATE_SCHEMAS=1 writes it anew"
    );
}
