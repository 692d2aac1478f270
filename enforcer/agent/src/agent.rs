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

/// An agent with its profile, whose program nobody has looked for yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedAgent {
    /// As it was written.
    pub name: AgentName,
    /// What the agent is, and how it is started.
    pub profile: Arc<Profile>,
}

/// Why there is no such agent.
#[derive(Debug)]
pub enum NoAgent {
    /// The profile is wrong: everything that is wrong with it.
    Profile(Diagnostics),
    /// Another option takes it: what is wrong, and what to write instead.
    Role(String),
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

    /// Reads the profile, for the option that takes this role. `oracles` are the names of the oracle's profiles.
    pub fn describe(self, role: Role, oracles: &[&str]) -> Result<DescribedAgent, NoAgent> {
        let source = match shipped(&self.profile) {
            Some(source) => Ok(source),
            None => Source::read(Path::new(&self.profile)),
        };
        let profile = source.and_then(|source| read(&source, oracles)).map_err(NoAgent::Profile)?;
        if profile.role != role {
            return Err(NoAgent::Role(format!("{self} is no {role}; write --{} {self}", profile.role)));
        }
        Ok(DescribedAgent { name: self, profile: Arc::new(profile) })
    }
}

impl DescribedAgent {
    /// Looks for its program and for those that it calls. The error says which is missing, and what to do about it.
    pub fn find(self) -> Result<Agent, String> {
        let DescribedAgent { name, profile } = self;
        let path = path();
        let found = match &name.program {
            Some(program) if program.contains('/') => find_in(program, &path)?,
            // What is named is a file, as in `agent:NAME=agent`.
            Some(program) => find_in(&format!("./{program}"), &path)?,
            None => find_in(&profile.program, &path).map_err(|_| {
                let (program, profile) = (&profile.program, &name.profile);
                format!(
                    "{name} needs the program {program}, which is in no folder of PATH; install it, or write \
                     agent:{profile}=PATH"
                )
            })?,
        };
        let missing = profile.needs.programs.iter().find(|program| find_in(program, &path).is_err());
        if let Some(missing) = missing {
            return Err(format!(
                "{name} calls the program {missing}, which is in no folder of PATH; install it"
            ));
        }
        let program =
            absolute(&found).map_err(|error| format!("there is no path of {}: {error}", found.display()))?;
        Ok(Agent { name, profile, program })
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
