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

/// The NFLOG group of every rule that logs.
pub const NFLOG_GROUP: u16 = 4790;

/// What precedes the rule's number in the prefix of its NFLOG message.
pub const NFLOG_PREFIX: &str = "netproof:";

/// Bytes of a packet that its NFLOG message carries: the headers, and a probe's token.
pub const NFLOG_SNAPLEN: u32 = 128;
