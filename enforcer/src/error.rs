//! How enforcer and proxy fail.

use netproof_model::NamespacedName;
use std::error::Error;
use std::io;
use thiserror::Error;

/// Why a generation is not in force everywhere.
#[derive(Debug, Error)]
pub enum EnforcerError {
    /// One node does not have it; nodes before it in the order of names do. The cause is of whoever enforces: what
    /// the kernel refused, what cannot be said in its rules, what became of a process.
    #[error("node {node}: {source}")]
    Node {
        /// The node.
        node: String,
        /// What went wrong.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// A health check's port could not be served.
    #[error(
        "node {node}: cannot serve healthCheckNodePort {port} of service/{service}: {source}; \
         free the port there, or give the service another"
    )]
    HealthCheck {
        /// The node.
        node: String,
        /// The service.
        service: NamespacedName,
        /// Its health check's port.
        port: u16,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The thread that answers health checks could not be started, or a namespace not be kept open.
    #[error("cannot prepare health checks of services: {0}")]
    HealthChecks(#[source] io::Error),
}

impl EnforcerError {
    /// What went wrong on a node.
    pub fn node(node: &str, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        EnforcerError::Node { node: node.to_owned(), source: source.into() }
    }
}
