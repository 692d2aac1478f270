//! The policy enforcer: compiles what policies mean on each node, and has a backend make it true, at the cost of what
//! changed.

use crate::backend::{Backend, Cost, PolicyBackend, Site};
use crate::program::{Compiler, NodeProgram};
use crate::{Allowed, Enforcer, EnforcerError, NodeHandle};
use netproof_controlplane::Snapshot;
use netproof_model::{IdentityTable, RuleTrace};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Enforces policy on every node.
pub struct PolicyEnforcer {
    backend: Box<dyn PolicyBackend>,
    compiler: Option<Compiler>,
    /// What each node has in force. A node of which that is not known has nothing here.
    programs: BTreeMap<String, NodeProgram>,
}

impl PolicyEnforcer {
    /// With a backend on these nodes. Nothing is programmed yet.
    ///
    /// # Errors
    /// Where the backend cannot reach a node.
    pub fn open(backend: Backend, nodes: &[NodeHandle<'_>]) -> Result<Self, EnforcerError> {
        Ok(PolicyEnforcer::new(backend.policies(nodes)?))
    }

    /// With this backend.
    pub fn new(backend: Box<dyn PolicyBackend>) -> Self {
        PolicyEnforcer { backend, compiler: None, programs: BTreeMap::new() }
    }

    /// What the last change took on a node.
    pub fn cost(&self, node: &str) -> Option<Cost> {
        self.backend.in_force().cost(node)
    }
}

impl Enforcer for PolicyEnforcer {
    fn name(&self) -> &str {
        self.backend.in_force().backend().name()
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
        let site = Site { generation: snapshot.generation, topology: &snapshot.topology };
        for node in self.backend.in_force().nodes() {
            let (program, done) = match (self.programs.remove(&node), &changes) {
                (Some(mut program), Some(changes)) => {
                    let replaced = compiler.update(&node, changes, &mut program);
                    let done = self.backend.change(&node, &program.change(&replaced), site);
                    (program, done)
                }
                _ => {
                    let program = compiler.node(&node);
                    let done = self.backend.load(&node, program.program(), site);
                    (program, done)
                }
            };
            done.map_err(|cause| EnforcerError::node(&node, cause))?;
            self.programs.insert(node, program);
        }
        self.compiler = Some(compiler);
        Ok(())
    }

    fn generation(&self, node: &str) -> Option<u64> {
        self.backend.in_force().generation(node)
    }

    fn identities(&self, node: &str) -> Option<&IdentityTable> {
        self.backend.in_force().identities(node)
    }

    fn allowed(&self, trace: &RuleTrace) -> Option<Vec<Allowed>> {
        Some(self.backend.allowed(trace))
    }

    fn rules(&self, node: &str) -> Option<String> {
        self.backend.in_force().rules(node)
    }
}
