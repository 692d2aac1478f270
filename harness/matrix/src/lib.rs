//! Who reaches whom in one step of a plan: every source to every destination, a table for each port.
//!
//! [`predict`] asks the oracle, and builds nothing. [`probe`] tries the same cells with packets.

mod asking;
mod cell;
mod cells;
mod choose;
mod groups;
mod left_out;
mod outside;
mod predict;
mod predicted;
mod probe;
mod question;
mod report;
mod schema;
mod selector;
mod stand_in;
mod table;
mod text;

pub use cell::{Cell, Observed, Sign};
pub use cells::Cells;
pub use left_out::{LeftOut, Why};
pub use predict::predict;
pub use probe::{MOST_PROBES, Unprobed, probe};
pub use question::{NoAnswer, Question};
pub use report::{FORMAT, Report};
pub use schema::schema;
pub use selector::{PortChoice, Selector};
pub use stand_in::{NoStandIn, StandIn, Unanswered};
pub use table::{Counts, Matrix, Objects, Table};
pub use text::text;

#[cfg(test)]
mod tests;
