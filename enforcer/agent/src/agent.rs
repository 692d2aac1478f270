//! An agent as the command line names it: read in two steps, because only the second looks at the machine.

use crate::profile::{Profile, Role, SHIPPED, read, shipped};
use netproof_api::suggest::suggestion;
use netproof_api::{Diagnostics, Source};
use netproof_enforcer_process::{find_in, path};
use std::fmt;
use std::path::{Path, PathBuf, absolute};
use std::sync::Arc;

/// What `--enforcer agent:NAME[=PATH]` and `--proxy agent:NAME[=PATH]` stand for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Agent {
    /// As it was written.
    pub name: AgentName,
    /// What the agent is, and how it is started.
    pub profile: Arc<Profile>,
    /// The absolute path of its program.
    pub program: PathBuf,
}

/// What follows `agent:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AgentName {
    /// The profile: a name of a shipped one, or the path of a file.
    profile: String,
    /// The program's path, if it is named.
    program: Option<String>,
}

/// Why an agent cannot be had.
#[derive(Debug)]
pub enum NoAgent {
    /// The profile is wrong.
    Profile(Diagnostics),
    /// The option is wrong for this agent: what to write instead.
    Role(String),
    /// The machine lacks a program: which, and what to do about it.
    Program(String),
}

impl AgentName {
    /// Reads `NAME` or `NAME=PATH`. The error says what is wrong and what to write instead.
    pub fn parse(text: &str) -> Result<AgentName, String> {
        let (profile, program) = match text.split_once('=') {
            Some((profile, program)) => (profile, Some(program)),
            None => (text, None),
        };
        let names: Vec<&str> = SHIPPED.iter().map(|(name, _)| *name).collect();
        if profile.is_empty() {
            return Err(format!(
                "the agent is missing; write agent:NAME, where NAME is one of {}",
                names.join(", ")
            ));
        }
        if program == Some("") {
            return Err(format!(
                "the program is missing; write agent:{profile}=PATH, or agent:{profile} to look for it"
            ));
        }
        if !is_file(profile) && !names.contains(&profile) {
            let help = suggestion(profile, &names);
            return Err(format!(
                "there is no profile `{profile}`: {help}; write the path of a file for one of your own, as in ./{profile}.yaml"
            ));
        }
        Ok(AgentName { profile: profile.to_owned(), program: program.map(str::to_owned) })
    }

    /// The profile. `oracles` are the names of the oracle's.
    ///
    /// # Errors
    /// The file cannot be read, or everything that is wrong with it.
    pub fn profile(&self, oracles: &[&str]) -> Result<Profile, Diagnostics> {
        let source = match shipped(&self.profile) {
            Some(source) => source,
            None => Source::read(Path::new(&self.profile))?,
        };
        read(&source, oracles)
    }

    /// The agent, for the option that takes this role.
    pub fn find(self, role: Role, oracles: &[&str]) -> Result<Agent, NoAgent> {
        let profile = self.profile(oracles).map_err(NoAgent::Profile)?;
        if profile.role != role {
            let message = format!("{self} is no {role}: write --{} {self}", profile.role);
            return Err(NoAgent::Role(message));
        }
        let path = path();
        let found = match &self.program {
            Some(program) if program.contains('/') => find_in(program, &path),
            // What is named is a file, as in `agent:NAME=agent`.
            Some(program) => find_in(&format!("./{program}"), &path),
            None => find_in(&profile.program, &path).map_err(|_| {
                let (program, name) = (&profile.program, &self.profile);
                format!(
                    "{self} needs the program {program}, which is in no folder of PATH; install it, or write \
                     agent:{name}=PATH"
                )
            }),
        };
        let missing = profile.needs.programs.iter().find(|program| find_in(program, &path).is_err());
        let program = match missing {
            None => found.and_then(|found| absolute(found).map_err(|error| error.to_string())),
            Some(missing) => found.and_then(|_| {
                Err(format!("{self} calls the program {missing}, which is in no folder of PATH; install it"))
            }),
        };
        let program = program.map_err(NoAgent::Program)?;
        Ok(Agent { name: self, profile: Arc::new(profile), program })
    }
}

/// Whether a profile is named by the path of its file.
fn is_file(profile: &str) -> bool {
    let ending = Path::new(profile).extension();
    profile.contains('/') || ending.is_some_and(|ending| ending == "yaml" || ending == "yml")
}

/// As the option takes it.
impl fmt::Display for AgentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "agent:{}", self.profile)?;
        self.program.iter().try_for_each(|program| write!(f, "={program}"))
    }
}

impl fmt::Display for Agent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}
