//! Who listens where, as the objects have it.

use crate::snapshot::Snapshot;
use crate::well_known;
use netproof_api::core::TransportProtocol;
use netproof_model::topology::ListenPort;
use netproof_model::{NamespacedName, Place};
use std::collections::{BTreeMap, BTreeSet};

impl Snapshot {
    /// On which ports each place listens, without port 53 of the cluster DNS, which answers by itself.
    pub fn listeners(&self) -> BTreeMap<Place, BTreeSet<ListenPort>> {
        let dns = NamespacedName::new(well_known::DNS_NAMESPACE, well_known::DNS_POD);
        let mut listens: BTreeMap<Place, BTreeSet<ListenPort>> = BTreeMap::new();
        // Of a pod that has ended nobody listens, on its node's addresses neither.
        for (name, pod) in self.pods.iter().filter(|(_, pod)| !pod.phase.has_ended()) {
            let Some(place) = self.place_of_pod(name) else { continue };
            let ports: Vec<ListenPort> = match self.listens.get(name) {
                Some(ports) => ports.clone(),
                None => pod.ports().map(|port| listen_port(port.container_port, port.protocol)).collect(),
            };
            let ours = ports.into_iter().filter(|port| *name != dns || port.port != 53);
            listens.entry(place).or_default().extend(ours);
        }
        for (name, host) in &self.externals {
            listens.entry(Place::External(name.clone())).or_default().extend(host.ports.iter().copied());
        }
        listens
    }
}

fn listen_port(port: u16, protocol: TransportProtocol) -> ListenPort {
    ListenPort { port, protocol: protocol.into() }
}
