//! What the cluster's DNS knows at one generation.
//!
//! Services as the Kubernetes DNS specification has them (dns/specification.md of kubernetes/dns):
//! `NAME.NAMESPACE.svc.cluster.local` is the cluster IPs, or the ready endpoints of a headless service,
//! which does not exist without any. External hosts have the names that the topology gives them.

use netproof_controlplane::{SERVICE_NAME_LABEL, Snapshot};
use netproof_model::{Family, NamespacedName};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

/// The cluster's domain.
pub(super) const DOMAIN: &str = "cluster.local";

/// Addresses by name, in lower case and without a final dot.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Records {
    addresses: BTreeMap<String, Vec<IpAddr>>,
    /// Names that have names below them. They exist, though they have no records.
    inner: BTreeSet<String>,
}

impl Records {
    pub fn new(snapshot: &Snapshot) -> Self {
        let mut records = Records::default();
        for (NamespacedName { namespace, name }, service) in &snapshot.services {
            let full = format!("{name}.{namespace}.svc.{DOMAIN}");
            if service.headless {
                records.add(&full, ready_endpoints(snapshot, namespace, name));
            } else {
                records.add(&full, service.cluster_ips.iter().copied());
            }
        }
        let families = snapshot.topology.family;
        for host in snapshot.externals.values() {
            let addresses =
                || host.addresses.iter().copied().filter(|address| families.contains(Family::of(*address)));
            for name in &host.dns {
                records.add(name, addresses());
            }
        }
        records.inner.insert(DOMAIN.into());
        records
    }

    /// The addresses of a name, empty if it exists and has none; `None` if it does not exist.
    pub fn find(&self, name: &str) -> Option<&[IpAddr]> {
        let name = canonical(name);
        match self.addresses.get(&name) {
            Some(addresses) => Some(addresses),
            None if self.inner.contains(&name) => Some(&[]),
            None => None,
        }
    }

    fn add(&mut self, name: &str, addresses: impl IntoIterator<Item = IpAddr>) {
        let name = canonical(name);
        let addresses: Vec<IpAddr> = addresses.into_iter().collect();
        if addresses.is_empty() {
            return;
        }
        let mut rest = name.as_str();
        while let Some((_, parent)) = rest.split_once('.') {
            self.inner.insert(parent.into());
            rest = parent;
        }
        let known = self.addresses.entry(name).or_default();
        known.extend(addresses);
        known.sort();
        known.dedup();
    }
}

fn canonical(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}

fn ready_endpoints(snapshot: &Snapshot, namespace: &str, service: &str) -> Vec<IpAddr> {
    let slices = snapshot.endpoint_slices.iter().filter(|(name, slice)| {
        name.namespace == namespace
            && slice.metadata.labels.get(SERVICE_NAME_LABEL).is_some_and(|of| of == service)
    });
    let endpoints = slices.flat_map(|(_, slice)| &slice.endpoints);
    endpoints.filter(|endpoint| endpoint.ready).flat_map(|endpoint| endpoint.addresses.clone()).collect()
}
