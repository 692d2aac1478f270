//! The endpoints of services, and the policies whose rules name a service.
//!
//! Calico matches by the EndpointSlices: endpoints that are not ready and addresses outside the cluster are among them,
//! and whether there is a Service does not matter (`felix/calc`, `libcalico-go/lib/backend/k8s`).

use netproof_api::EndpointSlice;
use netproof_controlplane::SERVICE_NAME_LABEL;
use netproof_model::{NamespacedName, PolicyKey, Protocol};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// Services that have a slice, or a policy that names them.
#[derive(Debug, Default)]
pub(in crate::program) struct Services(BTreeMap<NamespacedName, OfService>);

#[derive(Debug, Default)]
struct OfService {
    slices: BTreeMap<NamespacedName, Arc<EndpointSlice>>,
    users: BTreeSet<PolicyKey>,
}

impl Services {
    /// Follows a slice. The policies that name its service, as it was and as it is.
    pub(in crate::program) fn slice_changed(
        &mut self,
        name: &NamespacedName,
        before: Option<&Arc<EndpointSlice>>,
        after: Option<&Arc<EndpointSlice>>,
    ) -> BTreeSet<PolicyKey> {
        let mut users = BTreeSet::new();
        if let Some(service) = before.and_then(|slice| service_of(slice, name)) {
            users.extend(self.change(service, |own| drop(own.slices.remove(name))));
        }
        if let Some((slice, service)) = after.and_then(|slice| Some((slice, service_of(slice, name)?))) {
            users
                .extend(self.change(service, |own| drop(own.slices.insert(name.clone(), Arc::clone(slice)))));
        }
        users
    }

    /// A policy names a service.
    pub(in crate::program) fn name(&mut self, service: &NamespacedName, user: &PolicyKey) {
        self.change(service.clone(), |own| {
            own.users.insert(user.clone());
        });
    }

    /// A policy names it no more.
    pub(in crate::program) fn release(&mut self, service: &NamespacedName, user: &PolicyKey) {
        self.change(service.clone(), |own| {
            own.users.remove(user);
        });
    }

    /// The addresses of a service's endpoints, each with every port of its slice.
    pub(in crate::program) fn ports<'i>(
        &'i self,
        service: &NamespacedName,
    ) -> impl Iterator<Item = (IpAddr, Protocol, u16)> + use<'i> {
        self.slices(service).flat_map(|slice| {
            let ports = slice.ports.iter().map(|port| (port.protocol.into(), port.port));
            ports.flat_map(|(protocol, port)| addresses_of(slice).map(move |it| (it, protocol, port)))
        })
    }

    /// The addresses of a service's endpoints.
    pub(in crate::program) fn addresses<'i>(
        &'i self,
        service: &NamespacedName,
    ) -> impl Iterator<Item = IpAddr> + use<'i> {
        self.slices(service).flat_map(addresses_of)
    }

    fn slices<'i>(&'i self, service: &NamespacedName) -> impl Iterator<Item = &'i EndpointSlice> + use<'i> {
        self.0.get(service).into_iter().flat_map(|own| own.slices.values().map(Arc::as_ref))
    }

    /// Changes what is known of a service; the policies that name it.
    fn change(
        &mut self,
        service: NamespacedName,
        change: impl FnOnce(&mut OfService),
    ) -> BTreeSet<PolicyKey> {
        let own = self.0.entry(service.clone()).or_default();
        change(own);
        let users = own.users.clone();
        if own.slices.is_empty() && users.is_empty() {
            self.0.remove(&service);
        }
        users
    }
}

fn service_of(slice: &EndpointSlice, name: &NamespacedName) -> Option<NamespacedName> {
    let service = slice.metadata.labels.get(SERVICE_NAME_LABEL)?;
    Some(NamespacedName::new(name.namespace.as_str(), service.as_str()))
}

fn addresses_of(slice: &EndpointSlice) -> impl Iterator<Item = IpAddr> {
    slice.endpoints.iter().flat_map(|endpoint| &endpoint.addresses).copied()
}
