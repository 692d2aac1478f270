//! Scenarios: the YAML format (`format`), the plan that it is turned into (`plan`), and the runner that
//! walks a plan over a real cluster (`run`).

pub mod format;
pub mod plan;
pub mod run;
