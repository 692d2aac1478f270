//! Services as an nftables ruleset.

mod base;
mod choice;
mod render;

pub(crate) use base::{FIREWALL_IPS, HAIRPINS, NO_ENDPOINT_SERVICES, SERVICE_IPS};
pub(crate) use choice::hairpin;
pub use render::{Rendered, Site, render, render_part, table};
