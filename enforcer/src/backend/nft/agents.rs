//! An agent on each node, and what the numbers in its evidence stand for: what policy and proxy share.

use crate::identities::Numbers;
use crate::{EnforcerError, NodeHandle, Options};
use netproof_model::IdentityTable;
use netproof_netfilter::nft::{Agent, KernelError, Report, Ruleset};
use std::collections::BTreeMap;

/// The agents of one component, by node.
pub struct Agents {
    by_node: BTreeMap<String, Agent>,
    /// What the numbers of their rules stand for.
    pub numbers: Numbers,
    reports: BTreeMap<String, Report>,
}

impl Agents {
    /// An agent in each node's namespace. Nothing is programmed yet.
    pub fn open(
        nodes: &[NodeHandle<'_>],
        options: &Options,
        numbers: Numbers,
    ) -> Result<Agents, EnforcerError> {
        let open = |node: &NodeHandle<'_>| match Agent::open(node.netns, options.send_buffer) {
            Ok(agent) => Ok((node.name.clone(), agent)),
            Err(source) => Err(EnforcerError::node(&node.name, source)),
        };
        let by_node = nodes.iter().map(open).collect::<Result<_, _>>()?;
        Ok(Agents { by_node, numbers, reports: BTreeMap::new() })
    }

    /// The nodes, in the order of names.
    pub fn nodes(&self) -> Vec<String> {
        self.by_node.keys().cloned().collect()
    }

    /// Makes a ruleset the one in force on a node.
    pub fn apply(&mut self, node: &str, ruleset: Ruleset) -> Result<(), EnforcerError> {
        self.with(node, |agent| agent.apply(ruleset))
    }

    /// Changes a part of what is in force on a node; see [`Agent::patch`].
    pub fn patch(&mut self, node: &str, gone: Ruleset, come: &Ruleset) -> Result<(), EnforcerError> {
        self.with(node, |agent| agent.patch(gone, come))
    }

    fn with(
        &mut self,
        node: &str,
        change: impl FnOnce(&mut Agent) -> Result<Report, KernelError>,
    ) -> Result<(), EnforcerError> {
        let Some(agent) = self.by_node.get_mut(node) else { return Ok(()) };
        let report = change(agent).map_err(|source| EnforcerError::node(node, source))?;
        self.reports.insert(node.to_owned(), report);
        Ok(())
    }

    /// What is in force on a node.
    pub fn current(&self, node: &str) -> Option<&Ruleset> {
        self.by_node.get(node).map(Agent::current)
    }

    /// What the last change took, by node.
    pub fn reports(&self) -> &BTreeMap<String, Report> {
        &self.reports
    }

    /// What the numbers in a node's evidence stand for.
    pub fn identities(&self, node: &str) -> Option<&IdentityTable> {
        self.by_node.contains_key(node).then(|| self.numbers.table())
    }

    /// The rules in force on a node, as a person reads them.
    pub fn rules(&self, node: &str) -> Option<String> {
        self.current(node).map(Ruleset::to_string)
    }
}
