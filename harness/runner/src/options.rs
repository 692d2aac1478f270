//! How to run: who enforces policy, who translates service addresses, and within which limits.

use netproof_enforcer::Backend;
use netproof_enforcer_agent::{Agent, Hidden, Profile as AgentProfile};
use netproof_enforcer_exec::{DEFAULT_PATIENCE, ExecCommand};
use netproof_model::DataPath;
use netproof_oracle::Profile;
use netproof_plan::Plan;
use std::borrow::Cow;
use std::time::Duration;

/// Who turns policy objects into packet rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnforcerChoice {
    /// netproof's own, with a backend.
    Own(Backend),
    /// Nobody: every policy is ignored.
    None,
    /// Processes of a command, one on each node.
    Exec(ExecCommand),
    /// A program that watches the API server, one process on each node.
    Agent(Agent),
    /// netproof's own, wrong in one way.
    #[cfg(feature = "mutants")]
    Mutant(&'static netproof_enforcer_mutants::Mutant),
}

impl Default for EnforcerChoice {
    fn default() -> Self {
        EnforcerChoice::Own(Backend::default())
    }
}

impl Default for ProxyChoice {
    fn default() -> Self {
        ProxyChoice::Own(Backend::default())
    }
}

impl EnforcerChoice {
    /// As `--enforcer` names it.
    pub fn name(&self) -> Cow<'static, str> {
        match self {
            EnforcerChoice::Own(backend) => backend.name().into(),
            EnforcerChoice::None => "none".into(),
            EnforcerChoice::Exec(command) => format!("exec:{command}").into(),
            EnforcerChoice::Agent(agent) => agent.to_string().into(),
            #[cfg(feature = "mutants")]
            EnforcerChoice::Mutant(mutant) => mutant.name.into(),
        }
    }

    /// How the API is read where it leaves something open: as our enforcer does, or as an agent's profile says.
    /// Nothing is known of what a command makes of it, nor of an agent whose profile names none of the oracle's.
    pub fn profile(&self) -> Profile {
        match self {
            EnforcerChoice::Exec(_) => Profile::STRICT,
            EnforcerChoice::Agent(agent) => profile_of_agent(&agent.profile),
            _ => Profile::NETPROOF,
        }
    }

    /// Where packets get their verdict: in user space if an agent's profile says so.
    pub(crate) fn data_path(&self) -> DataPath {
        match self {
            EnforcerChoice::Agent(agent) => agent.profile.verdicts,
            _ => DataPath::Kernel,
        }
    }
}

/// The oracle's profile that an agent's names; that which leaves everything open if it has none of that name.
pub fn profile_of_agent(agent: &AgentProfile) -> Profile {
    Profile::named(&agent.oracle).unwrap_or(Profile::STRICT)
}

/// How long an agent may take for each generation where nothing else is said.
pub const AGENT_PATIENCE: Duration = Duration::from_secs(30);

/// The longest that a scenario run may take where nothing else is said.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);

/// The same under agents. A change takes them a tenth of a second and more, and a run may make some hundred changes.
pub const AGENT_TIMEOUT: Duration = Duration::from_secs(300);

/// Who turns services into packet rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProxyChoice {
    /// netproof's own, with a backend.
    Own(Backend),
    /// Nobody: service addresses lead nowhere.
    None,
    /// A program that watches the API server, one process on each node.
    Agent(Agent),
    /// netproof's own, as one that gives no evidence of what it denies.
    #[cfg(feature = "mutants")]
    Mute(Backend),
}

impl ProxyChoice {
    /// As `--proxy` names it.
    pub fn name(&self) -> Cow<'static, str> {
        match self {
            ProxyChoice::Own(backend) => backend.name().into(),
            ProxyChoice::None => "none".into(),
            ProxyChoice::Agent(agent) => agent.to_string().into(),
            #[cfg(feature = "mutants")]
            ProxyChoice::Mute(backend) => format!("{}, mute", backend.name()).into(),
        }
    }
}

/// How to run.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// The policy enforcer.
    pub enforcer: EnforcerChoice,
    /// How long an enforcer that is a command may take for each generation.
    pub enforcer_timeout: Duration,
    /// The service proxy.
    pub proxy: ProxyChoice,
    /// How many scenario runs at once; at least 1.
    pub jobs: usize,
    /// The seed of every random choice.
    pub seed: u64,
    /// Stop taking new scenario runs after one that failed or broke.
    pub fail_fast: bool,
    /// The longest that one scenario run may take.
    pub timeout: Duration,
    /// Whether a world goes on to the next scenario run of an equal topology, emptied, and not only to the next of
    /// its group. Under agents, which take seconds to start, it does so in any case.
    pub keep_worlds: bool,
    /// How to read what the API leaves open, for scenarios that do not say so themselves; the default is the
    /// enforcer's ([`EnforcerChoice::profile`]).
    pub profile: Option<Profile>,
}

impl RunOptions {
    /// Whether worlds go on to later scenario runs of an equal topology.
    pub fn keeps_worlds(&self) -> bool {
        self.keep_worlds || self.agents().next().is_some()
    }

    /// The pods that agents need besides the cluster's.
    pub(crate) fn hidden(&self) -> Hidden {
        Hidden {
            policy: matches!(self.enforcer, EnforcerChoice::Agent(_)),
            services: matches!(self.proxy, ProxyChoice::Agent(_)),
        }
    }

    /// The agents among enforcer and proxy.
    pub(crate) fn agents(&self) -> impl Iterator<Item = &Agent> {
        let enforcer = match &self.enforcer {
            EnforcerChoice::Agent(agent) => Some(agent),
            _ => None,
        };
        let proxy = match &self.proxy {
            ProxyChoice::Agent(agent) => Some(agent),
            _ => None,
        };
        enforcer.into_iter().chain(proxy)
    }

    /// How a plan's flows are read where the API leaves something open.
    pub(crate) fn profile_of(&self, plan: &Plan) -> Profile {
        plan.profile.or(self.profile).unwrap_or_else(|| self.enforcer.profile())
    }
}

impl Default for RunOptions {
    fn default() -> Self {
        RunOptions {
            enforcer: EnforcerChoice::default(),
            enforcer_timeout: DEFAULT_PATIENCE,
            proxy: ProxyChoice::default(),
            jobs: 1,
            seed: 0,
            fail_fast: false,
            timeout: DEFAULT_TIMEOUT,
            keep_worlds: false,
            profile: None,
        }
    }
}
