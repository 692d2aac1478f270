//! A cluster's objects as the Kubernetes API gives them: JSON, as an API server stores it, and the events that turn one
//! snapshot into the next.
//!
//! Nothing here knows what a policy means.

#![warn(clippy::indexing_slicing)]

pub mod events;
pub mod objects;
#[cfg(test)]
#[path = "../../../enforcer/tests/world/mod.rs"]
mod world;

pub use events::{Event, EventType};
