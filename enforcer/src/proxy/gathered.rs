//! The services of a snapshot, each with its EndpointSlices, kept from one snapshot to the next: what
//! changed is found by the identity of the objects, which a snapshot shares with the one before.

use super::program::Inputs;
use netproof_api::{EndpointSlice, Service};
use netproof_controlplane::{SERVICE_NAME_LABEL, Snapshot};
use netproof_model::NamespacedName;
use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// A service that came, went or changed.
pub(super) struct Change {
    pub(super) name: NamespacedName,
    pub(super) before: Option<Inputs>,
    pub(super) after: Option<Inputs>,
}

/// A snapshot's services and slices.
pub(super) struct Gathered {
    snapshot: Arc<Snapshot>,
    slices: Slices,
}

/// Slices by the service that they are labelled with, whether it is there or not.
type Slices = BTreeMap<NamespacedName, BTreeMap<NamespacedName, Arc<EndpointSlice>>>;

/// Every service with an address of its own.
pub fn inputs(snapshot: &Snapshot) -> BTreeMap<NamespacedName, Inputs> {
    all(snapshot, &slices(snapshot))
}

fn slices(snapshot: &Snapshot) -> Slices {
    let mut slices = Slices::new();
    for (name, slice) in &snapshot.endpoint_slices {
        if let Some(service) = service_of(name, slice) {
            slices.entry(service).or_default().insert(name.clone(), Arc::clone(slice));
        }
    }
    slices
}

fn all(snapshot: &Snapshot, slices: &Slices) -> BTreeMap<NamespacedName, Inputs> {
    let own = snapshot.services.iter().filter(|(_, service)| !service.headless);
    own.map(|(name, service)| (name.clone(), together(service, slices.get(name)))).collect()
}

fn together(service: &Arc<Service>, slices: Option<&BTreeMap<NamespacedName, Arc<EndpointSlice>>>) -> Inputs {
    let slices = slices.into_iter().flat_map(BTreeMap::values).cloned();
    Inputs { service: Arc::clone(service), slices: slices.collect() }
}

impl Gathered {
    pub(super) fn new(snapshot: Arc<Snapshot>) -> Gathered {
        let slices = slices(&snapshot);
        Gathered { snapshot, slices }
    }

    pub(super) fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// A service, if it has an address of its own.
    pub(super) fn inputs(&self, name: &NamespacedName) -> Option<Inputs> {
        let service = self.snapshot.services.get(name).filter(|service| !service.headless)?;
        Some(together(service, self.slices.get(name)))
    }

    /// Every service with an address of its own.
    pub(super) fn all(&self) -> BTreeMap<NamespacedName, Inputs> {
        all(&self.snapshot, &self.slices)
    }

    /// Goes on to another snapshot; gives the services that are not the same there.
    pub(super) fn advance(&mut self, snapshot: &Arc<Snapshot>) -> Vec<Change> {
        let held = Arc::clone(&self.snapshot);
        let slices = differing(&held.endpoint_slices, &snapshot.endpoint_slices);
        let services = differing(&held.services, &snapshot.services);
        let mut names: BTreeSet<NamespacedName> = services.iter().map(|it| it.name.clone()).collect();
        for slice in &slices {
            let objects = [slice.before, slice.after].into_iter().flatten();
            names.extend(objects.filter_map(|object| service_of(slice.name, object)));
        }
        let before: Vec<_> = names.iter().map(|name| self.inputs(name)).collect();
        for slice in &slices {
            self.replace(slice);
        }
        self.snapshot = Arc::clone(snapshot);
        let both = names.into_iter().zip(before);
        let changes = both.map(|(name, before)| Change { after: self.inputs(&name), name, before });
        changes.filter(|change| change.before.is_some() || change.after.is_some()).collect()
    }

    fn replace(&mut self, slice: &Difference<'_, EndpointSlice>) {
        if let Some(service) = slice.before.and_then(|before| service_of(slice.name, before))
            && let Some(slices) = self.slices.get_mut(&service)
        {
            slices.remove(slice.name);
            if slices.is_empty() {
                self.slices.remove(&service);
            }
        }
        if let Some(after) = slice.after
            && let Some(service) = service_of(slice.name, after)
        {
            self.slices.entry(service).or_default().insert(slice.name.clone(), Arc::clone(after));
        }
    }
}

/// The service that a slice is labelled with.
fn service_of(name: &NamespacedName, slice: &EndpointSlice) -> Option<NamespacedName> {
    let service = slice.metadata.labels.get(SERVICE_NAME_LABEL)?;
    Some(NamespacedName { namespace: name.namespace.clone(), name: service.clone() })
}

/// An object that is not the same in two snapshots.
struct Difference<'a, T> {
    name: &'a NamespacedName,
    before: Option<&'a Arc<T>>,
    after: Option<&'a Arc<T>>,
}

/// Walks both side by side. Most objects are the same, and then their names are not looked at.
fn differing<'a, T>(
    before: &'a BTreeMap<NamespacedName, Arc<T>>,
    after: &'a BTreeMap<NamespacedName, Arc<T>>,
) -> Vec<Difference<'a, T>> {
    let (mut before, mut after) = (before.iter().peekable(), after.iter().peekable());
    let mut differing = Vec::new();
    loop {
        let order = match (before.peek(), after.peek()) {
            (Some((_, old)), Some((_, new))) if Arc::ptr_eq(old, new) => {
                before.next();
                after.next();
                continue;
            }
            (Some((old, _)), Some((new, _))) => old.cmp(new),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return differing,
        };
        let old = if order.is_le() { before.next() } else { None };
        let new = if order.is_ge() { after.next() } else { None };
        let Some((name, _)) = old.or(new) else { continue };
        let object = |entry: Option<(_, &'a Arc<T>)>| entry.map(|(_, object)| object);
        differing.push(Difference { name, before: object(old), after: object(new) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Objects of two snapshots: the same object, another one, in one snapshot only, or in none.
        #[test]
        fn what_differs_is_what_is_not_the_same_object(states in proptest::collection::vec(0..5, 0..12)) {
            let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
            let mut expected = Vec::new();
            for (number, state) in states.into_iter().enumerate() {
                let name = NamespacedName::new("default", format!("object-{number:02}"));
                let [old, new] = [Arc::new(number), Arc::new(number)];
                let (old, new) = match state {
                    0 => (Some(Arc::clone(&old)), Some(old)),
                    1 => (Some(old), Some(new)),
                    2 => (Some(old), None),
                    3 => (None, Some(new)),
                    _ => (None, None),
                };
                before.extend(old.clone().map(|old| (name.clone(), old)));
                after.extend(new.clone().map(|new| (name.clone(), new)));
                if matches!(state, 1..=3) {
                    expected.push((name, old.is_some(), new.is_some()));
                }
            }
            let got: Vec<_> = differing(&before, &after)
                .into_iter()
                .map(|it| (it.name.clone(), it.before.is_some(), it.after.is_some()))
                .collect();
            prop_assert_eq!(got, expected);
        }
    }
}
