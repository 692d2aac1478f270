//! The programs of policies as nftables rulesets.

mod allowed;
mod hooks;
mod render;
mod rules;

pub use render::{SOURCE_TABLE, TABLE, Unrendered, policy_chain, render};

use super::Agents;
use crate::backend::{Cause, InForce, PolicyBackend, Site};
use crate::identities::Numbers;
use crate::program::{Change, Program};
use crate::{Allowed, EnforcerError, NodeHandle};
use allowed::allowed;
use netproof_model::RuleTrace;
use netproof_netfilter::nft::Ruleset;
use render::render_slice;

/// Policies with nftables.
pub struct NftPolicies {
    agents: Agents,
}

impl NftPolicies {
    /// An agent on each node; see [`Agents::open`].
    ///
    /// # Errors
    /// Where nf_tables cannot be reached in a namespace.
    pub fn open(nodes: &[NodeHandle<'_>], send_buffer: usize) -> Result<Self, EnforcerError> {
        Ok(NftPolicies { agents: Agents::open(nodes, send_buffer, Numbers::odd())? })
    }

    /// The ruleset that a program is on a node.
    ///
    /// # Errors
    /// What the program says and nftables is not made to say here.
    pub fn render(&mut self, program: &Program, site: Site<'_>) -> Result<Ruleset, Unrendered> {
        render(program, site.topology, &mut self.agents.numbers)
    }

    /// Makes a ruleset the one in force on a node.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn apply(&mut self, node: &str, ruleset: Ruleset, site: Site<'_>) -> Result<(), Cause> {
        self.agents.apply(node, site.generation, ruleset)
    }
}

impl PolicyBackend for NftPolicies {
    fn in_force(&self) -> &dyn InForce {
        &self.agents
    }

    fn load(&mut self, node: &str, program: &Program, site: Site<'_>) -> Result<(), Cause> {
        let ruleset = self.render(program, site)?;
        self.apply(node, ruleset, site)
    }

    fn change(&mut self, node: &str, change: &Change<'_>, site: Site<'_>) -> Result<(), Cause> {
        let gone = render_slice(&change.before, site.topology, &mut self.agents.numbers)?;
        let come = render_slice(&change.after, site.topology, &mut self.agents.numbers)?;
        self.agents.patch(node, site.generation, gone, &come)
    }

    fn allowed(&self, trace: &RuleTrace) -> Vec<Allowed> {
        allowed(trace)
    }
}
