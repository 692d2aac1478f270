//! What can go wrong with a process that enforces policy: each with what it wrote to standard error last.

use netproof_enforcer_process::{LastWords, StartError, how_it_ended};
use std::io;
use std::process::ExitStatus;
use std::time::Duration;
use thiserror::Error;

/// Why a node's process is of no use.
#[derive(Debug, Error)]
pub enum ExecError {
    /// It could not be started.
    #[error("the enforcer `{command}` cannot be started: {source}")]
    Start {
        /// The command, as it was written.
        command: String,
        /// Why.
        #[source]
        source: StartError,
    },
    /// The pipes to it could not be prepared.
    #[error("the enforcer `{command}` cannot be started: cannot prepare its pipes: {source}")]
    Pipes {
        /// The command, as it was written.
        command: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It ended.
    #[error("the enforcer ended ({}); it must run until its standard input is closed{said}", how_it_ended(*.status))]
    Ended {
        /// How.
        status: ExitStatus,
        /// What it wrote last.
        said: LastWords,
    },
    /// No answer came in time.
    #[error(
        "the enforcer gave no answer to generation {generation} within {} s: it must print {{\"generation\": {generation}}} and a \
         line end when that is in force, and not keep them in a buffer (--enforcer-timeout gives it longer){said}",
        .patience.as_secs_f64()
    )]
    Silent {
        /// The generation that was sent.
        generation: u64,
        /// How long it had.
        patience: Duration,
        /// What it wrote last.
        said: LastWords,
    },
    /// It answered that it could not.
    #[error("the enforcer could not program generation {generation}: {error}{said}")]
    Refused {
        /// The generation that was sent.
        generation: u64,
        /// In its own words.
        error: String,
        /// What it wrote last.
        said: LastWords,
    },
    /// It answered something else.
    #[error(
        "the enforcer answered generation {generation} with `{answer}`: {problem}; write {{\"generation\": {generation}}} or \
         {{\"error\": \"...\"}} in one line, and everything else to standard error{said}"
    )]
    Nonsense {
        /// The generation that was sent.
        generation: u64,
        /// Its answer, or the beginning of it.
        answer: String,
        /// What is wrong with it.
        problem: String,
        /// What it wrote last.
        said: LastWords,
    },
    /// Nothing could be written to it or read from it.
    #[error("the enforcer cannot be talked to: {0}")]
    Pipe(#[source] io::Error),
}
