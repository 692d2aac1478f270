//! Why a change set is not applied.

use thiserror::Error;

/// Why a change set is not applied.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum StoreError {
    /// The object lacks what every object has.
    #[error("an object without `{0}`")]
    Incomplete(&'static str),
    /// No such kind is served.
    #[error("objects of kind {kind} ({api_version}) are not served")]
    UnknownKind {
        /// Group and version.
        api_version: String,
        /// The kind.
        kind: String,
    },
    /// The object has a namespace, and its kind has none.
    #[error("the {kind} `{name}` cannot have a namespace")]
    Namespaced {
        /// The kind.
        kind: &'static str,
        /// The object's name.
        name: String,
    },
    /// The event contradicts what is there.
    #[error("{object}: {problem}")]
    Contradicts {
        /// What is wrong.
        problem: &'static str,
        /// Kind, namespace and name.
        object: String,
    },
}
