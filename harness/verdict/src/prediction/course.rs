//! One thing that may become of a flow: who gets it, and the API's word for what becomes of it.

use netproof_model::{Action, Place, Verdict};
use netproof_oracle::{PredictedDenial, Switches, Verdict as Predicted};
use netproof_plan::Expected;

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
    Deny(PredictedDenial),
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
            Expected::All(Verdict::Allow) => self.listens,
            Expected::All(Verdict::Refused) => !self.listens,
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
            (Expected::All(verdict), word) => match verdict {
                Verdict::Allow | Verdict::Refused => *word == Word::Allow,
                Verdict::Deny => matches!(word, Word::Deny(_)),
                Verdict::Drop => word.is_denied_by(Action::Drop),
                Verdict::Reject => word.is_denied_by(Action::Reject),
                // It gets to a place where nobody answers, or the answer goes elsewhere.
                Verdict::NoAnswer | Verdict::ReplyLost => matches!(word, Word::Allow | Word::NoAnswer),
                Verdict::Unreachable => *word == Word::Unreachable,
                Verdict::NameNotFound => *word == Word::NameNotFound,
                Verdict::NameServerUnreachable => *word == Word::NameServerUnreachable,
                Verdict::Either => false,
            },
            // Backends are compared one by one.
            (Expected::PerBackend(_), _) => false,
        }
    }
}

impl From<&Predicted> for Word {
    fn from(verdict: &Predicted) -> Word {
        match verdict {
            Predicted::Allow => Word::Allow,
            Predicted::Deny(denial) => Word::Deny(denial.clone()),
            Predicted::Either(switches) => Word::Open(*switches),
            Predicted::Unreachable => Word::Unreachable,
            Predicted::NoAnswer { .. } => Word::NoAnswer,
        }
    }
}

impl Word {
    /// Whether it is denied in this way, or may be.
    fn is_denied_by(&self, action: Action) -> bool {
        matches!(self, Word::Deny(denial) if denial.action().is_none_or(|it| it == action))
    }

    /// As a verdict. That policy denies is the API's word; how is the enforcer's.
    pub fn verdict(&self) -> Verdict {
        match self {
            Word::Allow => Verdict::Allow,
            Word::Deny(PredictedDenial::Service { refusal, .. }) => match refusal.action() {
                Action::Reject => Verdict::Reject,
                Action::Drop | Action::Allow => Verdict::Drop,
            },
            Word::Deny(PredictedDenial::Policy { .. }) => Verdict::Deny,
            Word::Open(_) => Verdict::Either,
            Word::Unreachable => Verdict::Unreachable,
            Word::NoAnswer => Verdict::NoAnswer,
            Word::NameNotFound => Verdict::NameNotFound,
            Word::NameServerUnreachable => Verdict::NameServerUnreachable,
        }
    }
}
