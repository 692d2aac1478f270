//! nftables: programs as rulesets, and an agent on each node that applies them.

mod agents;
pub mod policies;
pub mod services;

pub use agents::Agents;
pub use netproof_netfilter::nft::DEFAULT_SEND_BUFFER;
pub use policies::NftPolicies;
pub use services::NftServices;
