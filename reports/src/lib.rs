//! Reports: consumers of the events of a run.
//!
//! One stream of typed events goes to every reporter, and is all that a reporter knows: [`Terminal`] for a
//! person, [`Json`] for programs (the stream itself, one event a line), [`Junit`] for CI systems. However a
//! run ends, everything known by then is reported.

mod describe;
mod file;
mod json;
mod junit;
mod rerun;
mod terminal;
#[cfg(test)]
mod testing;
mod text;

pub use file::{ReportFile, ReportFileError};
pub use json::{Json, ReadError, read_events};
pub use junit::Junit;
pub use rerun::{DEFAULT_ENFORCER, DEFAULT_PROXY, DEFAULT_SEED, Rerun};
pub use terminal::{Terminal, TerminalOptions};

use netproof_model::event::Event;
use std::io;

/// A consumer of the events of a run.
pub trait Reporter {
    /// Takes the next event.
    fn event(&mut self, event: &Event) -> io::Result<()>;

    /// Ends the report, even if the run was broken off: writes the rest. Further calls do nothing.
    fn finish(&mut self) -> io::Result<()>;
}
