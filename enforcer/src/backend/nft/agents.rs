//! An agent on each node, and what the numbers of its rules stand for: what policies and services share.

use crate::backend::{Backend, Cause, Cost, InForce};
use crate::identities::Numbers;
use crate::{EnforcerError, NodeHandle};
use netproof_model::IdentityTable;
use netproof_netfilter::nft::{Agent, KernelError, Report, Ruleset};
use std::collections::BTreeMap;

/// The agents of one component, by node.
pub struct Agents {
    by_node: BTreeMap<String, OfNode>,
    /// What the numbers of their rules stand for.
    pub numbers: Numbers,
}

struct OfNode {
    agent: Agent,
    generation: Option<u64>,
    last: Option<Report>,
}

impl Agents {
    /// An agent in each node's namespace, whose socket asks for a send buffer of so many bytes. Nothing is programmed
    /// yet.
    ///
    /// # Errors
    /// Where nf_tables cannot be reached in a namespace.
    pub fn open(
        nodes: &[NodeHandle<'_>],
        send_buffer: usize,
        numbers: Numbers,
    ) -> Result<Agents, EnforcerError> {
        let open = |node: &NodeHandle<'_>| match Agent::open(node.netns, send_buffer) {
            Ok(agent) => Ok((node.name.clone(), OfNode { agent, generation: None, last: None })),
            Err(source) => Err(EnforcerError::node(&node.name, source)),
        };
        let by_node = nodes.iter().map(open).collect::<Result<_, _>>()?;
        Ok(Agents { by_node, numbers })
    }

    /// Makes a ruleset the one in force on a node.
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn apply(&mut self, node: &str, generation: u64, ruleset: Ruleset) -> Result<(), Cause> {
        self.with(node, generation, |agent| agent.apply(ruleset))
    }

    /// Changes a part of what is in force on a node; see [`Agent::patch`].
    ///
    /// # Errors
    /// What the kernel refused.
    pub fn patch(&mut self, node: &str, generation: u64, gone: Ruleset, come: &Ruleset) -> Result<(), Cause> {
        self.with(node, generation, |agent| agent.patch(gone, come))
    }

    fn with(
        &mut self,
        node: &str,
        generation: u64,
        change: impl FnOnce(&mut Agent) -> Result<Report, KernelError>,
    ) -> Result<(), Cause> {
        let of_node =
            self.by_node.get_mut(node).ok_or("no agent is on this node, which is a bug of netproof's")?;
        of_node.last = Some(change(&mut of_node.agent)?);
        of_node.generation = Some(generation);
        Ok(())
    }
}

impl InForce for Agents {
    fn backend(&self) -> Backend {
        Backend::Nftables
    }

    fn nodes(&self) -> Vec<String> {
        self.by_node.keys().cloned().collect()
    }

    fn generation(&self, node: &str) -> Option<u64> {
        self.by_node.get(node)?.generation
    }

    fn cost(&self, node: &str) -> Option<Cost> {
        let Report { transactions, messages, bytes, side_by_side } = self.by_node.get(node)?.last?;
        Some(Cost { transactions, messages, bytes, side_by_side })
    }

    fn identities(&self, node: &str) -> Option<&IdentityTable> {
        self.by_node.contains_key(node).then(|| self.numbers.table())
    }

    fn rules(&self, node: &str) -> Option<String> {
        Some(self.by_node.get(node)?.agent.current().to_string())
    }
}
