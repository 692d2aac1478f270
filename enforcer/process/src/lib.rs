//! One program in a node's namespaces: found before anything is built, started with what it may see of the
//! machine, watched, and ended with all that it started.
//!
//! The program runs in the node's network namespace and in a PID and a mount namespace of its own. Whatever it
//! starts ends with it, and it ends when its standard input is closed: by netproof, or by the kernel if
//! netproof is killed.
//!
//! Programs that send netlink messages from here have a limit: in a user namespace, which netproof makes for root
//! too where it can, the kernel refuses SO_SNDBUFFORCE. `nft` and `iptables-nft-restore` send a transaction in one
//! message and know no other way to make room for it: of more than some 400 rules (nft 1.0.6, iptables 1.8.9) it
//! fails with "Message too long".

#![warn(clippy::indexing_slicing)]

mod error;
mod find;
mod init;
mod launch;
mod process;
mod seal;
mod words;

pub use error::StartError;
pub use find::{find, find_in, path};
pub use launch::{Environment, Files, Launch, Output};
pub use process::Process;
pub use seal::Sealed;
pub use words::{LastWords, how_it_ended, printable};
