//! The address families of services, and their cluster IPs.

use crate::addresses::{Ledger, Pool, address, given_addresses, last_host, number};
use crate::change::ChangeError;
use netproof_api::Service;
use netproof_api::core::{AddressType, IpFamilyPolicy, ServiceType};
use netproof_model::topology::PerFamily;
use netproof_model::{Families, Family, NamespacedName, Topology};
use std::net::IpAddr;
use std::sync::Arc;

/// Which service has which cluster IP.
#[derive(Clone, Debug)]
pub(crate) struct ClusterIps {
    topology: Arc<Topology>,
    taken: PerFamily<Ledger>,
    free: PerFamily<Pool>,
}

impl ClusterIps {
    /// All are free.
    pub(crate) fn new(topology: &Arc<Topology>) -> Self {
        let free = PerFamily { ipv4: pool(topology, Family::Ipv4), ipv6: pool(topology, Family::Ipv6) };
        ClusterIps { topology: Arc::clone(topology), taken: PerFamily::default(), free }
    }

    /// Frees those of a service that goes.
    pub(crate) fn release(&mut self, name: &NamespacedName, service: &Service) {
        self.release_all(name, &service.cluster_ips);
    }

    fn release_all(&mut self, name: &NamespacedName, addresses: &[IpAddr]) {
        for address in addresses {
            self.taken.get_mut(Family::of(*address)).release(number(*address), name);
        }
    }

    /// Fills in the families and the cluster IPs: those that the service has, those that are given, or
    /// the next free ones, one of each family.
    pub(crate) fn assign(
        &mut self,
        name: &NamespacedName,
        service: &mut Service,
        previous: Option<&Service>,
    ) -> Result<(), ChangeError> {
        let families = families(name, service, previous, self.topology.family)?;
        service.ip_families = families.iter().map(|family| address_type(*family)).collect();
        let addresses = match is_in_cluster(service) {
            true => self.addresses(name, service, previous, &families)?,
            false => no_cluster_ips(name, service, "is of type ExternalName")?,
        };
        let had = previous.map(|old| old.cluster_ips.as_slice()).unwrap_or_default();
        let gone: Vec<IpAddr> = had.iter().filter(|address| !addresses.contains(address)).copied().collect();
        self.release_all(name, &gone);
        service.cluster_ips = addresses;
        Ok(())
    }

    fn addresses(
        &mut self,
        name: &NamespacedName,
        service: &Service,
        previous: Option<&Service>,
        families: &[Family],
    ) -> Result<Vec<IpAddr>, ChangeError> {
        let headless = |service: &Service| if service.headless { "None" } else { "an address" };
        if let Some(previous) = previous
            && is_in_cluster(previous)
            && previous.headless != service.headless
        {
            return Err(immutable(name, "cluster IP", headless(previous), headless(service)));
        }
        if service.headless {
            return no_cluster_ips(name, service, "is headless");
        }
        let topology = Arc::clone(&self.topology);
        let given = given_addresses(&format!("service/{name}"), &service.cluster_ips, &topology)?;
        let left_over = |family: &&Family| !families.contains(family);
        if let Some(address) = topology.family.list().iter().filter(left_over).find_map(|f| *given.get(*f)) {
            return Err(ChangeError::new(
                format!("service/{name} has the cluster IP {address}, and not its family"),
                "add the family to `ipFamilies`, or leave the address out",
            ));
        }
        let mut addresses = Vec::new();
        for family in families {
            let current = previous
                .and_then(|old| old.cluster_ips.iter().copied().find(|ip| Family::of(*ip) == *family));
            addresses.push(match (current, *given.get(*family)) {
                (Some(current), Some(given)) if current != given => {
                    return Err(immutable(name, "cluster IP", &current.to_string(), &given.to_string()));
                }
                (Some(current), _) => current,
                (None, Some(given)) => self.claim(name, given)?,
                (None, None) => self.next(name, *family)?,
            });
        }
        Ok(addresses)
    }

    fn next(&mut self, name: &NamespacedName, family: Family) -> Result<IpAddr, ChangeError> {
        let taken = self.free.get_mut(family).take(self.taken.get_mut(family), name);
        taken.map(|number| address(family, number)).ok_or_else(|| {
            ChangeError::new(
                format!("no {family} cluster IP is left for service/{name}"),
                "use a topology with a larger range of services",
            )
        })
    }

    fn claim(&mut self, name: &NamespacedName, given: IpAddr) -> Result<IpAddr, ChangeError> {
        let family = Family::of(given);
        let range = *self.topology.ranges.services.get(family);
        let host = number(range.network()) < number(given) && number(given) <= last_host(range);
        if !range.contains(&given) || !host {
            return Err(ChangeError::new(
                format!(
                    "the cluster IP {given} of service/{name} is not an address of the range of services, {range}"
                ),
                "give it an address of that range, or none",
            ));
        }
        let ledger = self.taken.get_mut(family);
        if let Some(owner) = ledger.owner(number(given)) {
            return Err(ChangeError::new(
                format!("{given} is the cluster IP of service/{owner}; service/{name} cannot have it too"),
                format!("delete service/{owner} first, or give another address, or none"),
            ));
        }
        ledger.claim(number(given), name);
        Ok(given)
    }
}

/// The first addresses of the range are left to services that ask for theirs, as the API server does:
/// a sixteenth of the range, at least 16 and at most 256.
fn pool(topology: &Topology, family: Family) -> Pool {
    let range = *topology.ranges.services.get(family);
    if !topology.family.contains(family) {
        return Pool::empty();
    }
    let first = number(range.network());
    let size = number(range.broadcast()) - first;
    Pool::from_offset(range, (size / 16).clamp(16, 256))
}

/// Whether a service of this type has cluster IPs, or could.
fn is_in_cluster(service: &Service) -> bool {
    service.service_type != ServiceType::ExternalName
}

/// The families of a service, the primary one first: those that it asks for and the topology has.
///
/// Where the service does not say how many it wants, it gets all of the topology's, so that one scenario
/// can be played in every family; the API server would give it the first.
fn families(
    name: &NamespacedName,
    service: &Service,
    previous: Option<&Service>,
    topology: Families,
) -> Result<Vec<Family>, ChangeError> {
    if !is_in_cluster(service) {
        return Ok(Vec::new());
    }
    let policy = service.ip_family_policy;
    if policy == Some(IpFamilyPolicy::RequireDualStack) && topology != Families::Dual {
        return Err(ChangeError::new(
            format!("service/{name} requires both families, and the topology has {topology} only"),
            "write `ipFamilyPolicy: PreferDualStack`, or use a topology of the family dual",
        ));
    }
    let asked = asked_families(service, previous);
    let mut families: Vec<Family> =
        asked.iter().copied().filter(|family| topology.contains(*family)).collect();
    if let (true, Some(first)) = (families.is_empty(), asked.first()) {
        return Err(ChangeError::new(
            format!("service/{name} asks for {first}, and the topology has {topology} only"),
            "leave `ipFamilies` and the cluster IP out, or use a topology of the family dual",
        ));
    }
    // Families that are listed are all that there are, unless both are preferred.
    let listed = policy.is_none() && !service.ip_families.is_empty();
    if !listed {
        families.extend(topology.list().iter().filter(|family| !asked.contains(family)));
    }
    if policy == Some(IpFamilyPolicy::SingleStack) {
        families.truncate(1);
    }
    let before = previous.and_then(|old| old.ip_families.first());
    let after = families.first().map(|family| address_type(*family));
    match (before, after) {
        (Some(before), Some(after)) if *before != after => {
            Err(immutable(name, "first family", &format!("{before:?}"), &format!("{after:?}")))
        }
        _ => Ok(families),
    }
}

/// The families that a service names, in its order: in `ipFamilies`, else by its cluster IPs, else those
/// that it has.
fn asked_families(service: &Service, previous: Option<&Service>) -> Vec<Family> {
    let written = &service.ip_families;
    if written.is_empty() && !service.cluster_ips.is_empty() {
        return service.cluster_ips.iter().map(|address| Family::of(*address)).collect();
    }
    let had = previous.map(|old| old.ip_families.as_slice()).unwrap_or_default();
    let families = if written.is_empty() { had } else { written };
    families.iter().map(|family| family_of(*family)).collect()
}

pub(crate) fn family_of(address_type: AddressType) -> Family {
    match address_type {
        AddressType::IPv4 => Family::Ipv4,
        AddressType::IPv6 => Family::Ipv6,
    }
}

pub(crate) fn address_type(family: Family) -> AddressType {
    match family {
        Family::Ipv4 => AddressType::IPv4,
        Family::Ipv6 => AddressType::IPv6,
    }
}

/// No cluster IPs, for a service that is given none; `why` it has none.
fn no_cluster_ips(name: &NamespacedName, service: &Service, why: &str) -> Result<Vec<IpAddr>, ChangeError> {
    match service.cluster_ips.first() {
        None => Ok(Vec::new()),
        Some(given) => Err(ChangeError::new(
            format!("service/{name} {why} and has the cluster IP {given}"),
            "leave the cluster IP out",
        )),
    }
}

fn immutable(name: &NamespacedName, what: &str, from: &str, to: &str) -> ChangeError {
    ChangeError::new(
        format!("the {what} of service/{name} cannot change from {from} to {to}"),
        "delete the service first, then apply it",
    )
}
