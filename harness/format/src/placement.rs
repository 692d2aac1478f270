//! Where pods and workloads are placed that name no node themselves.

use crate::words::Placement;
use netproof_api::{Object, ObjectMeta, WorkloadPods};
use netproof_controlplane::{Change, ObjectRef};
use netproof_documents::placed::Placed;
use netproof_model::Topology;
use std::collections::HashMap;

/// Puts pods and workloads that name no node where the placement wants them. A name keeps its node.
pub struct Placer<'a> {
    placement: Option<Placement>,
    topology: &'a Topology,
    nodes: HashMap<ObjectRef, String>,
}

impl<'a> Placer<'a> {
    /// For one variant.
    pub fn new(placement: Option<Placement>, topology: &'a Topology) -> Self {
        Placer { placement, topology, nodes: HashMap::new() }
    }

    /// The changes, with their nodes.
    pub fn place(&mut self, placed: &[Placed]) -> Vec<Change> {
        placed
            .iter()
            .map(|placed| match &placed.change {
                Change::Apply(Object::Pod(pod)) if pod.node_name.is_none() => {
                    let mut pod = pod.clone();
                    pod.node_name = self.node("pod", &pod.metadata);
                    Change::Apply(Object::Pod(pod))
                }
                // All pods of a workload count as one here: it is workloads that are to be apart.
                Change::Apply(Object::Workload(workload))
                    if matches!(workload.pods, WorkloadPods::Ordinals(_))
                        && workload.template.node_name.is_none() =>
                {
                    let mut workload = workload.clone();
                    workload.template.node_name = self.node(workload.kind.word(), &workload.metadata);
                    Change::Apply(Object::Workload(workload))
                }
                change => change.clone(),
            })
            .collect()
    }

    fn node(&mut self, kind: &str, metadata: &ObjectMeta) -> Option<String> {
        let object = ObjectRef::new(kind, metadata.namespace.as_deref(), &metadata.name);
        let nodes = &self.topology.nodes;
        let turn = match self.placement? {
            Placement::SameNode => 0,
            Placement::Across => self.nodes.len() % nodes.len().max(1),
        };
        let node = nodes.get(turn)?.name.clone();
        Some(self.nodes.entry(object).or_insert(node).clone())
    }
}
