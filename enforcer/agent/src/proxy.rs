//! An agent that is the service proxy, on every node.

use crate::Agent;
use crate::launch::Ports;
use crate::running::Running;
use crate::sentinel::{Awaited, Spot, port, service};
use netproof_controlplane::Snapshot;
use netproof_enforcer::{EnforcerError, NodeHandle, Proxy};
use netproof_kubeapi::events;
use netproof_model::{IdentityTable, NamespacedName, Topology};
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

/// Where the proxy's API is, on each node's loopback.
const PORTS: Ports = Ports { https: 61_444, http: 61_081 };

/// Translates services by an agent on each node. A change is in force when the sentinel's own, which follows it, is.
pub struct AgentProxy {
    running: Running,
    spots: Vec<Spot>,
    topology: Topology,
    /// Counts what the sentinel was told.
    generation: u64,
    /// What they know.
    known: Option<Arc<Snapshot>>,
}

impl AgentProxy {
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
        let spots = Spot::of_services(topology, nodes, hidden)?;
        Ok(AgentProxy { running, spots, topology: topology.clone(), generation: 0, known: None })
    }
}

impl Proxy for AgentProxy {
    fn name(&self) -> &str {
        self.running.name()
    }

    fn program(&mut self, snapshot: &Arc<Snapshot>) -> Result<(), EnforcerError> {
        let mut events = events::between(self.known.as_deref(), snapshot);
        if events.is_empty() {
            return Ok(());
        }
        self.known = Some(Arc::clone(snapshot));
        for _ in 0..self.running.times() {
            self.generation += 1;
            let generation = self.generation;
            events.append(&mut service::events(&self.topology, generation));
            self.running.tell(&events)?;
            events.clear();
            let asked = service::service_port(generation);
            self.running
                .wait(&self.spots, &Awaited { generation, asked, by: port(generation), denied: None })?;
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
