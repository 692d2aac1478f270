//! The controllers of workloads: which pods a Deployment and its like has, where they run, and what
//! becomes of them when the workload changes.
//!
//! Names and nodes are the same in every run: the pods of a workload are `NAME-0`, `NAME-1`, ... and run on
//! the topology's nodes in turn, those of a DaemonSet are `NAME-NODE`, on the nodes that its `nodeSelector`
//! takes.

use crate::snapshot::Snapshot;
use crate::taints::repelling;
use netproof_api::{Node, ObjectMeta, Pod, Workload, WorkloadKind, WorkloadPods};
use netproof_model::NamespacedName;
use std::collections::{BTreeMap, BTreeSet};

/// Which workload.
pub(crate) type WorkloadRef = (WorkloadKind, NamespacedName);

/// A workload, and the pods that it has made.
#[derive(Clone, Debug)]
pub(crate) struct Owned {
    pub(crate) workload: Workload,
    pub(crate) pods: BTreeSet<NamespacedName>,
}

/// The workloads, each with its pods.
#[derive(Clone, Debug, Default)]
pub(crate) struct Workloads(BTreeMap<WorkloadRef, Owned>);

impl Workloads {
    pub(crate) fn get(&self, reference: &WorkloadRef) -> Option<&Workload> {
        self.0.get(reference).map(|owned| &owned.workload)
    }

    pub(crate) fn metadata_mut(&mut self, reference: &WorkloadRef) -> Option<&mut ObjectMeta> {
        self.0.get_mut(reference).map(|owned| &mut owned.workload.metadata)
    }

    pub(crate) fn insert(&mut self, reference: WorkloadRef, owned: Owned) {
        self.0.insert(reference, owned);
    }

    pub(crate) fn remove(&mut self, reference: &WorkloadRef) -> Option<Owned> {
        self.0.remove(reference)
    }

    /// Those of a namespace go; whoever asks for it deletes their pods.
    pub(crate) fn remove_namespace(&mut self, namespace: &str) {
        self.0.retain(|(_, workload), _| workload.namespace != namespace);
    }

    /// The workload that made a pod. Linear in the number of workloads.
    pub(crate) fn maker_of(&self, pod: &NamespacedName) -> Option<WorkloadRef> {
        self.0.iter().find(|(_, owned)| owned.pods.contains(pod)).map(|(reference, _)| reference.clone())
    }

    /// Those whose pods follow the labels and taints of nodes.
    pub(crate) fn of_nodes(&self) -> Vec<Workload> {
        let all = self.0.values().map(|owned| &owned.workload);
        all.filter(|workload| matches!(workload.pods, WorkloadPods::Nodes(_))).cloned().collect()
    }
}

/// The nodes that its pods run on, in the order of the topology.
pub(crate) fn nodes_for(cluster: &Snapshot, workload: &Workload) -> Vec<String> {
    let takes = |node: &Node| match &workload.pods {
        WorkloadPods::Ordinals(_) => true,
        WorkloadPods::Nodes(selector) => {
            selector.iter().all(|(key, value)| node.metadata.labels.get(key) == Some(value))
                && repelling(node, &workload.template, true).is_none()
        }
    };
    let nodes = cluster.topology.nodes.iter().filter_map(|node| cluster.nodes.get(&node.name));
    nodes.filter(|node| takes(node)).map(|node| node.metadata.name.clone()).collect()
}

/// A pod of a workload: its template under this name.
pub(crate) fn pod_of(workload: &Workload, name: &NamespacedName) -> Pod {
    let mut pod = Pod::clone(&workload.template);
    pod.metadata.namespace = Some(name.namespace.clone());
    pod.metadata.name.clone_from(&name.name);
    let labels = &mut pod.metadata.labels;
    match workload.kind {
        _ if workload.kind.numbers_its_pods() => {
            let ordinal = name.name.rsplit('-').next().unwrap_or_default();
            labels.insert("apps.kubernetes.io/pod-index".to_owned(), ordinal.to_owned());
            labels.insert("statefulset.kubernetes.io/pod-name".to_owned(), name.name.clone());
            pod.hostname = Some(name.name.clone());
        }
        WorkloadKind::Job => {
            for key in ["batch.kubernetes.io/job-name", "job-name"] {
                labels.insert(key.to_owned(), workload.metadata.name.clone());
            }
        }
        _ => {}
    }
    if matches!(workload.pods, WorkloadPods::Nodes(_)) {
        pod.node_name = None;
    }
    pod
}

/// As messages name it.
pub(crate) fn text((kind, name): &WorkloadRef) -> String {
    format!("{}/{name}", kind.word())
}
