//! An agent as the command line names it.

use crate::profile::Profile;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

/// What `--enforcer agent:NAME[=PATH]` and `--proxy agent:NAME[=PATH]` stand for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// What follows `agent:`, as it was written.
    pub written: String,
    /// What the agent is, and how it is started.
    pub profile: Arc<Profile>,
    /// Its program.
    pub program: PathBuf,
}

/// As the option names it.
impl fmt::Display for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "agent:{}", self.written)
    }
}
