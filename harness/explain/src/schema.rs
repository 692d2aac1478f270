//! The JSON Schema (draft-07, which editors read) of what `explain --json` writes, made from the types that write it.

use crate::report::Report;
use schemars::generate::SchemaSettings;

/// The schema, as committed at `schema/explanation.json`.
pub fn schema() -> String {
    let root = SchemaSettings::draft07().into_generator().into_root_schema_for::<Report>();
    format!("{:#}\n", root.to_value())
}
