//! Agents: unmodified programs that watch a Kubernetes API and program a node, as enforcers and as proxies.
//!
//! - `profile`: the description of an agent, a small YAML file;
//! - `agent`: an agent as `--enforcer agent:NAME[=PATH]` names it: a profile, and a program;
//! - `launch` and `running`: the program on every node, and the API that it watches; `asked`: what it asked there;
//! - `sentinel`: when a change is in force;
//! - `enforcer` and `proxy`: what the runner sees of all this.

#![warn(clippy::indexing_slicing)]

mod agent;
mod asked;
mod enforcer;
mod error;
mod launch;
pub mod profile;
mod proxy;
mod running;
mod sentinel;

pub use agent::{Agent, AgentName, DescribedAgent, NotFound};
pub use asked::Asked;
pub use enforcer::AgentEnforcer;
pub use error::AgentError;
pub use profile::Profile;
pub use proxy::AgentProxy;
pub use sentinel::{Clash, Hidden};
