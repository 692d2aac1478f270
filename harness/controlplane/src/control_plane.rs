//! The control plane: takes change sets, answers with snapshots.
//!
//! A change set is worked into a [`Draft`], a copy of the current state that shares every object with
//! it; the draft becomes the state only if all of its changes were accepted.

use crate::change::{Change, ChangeError};
use crate::cluster_ips::ClusterIps;
use crate::draft::{Books, Draft};
use crate::endpoints::EndpointController;
use crate::external_addresses::ExternalAddresses;
use crate::node_ports::NodePorts;
use crate::pods::PodAddresses;
use crate::scheduler::{Scheduler, Unschedulable};
use crate::snapshot::Snapshot;
use crate::workloads::Workloads;
use crate::{nodes, well_known};
use netproof_model::{NamespacedName, Topology};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The API server and the controllers of one cluster.
#[derive(Clone, Debug)]
pub struct ControlPlane {
    snapshot: Arc<Snapshot>,
    books: Books,
}

impl From<(Snapshot, Books)> for ControlPlane {
    fn from((snapshot, books): (Snapshot, Books)) -> Self {
        ControlPlane { snapshot: Arc::new(snapshot), books }
    }
}

impl ControlPlane {
    /// A cluster on this topology with what every cluster has: its nodes, four namespaces and the
    /// cluster DNS. Its snapshot is generation 1.
    ///
    /// # Errors
    /// The topology's ranges overlap or are too small, its external hosts have addresses inside them or in
    /// common, or its load balancer sends to a node that it lacks.
    pub fn new(topology: Arc<Topology>) -> Result<Self, ChangeError> {
        nodes::check_ranges(&topology)?;
        let nodes = nodes::nodes(&topology)?;
        let books = Books {
            pod_addresses: PodAddresses::new(&nodes),
            cluster_ips: ClusterIps::new(&topology),
            node_ports: NodePorts::new(),
            external_addresses: ExternalAddresses::new(&topology),
            scheduler: Scheduler::default(),
            workloads: Workloads::default(),
            endpoints: EndpointController::default(),
        };
        let snapshot = Snapshot {
            generation: 1,
            topology: topology.clone(),
            namespaces: BTreeMap::new(),
            nodes: nodes.into_iter().map(|node| (node.metadata.name.clone(), Arc::new(node))).collect(),
            pods: BTreeMap::new(),
            services: BTreeMap::new(),
            endpoint_slices: BTreeMap::new(),
            policies: BTreeMap::new(),
            externals: BTreeMap::new(),
            listens: BTreeMap::new(),
        };
        let mut draft = Draft::new(snapshot, books);
        for change in well_known::changes(&topology)? {
            draft.change(&change)?;
        }
        for (index, host) in topology.externals.iter().enumerate() {
            if topology.externals[..index].iter().any(|other| other.name == host.name) {
                return Err(ChangeError::new(
                    format!("two external hosts are named `{}`", host.name),
                    "give each external host a name of its own",
                ));
            }
            draft.change(&Change::ApplyExternal(host.clone()))?;
        }
        draft.finish().map(ControlPlane::from)
    }

    /// The completed objects as they are now.
    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.clone()
    }

    /// The same control plane without the policy objects, which have no part in what it fills in.
    #[must_use]
    pub fn without_policies(&self) -> ControlPlane {
        ControlPlane { snapshot: Arc::new(self.snapshot.without_policies()), books: self.books.clone() }
    }

    /// Makes a set of changes, in their order, as one generation: all of them or, on an error, none.
    ///
    /// # Errors
    /// The first change that the API server would refuse.
    pub fn apply(&mut self, changes: &[Change]) -> Result<Arc<Snapshot>, ChangeError> {
        let mut snapshot = Snapshot::clone(&self.snapshot);
        snapshot.generation += 1;
        let mut draft = Draft::new(snapshot, self.books.clone());
        for (index, change) in changes.iter().enumerate() {
            draft.change(change).map_err(|error| ChangeError { index: Some(index), ..error })?;
        }
        *self = draft.finish()?.into();
        Ok(self.snapshot())
    }

    /// The pods that no node takes, and why: they are Pending, and have neither a node nor addresses.
    pub fn unschedulable(&self) -> impl Iterator<Item = (&NamespacedName, &Unschedulable)> {
        self.books.scheduler.unschedulable()
    }
}
