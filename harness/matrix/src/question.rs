//! What is asked of a plan, and why there may be no answer.

use crate::selector::{PortChoice, Selector};
use netproof_controlplane::ChangeError;
use netproof_oracle::Profile;
use netproof_plan::UnknownStep;
use thiserror::Error;

/// What to ask of a plan.
#[derive(Clone, Debug)]
pub struct Question {
    /// The state after this step; after the last one if none is named.
    pub step: Option<String>,
    /// Only these sources; the cluster's own pods and the external hosts if none is named.
    pub from: Vec<Selector>,
    /// Only these destinations; likewise.
    pub to: Vec<Selector>,
    /// Only these ports; every port that a destination serves if none is named.
    pub ports: Vec<PortChoice>,
    /// Services as destinations, too.
    pub services: bool,
    /// How to read what the API leaves open; as the plan says, else as our own enforcer does, if absent.
    pub profile: Option<Profile>,
}

/// Why there is no matrix.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NoAnswer {
    /// No step has that name.
    #[error(transparent)]
    Step(#[from] UnknownStep),
    /// A selector names nothing.
    #[error("{option} {selector} names nothing that is there\nhelp: {help}")]
    NoMatch {
        /// The option.
        option: String,
        /// The selector.
        selector: String,
        /// What it may have meant.
        help: String,
    },
    /// An address is not that of a host outside.
    #[error("{option} {selector}: {message}\nhelp: {help}")]
    NoHost {
        /// The option.
        option: String,
        /// The selector.
        selector: String,
        /// Whose the address is.
        message: String,
        /// What may have been meant.
        help: String,
    },
    /// There is no cell to ask about.
    #[error("no source and destination are left to ask about in {scenario}\nhelp: {help}")]
    NothingLeft {
        /// The scenario run.
        scenario: String,
        /// What there is.
        help: String,
    },
    /// What the question names cannot be made.
    #[error("a change that the question makes is refused: {}", .0.message)]
    Refused(ChangeError),
}
