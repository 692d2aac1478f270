//! Why a server does not serve.

use std::io;
use thiserror::Error;

/// Why a server does not serve.
#[derive(Debug, Error)]
pub enum ServerError {
    /// There is no event queue.
    #[error("cannot make the event loop of the Kubernetes API")]
    Runtime(#[source] io::Error),
    /// There is no thread.
    #[error("cannot start the thread of the Kubernetes API")]
    Thread(#[source] io::Error),
    /// A socket cannot be waited for.
    #[error("cannot serve the Kubernetes API on node {node}")]
    Socket {
        /// Whose socket.
        node: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}
