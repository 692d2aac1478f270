//! The objects of every step, with and without those of policy, before anything is built.

use super::world::is_policy;
use crate::plan::Plan;
use netproof_controlplane::{Change, ChangeError, ControlPlane, Snapshot};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The objects after the changes of a step.
#[derive(Clone, Debug)]
pub(super) struct State {
    /// All of them.
    pub(super) snapshot: Arc<Snapshot>,
    /// Those of the rehearsal: none of policy.
    pub(super) bare: Arc<Snapshot>,
}

/// The objects before the first step, with or without those of policy.
pub(super) fn initial(plan: &Plan, rehearsal: bool) -> Result<ControlPlane, ChangeError> {
    let mut control = ControlPlane::new(plan.topology.clone())?;
    control.apply(&chosen(&plan.initial, rehearsal))?;
    Ok(control)
}

/// The states of a plan's steps, in their order.
pub(super) fn states(plan: &Plan) -> Result<Vec<State>, ChangeError> {
    let mut whole = initial(plan, false)?;
    let mut bare = initial(plan, true)?;
    let mut states = Vec::new();
    for step in &plan.steps {
        for changes in &step.change_sets {
            whole.apply(changes)?;
            let changes = chosen(changes, true);
            if !changes.is_empty() {
                bare.apply(&changes)?;
            }
        }
        states.push(State { snapshot: whole.snapshot(), bare: bare.snapshot() });
    }
    Ok(states)
}

/// The changes, with or without those of policy objects.
pub(super) fn chosen(changes: &[Change], rehearsal: bool) -> Vec<Change> {
    changes.iter().filter(|change| !(rehearsal && is_policy(change))).cloned().collect()
}

/// The objects of a state, but those of policy: what it is like in the rehearsal.
pub(crate) fn without_policies(snapshot: &Snapshot) -> Snapshot {
    Snapshot { network_policies: BTreeMap::new(), ..snapshot.clone() }
}

/// Whether the objects are the same, however often they were changed.
pub(super) fn same_objects(a: &Snapshot, b: &Snapshot) -> bool {
    a.pods == b.pods
        && a.services == b.services
        && a.endpoint_slices == b.endpoint_slices
        && a.network_policies == b.network_policies
        && a.namespaces == b.namespaces
        && a.externals == b.externals
        && a.listens == b.listens
        && a.nodes == b.nodes
        && a.topology == b.topology
}
