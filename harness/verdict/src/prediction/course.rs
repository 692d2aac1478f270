//! One thing that may become of a flow: who gets it, and the API's word for what becomes of it.

use netproof_model::{Action, Place, Verdict};
use netproof_oracle::{PredictedDenial, Switches, Verdict as Predicted};
use netproof_plan::Expected;

/// One thing that may become of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Course {
    /// Who gets the request unless policy denies it; `None` where nobody does.
    pub server: Option<Place>,
    /// What the API says.
    pub verdict: ApiVerdict,
    /// Whether somebody listens at the server, as the objects have it: what gets to one where nobody does is
    /// refused.
    pub listens: bool,
}

/// What the API says of one way, with all that it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiVerdict {
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
        self.verdict.fits(expected) && (listening || self.verdict != ApiVerdict::Allow)
    }

    /// Who answers for certain, or else that nobody does; where it gets through.
    pub(crate) fn listener(&self) -> Option<String> {
        let server = self.server.as_ref().filter(|_| self.verdict == ApiVerdict::Allow)?;
        Some(match self.listens {
            true => format!("{server} listens there"),
            false => format!("nobody listens there at {server}"),
        })
    }
}

impl ApiVerdict {
    /// Whether it is what an author expects, whoever listens. What is open contradicts nothing.
    pub(crate) fn fits(&self, expected: &Expected) -> bool {
        match (expected, self) {
            (Expected::Observe, _) | (_, ApiVerdict::Open(_)) => true,
            (Expected::All(verdict), word) => match verdict {
                Verdict::Allow | Verdict::Refused => *word == ApiVerdict::Allow,
                Verdict::Deny => matches!(word, ApiVerdict::Deny(_)),
                Verdict::Drop => word.is_denied_by(Action::Drop),
                Verdict::Reject => word.is_denied_by(Action::Reject),
                // It gets to a place where nobody answers, or the answer goes elsewhere.
                Verdict::NoAnswer | Verdict::ReplyLost => {
                    matches!(word, ApiVerdict::Allow | ApiVerdict::NoAnswer)
                }
                Verdict::Unreachable => *word == ApiVerdict::Unreachable,
                Verdict::NameNotFound => *word == ApiVerdict::NameNotFound,
                Verdict::NameServerUnreachable => *word == ApiVerdict::NameServerUnreachable,
                Verdict::Either => false,
            },
            // Backends are compared one by one.
            (Expected::PerBackend(_), _) => false,
        }
    }
}

impl From<&Predicted> for ApiVerdict {
    fn from(verdict: &Predicted) -> ApiVerdict {
        match verdict {
            Predicted::Allow => ApiVerdict::Allow,
            Predicted::Deny(denial) => ApiVerdict::Deny(denial.clone()),
            Predicted::Either(switches) => ApiVerdict::Open(*switches),
            Predicted::Unreachable => ApiVerdict::Unreachable,
            Predicted::NoAnswer { .. } => ApiVerdict::NoAnswer,
        }
    }
}

impl ApiVerdict {
    /// Whether it is denied in this way, or may be.
    fn is_denied_by(&self, action: Action) -> bool {
        matches!(self, ApiVerdict::Deny(denial) if denial.action().is_none_or(|it| it == action))
    }

    /// As a verdict. That policy denies is the API's word; how is the enforcer's.
    pub fn word(&self) -> Verdict {
        match self {
            ApiVerdict::Allow => Verdict::Allow,
            ApiVerdict::Deny(PredictedDenial::Service { refusal, .. }) => match refusal.action() {
                Action::Reject => Verdict::Reject,
                Action::Drop | Action::Allow => Verdict::Drop,
            },
            ApiVerdict::Deny(PredictedDenial::Policy { .. }) => Verdict::Deny,
            ApiVerdict::Open(_) => Verdict::Either,
            ApiVerdict::Unreachable => Verdict::Unreachable,
            ApiVerdict::NoAnswer => Verdict::NoAnswer,
            ApiVerdict::NameNotFound => Verdict::NameNotFound,
            ApiVerdict::NameServerUnreachable => Verdict::NameServerUnreachable,
        }
    }
}
