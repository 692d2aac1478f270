//! Agents: unmodified programs that watch a Kubernetes API and program a node, as enforcers and as proxies.
//!
//! - `profile`: the description of an agent, a small YAML file;
//! - `agent`: an agent as `--enforcer agent:NAME[=PATH]` names it: a profile, and a program.

#![warn(clippy::indexing_slicing)]

mod agent;
pub mod profile;

pub use agent::Agent;
pub use profile::Profile;
