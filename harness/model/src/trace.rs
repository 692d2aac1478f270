//! What netfilter did with a probe's request, rule by rule: the answer of nftables' own trace.

use crate::observation::PacketAddresses;
use serde::{Deserialize, Serialize};

/// Everything that a trace said of one request, on every node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleTrace {
    /// In the order of the request's way.
    pub passes: Vec<ChainPass>,
    /// The kernel had more to say than its socket holds: some of it is missing.
    pub is_cut: bool,
}

/// One pass of the request through a base chain and the chains to which that leads, on one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChainPass {
    /// The node.
    pub node: String,
    /// The table.
    pub table: String,
    /// The request's addresses there: as the kernel showed it last. (It does not show it where the base chain's policy is
    /// all that speaks.)
    pub packet: PacketAddresses,
    /// What happened, in order: the first step is in the base chain, the last one decided. Rules that did not match
    /// say nothing, and are no steps.
    pub steps: Vec<TraceStep>,
}

/// A rule that matched, or the end of a base chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceStep {
    /// The chain, by the kernel's name of it.
    pub chain: String,
    /// The rule; `None` where the base chain's policy speaks.
    pub rule: Option<TracedRule>,
    /// What it said.
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

/// What a rule or a policy said of the packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TraceVerdict {
    /// No further rule of this base chain sees it.
    Accept,
    /// It vanishes.
    Drop,
    /// The next rule.
    Continue,
    /// Back to the chain that jumped here.
    Return,
    /// To that chain, and back.
    Jump(String),
    /// To that chain.
    Goto(String),
    /// Another end, by the kernel's number: given to a program, or kept by the rule.
    Other(i32),
}

impl ChainPass {
    /// The base chain.
    pub fn base(&self) -> Option<&str> {
        self.steps.first().map(|step| step.chain.as_str())
    }

    /// What decided.
    pub fn end(&self) -> Option<&TraceStep> {
        self.steps.last()
    }
}
