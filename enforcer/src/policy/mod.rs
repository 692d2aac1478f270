//! The policy enforcer with nftables: an agent for each node, whose ruleset follows what changes at the cost of that.

use crate::backend::nft::Agents;
use crate::backend::nft::policies::{allowed, render, render_part};
use crate::identities::Numbers;
use crate::program::{Changes, Compiler, NodeProgram};
use crate::{Allowed, Enforcer, EnforcerError, NodeHandle, Options};
use netproof_controlplane::Snapshot;
use netproof_model::{IdentityTable, RuleTrace};
use netproof_netfilter::nft::Report;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Enforces NetworkPolicy with nftables on every node.
pub struct NftablesEnforcer {
    agents: Agents,
    compiler: Option<Compiler>,
    /// What each node has in force. A node of which that is not known has nothing here.
    programs: BTreeMap<String, NodeProgram>,
}

impl NftablesEnforcer {
    /// An agent in each node's namespace. Nothing is programmed yet.
    pub fn new(nodes: &[NodeHandle<'_>], options: &Options) -> Result<Self, EnforcerError> {
        let agents = Agents::open(nodes, options, Numbers::odd())?;
        Ok(NftablesEnforcer { agents, compiler: None, programs: BTreeMap::new() })
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
        // Taken out, here and for each node, so that after an error everything is looked at anew.
        let (compiler, changes) = match self.compiler.take() {
            Some(mut compiler) => match compiler.advance(snapshot) {
                Some(changes) => (compiler, Some(changes)),
                None => (Compiler::new(snapshot), None),
            },
            None => (Compiler::new(snapshot), None),
        };
        for node in self.agents.nodes() {
            let known = self.programs.remove(&node);
            let program = match (known, &changes) {
                (Some(known), Some(changes)) => {
                    change(&mut self.agents, &node, &compiler, known, changes, snapshot)?
                }
                _ => {
                    let program = compiler.node(&node);
                    let numbers = &mut self.agents.numbers;
                    let ruleset = render(program.program(), &snapshot.topology, numbers)
                        .map_err(|error| EnforcerError::node(&node, error))?;
                    self.agents.apply(&node, ruleset)?;
                    program
                }
            };
            self.programs.insert(node, program);
        }
        self.compiler = Some(compiler);
        Ok(())
    }

    fn identities(&self, node: &str) -> Option<&IdentityTable> {
        self.agents.identities(node)
    }

    fn allowed(&self, trace: &RuleTrace) -> Option<Vec<Allowed>> {
        Some(allowed(trace))
    }

    fn rules(&self, node: &str) -> Option<String> {
        self.agents.rules(node)
    }
}

/// Changes the parts of a node's ruleset that the changes are about, without a look at the others.
fn change(
    agents: &mut Agents,
    node: &str,
    compiler: &Compiler,
    mut program: NodeProgram,
    changes: &Changes,
    snapshot: &Snapshot,
) -> Result<NodeProgram, EnforcerError> {
    let mut part = |program: &NodeProgram| {
        render_part(program.program(), &program.part(changes), &snapshot.topology, &mut agents.numbers)
            .map_err(|error| EnforcerError::node(node, error))
    };
    let gone = part(&program)?;
    compiler.update(node, changes, &mut program);
    let come = part(&program)?;
    agents.patch(node, gone, &come)?;
    Ok(program)
}
