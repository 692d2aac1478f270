//! The policy enforcer with nftables: an agent for each node.

mod render;
mod rules;

pub use render::{SOURCE_TABLE, TABLE, Unrendered, render};

use crate::agents::Agents;
use crate::identities::Numbers;
use crate::nft::Report;
use crate::program::Compiler;
use crate::{Enforcer, EnforcerError, NodeHandle, Options};
use netproof_controlplane::Snapshot;
use netproof_model::IdentityTable;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Enforces NetworkPolicy with nftables on every node.
pub struct NftablesEnforcer {
    agents: Agents,
}

impl NftablesEnforcer {
    /// An agent in each node's namespace. Nothing is programmed yet.
    pub fn new(nodes: &[NodeHandle<'_>], options: &Options) -> Result<Self, EnforcerError> {
        Ok(NftablesEnforcer { agents: Agents::open(nodes, options, Numbers::odd())? })
    }

    /// What the last change took, by node.
    pub fn reports(&self) -> &BTreeMap<String, Report> {
        self.agents.reports()
    }
}

impl Enforcer for NftablesEnforcer {
    fn name(&self) -> &str {
        "nftables"
    }

    fn program(&mut self, snapshot: &Arc<Snapshot>) -> Result<(), EnforcerError> {
        let compiler = Compiler::new(snapshot);
        for node in self.agents.nodes() {
            let ruleset = render(&compiler.node(&node), &snapshot.topology, &mut self.agents.numbers)?;
            self.agents.apply(&node, ruleset)?;
        }
        Ok(())
    }

    fn identities(&self, node: &str) -> Option<&IdentityTable> {
        self.agents.identities(node)
    }

    fn rules(&self, node: &str) -> Option<String> {
        self.agents.rules(node)
    }
}
