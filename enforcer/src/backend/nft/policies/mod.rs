//! The program of policies as an nftables ruleset.

mod allowed;
mod hooks;
mod render;
mod rules;

pub use allowed::allowed;
pub use render::{SOURCE_TABLE, TABLE, Unrendered, policy_chain, render, render_part};
