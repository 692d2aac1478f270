//! YAML as kubectl reads it: one parse of a text into trees with spans, and typed values from those trees.
//!
//! The syntax, including the ends of documents, is that of libyaml, of which kubectl's parser is a port. A
//! scalar without quotes keeps its text. The tree reads it as YAML 1.2, so that `off` is a word in the
//! scenario format; fields of manifests are read as kubectl reads them (`kubectl_value`).

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
pub use kubectl::{key as kubectl_key, value as kubectl_value};
pub use parse::{Document, Reading, documents, empty, parse};
pub use recover::{LeftOut, Recovered, recover};
pub use tree::{Key, Line, Node, Style, Value};
