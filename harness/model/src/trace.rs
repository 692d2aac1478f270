//! What netfilter did with a probe's request, rule by rule, by nftables' own trace.

use crate::observation::PacketAddresses;
use serde::{Deserialize, Serialize};

/// The trace of one request on all nodes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleTrace {
    /// The passes, in the order of the request's path.
    pub passes: Vec<ChainPass>,
    /// Whether messages are missing, because the kernel sent more than its socket holds.
    pub is_cut: bool,
}

/// One pass of the request through a base chain and the chains that it jumps to, on one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainPass {
    /// The node.
    pub node: String,
    /// The table.
    pub table: String,
    /// The request's addresses there, as the kernel last showed them. (It does not show the packet if the
    /// base chain has only its policy's message.)
    pub packet: PacketAddresses,
    /// The steps in order: the first one is in the base chain, the last one decided. Rules that did not
    /// match are no steps.
    pub steps: Vec<TraceStep>,
}

/// A rule that matched, or the end of a base chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceStep {
    /// The chain, by the kernel's name of it.
    pub chain: String,
    /// The rule; `None` for the base chain's policy.
    pub rule: Option<TracedRule>,
    /// Its verdict.
    pub verdict: TraceVerdict,
}

/// A rule in a trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TracedRule {
    /// The kernel's number of it, unique in its table.
    pub handle: u64,
    /// Its comment, if it has one; known of rules that decided.
    pub comment: Option<String>,
}

/// The verdict of a rule or a base chain's policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TraceVerdict {
    /// Accept: no further rule of this base chain sees the packet.
    Accept,
    /// Drop.
    Drop,
    /// Continue with the next rule.
    Continue,
    /// Return to the chain that jumped here.
    Return,
    /// Jump to that chain, and return when it ends.
    Jump(String),
    /// To that chain.
    Goto(String),
    /// Another verdict, by the kernel's number: queued to a program, or stolen by the rule.
    Other(i32),
}

impl ChainPass {
    /// The base chain.
    pub fn base(&self) -> Option<&str> {
        self.steps.first().map(|step| step.chain.as_str())
    }

    /// The step that decided.
    pub fn end(&self) -> Option<&TraceStep> {
        self.steps.last()
    }
}
