//! The records of the cluster's DNS at one generation.
//!
//! Services follow the Kubernetes DNS specification (dns/specification.md of kubernetes/dns).
//! `NAME.NAMESPACE.svc.cluster.local` has
//!
//! - the cluster IPs of a service that has some;
//! - the ready endpoints of a headless service (all of them if it publishes those that are not ready);
//!   without endpoints the name does not exist. An endpoint with a host name is also at
//!   `HOSTNAME.NAME.NAMESPACE.svc.cluster.local`;
//! - an alias of the external name of a service of type ExternalName.
//!
//! External hosts have the names that the topology gives them.

use netproof_api::EndpointSlice;
use netproof_controlplane::{SERVICE_NAME_LABEL, Snapshot};
use netproof_model::{Family, NamespacedName};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;

/// The cluster's domain.
pub(super) const DOMAIN: &str = "cluster.local";

/// The most aliases that are followed from a name: there may be loops.
const MAX_ALIASES: usize = 8;

/// Addresses by name, in lower case and without a final dot.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Records {
    addresses: BTreeMap<String, Vec<IpAddr>>,
    /// The target of each alias.
    aliases: BTreeMap<String, String>,
    /// Names with names below them: they exist, though they have no records.
    inner: BTreeSet<String>,
}

/// The result of a lookup.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found<'a> {
    /// The chain of aliases, from the first target on.
    pub aliases: Vec<&'a str>,
    /// The addresses of the last alias's target, or of the name itself; empty if it exists and has none,
    /// `None` if it does not exist.
    pub addresses: Option<&'a [IpAddr]>,
}

impl Records {
    pub fn new(snapshot: &Snapshot) -> Self {
        let mut records = Records::default();
        let mut slices: HashMap<(&str, &str), Vec<&EndpointSlice>> = HashMap::new();
        for (NamespacedName { namespace, .. }, slice) in &snapshot.endpoint_slices {
            if let Some(service) = slice.metadata.labels.get(SERVICE_NAME_LABEL) {
                slices.entry((namespace, service)).or_default().push(slice);
            }
        }
        for (NamespacedName { namespace, name }, service) in &snapshot.services {
            let full = format!("{name}.{namespace}.svc.{DOMAIN}");
            if let Some(target) = &service.external_name {
                records.add_alias(&full, target);
            } else if service.headless {
                let slices = slices.get(&(namespace.as_str(), name.as_str())).into_iter().flatten();
                let endpoints = slices.flat_map(|slice| &slice.endpoints);
                for endpoint in endpoints.filter(|it| service.publish_not_ready_addresses || it.ready) {
                    records.add(&full, endpoint.addresses.iter().copied());
                    if let Some(hostname) = &endpoint.hostname {
                        records.add(&format!("{hostname}.{full}"), endpoint.addresses.iter().copied());
                    }
                }
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

    /// Looks a name up.
    pub fn find(&self, name: &str) -> Found<'_> {
        let mut name = canonical(name);
        let mut aliases = Vec::new();
        while let Some(target) = self.aliases.get(&name).filter(|_| aliases.len() < MAX_ALIASES) {
            aliases.push(target.as_str());
            name.clone_from(target);
        }
        let addresses = match self.addresses.get(&name) {
            Some(addresses) => Some(addresses.as_slice()),
            None if self.inner.contains(&name) || self.aliases.contains_key(&name) => Some(&[][..]),
            None => None,
        };
        Found { aliases, addresses }
    }

    fn add(&mut self, name: &str, addresses: impl IntoIterator<Item = IpAddr>) {
        let name = canonical(name);
        let addresses: Vec<IpAddr> = addresses.into_iter().collect();
        if addresses.is_empty() {
            return;
        }
        self.add_parents(&name);
        let known = self.addresses.entry(name).or_default();
        known.extend(addresses);
        known.sort();
        known.dedup();
    }

    fn add_alias(&mut self, name: &str, target: &str) {
        let name = canonical(name);
        self.add_parents(&name);
        self.aliases.insert(name, canonical(target));
    }

    fn add_parents(&mut self, name: &str) {
        let mut rest = name;
        while let Some((_, parent)) = rest.split_once('.') {
            self.inner.insert(parent.into());
            rest = parent;
        }
    }
}

fn canonical(name: &str) -> String {
    name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()
}
