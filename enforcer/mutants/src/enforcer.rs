//! The enforcer with a fault: the same steps as [`PolicyEnforcer`](netproof_enforcer::PolicyEnforcer), with the
//! mutant's hand between them.

use crate::mutant::{Fault, Mutant};
use crate::site::Site;
use crate::{nft, selectors};
use netproof_controlplane::Snapshot;
use netproof_enforcer::backend::nft::{DEFAULT_SEND_BUFFER, NftPolicies};
use netproof_enforcer::backend::{self, PolicyBackend};
use netproof_enforcer::program::{Compiler, Program};
use netproof_enforcer::{Allowed, Backend, Enforcer, EnforcerError, NodeHandle};
use netproof_model::{Identity, IdentityTable, RuleTrace};
use std::sync::Arc;

/// Enforces policy on every node, wrongly.
pub struct MutatedEnforcer {
    mutant: &'static Mutant,
    backend: Hold,
    /// What its numbers stand for, as it says.
    said: IdentityTable,
    /// What was received since the cluster began, oldest first.
    before: Vec<Arc<Snapshot>>,
}

/// The backend: right, or with a fault of its own.
enum Hold {
    Any(Box<dyn PolicyBackend>),
    Nft(NftPolicies, nft::Fault),
}

impl Hold {
    fn policies(&self) -> &dyn PolicyBackend {
        match self {
            Hold::Any(backend) => backend.as_ref(),
            Hold::Nft(backend, _) => backend,
        }
    }
}

impl MutatedEnforcer {
    /// An agent in each node's namespace. Nothing is programmed yet.
    pub fn new(nodes: &[NodeHandle<'_>], mutant: &'static Mutant) -> Result<Self, EnforcerError> {
        let backend = match mutant.fault {
            Fault::Nft(fault) => Hold::Nft(NftPolicies::open(nodes, DEFAULT_SEND_BUFFER)?, fault),
            _ => Hold::Any(Backend::default().policies(nodes)?),
        };
        Ok(MutatedEnforcer { mutant, backend, said: IdentityTable::new(), before: Vec::new() })
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
            Fault::Program(_) | Fault::Nft(_) | Fault::Names(_) => {}
        }
        received
    }

    /// What it says that its numbers stand for.
    fn said(&self, node: &str) -> Option<IdentityTable> {
        let table = self.backend.policies().in_force().identities(node)?;
        let Fault::Names(wrong) = self.mutant.fault else { return Some(table.clone()) };
        let said = table.iter().map(|(number, identity)| {
            let decision = wrong(&identity.decision, table).unwrap_or_else(|| identity.decision.clone());
            (*number, Identity { decision, action: identity.action })
        });
        Some(said.collect())
    }

    fn load(
        &mut self,
        program: &Program,
        site: &Site<'_>,
        in_force: backend::Site<'_>,
    ) -> Result<(), backend::Cause> {
        match &mut self.backend {
            Hold::Any(backend) => backend.load(site.node, program, in_force),
            Hold::Nft(backend, fault) => fault.load(backend, program, site, in_force),
        }
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
        let in_force = backend::Site { generation: snapshot.generation, topology: &received.topology };
        for node in self.backend.policies().in_force().nodes() {
            let site = Site { snapshot: &received, node: &node };
            let mut program = compiler.node(&node).program().clone();
            if let Fault::Program(wrong) = self.mutant.fault {
                wrong(&mut program, &site);
            }
            self.load(&program, &site, in_force).map_err(|cause| EnforcerError::node(&node, cause))?;
            // All nodes have one table.
            self.said.extend(self.said(&node).into_iter().flatten());
        }
        Ok(())
    }

    fn identities(&self, node: &str) -> Option<&IdentityTable> {
        self.backend.policies().in_force().identities(node).map(|_| &self.said)
    }

    fn allowed(&self, trace: &RuleTrace) -> Option<Vec<Allowed>> {
        Some(self.backend.policies().allowed(trace))
    }

    fn rules(&self, node: &str) -> Option<String> {
        self.backend.policies().in_force().rules(node)
    }
}
