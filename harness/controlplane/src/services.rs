//! Services: cluster IPs and node ports.

use crate::addresses::{address, last_host, number};
use crate::change::ChangeError;
use crate::control_plane::{Draft, given_addresses};
use netproof_api::Service;
use netproof_api::core::ServiceType;
use netproof_model::{Family, NamespacedName};
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;

/// The node ports that the API server gives out.
pub(crate) const NODE_PORTS: RangeInclusive<u16> = 30000..=32767;

impl Draft {
    pub(crate) fn apply_service(&mut self, service: &Service) -> Result<(), ChangeError> {
        let mut service = service.clone();
        let name = self.name_in_namespace("service", &mut service.metadata)?;
        let previous = self.snapshot.services.get(&name).cloned();
        service.cluster_ips = self.cluster_ips(&name, &service, previous.as_deref())?;
        self.assign_node_ports(&name, &mut service, previous.as_deref())?;
        self.touched.service(&name);
        self.snapshot.services.insert(name, Arc::new(service));
        Ok(())
    }

    /// Deletes a service and frees its addresses and ports. Whether there was one.
    pub(crate) fn delete_service(&mut self, name: &NamespacedName) -> bool {
        let Some(service) = self.snapshot.services.remove(name) else {
            return false;
        };
        for address in &service.cluster_ips {
            self.books.cluster_ips.get_mut(Family::of(*address)).release(number(*address), name);
        }
        self.release_node_ports(name, &service);
        self.touched.service(name);
        true
    }

    /// Those that it has, those that are given, or the next free ones: one of each family.
    fn cluster_ips(
        &mut self,
        name: &NamespacedName,
        service: &Service,
        previous: Option<&Service>,
    ) -> Result<Vec<IpAddr>, ChangeError> {
        let headless = |service: &Service| if service.headless { "None" } else { "an address" };
        if let Some(previous) = previous
            && previous.headless != service.headless
        {
            return Err(immutable(name, headless(previous), headless(service)));
        }
        if service.headless {
            if let Some(given) = service.cluster_ips.first() {
                return Err(ChangeError::new(
                    format!("service/{name} is headless and has the cluster IP {given}"),
                    "write `clusterIP: None` or an address, not both",
                ));
            }
            return Ok(Vec::new());
        }
        let topology = self.snapshot.topology.clone();
        let given = given_addresses(&format!("service/{name}"), &service.cluster_ips, &topology)?;
        let mut addresses = Vec::new();
        for family in topology.family.list() {
            let current = previous
                .and_then(|old| old.cluster_ips.iter().copied().find(|ip| Family::of(*ip) == *family));
            addresses.push(match (current, *given.get(*family)) {
                (Some(current), Some(given)) if current != given => {
                    return Err(immutable(name, &current.to_string(), &given.to_string()));
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

    /// Node ports as given, as they were, or the next free ones.
    fn assign_node_ports(
        &mut self,
        name: &NamespacedName,
        service: &mut Service,
        previous: Option<&Service>,
    ) -> Result<(), ChangeError> {
        if let Some(previous) = previous {
            self.release_node_ports(name, previous);
        }
        let given: Vec<_> = service.ports.iter().filter_map(|p| Some((p.node_port?, p.protocol))).collect();
        if service.service_type == ServiceType::ClusterIP {
            return match given.first() {
                None => Ok(()),
                Some((port, _)) => Err(ChangeError::new(
                    format!("service/{name} is of type ClusterIP and has the node port {port}"),
                    "write `type: NodePort`, or leave the node port out",
                )),
            };
        }
        for (index, (port, protocol)) in given.iter().enumerate() {
            if given[..index].contains(&(*port, *protocol)) {
                return Err(ChangeError::new(
                    format!("service/{name} has the node port {port}/{protocol} twice"),
                    "give each port a node port of its own, or none",
                ));
            }
            self.claim_node_port(name, *port)?;
        }
        for index in 0..service.ports.len() {
            if service.ports[index].node_port.is_none() {
                service.ports[index].node_port = Some(self.next_node_port(name, service, index, previous)?);
            }
        }
        Ok(())
    }

    fn claim_node_port(&mut self, name: &NamespacedName, port: u16) -> Result<(), ChangeError> {
        if !NODE_PORTS.contains(&port) {
            return Err(ChangeError::new(
                format!(
                    "the node port {port} of service/{name} is not between {} and {}",
                    NODE_PORTS.start(),
                    NODE_PORTS.end()
                ),
                "give it a port of that range, or none",
            ));
        }
        if let Some(owner) = self.books.node_ports.owner(port.into())
            && owner != name
        {
            return Err(ChangeError::new(
                format!("{port} is the node port of service/{owner}; service/{name} cannot have it too"),
                format!("delete service/{owner} first, or give another port, or none"),
            ));
        }
        self.books.node_ports.claim(port.into(), name);
        Ok(())
    }

    /// The node port of a service port that does not give one.
    fn next_node_port(
        &mut self,
        name: &NamespacedName,
        service: &Service,
        index: usize,
        previous: Option<&Service>,
    ) -> Result<u16, ChangeError> {
        let wanted = &service.ports[index];
        let in_use = |port: u16| {
            service.ports.iter().any(|p| p.node_port == Some(port) && p.protocol == wanted.protocol)
        };
        let as_before = previous.and_then(|old| {
            old.ports.iter().find(|p| p.port == wanted.port && p.protocol == wanted.protocol)?.node_port
        });
        // One service port that is spoken over two protocols has one node port, as the API server does.
        let sibling = service
            .ports
            .iter()
            .find(|p| p.port == wanted.port && p.node_port.is_some())
            .and_then(|p| p.node_port);
        for port in [as_before, sibling].into_iter().flatten().filter(|port| !in_use(*port)) {
            if self.claim_node_port(name, port).is_ok() {
                return Ok(port);
            }
        }
        let taken = self.books.node_port_pool.take(&mut self.books.node_ports, name);
        taken.and_then(|number| u16::try_from(number).ok()).ok_or_else(|| {
            ChangeError::new(
                format!("no node port is left for service/{name}"),
                "delete a service of type NodePort",
            )
        })
    }

    fn release_node_ports(&mut self, name: &NamespacedName, service: &Service) {
        for port in service.ports.iter().filter_map(|port| port.node_port) {
            self.books.node_ports.release(port.into(), name);
        }
    }
}

fn immutable(name: &NamespacedName, from: &str, to: &str) -> ChangeError {
    ChangeError::new(
        format!("the cluster IP of service/{name} cannot change from {from} to {to}"),
        "delete the service first, then apply it",
    )
}
