//! Verdicts, without a cluster: what a flow was expected to do, what the API says, what was observed.
//!
//! - `prediction`: what the API says of a flow, and in what an expectation or an observation differs from it;
//! - `evidence`, `decider`: what the packets left behind, and who decided;
//! - `judge`, `findings`: an expectation held against one observation; `tries`: against all tries of a flow;
//! - `allowed`: who allowed a flow, as traces of it say;
//! - `agreement`: the three answers held against each other; `flow`: all of that for a flow that a step names;
//! - `rehearsal`: what a flow did without policy, and what that proves;
//! - `cells`: one cell of a step's matrix; `claim`: what the API says of a stream in every state that it meets.

mod agreement;
pub mod allowed;
pub mod cells;
mod decider;
pub mod evidence;
pub mod flow;
pub mod judge;
mod on_the_way;
pub mod prediction;
pub mod rehearsal;
pub mod streams;
pub mod tries;
pub mod unchecked;

#[cfg(test)]
mod testing;
