//! Texts that people write: sources, what is wrong with them at which place, and YAML with positions.
//!
//! The crate knows no kind of object and no field: what a text means is for its reader to say.

pub mod diagnostic;
pub mod path;
pub mod quote;
mod read;
pub mod source;
pub mod suggest;
pub mod yaml;

pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use quote::quote;
pub use source::{Source, Span};
pub use yaml::Spanned;
