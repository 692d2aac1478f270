//! What becomes of a flow, in one set of words: those in which scenarios expect it, the API predicts it and packets
//! show it.

use crate::place::Place;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// What becomes of a flow.
///
/// `Deny` says that it is dropped or rejected, whichever; nothing that was observed is called so. `ReplyLost` is
/// only observed, `Either` only predicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It connects.
    Allow,
    /// It is dropped or rejected.
    Deny,
    /// It is dropped.
    Drop,
    /// It is rejected.
    Reject,
    /// The destination answers that nobody listens.
    Refused,
    /// No route leads to the destination.
    Unreachable,
    /// The name server answers that the name does not exist.
    NameNotFound,
    /// The name server gives no answer.
    NameServerUnreachable,
    /// It gets through, and no answer comes back, or no proper one.
    NoAnswer,
    /// The request arrived, and its answer was lost.
    ReplyLost,
    /// The API leaves it open.
    Either,
}

impl Verdict {
    /// Those that scenarios call outcomes: neither policy nor a proxy decides them.
    pub const OUTCOMES: [Verdict; 5] = [
        Verdict::Refused,
        Verdict::Unreachable,
        Verdict::NameNotFound,
        Verdict::NameServerUnreachable,
        Verdict::NoAnswer,
    ];

    /// Whether it is one of them.
    pub fn is_outcome(self) -> bool {
        Self::OUTCOMES.contains(&self)
    }

    /// The word of the scenario format, of JSON and of reports.
    pub const fn word(self) -> &'static str {
        match self {
            Verdict::Allow => "allow",
            Verdict::Deny => "deny",
            Verdict::Drop => "drop",
            Verdict::Reject => "reject",
            Verdict::Refused => "refused",
            Verdict::Unreachable => "unreachable",
            Verdict::NameNotFound => "name-not-found",
            Verdict::NameServerUnreachable => "name-server-unreachable",
            Verdict::NoAnswer => "no-answer",
            Verdict::ReplyLost => "reply-lost",
            Verdict::Either => "either",
        }
    }

    /// Whether it is a denial, by policy or by a service proxy.
    pub const fn is_denial(self) -> bool {
        matches!(self, Verdict::Deny | Verdict::Drop | Verdict::Reject)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// What becomes of a flow that may meet one of several backends, or of several tries.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Verdicts {
    /// The same, whichever backend it meets and whatever the try.
    All(Verdict),
    /// Any of these; nothing is known where there is none.
    AnyOf(BTreeSet<Verdict>),
    /// Each backend has its own.
    PerBackend(Vec<BackendVerdict>),
}

/// What becomes of a flow that meets this backend.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BackendVerdict {
    /// The backend; absent where nobody gets the request.
    pub backend: Option<Place>,
    /// What becomes of it.
    pub verdict: Verdict,
}

impl Verdicts {
    /// Any of these; where they are all the same, that one.
    pub fn any_of(verdicts: impl IntoIterator<Item = Verdict>) -> Verdicts {
        let each: BTreeSet<Verdict> = verdicts.into_iter().collect();
        match each.first() {
            Some(only) if each.len() == 1 => Verdicts::All(*only),
            _ => Verdicts::AnyOf(each),
        }
    }

    /// Every verdict that it may be, in order.
    pub fn each(&self) -> BTreeSet<Verdict> {
        match self {
            Verdicts::All(verdict) => [*verdict].into(),
            Verdicts::AnyOf(verdicts) => verdicts.clone(),
            Verdicts::PerBackend(backends) => backends.iter().map(|it| it.verdict).collect(),
        }
    }
}

impl From<Verdict> for Verdicts {
    fn from(verdict: Verdict) -> Verdicts {
        Verdicts::All(verdict)
    }
}

/// `allow`, `allow or refused`, `pod/default/a: allow, nobody: drop`.
impl fmt::Display for Verdicts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdicts::All(verdict) => verdict.fmt(f),
            Verdicts::AnyOf(verdicts) if verdicts.is_empty() => f.write_str("nothing"),
            Verdicts::AnyOf(verdicts) => {
                let words: Vec<&str> = verdicts.iter().map(|verdict| verdict.word()).collect();
                f.write_str(&words.join(" or "))
            }
            Verdicts::PerBackend(backends) => {
                for (i, BackendVerdict { backend, verdict }) in backends.iter().enumerate() {
                    let separator = if i == 0 { "" } else { ", " };
                    match backend {
                        Some(place) => write!(f, "{separator}{place}: {verdict}")?,
                        None => write!(f, "{separator}nobody: {verdict}")?,
                    }
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn several_verdicts_in_words() {
        let (a, nobody) = (Some(Place::pod("default", "a")), None);
        let each = [(a, Verdict::Allow), (nobody, Verdict::Drop)];
        let each = each.map(|(backend, verdict)| BackendVerdict { backend, verdict });
        for (verdicts, words) in [
            (Verdicts::any_of([Verdict::Deny, Verdict::Deny]), "deny"),
            (Verdicts::any_of([Verdict::Refused, Verdict::Allow]), "allow or refused"),
            (Verdicts::PerBackend(each.into()), "pod/default/a: allow, nobody: drop"),
        ] {
            assert_eq!(verdicts.to_string(), words);
        }
    }
}
