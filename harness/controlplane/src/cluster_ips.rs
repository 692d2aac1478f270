//! The address families of services, and their cluster IPs.

use crate::addresses::{address, last_host, number};
use crate::change::ChangeError;
use crate::control_plane::{Draft, given_addresses};
use crate::services::is_in_cluster;
use netproof_api::Service;
use netproof_api::core::{AddressType, IpFamilyPolicy};
use netproof_model::{Families, Family, NamespacedName};
use std::net::IpAddr;

impl Draft {
    /// Fills in the families and the cluster IPs: those that the service has, those that are given, or
    /// the next free ones, one of each family.
    pub(crate) fn assign_cluster_ips(
        &mut self,
        name: &NamespacedName,
        service: &mut Service,
        previous: Option<&Service>,
    ) -> Result<(), ChangeError> {
        let families = families(name, service, previous, self.snapshot.topology.family)?;
        service.ip_families = families.iter().map(|family| address_type(*family)).collect();
        let addresses = match is_in_cluster(service) {
            true => self.cluster_ips(name, service, previous, &families)?,
            false => no_cluster_ips(name, service, "is of type ExternalName")?,
        };
        for address in previous.map(|old| old.cluster_ips.as_slice()).unwrap_or_default() {
            if !addresses.contains(address) {
                self.books.cluster_ips.get_mut(Family::of(*address)).release(number(*address), name);
            }
        }
        service.cluster_ips = addresses;
        Ok(())
    }

    fn cluster_ips(
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
        let topology = self.snapshot.topology.clone();
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
                (None, Some(given)) => self.claim_cluster_ip(name, given)?,
                (None, None) => self.next_cluster_ip(name, *family)?,
            });
        }
        Ok(addresses)
    }

    fn next_cluster_ip(&mut self, name: &NamespacedName, family: Family) -> Result<IpAddr, ChangeError> {
        let ledger = self.books.cluster_ips.get_mut(family);
        let taken = self.books.cluster_ip_pools.get_mut(family).take(ledger, name);
        taken.map(|number| address(family, number)).ok_or_else(|| {
            ChangeError::new(
                format!("no {family} cluster IP is left for service/{name}"),
                "use a topology with a larger range of services",
            )
        })
    }

    fn claim_cluster_ip(&mut self, name: &NamespacedName, given: IpAddr) -> Result<IpAddr, ChangeError> {
        let family = Family::of(given);
        let range = *self.snapshot.topology.ranges.services.get(family);
        let host = number(range.network()) < number(given) && number(given) <= last_host(range);
        if !range.contains(&given) || !host {
            return Err(ChangeError::new(
                format!(
                    "the cluster IP {given} of service/{name} is not an address of the range of services, {range}"
                ),
                "give it an address of that range, or none",
            ));
        }
        let ledger = self.books.cluster_ips.get_mut(family);
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
