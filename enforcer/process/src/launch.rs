//! What is started: a value that the caller fills in.

use crate::seal::Sealed;
use std::ffi::OsString;
use std::path::PathBuf;

/// A program, and what it is started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// The program by its path; of one that is not sealed it may be a name, which is looked for in PATH.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Its environment.
    pub environment: Environment,
    /// What becomes of what it writes.
    pub output: Output,
    /// What it sees of the machine's files.
    pub files: Files,
}

/// What a program sees of the machine's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Files {
    /// All as they are, and an empty `/run`.
    Open,
    /// As a seal shows them. Its working folder is `/`.
    Sealed(Sealed),
}

/// The variables that a program finds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Environment {
    /// Those of netproof, and these.
    Inherited(Vec<(OsString, OsString)>),
    /// PATH with the folders of system programs, HOME, which is `/tmp`, and these.
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
