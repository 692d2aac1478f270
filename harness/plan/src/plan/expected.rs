//! What must come of a flow.

use netproof_model::{BackendVerdict, Place, Verdict, Verdicts};
use std::collections::BTreeMap;
use std::fmt;

/// What must come of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// This, whichever backend it meets.
    All(Verdict),
    /// Each backend of the destination has its own verdict. Every backend is named.
    PerBackend(BTreeMap<Place, Verdict>),
    /// `?` in a matrix: tried, not judged.
    Observe,
}

impl Expected {
    /// Whether a denial is expected, of the flow or of at least one of its backends.
    pub fn is_denial(&self) -> bool {
        self.has(Verdict::is_denial)
    }

    /// Whether it is allowed, whichever backend answers.
    pub fn is_allow(&self) -> bool {
        match self {
            Expected::All(verdict) => *verdict == Verdict::Allow,
            Expected::PerBackend(verdicts) => verdicts.values().all(|it| *it == Verdict::Allow),
            Expected::Observe => false,
        }
    }

    /// Whether the request is to arrive somewhere and its answer not to come back.
    pub fn is_no_answer(&self) -> bool {
        self.has(|verdict| verdict == Verdict::NoAnswer)
    }

    fn has(&self, what: impl Fn(Verdict) -> bool) -> bool {
        match self {
            Expected::All(verdict) => what(*verdict),
            Expected::PerBackend(verdicts) => verdicts.values().any(|verdict| what(*verdict)),
            Expected::Observe => false,
        }
    }

    /// The verdicts; `None` where any is right.
    pub fn verdicts(&self) -> Option<Verdicts> {
        match self {
            Expected::All(verdict) => Some(Verdicts::All(*verdict)),
            Expected::PerBackend(verdicts) => {
                let each = verdicts.iter();
                let each = each.map(|(place, verdict)| BackendVerdict {
                    backend: Some(place.clone()),
                    verdict: *verdict,
                });
                Some(Verdicts::PerBackend(each.collect()))
            }
            Expected::Observe => None,
        }
    }
}

impl From<Verdict> for Expected {
    fn from(verdict: Verdict) -> Self {
        Expected::All(verdict)
    }
}

/// In the words of the scenario format.
impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.verdicts() {
            Some(verdicts) => verdicts.fmt(f),
            None => f.write_str("anything"),
        }
    }
}
