//! Reports: consumers of the events of a run.
//!
//! One stream of typed events goes to every reporter, and no reporter knows more than the stream tells:
//! [`Terminal`] for a person, [`Json`] for programs (the stream itself, one event a line), [`Junit`] for
//! CI systems. Whatever ends a run, what is known by then is reported.

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

    /// No more events will come, even if the run was broken off: writes what is left to write. Anything
    /// after the first call does nothing.
    fn finish(&mut self) -> io::Result<()>;
}
