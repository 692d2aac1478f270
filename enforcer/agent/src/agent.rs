//! An agent as the command line names it: read in two steps, because only the second looks at the machine.

use crate::profile::{Profile, Role, SHIPPED, read, shipped};
use netproof_api::suggest::suggestion;
use netproof_api::{Diagnostics, Source};
use netproof_enforcer_process::{find_in, path};
use std::fmt;
use std::path::{Path, PathBuf, absolute};
use std::sync::Arc;
use thiserror::Error;

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

/// What of an agent is not on this machine, with what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotFound {
    /// Its program.
    #[error(
        "agent:{profile} needs the program {program}, which is in no folder of PATH; install it, or write \
         agent:{profile}=PATH"
    )]
    Program {
        /// The name of the program.
        program: String,
        /// The profile, as it was written.
        profile: String,
    },
    /// A program that it calls.
    #[error("agent:{profile} calls the program {program}, which is in no folder of PATH; install it")]
    Called {
        /// The name of the program.
        program: String,
        /// The profile, as it was written.
        profile: String,
    },
    /// The file that was named.
    #[error("{0}")]
    File(String),
}

impl NotFound {
    /// What is missing, in a table whose line names the agent.
    pub fn in_short(&self) -> String {
        match self {
            NotFound::Program { program, .. } => format!("no program {program} in the folders of PATH"),
            NotFound::Called { program, .. } => {
                format!("no program {program}, which it calls, in the folders of PATH")
            }
            NotFound::File(said) => said.clone(),
        }
    }
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

    /// Reads the profile. `oracles` are the names of the oracle's profiles.
    ///
    /// # Errors
    /// The file cannot be read, or everything that is wrong with it.
    pub fn describe(self, oracles: &[&str]) -> Result<DescribedAgent, Diagnostics> {
        let source = match shipped(&self.profile) {
            Some(source) => source,
            None => Source::read(Path::new(&self.profile))?,
        };
        let profile = Arc::new(read(&source, oracles)?);
        Ok(DescribedAgent { name: self, profile })
    }
}

impl DescribedAgent {
    /// Whether the option that takes this role takes it. The error says what to write instead.
    pub fn check(&self, role: Role) -> Result<(), String> {
        let (name, own) = (&self.name, self.profile.role);
        if own == role { Ok(()) } else { Err(format!("{name} is no {role}; write --{own} {name}")) }
    }

    /// Looks for its program and for those that it calls.
    pub fn find(self) -> Result<Agent, NotFound> {
        let DescribedAgent { name, profile } = self;
        let path = path();
        let found = match &name.program {
            Some(program) if program.contains('/') => find_in(program, &path).map_err(NotFound::File)?,
            // What is named is a file, as in `agent:NAME=agent`.
            Some(program) => find_in(&format!("./{program}"), &path).map_err(NotFound::File)?,
            None => find_in(&profile.program, &path).map_err(|_| {
                let (program, profile) = (profile.program.clone(), name.profile.clone());
                NotFound::Program { program, profile }
            })?,
        };
        let missing = profile.needs.programs.iter().find(|program| find_in(program, &path).is_err());
        if let Some(program) = missing {
            return Err(NotFound::Called { program: program.clone(), profile: name.profile.clone() });
        }
        let lost = |error| NotFound::File(format!("there is no path of {}: {error}", found.display()));
        let program = absolute(&found).map_err(lost)?;
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
