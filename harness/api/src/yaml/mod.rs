//! YAML as kubectl reads it: one parse of a text into trees with spans, and typed values from those trees.
//!
//! The syntax is that of libyaml, of which kubectl's own parser is a translation, and so is where a document
//! ends. A scalar without quotes keeps its text: here it means what YAML 1.2 says, so that `off` is a word of the
//! scenario format; where a field of a manifest is read, what kubectl takes it for (`kubectl_value`).

#[cfg(test)]
mod as_kubectl;
mod build;
mod de;
mod error;
mod handover;
mod keys;
mod kubectl;
mod measure;
mod parse;
mod recover;
mod scalar;
mod syntax;
#[cfg(test)]
mod tests;
mod tree;

pub use build::{MAX_ALIAS_BYTES, MAX_DEPTH, MAX_NODES};
pub use de::{from_node, from_node_at};
pub use error::{Error, Segment};
pub use handover::Spanned;
pub(crate) use kubectl::{key as kubectl_key, value as kubectl_value};
pub use parse::{Document, Reading, documents, empty, parse};
pub use recover::{LeftOut, Recovered, recover};
pub use tree::{Key, Line, Node, Style, Value};
