//! The kernel's netfilter: nftables rulesets as data and how they are loaded ([`nft`]), and the netlink
//! socket that nf_tables and conntrack share ([`Socket`]).
//!
//! Nothing here knows policies, services or clusters; callers decide what a ruleset is for.

#![warn(clippy::indexing_slicing)]

mod attributes;
pub mod nft;
mod socket;

pub use attributes::{Attributes, attribute};
pub use socket::{HEADERS, Message, Refusal, Socket};

/// The NFLOG group of every rule that logs.
pub const NFLOG_GROUP: u16 = 4790;

/// The text before the rule's number in the prefix of its NFLOG message.
pub const NFLOG_PREFIX: &str = "netproof:";

/// The word between the two where the rule does nothing but log.
pub const LOG_ONLY: &str = "log";

/// Bytes of a packet that its NFLOG message carries: the headers, and a probe's token.
pub const NFLOG_SNAPLEN: u32 = 128;
