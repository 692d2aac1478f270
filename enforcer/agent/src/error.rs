//! What can go wrong with an agent: each with what it wrote last, and what it asked that had no answer.

use crate::asked::Asked;
use netproof_enforcer_process::{LastWords, StartError, how_it_ended};
use std::error::Error;
use std::process::ExitStatus;
use std::time::Duration;
use thiserror::Error;

/// Why an agent is of no use on a node.
#[derive(Debug, Error)]
pub enum AgentError {
    /// The API that it watches cannot be served on the node.
    #[error("the Kubernetes API cannot be served to the agent: cannot {doing}: {}", with_causes(.source.as_ref()))]
    Api {
        /// What could not be done.
        doing: &'static str,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// Its program cannot be started.
    #[error("the agent {program} cannot be started: {source}")]
    Start {
        /// The program.
        program: String,
        /// What could not be done.
        #[source]
        source: StartError,
    },
    /// It ended.
    #[error("the agent ended ({}); it must run as long as its node; {asked}{said}{}", how_it_ended(*.status), limit(.said))]
    Ended {
        /// How.
        status: ExitStatus,
        /// What it asked of the API.
        asked: Asked,
        /// What it wrote last.
        said: LastWords,
    },
    /// A change was not seen to be in force in time.
    #[error(
        "the agent did not put a change in force within {} s (--enforcer-timeout gives it longer): generation {generation} of \
         the sentinel, {flow} {what}; {asked}{said}{}",
        .patience.as_secs_f64(), limit(.said)
    )]
    NotInForce {
        /// The sentinel's generation.
        generation: u64,
        /// How long the agent had.
        patience: Duration,
        /// The sentinel's flow.
        flow: String,
        /// What it does, and should not.
        what: &'static str,
        /// What the agent asked of the API.
        asked: Asked,
        /// What it wrote last.
        said: LastWords,
    },
}

/// What the sandbox has to do with what the agent said, if that is known.
fn limit(said: &LastWords) -> &'static str {
    if said.lacked_buffer() {
        "; this is a limit of netproof's sandbox: it has a user namespace, where no program may enlarge the send buffer \
         of a netlink socket, and so nft and iptables-nft-restore can change some hundreds of rules at once and no more"
    } else {
        ""
    }
}

/// An error with what caused it, in one line.
fn with_causes(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |cause| (*cause).source());
    std::iter::once(error).chain(causes).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
