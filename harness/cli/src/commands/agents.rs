//! Agents of the command line, in two steps: their profiles are read with the other input, and their programs are
//! looked for when all of that is right, so that bad input gives the same error on every machine.

use super::bad_input;
use crate::args::{EnforcerName, ProxyName};
use crate::exit::Exit;
use crate::outputs;
use netproof_documents::Options;
use netproof_enforcer_agent::profile::{Role, SHIPPED};
use netproof_enforcer_agent::{Agent, AgentName, DescribedAgent};
use netproof_oracle::{PROFILES, Profile};
use netproof_runner::{
    AGENT_PATIENCE, AGENT_TIMEOUT, DEFAULT_PATIENCE, DEFAULT_TIMEOUT, EnforcerChoice, ProxyChoice,
};
use std::time::Duration;

/// Who enforces policy and who translates service addresses: agents with their profiles.
#[derive(Default)]
pub(super) struct Chosen {
    enforcer: Described<EnforcerChoice>,
    proxy: Described<ProxyChoice>,
}

/// One of the two.
enum Described<T> {
    Ready(T),
    Agent(DescribedAgent),
}

impl<T: Default> Default for Described<T> {
    fn default() -> Self {
        Described::Ready(T::default())
    }
}

impl Chosen {
    /// Reads the profiles of agents. On failure the errors have been printed.
    pub(super) fn read(enforcer: &EnforcerName, proxy: &ProxyName) -> Result<Chosen, Exit> {
        let enforcer = match enforcer {
            EnforcerName::Ready(enforcer) => Described::Ready(enforcer.clone()),
            EnforcerName::Agent(name) => Described::Agent(described(name, Role::Enforcer)?),
        };
        let proxy = match proxy {
            ProxyName::Ready(proxy) => Described::Ready(proxy.clone()),
            ProxyName::Agent(name) => Described::Agent(described(name, Role::Proxy)?),
        };
        Ok(Chosen { enforcer, proxy })
    }

    /// What agents want of the clusters that are built for them, where the command line says nothing else.
    pub(super) fn options(&self, options: Options) -> Options {
        let interface_prefix = match &self.enforcer {
            Described::Agent(agent) => Some(agent.profile.interface_prefix.clone()),
            Described::Ready(_) => None,
        };
        let mode = match &self.proxy {
            Described::Agent(agent) => Some(agent.profile.proxy_mode),
            Described::Ready(_) => None,
        };
        Options { interface_prefix, kube_proxy_mode: options.kube_proxy_mode.or(mode), ..options }
    }

    /// How the enforcer reads what the API leaves open.
    pub(super) fn profile(&self) -> Profile {
        match &self.enforcer {
            Described::Ready(enforcer) => enforcer.profile(),
            Described::Agent(agent) => netproof_runner::profile_of_agent(&agent.profile),
        }
    }

    /// How long a change may take where the command line does not say.
    pub(super) fn patience(&self) -> Duration {
        match (&self.enforcer, &self.proxy) {
            (Described::Ready(_), Described::Ready(_)) => DEFAULT_PATIENCE,
            _ => AGENT_PATIENCE,
        }
    }

    /// How long a scenario run may take where the command line does not say.
    pub(super) fn timeout(&self) -> Duration {
        match (&self.enforcer, &self.proxy) {
            (Described::Ready(_), Described::Ready(_)) => DEFAULT_TIMEOUT,
            _ => AGENT_TIMEOUT,
        }
    }

    /// Looks for the programs of agents. On failure it has been printed which is missing.
    pub(super) fn find(self) -> Result<(EnforcerChoice, ProxyChoice), Exit> {
        let enforcer = match self.enforcer {
            Described::Ready(enforcer) => enforcer,
            Described::Agent(agent) => EnforcerChoice::Agent(found(agent)?),
        };
        let proxy = match self.proxy {
            Described::Ready(proxy) => proxy,
            Described::Agent(agent) => ProxyChoice::Agent(found(agent)?),
        };
        Ok((enforcer, proxy))
    }
}

fn oracles() -> Vec<&'static str> {
    PROFILES.iter().map(|profile| profile.name).collect()
}

/// The shipped profiles, whose programs nobody has looked for.
pub(super) fn shipped() -> Vec<DescribedAgent> {
    let names = SHIPPED.iter().filter_map(|(name, _)| AgentName::parse(name).ok());
    // A test reads them all.
    names.filter_map(|name| name.describe(&oracles()).ok()).collect()
}

fn described(name: &AgentName, role: Role) -> Result<DescribedAgent, Exit> {
    let agent = name.clone().describe(&oracles()).map_err(bad_input)?;
    agent.check(role).map_err(|message| bad_input(format_args!("error: {message}")))?;
    Ok(agent)
}

fn found(agent: DescribedAgent) -> Result<Agent, Exit> {
    agent.find().map_err(|message| {
        outputs::complain(format_args!("error: {message}"));
        Exit::NotDone
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Also the oracle's profiles that they name are there.
    #[test]
    fn every_shipped_profile_can_be_read() {
        let names: Vec<String> = shipped().iter().map(|agent| agent.profile.name.clone()).collect();
        assert_eq!(names, SHIPPED.map(|(name, _)| name.to_owned()));
    }
}
