//! An enforcer that is not ours: one process in each node's network namespace, which is told the cluster's
//! objects on its standard input and answers on its standard output.
//!
//! A change is one line of JSON to every node, `{"generation": N, "events": [...]}`, with what a watch of the
//! Kubernetes API would have said (`netproof_kubeapi::events`); each process answers `{"generation": N}` when it is in force
//! there, or `{"error": "..."}`. Whatever else becomes of it is an error and never a verdict: no answer in
//! time, an answer that means nothing, its end.

#![warn(clippy::indexing_slicing)]

mod command;
mod error;
mod process;
mod talk;

pub use command::ExecCommand;
pub use error::ExecError;

use netproof_controlplane::Snapshot;
use netproof_enforcer::{Enforcer, EnforcerError, NodeHandle};
use netproof_kubeapi::events;
use netproof_model::IdentityTable;
use process::Process;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;

/// How long a process may take to answer where nothing else is said.
pub const DEFAULT_PATIENCE: Duration = Duration::from_secs(10);

/// The kinds that the protocol tells of; the API has more.
const KINDS: [&str; 9] = [
    "Namespace",
    "Node",
    "Pod",
    "Service",
    "EndpointSlice",
    "NetworkPolicy",
    "ClusterNetworkPolicy",
    "AdminNetworkPolicy",
    "BaselineAdminNetworkPolicy",
];

/// Enforces policy by processes of a command, one on each node.
pub struct ExecEnforcer {
    processes: Vec<Process>,
    patience: Duration,
    /// Counts what was sent; the control plane's own generations begin anew with the walk.
    generation: u64,
    /// What they know.
    known: Option<Arc<Snapshot>>,
}

impl ExecEnforcer {
    /// Starts the command on each node. `patience` is how long each generation may take.
    pub fn new(
        nodes: &[NodeHandle<'_>],
        command: &ExecCommand,
        patience: Duration,
    ) -> Result<Self, EnforcerError> {
        let start = |node: &NodeHandle<'_>| {
            let started = Process::start(command, &node.name, node.netns);
            started.map_err(|error| EnforcerError::node(&node.name, error))
        };
        let processes = nodes.iter().map(start).collect::<Result<_, _>>()?;
        Ok(ExecEnforcer { processes, patience, generation: 0, known: None })
    }
}

impl Enforcer for ExecEnforcer {
    fn name(&self) -> &str {
        "exec"
    }

    fn program(&mut self, snapshot: &Arc<Snapshot>) -> Result<(), EnforcerError> {
        let mut events = events::between(self.known.as_deref(), snapshot);
        events.retain(|event| {
            let of = event.object.get("kind").and_then(Value::as_str);
            KINDS.iter().any(|kind| of == Some(*kind))
        });
        self.known = Some(Arc::clone(snapshot));
        if events.is_empty() {
            return Ok(());
        }
        self.generation += 1;
        let line = format!("{{\"generation\":{},\"events\":{}}}\n", self.generation, json!(events));
        talk::tell(&mut self.processes, line.as_bytes(), self.generation, self.patience)
    }

    fn check(&mut self) -> Result<(), EnforcerError> {
        self.processes.iter_mut().try_for_each(Process::check)
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
