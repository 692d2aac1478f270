//! What is started: a value that the caller fills in.

use std::ffi::OsString;
use std::path::PathBuf;

/// A program, and what it is started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// The program, by its path, or by a name that is looked for in PATH.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Its environment.
    pub environment: Environment,
    /// What becomes of what it writes.
    pub output: Output,
}

/// The variables that a program finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Environment {
    /// Those of netproof, and these.
    Inherited(Vec<(OsString, OsString)>),
    /// PATH as netproof has it, HOME, which is `/tmp`, and these.
    Only(Vec<(OsString, OsString)>),
}

/// What becomes of what a program writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// Standard output is a pipe that the caller reads; standard error is kept for last words.
    Piped,
    /// Standard output and standard error are kept for last words.
    Kept,
}
