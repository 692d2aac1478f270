//! The objects that a plan's steps lead through. Whoever makes a plan replays its changes once, to check them; what
//! comes of that is kept here, and nobody replays them again.

use netproof_controlplane::{Change, ChangeError, ControlPlane, Snapshot};
use std::sync::Arc;

/// The objects before and after each change set of a step.
#[derive(Clone, Debug)]
pub struct States {
    /// Before the first change set, after it, and so on; at least one. Where the changes are made several times, those
    /// of the first round.
    through: Vec<Arc<Snapshot>>,
    /// After all changes, however often they are made.
    after: ControlPlane,
}

impl States {
    /// Before any change.
    pub fn begin(control: &ControlPlane) -> States {
        States { through: vec![control.snapshot()], after: control.clone() }
    }

    /// A further change set was made, which led here.
    pub fn push(&mut self, control: &ControlPlane) {
        self.through.push(control.snapshot());
        self.after = control.clone();
    }

    /// All changes were made once more, which led here.
    pub fn again(&mut self, control: &ControlPlane) {
        self.after = control.clone();
    }

    /// With a change set more.
    ///
    /// # Errors
    /// What the control plane refuses.
    pub fn with(&self, changes: &[Change]) -> Result<States, ChangeError> {
        let mut states = self.clone();
        let mut control = self.after.clone();
        control.apply(changes)?;
        states.push(&control);
        Ok(states)
    }

    /// The objects before the first change set, after it, and so on; at least one.
    pub fn through(&self) -> &[Arc<Snapshot>] {
        &self.through
    }

    /// The objects that the step's expectations are about.
    pub fn after(&self) -> Arc<Snapshot> {
        self.after.snapshot()
    }

    /// The control plane that has them, for whoever asks what more changes would make of them.
    pub fn control(&self) -> &ControlPlane {
        &self.after
    }
}

/// How many network stacks a cluster with these objects has, the router's among them.
pub fn count_places(snapshot: &Snapshot) -> usize {
    let pods = snapshot.pods.values().filter(|pod| !pod.host_network && !pod.phase.has_ended());
    pods.count() + snapshot.nodes.len() + snapshot.externals.len() + 1
}
