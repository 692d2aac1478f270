//! The policy enforcer with nftables: an agent for each node.

mod render;

pub use render::{SOURCE_TABLE, TABLE, render};

use crate::identities::Numbers;
use crate::nft::{Agent, Report};
use crate::program::Compiler;
use crate::{Enforcer, EnforcerError, NodeHandle, Options};
use netproof_controlplane::Snapshot;
use netproof_model::IdentityTable;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Enforces NetworkPolicy with nftables on every node.
pub struct NftablesEnforcer {
    agents: BTreeMap<String, Agent>,
    numbers: Numbers,
    reports: BTreeMap<String, Report>,
}

impl NftablesEnforcer {
    /// An agent in each node's namespace. Nothing is programmed yet.
    pub fn new(nodes: Vec<NodeHandle<'_>>, options: &Options) -> Result<Self, EnforcerError> {
        let agents = crate::open_agents(nodes, options)?;
        Ok(NftablesEnforcer { agents, numbers: Numbers::odd(), reports: BTreeMap::new() })
    }

    /// What the last change took, by node.
    pub fn reports(&self) -> &BTreeMap<String, Report> {
        &self.reports
    }
}

impl Enforcer for NftablesEnforcer {
    fn name(&self) -> &str {
        "nftables"
    }

    fn program(&mut self, snapshot: &Arc<Snapshot>) -> Result<(), EnforcerError> {
        let compiler = Compiler::new(snapshot);
        for (node, agent) in &mut self.agents {
            let ruleset = render(&compiler.node(node), &snapshot.topology, &mut self.numbers);
            let report = agent.apply(ruleset).map_err(|source| EnforcerError::node(node, source))?;
            self.reports.insert(node.clone(), report);
        }
        Ok(())
    }

    fn identities(&self, node: &str) -> Option<&IdentityTable> {
        self.agents.contains_key(node).then(|| self.numbers.table())
    }

    fn rules(&self, node: &str) -> Option<String> {
        self.agents.get(node).map(|agent| agent.current().to_string())
    }
}
