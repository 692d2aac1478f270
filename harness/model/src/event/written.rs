//! The objects of a scenario, as they are written.

use super::Location;
use serde::{Deserialize, Serialize};

/// An object that a scenario makes, changes or deletes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct WrittenObject {
    /// `KIND/[NAMESPACE/]NAME`, the kind in lower case.
    pub object: String,
    /// Whether it is a policy object.
    pub is_policy: bool,
    /// The step that makes it or replaces it; absent where it is there from the start.
    pub step: Option<String>,
    /// Where it is written: in the scenario, or in the file that the scenario names.
    pub location: Location,
    /// Of a policy object, the lines in which it is written, as they are.
    pub text: Option<String>,
}
