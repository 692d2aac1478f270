//! What makes programs true on a node.

pub mod nft;
