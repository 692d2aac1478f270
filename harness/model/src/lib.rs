//! The vocabulary that all crates share: places, topology, flows, outcomes, deciders, and the events of a
//! run.
//!
//! Types only: nothing here evaluates a policy and nothing here touches the machine.

pub mod data_path;
pub mod decided_by;
pub mod decision;
pub mod event;
pub mod flow;
pub mod interface;
pub mod kernel;
pub mod net;
pub mod observation;
pub mod place;
pub mod policy;
pub mod request;
mod seconds;
pub mod topology;
pub mod trace;
pub mod verdict;

pub use data_path::DataPath;
pub use decided_by::DecidedBy;
pub use decision::{Action, Decision, Direction, Hook, Identity, IdentityTable, Party};
pub use interface::InterfacePrefix;
pub use kernel::KernelFeature;
pub use net::{Family, Protocol, Token};
pub use observation::{LogRecord, Observation, Outcome, Passage, ProbeStage, Rejection, Sighting};
pub use place::{NamespacedName, Place};
pub use policy::{PolicyKey, PolicyKind, PolicyStage};
pub use topology::{Families, ProxyMode, Topology, Wiring};
pub use trace::{ChainPass, RuleTrace, TraceStep, TraceVerdict, TracedRule};
pub use verdict::{BackendVerdict, Verdict, Verdicts};
