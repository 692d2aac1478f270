//! What an enforcer is made with, and how it fails.

use crate::nft::{DEFAULT_SEND_BUFFER, KernelError};
use std::os::fd::BorrowedFd;
use thiserror::Error;

/// A node, as an enforcer needs it.
#[derive(Clone, Debug)]
pub struct NodeHandle<'a> {
    /// Its name.
    pub name: String,
    /// Its network namespace; used while the enforcer is made.
    pub netns: BorrowedFd<'a>,
}

/// How agents talk to the kernel.
#[derive(Clone, Debug)]
pub struct Options {
    /// The send buffer to ask for, in bytes, before the kernel doubles it and cuts it to what
    /// `net.core.wmem_max` allows. A transaction is never larger than what it grants.
    pub send_buffer: usize,
}

impl Default for Options {
    fn default() -> Self {
        Options { send_buffer: DEFAULT_SEND_BUFFER }
    }
}

/// Why a generation is not in force everywhere.
#[derive(Debug, Error)]
pub enum EnforcerError {
    /// One node's agent failed; nodes before it in the order of names have the new generation.
    #[error("node {node}: {source}")]
    Node {
        /// The node.
        node: String,
        /// What went wrong.
        #[source]
        source: KernelError,
    },
}

impl EnforcerError {
    pub(crate) fn node(node: &str, source: KernelError) -> Self {
        EnforcerError::Node { node: node.to_owned(), source }
    }
}
