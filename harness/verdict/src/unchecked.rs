//! Why it is not checked who decided, where all else is as expected.

use netproof_model::{Direction, Party, Place};
use std::fmt;

/// Why it is not checked who decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unchecked {
    /// Who denied does not say why.
    Denial(Party),
    /// The enforcer does not say who allows.
    Allowance,
    /// The connection is kept: policies are asked when it is opened.
    Kept,
    /// The trace is cut.
    Cut,
    /// Nobody asked the policies of this end.
    NotAsked(Direction, Place),
}

impl fmt::Display for Unchecked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unchecked::Denial(Party::Either) => f.write_str(
                "who decided is not checked: neither the enforcer nor the proxy gives evidence of its decisions",
            ),
            Unchecked::Denial(who) => {
                write!(f, "who decided is not checked: {who} gives no evidence of its decisions")
            }
            Unchecked::Allowance => {
                f.write_str("who allowed is not checked: the enforcer gives no evidence of its decisions")
            }
            Unchecked::Kept => f.write_str(
                "who allowed is not checked: the connection is kept, and policies are asked when it is opened",
            ),
            Unchecked::Cut => {
                f.write_str("who allowed is not checked: the trace is longer than the kernel keeps")
            }
            Unchecked::NotAsked(direction, endpoint) => write!(
                f,
                "who allowed is not checked: the enforcer let the request through without asking the {direction} \
                 policies of {endpoint}"
            ),
        }
    }
}
