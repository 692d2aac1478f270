//! Why a program is not started.

use std::io;
use thiserror::Error;

/// Why a program was not started.
#[derive(Debug, Error)]
#[error("cannot {doing}: {source}")]
pub struct StartError {
    /// What could not be done, as in `start the program`.
    pub doing: String,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

impl StartError {
    pub(crate) fn new(doing: impl Into<String>, source: impl Into<io::Error>) -> StartError {
        StartError { doing: doing.into(), source: source.into() }
    }
}
