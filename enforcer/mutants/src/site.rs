//! For whom something is made wrongly.

use netproof_controlplane::Snapshot;

/// For whom a program or a ruleset is made.
pub(crate) struct Site<'a> {
    /// The objects.
    pub(crate) snapshot: &'a Snapshot,
    /// The node.
    pub(crate) node: &'a str,
}
