//! One thing that may become of a flow: who gets it, and the API's word for what becomes of it.

use netproof_model::{Action, Place};
use netproof_oracle::{Denial, Switches, Verdict};
use netproof_plan::{Expected, OutcomeWord};
use std::fmt;

/// One thing that may become of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Course {
    /// Who gets the request unless policy denies it; `None` where nobody does.
    pub server: Option<Place>,
    /// The answer.
    pub word: Word,
    /// Whether somebody listens at the server, as the objects have it: what gets to one where nobody does is
    /// refused.
    pub listens: bool,
}

/// An answer of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// The request gets through. Whether anybody listens is another question ([`Course::listens`]).
    Allow,
    /// Policy or a service proxy denies it.
    Deny(Denial),
    /// The API leaves it open; these switches of the profile would settle it.
    Open(Switches),
    /// No route leads there.
    Unreachable,
    /// The request gets through, and its answer does not come back to the client.
    NoAnswer,
    /// The name server knows no such name.
    NameNotFound,
    /// No query reaches the name server.
    NameServerUnreachable,
}

impl Course {
    /// Whether it is what an author expects.
    pub(crate) fn fits(&self, expected: &Expected) -> bool {
        let listening = match expected {
            Expected::Allow => self.listens,
            Expected::Outcome(OutcomeWord::Refused) => !self.listens,
            _ => true,
        };
        self.word.fits(expected) && (listening || self.word != Word::Allow)
    }

    /// Who answers for certain, or else that nobody does; where it gets through.
    pub(crate) fn listener(&self) -> Option<String> {
        let server = self.server.as_ref().filter(|_| self.word == Word::Allow)?;
        Some(match self.listens {
            true => format!("{server} listens there"),
            false => format!("nobody listens there at {server}"),
        })
    }
}

impl Word {
    /// Whether it is what an author expects, whoever listens. What is open contradicts nothing.
    pub(crate) fn fits(&self, expected: &Expected) -> bool {
        match (expected, self) {
            (Expected::Observe, _) | (_, Word::Open(_)) => true,
            (Expected::Allow, word) => *word == Word::Allow,
            (Expected::Deny, Word::Deny(_)) => true,
            (Expected::Drop, Word::Deny(denial)) => denial.action().is_none_or(|it| it == Action::Drop),
            (Expected::Reject, Word::Deny(denial)) => denial.action().is_none_or(|it| it == Action::Reject),
            (Expected::Outcome(outcome), word) => match outcome {
                OutcomeWord::Refused => *word == Word::Allow,
                // It gets to a place where nobody answers, or the answer goes elsewhere.
                OutcomeWord::NoAnswer => matches!(word, Word::Allow | Word::NoAnswer),
                OutcomeWord::Unreachable => *word == Word::Unreachable,
                OutcomeWord::NameNotFound => *word == Word::NameNotFound,
                OutcomeWord::NameServerUnreachable => *word == Word::NameServerUnreachable,
            },
            // Backends are compared one by one.
            (Expected::Deny | Expected::Drop | Expected::Reject | Expected::PerBackend(_), _) => false,
        }
    }
}

impl From<&Verdict> for Word {
    fn from(verdict: &Verdict) -> Word {
        match verdict {
            Verdict::Allow => Word::Allow,
            Verdict::Deny(denial) => Word::Deny(denial.clone()),
            Verdict::Either(switches) => Word::Open(*switches),
            Verdict::Unreachable => Word::Unreachable,
            Verdict::NoAnswer { .. } => Word::NoAnswer,
        }
    }
}

/// In the words of the scenario format where it has one. That policy denies is the API's word; how is the
/// enforcer's.
impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Word::Allow => f.write_str("allow"),
            Word::Deny(Denial::Service { refusal, .. }) if refusal.action() == Action::Reject => {
                f.write_str("reject")
            }
            Word::Deny(Denial::Service { .. }) => f.write_str("drop"),
            Word::Deny(Denial::Policy { .. }) => f.write_str("deny"),
            Word::Open(switches) => write!(f, "either ({switches})"),
            Word::Unreachable => OutcomeWord::Unreachable.fmt(f),
            Word::NoAnswer => OutcomeWord::NoAnswer.fmt(f),
            Word::NameNotFound => OutcomeWord::NameNotFound.fmt(f),
            Word::NameServerUnreachable => OutcomeWord::NameServerUnreachable.fmt(f),
        }
    }
}
