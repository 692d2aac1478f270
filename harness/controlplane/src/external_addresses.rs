//! The addresses that services have outside the cluster: external IPs, and those of a load balancer. Services
//! may share them, also with a node.

use crate::addresses::{Pool, address, number};
use crate::change::ChangeError;
use crate::cluster_ips::family_of;
use crate::control_plane::Draft;
use crate::namespaces::check_unicast;
use crate::nodes;
use netproof_api::Service;
use netproof_api::core::{IpMode, LoadBalancerIngress, ServiceType};
use netproof_model::{Family, NamespacedName, Topology};
use std::net::IpAddr;

/// What a load balancer gives services their addresses from: its range without the first address.
pub(crate) fn load_balancer_pool(topology: &Topology, family: Family) -> Pool {
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

impl Draft {
    /// Checks the external IPs, and fills in the load balancer's addresses: those that are given, those
    /// that the service has, or the next free ones, at least one of each family that it has. Addresses of
    /// other families are left out: nothing would serve them.
    pub(crate) fn assign_external_addresses(
        &mut self,
        name: &NamespacedName,
        service: &mut Service,
        previous: Option<&Service>,
    ) -> Result<(), ChangeError> {
        let families: Vec<Family> = service.ip_families.iter().map(|family| family_of(*family)).collect();
        service.external_ips.retain(|address| families.contains(&Family::of(*address)));
        for address in &service.external_ips {
            self.check_outside(&format!("the external IP {address} of service/{name}"), *address)?;
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
                self.complete_ingress(name, service, previous, family)?;
            }
        }
        for entry in previous.map(|old| old.load_balancer_ingress.as_slice()).unwrap_or_default() {
            if !service.load_balancer_ingress.iter().any(|kept| kept.ip == entry.ip) {
                self.release_load_balancer_address(name, entry.ip);
            }
        }
        Ok(())
    }

    /// Claims the addresses of one family that are given, else those that the service has, else the next.
    fn complete_ingress(
        &mut self,
        name: &NamespacedName,
        service: &mut Service,
        previous: Option<&Service>,
        family: Family,
    ) -> Result<(), ChangeError> {
        let of_family = |entry: &&LoadBalancerIngress| Family::of(entry.ip) == family;
        let given: Vec<_> = service.load_balancer_ingress.iter().filter(of_family).copied().collect();
        for entry in &given {
            self.claim_load_balancer_address(name, entry.ip)?;
        }
        if !given.is_empty() {
            return Ok(());
        }
        let had = previous.map(|old| old.load_balancer_ingress.as_slice()).unwrap_or_default();
        let kept: Vec<_> = had.iter().filter(of_family).copied().collect();
        if !kept.is_empty() {
            service.load_balancer_ingress.extend(kept);
        } else if self.snapshot.topology.load_balancer.is_some() {
            let ip = self.next_load_balancer_address(name, family)?;
            service.load_balancer_ingress.push(LoadBalancerIngress { ip, ip_mode: IpMode::VIP });
        }
        Ok(())
    }

    fn next_load_balancer_address(
        &mut self,
        name: &NamespacedName,
        family: Family,
    ) -> Result<IpAddr, ChangeError> {
        let ledger = self.books.load_balancer.get_mut(family);
        let taken = self.books.load_balancer_pools.get_mut(family).take(ledger, name);
        taken.map(|number| address(family, number)).ok_or_else(|| {
            ChangeError::new(
                format!("no {family} address of the load balancer is left for service/{name}"),
                "use a topology with a larger range of its load balancer",
            )
        })
    }

    /// A given address of the load balancer: a node's, or outside the cluster. Services may share one.
    fn claim_load_balancer_address(
        &mut self,
        name: &NamespacedName,
        given: IpAddr,
    ) -> Result<(), ChangeError> {
        let what = format!("the load balancer address {given} of service/{name}");
        self.check_outside(&what, given)?;
        let ledger = self.books.load_balancer.get_mut(Family::of(given));
        if ledger.owner(number(given)).is_none() {
            ledger.claim(number(given), name);
        }
        Ok(())
    }

    /// Refuses what no host could have, what lies in the ranges of the cluster and is no node's, and an external
    /// host's address.
    fn check_outside(&self, what: &str, given: IpAddr) -> Result<(), ChangeError> {
        check_unicast("a service", given)?;
        if self.snapshot.nodes.values().any(|node| node.addresses.contains(&given)) {
            return Ok(());
        }
        let ranges = nodes::ranges(&self.snapshot.topology, Family::of(given));
        if let Some((of, range)) = ranges.iter().find(|(_, range)| range.contains(&given)) {
            return Err(ChangeError::new(
                format!("{what} is in the cluster's range of {of}, {range}"),
                "give it an address outside the cluster's ranges",
            ));
        }
        match self.snapshot.externals.values().find(|host| host.addresses.contains(&given)) {
            Some(host) => Err(ChangeError::new(
                format!("{what} is the address of external/{}", host.name),
                "give it an address that is nobody else's",
            )),
            None => Ok(()),
        }
    }

    /// Gives up a load balancer's address: to another service that has it, if there is one.
    fn release_load_balancer_address(&mut self, name: &NamespacedName, given: IpAddr) {
        let ledger = self.books.load_balancer.get_mut(Family::of(given));
        if ledger.owner(number(given)) != Some(name) {
            return;
        }
        let has_it = |service: &Service| service.load_balancer_ingress.iter().any(|entry| entry.ip == given);
        let mut others = self.snapshot.services.iter();
        match others.find(|(other, service)| *other != name && has_it(service)) {
            Some((other, _)) => ledger.claim(number(given), other),
            None => ledger.release(number(given), name),
        }
    }

    pub(crate) fn release_load_balancer_addresses(&mut self, name: &NamespacedName, service: &Service) {
        for entry in &service.load_balancer_ingress {
            self.release_load_balancer_address(name, entry.ip);
        }
    }
}
