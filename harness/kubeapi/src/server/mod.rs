//! A store over HTTP: what an API server answers to agents that watch.
//!
//! One thread serves every node. Each node has its listeners, whose sockets the caller has bound inside the node's
//! namespace, and its own journal: how much was asked, and what could not be answered.

mod about;
mod authority;
mod connection;
mod discovery;
mod error;
mod journal;
mod patch;
mod query;
mod read;
mod reply;
mod route;
#[cfg(test)]
mod tests;
mod watch;
mod write;

pub use authority::{Authority, AuthorityError};
pub use error::ServerError;
pub use journal::Unanswered;

use crate::store::Store;
use journal::Journal;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio_rustls::TlsAcceptor;

/// How a listener is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Plain.
    Http,
    /// TLS, with a certificate of the [`Authority`].
    Https,
}

/// What clients may cost.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// Connections to one listener.
    connections: usize,
    /// Bytes of the body of one request.
    body: usize,
    /// How long a TLS handshake may take.
    handshake: Duration,
    /// How long a client may not read what it watches before its connection is closed.
    unread: Duration,
    /// How often an idle watch is told the version that it has.
    bookmark: Duration,
}

const LIMITS: Limits = Limits {
    connections: 512,
    body: 3 << 20,
    handshake: Duration::from_secs(10),
    unread: Duration::from_secs(30),
    bookmark: Duration::from_secs(30),
};

/// Serves a store until it is dropped; then its thread has ended, and every connection and listener is closed.
pub struct Server {
    shared: Arc<Shared>,
    runtime: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What all connections have in common.
struct Shared {
    store: Arc<Store>,
    tls: TlsAcceptor,
    limits: Limits,
    journals: Mutex<BTreeMap<String, Arc<Journal>>>,
}

impl Server {
    /// Starts its thread. Nobody can reach it until there is a listener.
    ///
    /// # Errors
    /// If the system gives no thread or no event queue.
    pub fn start(store: Arc<Store>, authority: &Authority) -> Result<Server, ServerError> {
        Server::with_limits(store, authority, LIMITS)
    }

    fn with_limits(store: Arc<Store>, authority: &Authority, limits: Limits) -> Result<Server, ServerError> {
        let runtime = Builder::new_current_thread().enable_io().enable_time().build();
        let runtime = runtime.map_err(ServerError::Runtime)?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        // With the runtime all of its tasks end, wherever they are.
        let serve = move || drop(runtime.block_on(stopped));
        let thread = std::thread::Builder::new().name("kubeapi".into()).spawn(serve);
        let thread = thread.map_err(ServerError::Thread)?;
        let shared = Shared { store, tls: authority.acceptor(), limits, journals: Mutex::default() };
        Ok(Server { shared: Arc::new(shared), runtime: handle, stop: Some(stop), thread: Some(thread) })
    }

    /// Serves a node's clients at a socket that listens already. A node may have several listeners.
    ///
    /// # Errors
    /// If the socket cannot be waited for.
    pub fn listen(
        &self,
        node: &str,
        socket: std::net::TcpListener,
        scheme: Scheme,
    ) -> Result<(), ServerError> {
        let failed = |source| ServerError::Socket { node: node.to_owned(), source };
        socket.set_nonblocking(true).map_err(failed)?;
        let listener = {
            let _runtime = self.runtime.enter();
            tokio::net::TcpListener::from_std(socket).map_err(failed)?
        };
        let new = || Arc::new(Journal::new(node));
        let journal = Arc::clone(self.shared.journals().entry(node.to_owned()).or_insert_with(new));
        self.runtime.spawn(connection::accept(listener, scheme, Arc::clone(&self.shared), journal));
        Ok(())
    }

    /// How many requests have come from a node.
    pub fn asked(&self, node: &str) -> u64 {
        self.shared.journals().get(node).map_or(0, |journal| journal.asked())
    }

    /// What clients of a node asked for and the server does not have: kinds, paths, methods, forms of bodies. An object
    /// that is not there is an answer, and is not among them.
    pub fn unanswered(&self, node: &str) -> Vec<Unanswered> {
        self.shared.journals().get(node).map_or_else(Vec::new, |journal| journal.unanswered())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // Its thread has ended already if it cannot be told.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been reported where it happened.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn journals(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Journal>>> {
        self.journals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
