//! A cluster's objects as the Kubernetes API gives them: JSON, as an API server stores it; the events that turn one
//! snapshot into the next; and a server that agents can watch as they watch a real one.
//!
//! Nothing here knows what a policy means. docs/kube-api.md says what is served.

#![warn(clippy::indexing_slicing)]

pub mod events;
mod kinds;
pub mod objects;
mod selector;
mod server;
mod store;
#[cfg(test)]
#[path = "../../../enforcer/tests/world/mod.rs"]
mod world;

pub use events::{Event, EventType};
pub use server::{Authority, AuthorityError, Scheme, Server, ServerError, Unanswered};
pub use store::{Store, StoreError};

/// The version of Kubernetes that the server gives as its own.
const VERSION: &str = "v1.34.0";
