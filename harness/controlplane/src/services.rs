//! Services: applied and deleted. Their cluster IPs, node ports and addresses outside the cluster are
//! given out in modules of their own.

use crate::addresses::number;
use crate::change::ChangeError;
use crate::control_plane::Draft;
use netproof_api::Service;
use netproof_api::core::ServiceType;
use netproof_model::{Family, NamespacedName};
use std::sync::Arc;

impl Draft {
    pub(crate) fn apply_service(&mut self, service: &Service) -> Result<(), ChangeError> {
        let mut service = service.clone();
        let name = self.name_in_namespace("service", &mut service.metadata)?;
        let previous = self.snapshot.services.get(&name).cloned();
        let previous = previous.as_deref();
        self.assign_cluster_ips(&name, &mut service, previous)?;
        self.assign_node_ports(&name, &mut service, previous)?;
        self.assign_external_addresses(&name, &mut service, previous)?;
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
        self.release_load_balancer_addresses(name, &service);
        self.touched.service(name);
        true
    }
}

/// Whether a service of this type has cluster IPs, or could.
pub(crate) fn is_in_cluster(service: &Service) -> bool {
    service.service_type != ServiceType::ExternalName
}
