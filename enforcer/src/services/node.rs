//! A node, as services see it.

use netproof_controlplane::Snapshot;
use std::net::IpAddr;

/// The label of a node that says in which zone it is.
const ZONE_LABEL: &str = "topology.kubernetes.io/zone";

/// What of a node matters to the services on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeView {
    /// Its name.
    pub name: String,
    /// Its zone, if a label says so.
    pub zone: Option<String>,
    /// Its addresses, the primary one of each family first; without the overlay's.
    pub addresses: Vec<IpAddr>,
}

impl NodeView {
    /// The node of this name, if the snapshot has it.
    pub fn new(snapshot: &Snapshot, name: &str) -> Option<NodeView> {
        let node = snapshot.nodes.get(name)?;
        Some(NodeView {
            name: name.to_owned(),
            zone: node.metadata.labels.get(ZONE_LABEL).cloned(),
            addresses: node.addresses.clone(),
        })
    }
}
