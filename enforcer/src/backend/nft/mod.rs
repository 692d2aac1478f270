//! nftables: programs as rulesets, and an agent on each node that applies them.

mod agents;
pub mod policies;
pub mod services;

pub use agents::Agents;
