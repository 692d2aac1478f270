//! The JSON Schema (draft-07, which editors read) of profiles, made from the types that read them.

use super::written::ProfileFile;
use schemars::generate::SchemaSettings;

/// The schema of a profile, as committed at `schema/agent-profile.json`.
pub fn profile_schema() -> String {
    let schema = SchemaSettings::draft07().into_generator().into_root_schema_for::<ProfileFile>();
    format!("{:#}\n", schema.to_value())
}
