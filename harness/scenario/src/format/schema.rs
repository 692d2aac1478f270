//! The JSON Schemas of the format (draft-07, which editors read), made from the types that read it.

use super::suite::SuiteFile;
use super::topology::TopologyFile;
use super::types::ScenarioFile;
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

/// The schema of a suite, as committed at `schema/suite.json`.
pub fn suite_schema() -> String {
    schema::<SuiteFile>()
}

fn schema<T: JsonSchema>() -> String {
    let schema = SchemaSettings::draft07().into_generator().into_root_schema_for::<T>();
    format!("{:#}\n", schema.as_value())
}
