//! YAML, strictly: one parse of a text into a tree with spans, and typed values from that tree.
//!
//! YAML 1.2 with the core schema, so `yes`, `no`, `on` and `off` are strings. Aliases are expanded
//! (within a budget); merge keys, tags of one's own and keys that are no strings are refused.

mod de;
mod error;
mod handover;
mod measure;
mod parse;
mod scalar;
#[cfg(test)]
mod tests;
mod tree;

pub use de::{from_node, from_node_at};
pub use error::Error;
pub use handover::Spanned;
pub use parse::{MAX_ALIAS_BYTES, MAX_DEPTH, MAX_NODES, parse};
pub(crate) use tree::quote;
pub use tree::{Key, Line, Node, Style, Value};
