//! The addresses that services have outside the cluster: external IPs, and those of a load balancer. Services
//! may share them, also with a node.

use crate::addresses::{Ledger, Pool, address, check_unicast, number};
use crate::change::ChangeError;
use crate::cluster_ips::family_of;
use crate::nodes;
use crate::snapshot::Snapshot;
use netproof_api::Service;
use netproof_api::core::{IpMode, LoadBalancerIngress, ServiceType};
use netproof_model::topology::PerFamily;
use netproof_model::{Family, NamespacedName, Topology};
use std::net::IpAddr;

/// What a load balancer gives services their addresses from: its range without the first address.
fn pool(topology: &Topology, family: Family) -> Pool {
    match &topology.load_balancer {
        Some(balancer) if topology.family.contains(family) => {
            let range = *balancer.range.get(family);
            // A range of a single address consists of it.
            let reserved = u128::from(range.prefix_len() < range.max_prefix_len());
            Pool::from_offset(range, reserved)
        }
        _ => Pool::empty(),
    }
}

/// Which service was given which address of the load balancer. What is checked of an address depends on the rest of the
/// cluster.
#[derive(Clone, Debug)]
pub(crate) struct ExternalAddresses {
    taken: PerFamily<Ledger>,
    free: PerFamily<Pool>,
}

impl ExternalAddresses {
    /// All are free.
    pub(crate) fn new(topology: &Topology) -> Self {
        let free = PerFamily { ipv4: pool(topology, Family::Ipv4), ipv6: pool(topology, Family::Ipv6) };
        ExternalAddresses { taken: PerFamily::default(), free }
    }

    /// Checks the external IPs, and fills in the load balancer's addresses: those that are given, those
    /// that the service has, or the next free ones, at least one of each family that it has. Addresses of
    /// other families are left out: nothing would serve them.
    pub(crate) fn assign(
        &mut self,
        cluster: &Snapshot,
        name: &NamespacedName,
        service: &mut Service,
        previous: Option<&Service>,
    ) -> Result<(), ChangeError> {
        let families: Vec<Family> = service.ip_families.iter().map(|family| family_of(*family)).collect();
        service.external_ips.retain(|address| families.contains(&Family::of(*address)));
        for address in &service.external_ips {
            check_outside(cluster, &format!("the external IP {address} of service/{name}"), *address)?;
        }
        if service.service_type != ServiceType::LoadBalancer {
            if let Some(given) = service.load_balancer_ingress.first() {
                let service_type = service.service_type;
                return Err(ChangeError::new(
                    format!(
                        "service/{name} is of type {service_type:?} and has the load balancer address {}",
                        given.ip
                    ),
                    "write `type: LoadBalancer`, or leave the address out",
                ));
            }
        } else {
            service.load_balancer_ingress.retain(|entry| families.contains(&Family::of(entry.ip)));
            for family in families {
                self.complete_ingress(cluster, name, service, previous, family)?;
            }
        }
        for entry in previous.map(|old| old.load_balancer_ingress.as_slice()).unwrap_or_default() {
            if !service.load_balancer_ingress.iter().any(|kept| kept.ip == entry.ip) {
                self.release_address(cluster, name, entry.ip);
            }
        }
        Ok(())
    }

    /// Claims the addresses of one family that are given, else those that the service has, else the next.
    fn complete_ingress(
        &mut self,
        cluster: &Snapshot,
        name: &NamespacedName,
        service: &mut Service,
        previous: Option<&Service>,
        family: Family,
    ) -> Result<(), ChangeError> {
        let of_family = |entry: &&LoadBalancerIngress| Family::of(entry.ip) == family;
        let given: Vec<_> = service.load_balancer_ingress.iter().filter(of_family).copied().collect();
        for entry in &given {
            self.claim(cluster, name, entry.ip)?;
        }
        if !given.is_empty() {
            return Ok(());
        }
        let had = previous.map(|old| old.load_balancer_ingress.as_slice()).unwrap_or_default();
        let kept: Vec<_> = had.iter().filter(of_family).copied().collect();
        if !kept.is_empty() {
            service.load_balancer_ingress.extend(kept);
        } else if cluster.topology.load_balancer.is_some() {
            let ip = self.next(name, family)?;
            service.load_balancer_ingress.push(LoadBalancerIngress { ip, ip_mode: IpMode::VIP });
        }
        Ok(())
    }

    fn next(&mut self, name: &NamespacedName, family: Family) -> Result<IpAddr, ChangeError> {
        let taken = self.free.get_mut(family).take(self.taken.get_mut(family), name);
        taken.map(|number| address(family, number)).ok_or_else(|| {
            ChangeError::new(
                format!("no {family} address of the load balancer is left for service/{name}"),
                "use a topology with a larger range of its load balancer",
            )
        })
    }

    /// A given address of the load balancer: a node's, or outside the cluster. Services may share one.
    fn claim(&mut self, cluster: &Snapshot, name: &NamespacedName, given: IpAddr) -> Result<(), ChangeError> {
        let what = format!("the load balancer address {given} of service/{name}");
        check_outside(cluster, &what, given)?;
        let ledger = self.taken.get_mut(Family::of(given));
        if ledger.owner(number(given)).is_none() {
            ledger.claim(number(given), name);
        }
        Ok(())
    }

    /// Gives up a load balancer's address: to another service that has it, if there is one.
    fn release_address(&mut self, cluster: &Snapshot, name: &NamespacedName, given: IpAddr) {
        let ledger = self.taken.get_mut(Family::of(given));
        if ledger.owner(number(given)) != Some(name) {
            return;
        }
        let has_it = |service: &Service| service.load_balancer_ingress.iter().any(|entry| entry.ip == given);
        let mut others = cluster.services.iter();
        match others.find(|(other, service)| *other != name && has_it(service)) {
            Some((other, _)) => ledger.claim(number(given), other),
            None => ledger.release(number(given), name),
        }
    }

    /// Frees those of a service that goes and is in the cluster no more.
    pub(crate) fn release(&mut self, cluster: &Snapshot, name: &NamespacedName, service: &Service) {
        for entry in &service.load_balancer_ingress {
            self.release_address(cluster, name, entry.ip);
        }
    }
}

/// Refuses what no host could have, what lies in the ranges of the cluster and is no node's, and an external
/// host's address.
fn check_outside(cluster: &Snapshot, what: &str, given: IpAddr) -> Result<(), ChangeError> {
    check_unicast("a service", given)?;
    if cluster.nodes.values().any(|node| node.addresses.contains(&given)) {
        return Ok(());
    }
    let ranges = nodes::ranges(&cluster.topology, Family::of(given));
    if let Some((of, range)) = ranges.iter().find(|(_, range)| range.contains(&given)) {
        return Err(ChangeError::new(
            format!("{what} is in the cluster's range of {of}, {range}"),
            "give it an address outside the cluster's ranges",
        ));
    }
    match cluster.externals.values().find(|host| host.addresses.contains(&given)) {
        Some(host) => Err(ChangeError::new(
            format!("{what} is the address of external/{}", host.name),
            "give it an address that is nobody else's",
        )),
        None => Ok(()),
    }
}
