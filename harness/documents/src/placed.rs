//! A change with the place at which it is written.

use netproof_api::Source;
use netproof_api::source::Span;
use netproof_controlplane::Change;
use std::sync::Arc;

/// A change, and where it is written.
#[derive(Clone, Debug)]
pub struct Placed {
    /// The change.
    pub change: Change,
    /// In which text.
    pub source: Arc<Source>,
    /// Where in it.
    pub span: Span,
}
