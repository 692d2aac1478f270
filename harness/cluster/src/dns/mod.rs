//! The cluster's DNS: a real server on port 53 of the pod `kube-system/coredns`.
//!
//! One thread of the process serves all clusters; sockets are made in the pod's namespace and stay there.
//! The records are made from a whole snapshot, and replaced as a whole.

mod records;
mod server;

use crate::error::ClusterError;
use crate::netns::Netns;
use netproof_controlplane::Snapshot;
use netproof_controlplane::well_known::{DNS_NAMESPACE, DNS_POD};
use netproof_model::{NamespacedName, Place};
use records::Records;
use server::Server;
use std::net::IpAddr;
use std::sync::Arc;

/// A running DNS server. It stops when dropped.
#[derive(Debug)]
pub(crate) struct Dns {
    netns: Arc<Netns>,
    addresses: Vec<IpAddr>,
    server: Server,
}

impl Dns {
    /// The server for a snapshot: `running` with new records, a new server if the pod has another namespace
    /// or address, or none if there is no pod.
    pub fn follow<'a>(
        running: Option<Dns>,
        snapshot: &Snapshot,
        netns_of: impl FnOnce(&Place) -> Option<&'a Arc<Netns>>,
    ) -> Result<Option<Dns>, ClusterError> {
        let Some(place) = snapshot.place_of_pod(&NamespacedName::new(DNS_NAMESPACE, DNS_POD)) else {
            return Ok(None);
        };
        let Some(netns) = netns_of(&place).cloned() else { return Ok(None) };
        let families = snapshot.topology.family.list();
        let addresses: Vec<IpAddr> =
            families.iter().filter_map(|family| snapshot.address_of(&place, *family)).collect();
        let records = Records::new(snapshot);
        if let Some(dns) = running
            && Arc::ptr_eq(&dns.netns, &netns)
            && dns.addresses == addresses
        {
            dns.server.replace(records);
            return Ok(Some(dns));
        }
        let server = Server::start(&netns, &addresses, records)
            .map_err(|source| ClusterError::Dns { place: place.clone(), source })?;
        Ok(Some(Dns { netns, addresses, server }))
    }
}
