//! Snapshots held against each other.

mod world;

use netproof_controlplane::{ControlPlane, Snapshot};
use netproof_model::{Families, NamespacedName, Wiring};
use std::sync::Arc;
use world::*;

/// A change of any field but the number of changes makes other objects.
#[test]
fn objects_are_the_same_only_if_every_field_is() {
    let mut control = ControlPlane::new(Arc::new(topology(Families::Ipv4))).unwrap();
    let one = (*control.apply(&[policy("a").change()]).unwrap()).clone();
    let bare = one.without_policies();
    assert_eq!((one.policies.len(), bare.policies.len()), (1, 0));
    assert_eq!(Snapshot { policies: one.policies.clone(), ..bare }, one);
    assert_eq!(*control.without_policies().snapshot(), one.without_policies());
    assert!(one.has_same_objects(&Snapshot { generation: one.generation + 1, ..one.clone() }));
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
        &|it| drop(it.externals.pop_first()),
        &|it| drop(it.listens.insert(name.clone(), Vec::new())),
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut other = one.clone();
        change(&mut other);
        assert_ne!(other, one, "change {number} changes nothing");
        assert!(!one.has_same_objects(&other), "change {number}");
    }
}
