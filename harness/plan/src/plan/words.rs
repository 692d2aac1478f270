//! Verdicts and outcomes in the words in which scenarios write them.

use netproof_model::{Outcome, Rejection};
use std::fmt;

/// A verdict, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum VerdictWord {
    /// It connects.
    Allow,
    /// It is dropped or rejected.
    Deny,
    /// It is dropped.
    Drop,
    /// It is rejected.
    Reject,
    /// It gets through, and no answer comes back.
    NoAnswer,
}

impl VerdictWord {
    /// Whether it is one of the denials.
    pub fn is_denial(self) -> bool {
        matches!(self, VerdictWord::Deny | VerdictWord::Drop | VerdictWord::Reject)
    }
}

impl fmt::Display for VerdictWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            VerdictWord::Allow => "allow",
            VerdictWord::Deny => "deny",
            VerdictWord::Drop => "drop",
            VerdictWord::Reject => "reject",
            VerdictWord::NoAnswer => "no-answer",
        })
    }
}

/// A kind of rejection, as written at `rejectedWith`.
pub fn rejection_word(rejection: Rejection) -> &'static str {
    match rejection {
        Rejection::TcpReset => "tcp-reset",
        Rejection::PortUnreachable => "port-unreachable",
        Rejection::AdminProhibited => "admin-prohibited",
        Rejection::Unreachable => "unreachable",
    }
}

/// An outcome that is not a policy's verdict, as written. The names are those of [`Outcome::word`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OutcomeWord {
    /// The destination answered that nobody listens.
    Refused,
    /// No route to the destination.
    Unreachable,
    /// The name server answered that the name does not exist.
    NameNotFound,
    /// The name server gave no answer.
    NameServerUnreachable,
    /// Connected, and no (or no proper) application answer came; or the request arrived, and its answer did not
    /// come back.
    NoAnswer,
}

impl OutcomeWord {
    /// All of them, as written.
    pub const WORDS: [(&'static str, OutcomeWord); 5] = [
        ("refused", OutcomeWord::Refused),
        ("unreachable", OutcomeWord::Unreachable),
        ("name-not-found", OutcomeWord::NameNotFound),
        ("name-server-unreachable", OutcomeWord::NameServerUnreachable),
        ("no-answer", OutcomeWord::NoAnswer),
    ];

    /// Whether a probe saw this.
    pub fn is(self, outcome: Outcome) -> bool {
        match self {
            OutcomeWord::Refused => outcome == Outcome::Refused,
            OutcomeWord::Unreachable => outcome == Outcome::Unreachable,
            OutcomeWord::NameNotFound => outcome == Outcome::NameNotFound,
            OutcomeWord::NameServerUnreachable => outcome == Outcome::NameServerUnreachable,
            OutcomeWord::NoAnswer => matches!(outcome, Outcome::NoAnswer | Outcome::ReplyLost),
        }
    }
}

impl fmt::Display for OutcomeWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            OutcomeWord::Refused => "refused",
            OutcomeWord::Unreachable => "unreachable",
            OutcomeWord::NameNotFound => "name-not-found",
            OutcomeWord::NameServerUnreachable => "name-server-unreachable",
            OutcomeWord::NoAnswer => "no-answer",
        })
    }
}
