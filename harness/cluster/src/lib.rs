//! Builds a topology: namespaces, links, addresses, routes, DNS.
//!
//! A program calls [`sandbox::enter`] first, before it has a second thread. From then on descriptors alone
//! hold the namespaces that it makes: they disappear with the process, however it dies.

pub mod doctor;
pub mod netns;
pub mod sandbox;
pub mod yardstick;

mod cluster;
mod dns;
mod error;
mod groups;
mod health;
mod namespace;
mod netlink;
mod plan;
mod sys;
mod sysctl;

pub use cluster::Cluster;
pub use error::{ClusterError, Loss};
pub use netns::Netns;
pub use sandbox::{Sandbox, SandboxError};
