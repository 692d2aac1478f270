//! The JSON Schemas (draft-07, which editors read) of the format, made from the types that read it.

use crate::cases::{CaseTableFile, allow_placeholders};
use crate::suite::SuiteFile;
use crate::types::ScenarioFile;
use netproof_documents::topology::TopologyFile;
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

/// The schema of a case table, as committed at `schema/case-table.json`.
pub fn case_table_schema() -> String {
    let mut schema = root::<CaseTableFile>();
    allow_placeholders(&mut schema);
    format!("{schema:#}\n")
}

/// The schema of a suite, as committed at `schema/suite.json`.
pub fn suite_schema() -> String {
    schema::<SuiteFile>()
}

fn schema<T: JsonSchema>() -> String {
    format!("{:#}\n", root::<T>())
}

fn root<T: JsonSchema>() -> serde_json::Value {
    SchemaSettings::draft07().into_generator().into_root_schema_for::<T>().to_value()
}
