//! The services of a snapshot, each with its EndpointSlices, kept from one snapshot to the next: what
//! changed is found by the identity of the objects, which a snapshot shares with the one before.

use super::program::Inputs;
use crate::differing::{Difference, differing};
use netproof_api::{EndpointSlice, Service};
use netproof_controlplane::{SERVICE_NAME_LABEL, Snapshot};
use netproof_model::NamespacedName;
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

    fn replace(&mut self, slice: &Difference<'_, NamespacedName, Arc<EndpointSlice>>) {
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
