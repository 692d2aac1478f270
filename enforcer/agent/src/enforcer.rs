//! An agent that enforces policy, on every node.

use crate::Agent;
use crate::launch::Ports;
use crate::running::Running;
use crate::sentinel::policy::PolicyObjects;
use crate::sentinel::{Awaited, Spot, port};
use netproof_controlplane::Snapshot;
use netproof_enforcer::{Enforcer, EnforcerError, NodeHandle};
use netproof_kubeapi::events;
use netproof_model::{IdentityTable, NamespacedName, Topology};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

/// Where the enforcer's API is, on each node's loopback.
const PORTS: Ports = Ports { https: 61_443, http: 61_080 };

/// Enforces policy by an agent on each node. A change is in force when the sentinel's own, which follows it, is.
pub struct AgentEnforcer {
    running: Running,
    spots: Vec<Spot>,
    objects: PolicyObjects,
    /// Counts what the sentinel was told; the control plane's own generations begin anew with the walk.
    generation: u64,
    /// What they know.
    known: Option<Arc<Snapshot>>,
}

impl AgentEnforcer {
    /// Serves the API on each node. `hidden` has the network namespaces of the hidden pods, `patience` is how long each
    /// generation may take. The agents start with the first generation.
    pub fn new<'a>(
        nodes: &[NodeHandle<'_>],
        hidden: &dyn Fn(&NamespacedName) -> Option<BorrowedFd<'a>>,
        topology: &Topology,
        agent: &Agent,
        patience: Duration,
    ) -> Result<Self, EnforcerError> {
        let running = Running::new(nodes, topology, agent, PORTS, patience)?;
        let spots = Spot::of_policy(topology, hidden)?;
        let objects = PolicyObjects::new(agent.profile.sentinel.in_front_of);
        Ok(AgentEnforcer { running, spots, objects, generation: 0, known: None })
    }
}

impl Enforcer for AgentEnforcer {
    fn name(&self) -> &str {
        self.running.name()
    }

    fn program(&mut self, snapshot: &Arc<Snapshot>) -> Result<(), EnforcerError> {
        let mut events = events::between(self.known.as_deref(), snapshot);
        if events.is_empty() {
            return Ok(());
        }
        self.objects.note(&events);
        self.known = Some(Arc::clone(snapshot));
        let cluster_wide = snapshot.policies.keys().any(|key| !key.kind.is_namespaced());
        for _ in 0..self.running.times() {
            self.generation += 1;
            let generation = self.generation;
            events.append(&mut self.objects.events(generation, cluster_wide));
            self.running.tell(&events)?;
            events.clear();
            let (asked, denied) = (port(generation), (generation == 1).then(|| port(0)));
            self.running.wait(&self.spots, &Awaited { generation, asked, by: asked, denied })?;
        }
        Ok(())
    }

    fn check(&mut self) -> Result<(), EnforcerError> {
        self.running.check()
    }

    fn explains(&self) -> bool {
        false
    }

    fn identities(&self, _: &str) -> Option<&IdentityTable> {
        None
    }

    fn rules(&self, _: &str) -> Option<String> {
        None
    }
}
