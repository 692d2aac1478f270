//! The services of a snapshot, each with its EndpointSlices, kept from one snapshot to the next: what
//! changed is found by the identity of the objects, which a snapshot shares with the one before.

use crate::differing::{Difference, differing};
use crate::services::{Inputs, Way, ways};
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
    claims: Claims,
}

/// Who would have each way. The first has it.
#[derive(Default)]
struct Claims(BTreeMap<Way, BTreeSet<NamespacedName>>);

impl Claims {
    fn add(&mut self, name: &NamespacedName, service: &Service) {
        for way in ways(service) {
            self.0.entry(way).or_default().insert(name.clone());
        }
    }

    fn remove(&mut self, name: &NamespacedName, service: &Service) {
        for way in ways(service) {
            if let Some(claimants) = self.0.get_mut(&way) {
                claimants.remove(name);
                if claimants.is_empty() {
                    self.0.remove(&way);
                }
            }
        }
    }

    /// The services that would have a way that this one would.
    fn rivals(&self, service: &Service) -> impl Iterator<Item = &NamespacedName> {
        ways(service).into_iter().filter_map(|way| self.0.get(&way)).flatten()
    }

    /// The ways of a service that an earlier one has.
    fn taken(&self, name: &NamespacedName, service: &Service) -> BTreeSet<Way> {
        let owner = |way: &Way| self.0.get(way).and_then(BTreeSet::first);
        ways(service).into_iter().filter(|way| owner(way).is_some_and(|owner| owner != name)).collect()
    }
}

/// Slices by the service that they are labelled with, whether it is there or not.
type Slices = BTreeMap<NamespacedName, BTreeMap<NamespacedName, Arc<EndpointSlice>>>;

/// Every service with an address of its own.
pub fn inputs(snapshot: &Arc<Snapshot>) -> BTreeMap<NamespacedName, Inputs> {
    Gathered::new(Arc::clone(snapshot)).all()
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

impl Gathered {
    pub(super) fn new(snapshot: Arc<Snapshot>) -> Gathered {
        let slices = slices(&snapshot);
        let mut claims = Claims::default();
        for (name, service) in snapshot.services.iter().filter(|(_, service)| !service.headless) {
            claims.add(name, service);
        }
        Gathered { snapshot, slices, claims }
    }

    pub(super) fn snapshot(&self) -> &Arc<Snapshot> {
        &self.snapshot
    }

    /// A service, if it has an address of its own.
    pub(super) fn inputs(&self, name: &NamespacedName) -> Option<Inputs> {
        let service = self.snapshot.services.get(name).filter(|service| !service.headless)?;
        let slices = self.slices.get(name).into_iter().flat_map(BTreeMap::values).cloned().collect();
        Some(Inputs { service: Arc::clone(service), slices, taken: self.claims.taken(name, service) })
    }

    /// Every service with an address of its own.
    pub(super) fn all(&self) -> BTreeMap<NamespacedName, Inputs> {
        let names = self.snapshot.services.keys();
        names.filter_map(|name| Some((name.clone(), self.inputs(name)?))).collect()
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
        // Whoever would have a way of a service that changes may get it, or lose it.
        for service in &services {
            let objects = [service.before, service.after].into_iter().flatten();
            names.extend(objects.flat_map(|object| self.claims.rivals(object)).cloned());
        }
        let before: Vec<_> = names.iter().map(|name| self.inputs(name)).collect();
        for slice in &slices {
            self.replace(slice);
        }
        for service in &services {
            if let Some(before) = service.before.filter(|it| !it.headless) {
                self.claims.remove(service.name, before);
            }
            if let Some(after) = service.after.filter(|it| !it.headless) {
                self.claims.add(service.name, after);
            }
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
