//! The JSON Schemas (draft-07, which editors read) of the format and of what commands write, made from the
//! types that read and write them.

use super::topology::TopologyFile;
use super::types::ScenarioFile;
use crate::explain::Report;
use schemars::JsonSchema;
use schemars::generate::SchemaSettings;

/// The schema of a scenario, as committed at `schema/scenario.json`.
pub fn scenario_schema() -> String {
    schema::<ScenarioFile>()
}

/// The schema of a topology, as committed at `schema/topology.json`.
pub fn topology_schema() -> String {
    schema::<TopologyFile>()
}

/// The schema of what `explain --json` writes, as committed at `schema/explanation.json`.
pub fn explanation_schema() -> String {
    schema::<Report>()
}

/// The schema of what `matrix --json` writes, as committed at `schema/matrix.json`.
pub fn matrix_schema() -> String {
    schema::<crate::matrix::Report>()
}

fn schema<T: JsonSchema>() -> String {
    let schema = SchemaSettings::draft07().into_generator().into_root_schema_for::<T>();
    format!("{:#}\n", schema.as_value())
}
