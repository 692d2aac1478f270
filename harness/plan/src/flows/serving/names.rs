//! What the cluster's DNS knows: the names of services, of pods below them, of external hosts, and aliases.

use super::{endpoints, own_ports, place, place_of_endpoint, service, slices};
use crate::flows::{Port, ResolvedDestination};
use netproof_api::Service;
use netproof_controlplane::Snapshot;
use netproof_model::{NamespacedName, Place, Protocol};
use std::collections::HashMap;

/// What has a name in the cluster's DNS, asked for with a search list.
pub fn name(snapshot: &Snapshot, name: &str, search: &[String]) -> Option<ResolvedDestination> {
    if let Some(absolute) = name.strip_suffix('.') {
        return absolute_name(snapshot, absolute, MOST_ALIASES);
    }
    search
        .iter()
        .find_map(|suffix| absolute_name(snapshot, &format!("{name}.{suffix}"), MOST_ALIASES))
        .or_else(|| absolute_name(snapshot, name, MOST_ALIASES))
}

/// How many aliases (`externalName`) a name may go through.
const MOST_ALIASES: usize = 8;

const SERVICE_DOMAIN: &str = ".svc.cluster.local";

/// A name as such; so many aliases may lead to it.
fn absolute_name(snapshot: &Snapshot, name: &str, aliases: usize) -> Option<ResolvedDestination> {
    if let Some(in_cluster) = name.strip_suffix(SERVICE_DOMAIN) {
        let (rest, namespace) = in_cluster.rsplit_once('.')?;
        let (hostname, service_name) = match rest.split_once('.') {
            Some((hostname, service)) => (Some(hostname), service),
            None => (None, rest),
        };
        let found = snapshot.services.get(&NamespacedName::new(namespace, service_name))?;
        return match (&found.external_name, hostname) {
            (None, _) if found.headless => headless(snapshot, found, hostname),
            (None, None) => Some(service(snapshot, found)),
            // An alias of an alias goes round in circles at worst.
            (Some(alias), None) if aliases > 0 => {
                absolute_name(snapshot, alias.trim_end_matches('.'), aliases - 1)
            }
            _ => None,
        };
    }
    let external = snapshot.externals.values().find(|host| host.dns.iter().any(|own| own == name))?;
    Some(place(snapshot, &Place::External(external.name.clone())))
}

/// The names that the cluster's DNS knows, services as `NAME.NAMESPACE`, pods below one as `HOSTNAME.NAME.NAMESPACE`.
pub fn names(snapshot: &Snapshot) -> Vec<String> {
    let services = snapshot.services.iter().flat_map(|(name, service)| {
        let full = format!("{}.{}", name.name, name.namespace);
        let below = format!(".{full}");
        let endpoints =
            slices(snapshot, service).flat_map(|slice| &slice.endpoints).filter(|_| service.headless);
        let hosts =
            endpoints.filter_map(move |endpoint| Some(format!("{}{below}", endpoint.hostname.as_ref()?)));
        std::iter::once(full).chain(hosts)
    });
    let externals = snapshot.externals.values().flat_map(|host| host.dns.iter().cloned());
    services.chain(externals).collect()
}

/// A headless service at the addresses of its ready endpoints and at its ports, or at every port that they have if it
/// has none; or those of its endpoints that have a host name, at every port. Only the service's ports have names.
/// `None` where DNS has no record.
fn headless(snapshot: &Snapshot, service: &Service, hostname: Option<&str>) -> Option<ResolvedDestination> {
    let mut addresses = Vec::new();
    let mut backends: Vec<Place> = Vec::new();
    for slice in slices(snapshot, service) {
        let ready = slice.endpoints.iter().filter(|endpoint| endpoint.ready);
        for endpoint in ready.filter(|it| hostname.is_none_or(|name| it.hostname.as_deref() == Some(name))) {
            addresses.extend(endpoint.addresses.iter().copied());
            let place = place_of_endpoint(snapshot, slice, endpoint);
            backends.extend(place.filter(|place| !backends.contains(place)));
        }
    }
    if hostname.is_some() && addresses.is_empty() {
        return None;
    }
    let mut ports: Vec<Port> = Vec::new();
    for backend in &backends {
        for own in own_ports(snapshot, backend) {
            let same = |known: &&mut Port| (known.number, known.protocol) == (own.number, own.protocol);
            match ports.iter_mut().find(same) {
                Some(known) => known.backends.push(backend.clone()),
                None => ports.push(Port { backends: vec![backend.clone()], name: None, ..own }),
            }
        }
    }
    // The service's own come first.
    let mut rank: HashMap<(u16, Protocol), usize> = HashMap::new();
    for (index, port) in service.ports.iter().enumerate() {
        let numbers = endpoints(snapshot, service, port).into_iter().map(|(_, number)| number);
        for number in numbers {
            let key = (number, Protocol::from(port.protocol));
            rank.entry(key).or_insert(index);
            if let Some(known) = ports.iter_mut().find(|known| (known.number, known.protocol) == key) {
                known.name = known.name.take().or(port.name.clone());
            }
        }
    }
    if hostname.is_none() && !service.ports.is_empty() {
        ports.retain(|port| rank.contains_key(&(port.number, port.protocol)));
    }
    ports.sort_by_key(|port| rank.get(&(port.number, port.protocol)).copied().unwrap_or(usize::MAX));
    Some(ResolvedDestination { addresses, ports, answers_echo: true })
}
