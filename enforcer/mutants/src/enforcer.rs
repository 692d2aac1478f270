//! The enforcer with a fault: the same steps as [`NftablesEnforcer`](netproof_enforcer::NftablesEnforcer), with the
//! mutant's hand between them.

use super::{Fault, Mutant, Site, selectors};
use netproof_controlplane::Snapshot;
use netproof_enforcer::backend::nft::Agents;
use netproof_enforcer::backend::nft::policies::{allowed, render};
use netproof_enforcer::program::Compiler;
use netproof_enforcer::{Allowed, Enforcer, EnforcerError, NodeHandle, Numbers, Options};
use netproof_model::{Identity, IdentityTable, RuleTrace};
use std::sync::Arc;

/// Enforces NetworkPolicy with nftables on every node, wrongly.
pub struct MutatedEnforcer {
    mutant: &'static Mutant,
    agents: Agents,
    /// What its numbers stand for, as it says.
    said: IdentityTable,
    /// What was received since the cluster began, oldest first.
    before: Vec<Arc<Snapshot>>,
}

impl MutatedEnforcer {
    /// An agent in each node's namespace. Nothing is programmed yet.
    pub fn new(nodes: &[NodeHandle<'_>], mutant: &'static Mutant) -> Result<Self, EnforcerError> {
        let agents = Agents::open(nodes, &Options::default(), Numbers::odd())?;
        Ok(MutatedEnforcer { mutant, agents, said: IdentityTable::new(), before: Vec::new() })
    }

    /// The objects as the mutant sees them.
    fn received(&self, snapshot: &Snapshot) -> Snapshot {
        let mut received = snapshot.clone();
        match self.mutant.fault {
            Fault::Objects(wrong) => wrong(&mut received),
            Fault::Selectors(holds) => {
                selectors::evaluate(&mut received, |selector, labels, _| holds(selector, labels));
            }
            Fault::Memory(wrong) => wrong(&mut received, &self.before),
            Fault::Program(_) | Fault::Ruleset(_) | Fault::Window(_) | Fault::Names(_) => {}
        }
        received
    }

    /// What it says that its numbers stand for.
    fn said(&self) -> IdentityTable {
        let table = self.agents.numbers.table();
        let Fault::Names(wrong) = self.mutant.fault else { return table.clone() };
        let said = table.iter().map(|(number, identity)| {
            let decision = wrong(&identity.decision, table).unwrap_or_else(|| identity.decision.clone());
            (*number, Identity { decision, action: identity.action })
        });
        said.collect()
    }
}

impl Enforcer for MutatedEnforcer {
    fn name(&self) -> &str {
        self.mutant.name
    }

    fn program(&mut self, snapshot: &Arc<Snapshot>) -> Result<(), EnforcerError> {
        // Generations grow; one that does not is that of a cluster that began anew.
        if self.before.last().is_some_and(|last| last.generation >= snapshot.generation) {
            self.before.clear();
        }
        let received = self.received(snapshot);
        self.before.push(Arc::clone(snapshot));
        let received = Arc::new(received);
        let compiler = Compiler::new(&received);
        for node in self.agents.nodes() {
            let site = Site { snapshot: &received, node: &node };
            let mut program = compiler.node(&node).program().clone();
            if let Fault::Program(wrong) = self.mutant.fault {
                wrong(&mut program, &site);
            }
            let mut ruleset = render(&program, &received.topology, &mut self.agents.numbers)
                .map_err(|error| EnforcerError::node(&node, error))?;
            match self.mutant.fault {
                Fault::Ruleset(wrong) => wrong(&mut ruleset, &site),
                Fault::Window(wrong) => {
                    let mut passing = ruleset.clone();
                    wrong(&mut passing, &site);
                    self.agents.apply(&node, passing)?;
                }
                Fault::Objects(_)
                | Fault::Selectors(_)
                | Fault::Memory(_)
                | Fault::Program(_)
                | Fault::Names(_) => {}
            }
            self.agents.apply(&node, ruleset)?;
        }
        self.said = self.said();
        Ok(())
    }

    fn identities(&self, node: &str) -> Option<&IdentityTable> {
        self.agents.identities(node).map(|_| &self.said)
    }

    fn allowed(&self, trace: &RuleTrace) -> Option<Vec<Allowed>> {
        Some(allowed(trace))
    }

    fn rules(&self, node: &str) -> Option<String> {
        self.agents.rules(node)
    }
}
