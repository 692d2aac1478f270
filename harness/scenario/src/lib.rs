//! Scenarios: the YAML format (`format`), the plan that it is turned into (`plan`), and the runner that
//! walks a plan over a real cluster (`run`). Both ask the oracle what the API says (`prediction`); `explain`
//! says why, and `matrix` who reaches whom, without building anything.

mod asked;
mod claim;
pub mod explain;
pub mod format;
pub mod fuzz;
pub mod ignored;
pub mod matrix;
pub mod plan;
pub mod prediction;
pub mod run;
