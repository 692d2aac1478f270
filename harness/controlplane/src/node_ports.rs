//! Node ports of services, and the ports of their health checks, which are of the same range.

use crate::addresses::{Ledger, Pool};
use crate::change::ChangeError;
use netproof_api::Service;
use netproof_api::core::{ServiceType, TrafficPolicy};
use netproof_model::NamespacedName;
use std::ops::RangeInclusive;

/// The node ports that the API server gives out.
const NODE_PORTS: RangeInclusive<u16> = 30000..=32767;

/// Which service has which node port.
#[derive(Clone, Debug)]
pub(crate) struct NodePorts {
    taken: Ledger,
    free: Pool,
}

impl NodePorts {
    /// All are free.
    pub(crate) fn new() -> Self {
        let free = Pool::new(u128::from(*NODE_PORTS.start()), u128::from(*NODE_PORTS.end()));
        NodePorts { taken: Ledger::default(), free }
    }

    /// Fills in node ports and the health check's: as given, as they were, or the next free ones.
    pub(crate) fn assign(
        &mut self,
        name: &NamespacedName,
        service: &mut Service,
        previous: Option<&Service>,
    ) -> Result<(), ChangeError> {
        if let Some(previous) = previous {
            self.release(name, previous);
        }
        let given: Vec<_> = service.ports.iter().filter_map(|p| Some((p.node_port?, p.protocol))).collect();
        if let ServiceType::ClusterIP | ServiceType::ExternalName = service.service_type
            && let Some((port, _)) = given.first()
        {
            return Err(ChangeError::new(
                format!("service/{name} is of type {:?} and has the node port {port}", service.service_type),
                "write `type: NodePort`, or leave the node port out",
            ));
        }
        for (index, (port, protocol)) in given.iter().enumerate() {
            if given[..index].contains(&(*port, *protocol)) {
                return Err(ChangeError::new(
                    format!("service/{name} has the node port {port}/{protocol} twice"),
                    "give each port a node port of its own, or none",
                ));
            }
            self.claim(name, *port)?;
        }
        self.assign_health_check(name, service, previous)?;
        let needed = match service.service_type {
            ServiceType::NodePort => true,
            ServiceType::LoadBalancer => service.allocate_load_balancer_node_ports,
            ServiceType::ClusterIP | ServiceType::ExternalName => false,
        };
        for index in 0..service.ports.len() {
            if needed && service.ports[index].node_port.is_none() {
                service.ports[index].node_port = Some(self.next(name, service, index, previous)?);
            }
        }
        Ok(())
    }

    /// The port where a node says whether it has endpoints of the service, for a load balancer that must
    /// find out: as given, as it was, or the next free one.
    fn assign_health_check(
        &mut self,
        name: &NamespacedName,
        service: &mut Service,
        previous: Option<&Service>,
    ) -> Result<(), ChangeError> {
        let given = service.health_check_node_port;
        let local = service.external_traffic_policy == TrafficPolicy::Local;
        if service.service_type != ServiceType::LoadBalancer || !local {
            return match given {
                None => Ok(()),
                Some(port) => Err(ChangeError::new(
                    format!("service/{name} has the health check node port {port}, and no use for it"),
                    "write `type: LoadBalancer` and `externalTrafficPolicy: Local`, or leave the port out",
                )),
            };
        }
        let current = previous.and_then(|old| old.health_check_node_port);
        let port = match (current, given) {
            (Some(current), Some(given)) if current != given => {
                return Err(ChangeError::new(
                    format!(
                        "the health check node port of service/{name} cannot change from {current} to {given}"
                    ),
                    "delete the service first, then apply it",
                ));
            }
            (Some(port), _) | (None, Some(port)) => port,
            (None, None) => self.take(name)?,
        };
        if service.ports.iter().any(|other| other.node_port == Some(port)) {
            return Err(ChangeError::new(
                format!("{port} is a node port and the health check node port of service/{name}"),
                "give one of them another port",
            ));
        }
        self.claim(name, port)?;
        service.health_check_node_port = Some(port);
        Ok(())
    }

    fn claim(&mut self, name: &NamespacedName, port: u16) -> Result<(), ChangeError> {
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
        if let Some(owner) = self.taken.owner(port.into())
            && owner != name
        {
            return Err(ChangeError::new(
                format!("{port} is the node port of service/{owner}; service/{name} cannot have it too"),
                format!("delete service/{owner} first, or give another port, or none"),
            ));
        }
        self.taken.claim(port.into(), name);
        Ok(())
    }

    /// The node port of a service port that does not give one.
    fn next(
        &mut self,
        name: &NamespacedName,
        service: &Service,
        index: usize,
        previous: Option<&Service>,
    ) -> Result<u16, ChangeError> {
        let wanted = &service.ports[index];
        let in_use = |port: u16| {
            service.health_check_node_port == Some(port)
                || service.ports.iter().any(|p| p.node_port == Some(port) && p.protocol == wanted.protocol)
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
            if self.claim(name, port).is_ok() {
                return Ok(port);
            }
        }
        self.take(name)
    }

    fn take(&mut self, name: &NamespacedName) -> Result<u16, ChangeError> {
        let taken = self.free.take(&mut self.taken, name);
        taken.and_then(|number| u16::try_from(number).ok()).ok_or_else(|| {
            ChangeError::new(
                format!("no node port is left for service/{name}"),
                "delete a service of type NodePort or LoadBalancer",
            )
        })
    }

    /// Frees those of a service that goes.
    pub(crate) fn release(&mut self, name: &NamespacedName, service: &Service) {
        let ports = service.ports.iter().filter_map(|port| port.node_port);
        for port in ports.chain(service.health_check_node_port) {
            self.taken.release(port.into(), name);
        }
    }
}
