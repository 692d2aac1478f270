//! Findings: what is wrong in a check, as a kind and as a sentence for people. Code counts and decides by
//! the kind; a sentence may be reworded at any time.

use serde::{Deserialize, Serialize};
use std::fmt;

/// One thing that a check found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Finding {
    /// What is not as it should be.
    pub kind: FindingKind,
    /// The same in a sentence, with what was expected and what was found.
    pub message: String,
}

impl Finding {
    /// A finding of a kind.
    pub fn new(kind: FindingKind, message: impl Into<String>) -> Self {
        Finding { kind, message: message.into() }
    }
}

/// The sentence.
impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// What is not as it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// Another verdict or outcome than expected.
    WrongVerdict,
    /// The verdict is right, and the decider is wrong.
    WrongDecider,
    /// The server saw another source address.
    WrongSource,
    /// Policy saw other addresses.
    WrongPolicySees,
    /// Another node chose the backend.
    WrongVia,
    /// Another backend answered, or one never did.
    WrongBackend,
    /// Rejected in another way.
    WrongRejection,
    /// The name resolved to other addresses.
    WrongResolution,
    /// Without policy the flow did not behave as expected, so a denial proves nothing.
    WrongInRehearsal,
    /// After the policies were removed, the flow behaved differently than before they were applied.
    WrongInCleanup,
    /// The scenario expects something else than the API says.
    ScenarioContradictsApi,
    /// The packets did something else than the API says.
    PacketsContradictApi,
    /// Not as expected, and the API leaves it open: no failure.
    Undefined,
    /// There is no evidence that would allow a verdict.
    NoEvidence,
    /// Not checked, because something that it needs is missing.
    NotChecked,
    /// A hint that explains another finding.
    Note,
}

impl FindingKind {
    /// A label of two or three words, for a list of causes.
    pub fn words(self) -> &'static str {
        match self {
            FindingKind::WrongVerdict => "wrong verdict",
            FindingKind::WrongDecider => "wrong decider",
            FindingKind::WrongSource => "wrong source",
            FindingKind::WrongPolicySees => "wrong policySees",
            FindingKind::WrongVia => "wrong via",
            FindingKind::WrongBackend => "wrong backend",
            FindingKind::WrongRejection => "wrong rejection",
            FindingKind::WrongResolution => "wrong resolution",
            FindingKind::WrongInRehearsal => "wrong in the rehearsal",
            FindingKind::WrongInCleanup => "wrong in the clean-up",
            FindingKind::ScenarioContradictsApi => "scenario contradicts API",
            FindingKind::PacketsContradictApi => "packets contradict API",
            FindingKind::Undefined => "undefined",
            FindingKind::NoEvidence => "no evidence",
            FindingKind::NotChecked => "not checked",
            FindingKind::Note => "note",
        }
    }
}
