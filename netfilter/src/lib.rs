//! netfilter as the kernel has it: nftables rulesets as data and the way into the kernel ([`nft`]), and the netlink
//! socket that nf_tables and conntrack share ([`Socket`]).
//!
//! Nothing here knows of policies, services or clusters: what a ruleset is for is the business of those who write it.

#![warn(clippy::indexing_slicing)]

mod attributes;
pub mod nft;
mod socket;

pub use attributes::{Attributes, attribute};
pub use socket::{HEADERS, Message, Refusal, Socket};
