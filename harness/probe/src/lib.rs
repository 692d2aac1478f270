//! Listeners, witnesses and probes: tries flows in a cluster and reports the outcome of each, by evidence.
//!
//! One thread and one event loop drive the sockets of every namespace. [`Prober::sync`] opens what a cluster
//! needs:
//!
//! - servers on the ports that pods serve;
//! - a witness in each stack, which sees the requests that are delivered to it and answers those of SCTP;
//! - a reader of the log messages of each node's rules: denials, and the observer's passages.
//!
//! [`Prober::trace_rules`] also listens to the kernel's trace of every rule that some requests meet.
//!
//! [`Prober::probe`] then sends a batch of requests, each with a token that survives address translation,
//! and assigns sightings, logs and ICMP errors by token. Delivery between namespaces is synchronous, so
//! almost every outcome is known when the sending call returns; nothing waits for a timeout to learn that a
//! packet was dropped.
//!
//! Witnesses are raw sockets, not packet sockets. They see a packet where it is delivered, after address
//! translation and after the node's own INPUT rules, so a sighting on a node means that the node accepted
//! the packet. And closing one is free: closing a packet socket waits for a grace period of the kernel, some
//! 12 ms, once for each pod.

mod backlog;
mod batch;
mod dns;
mod error;
mod filter;
mod flight;
mod grace;
mod kept;
mod ledger;
mod nflog;
mod packet;
mod probe;
mod prober;
mod resolve;
mod sctp;
mod server;
mod stack;
mod sys;
mod token;
mod trace;
mod verdict;
mod world;

pub use batch::{Streamed, Streaming, Turn};
pub use error::ProbeError;
pub use grace::Grace;
pub use probe::{Patience, Probe};
pub use prober::{Prober, sites};
pub use stack::Site;
