//! Verdicts on a flow: one set of words for what scenarios expect, the API predicts and packets show.

use crate::place::Place;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt;

/// A verdict on a flow.
///
/// `Deny` means dropped or rejected; no observation is called that. `ReplyLost` is only observed, `Either`
/// only predicted.
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
    /// It gets through, and no answer or no valid answer comes back.
    NoAnswer,
    /// The request arrived, and its answer was lost.
    ReplyLost,
    /// The API leaves it open.
    Either,
}

impl Verdict {
    /// The verdicts that scenarios call outcomes: neither policy nor a proxy decides them.
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

/// The verdicts on a flow that may meet one of several backends, or on several tries.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(untagged)]
pub enum Verdicts {
    /// The same for every backend and every try.
    All(Verdict),
    /// Any of these; nothing is known if there is none.
    AnyOf(BTreeSet<Verdict>),
    /// Each backend has its own.
    PerBackend(Vec<BackendVerdict>),
}

/// The verdict on a flow that meets this backend.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct BackendVerdict {
    /// The backend; absent if nobody gets the request.
    pub backend: Option<Place>,
    /// The verdict.
    pub verdict: Verdict,
}

impl Verdicts {
    /// Any of these; the single verdict if they are all the same.
    pub fn any_of(verdicts: impl IntoIterator<Item = Verdict>) -> Verdicts {
        let each: BTreeSet<Verdict> = verdicts.into_iter().collect();
        match each.first() {
            Some(only) if each.len() == 1 => Verdicts::All(*only),
            _ => Verdicts::AnyOf(each),
        }
    }

    /// Every possible verdict, in order.
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
