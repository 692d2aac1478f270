//! The objects of every step, with and without those of policy, before anything is built.

use crate::plan::Plan;
use netproof_api::suggest::did_you_mean;
use netproof_controlplane::{Change, ChangeError, ControlPlane, ObjectRef, Snapshot};
use std::sync::Arc;
use thiserror::Error;

/// The objects after the changes of a step.
#[derive(Clone, Debug)]
pub struct State {
    /// All of them.
    pub snapshot: Arc<Snapshot>,
    /// Those of the rehearsal: none of policy.
    pub bare: Arc<Snapshot>,
}

/// The objects before the first step, with or without those of policy.
pub fn initial(plan: &Plan, rehearsal: bool) -> Result<ControlPlane, ChangeError> {
    let mut control = ControlPlane::new(plan.topology.clone())?;
    control.apply(&chosen(&plan.initial, rehearsal))?;
    Ok(control)
}

/// No step has that name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("there is no step `{name}` in {scenario}\nhelp: {help}")]
pub struct UnknownStep {
    /// The name.
    pub name: String,
    /// The scenario run.
    pub scenario: String,
    /// Those that there are.
    pub help: String,
}

/// The position of a step.
///
/// # Errors
/// No step has that name.
pub fn find_step(plan: &Plan, name: &str) -> Result<usize, UnknownStep> {
    plan.steps.iter().position(|step| step.name == name).ok_or_else(|| {
        let names: Vec<&str> = plan.steps.iter().map(|step| step.name.as_str()).collect();
        let help = match did_you_mean(name, names.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("its steps are: {}", names.join(", ")),
        };
        UnknownStep { name: name.to_owned(), scenario: plan.id.to_string(), help }
    })
}

/// The control plane after so many steps.
///
/// # Errors
/// A change is refused. A plan was made with the same changes, so that is a bug of netproof's.
pub fn control_after(plan: &Plan, steps: usize) -> Result<ControlPlane, ChangeError> {
    let mut control = initial(plan, false)?;
    for changes in plan.steps.iter().take(steps).flat_map(|step| &step.change_sets) {
        control.apply(changes)?;
    }
    Ok(control)
}

/// The states of a plan's steps, in their order.
pub fn states(plan: &Plan) -> Result<Vec<State>, ChangeError> {
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
pub fn chosen(changes: &[Change], rehearsal: bool) -> Vec<Change> {
    changes.iter().filter(|change| !(rehearsal && change.is_policy())).cloned().collect()
}

/// The objects of a state, but those of policy: what it is like in the rehearsal.
pub fn without_policies(snapshot: &Snapshot) -> Snapshot {
    let mut bare = snapshot.clone();
    take_policies(&mut bare);
    bare
}

/// References to every policy object of a snapshot.
pub fn policies(snapshot: &Snapshot) -> Vec<ObjectRef> {
    take_policies(&mut snapshot.clone())
}

/// How many network stacks a cluster with these objects has, the router's among them.
pub fn count_places(snapshot: &Snapshot) -> usize {
    let pods = snapshot.pods.values().filter(|pod| !pod.host_network && !pod.phase.has_ended());
    pods.count() + snapshot.nodes.len() + snapshot.externals.len() + 1
}

/// Takes the policies out of a snapshot. Field by field, so that what is policy in a new one has to be thought of here.
fn take_policies(snapshot: &mut Snapshot) -> Vec<ObjectRef> {
    let Snapshot {
        generation: _,
        topology: _,
        namespaces: _,
        nodes: _,
        pods: _,
        services: _,
        endpoint_slices: _,
        policies,
        externals: _,
        listens: _,
    } = snapshot;
    std::mem::take(policies).into_keys().map(ObjectRef::from).collect()
}

/// Whether the objects are the same, however often they were changed.
pub fn same_objects(a: &Snapshot, b: &Snapshot) -> bool {
    // Field by field, so that a new one has to be thought of here.
    let Snapshot {
        generation: _,
        topology,
        namespaces,
        nodes,
        pods,
        services,
        endpoint_slices,
        policies,
        externals,
        listens,
    } = a;
    *pods == b.pods
        && *services == b.services
        && *endpoint_slices == b.endpoint_slices
        && *policies == b.policies
        && *namespaces == b.namespaces
        && *externals == b.externals
        && *listens == b.listens
        && *nodes == b.nodes
        && *topology == b.topology
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::snapshot;
    use netproof_model::NamespacedName;
    use netproof_model::Wiring;
    use netproof_model::topology::ExternalHost;

    /// A change of any field but the number of changes makes other objects.
    #[test]
    fn objects_are_the_same_only_if_every_field_is() {
        let mut control = ControlPlane::new(snapshot().topology.clone()).unwrap();
        let policy = "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: a}, \
                      spec: {podSelector: {}}}";
        let read = netproof_api::manifest::read_manifests(
            &netproof_api::Source::new("objects", policy),
            &netproof_api::manifest::Context::default(),
        );
        let policy = Change::Apply(read.unwrap().objects.remove(0).object);
        let one = (*control.apply(&[policy]).unwrap()).clone();
        assert_eq!(policies(&one).len(), 1);
        assert!(policies(&without_policies(&one)).is_empty());
        assert!(same_objects(&one, &Snapshot { generation: one.generation + 1, ..one.clone() }));
        let name = NamespacedName::new("default", "a");
        type Edit<'a> = &'a dyn Fn(&mut Snapshot);
        let changes: [Edit<'_>; 9] = [
            &|it| Arc::make_mut(&mut it.topology).wiring = Wiring::Bridge,
            &|it| drop(it.namespaces.pop_first()),
            &|it| drop(it.nodes.pop_first()),
            &|it| drop(it.pods.pop_first()),
            &|it| drop(it.services.pop_first()),
            &|it| drop(it.endpoint_slices.pop_first()),
            &|it| drop(it.policies.pop_first()),
            &|it| drop(it.externals.insert("a".to_owned(), Arc::new(host()))),
            &|it| drop(it.listens.insert(name.clone(), Vec::new())),
        ];
        for (number, change) in changes.iter().enumerate() {
            let mut other = one.clone();
            change(&mut other);
            assert_ne!(other, one, "change {number} changes nothing");
            assert!(!same_objects(&one, &other), "change {number}");
        }
    }

    fn host() -> ExternalHost {
        ExternalHost { name: "a".to_owned(), addresses: Vec::new(), ports: Vec::new(), dns: Vec::new() }
    }
}
