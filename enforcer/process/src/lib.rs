//! One program in a node's namespaces: found before anything is built, started with what it may see of the
//! machine, watched, and ended with all that it started.
//!
//! The program runs in the node's network namespace and in a PID and a mount namespace of its own. Whatever it
//! starts ends with it, and it ends when its standard input is closed: by netproof, or by the kernel if
//! netproof is killed.

#![warn(clippy::indexing_slicing)]

mod find;
mod init;
mod launch;
mod process;
mod words;

pub use find::find;
pub use launch::{Environment, Launch, Output};
pub use process::{Process, StartError};
pub use words::{LastWords, how_it_ended, printable};
