//! A probe: a request, its family, and how long to wait.

use netproof_model::Family;
use netproof_model::request::Request;

/// One try of a flow.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Probe {
    /// What is sent, from where and to where.
    pub request: Request,
    /// The family; a name is resolved to an address of it.
    pub family: Family,
    /// How long to wait without evidence.
    pub patience: Patience,
    /// Whether the connection is kept: the first such request opens it, and each later one with the same
    /// request and family sends a message over it and waits for the answer ([`crate::Prober::release`]
    /// closes all kept connections). TCP and UDP only.
    ///
    /// A TCP connection over which a message was lost is closed, so that nothing is retransmitted in a later
    /// step, and the next request opens another; a UDP socket stays. When the first message over a new TCP
    /// connection is lost, the outcome is [`NoAnswer`](netproof_model::Outcome::NoAnswer).
    pub keep: bool,
}

/// How long to wait for a probe without evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Patience {
    /// An answer is expected: wait up to three seconds, with one retry in between, unless there is evidence
    /// of a drop; wait less once the run's grace is spent ([`crate::Grace`]).
    ForAnswer,
    /// A denial is expected: one short settle window, shared by the batch.
    Settle,
}
