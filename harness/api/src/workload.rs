//! Workloads: objects whose controller makes pods from one template.

use crate::core::Pod;
use crate::meta::{Labels, ObjectMeta};
use std::ops::Range;
use std::sync::Arc;

/// A workload: apps/v1 Deployment, ReplicaSet, StatefulSet and DaemonSet, batch/v1 Job, v1
/// ReplicationController, and every object of another group that has a pod template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Name, namespace, labels of the workload itself; its pods have those of the template.
    pub metadata: ObjectMeta,
    /// Which kind.
    pub kind: WorkloadKind,
    /// The number and names of its pods.
    pub pods: WorkloadPods,
    /// The template of its pods. It has the workload's namespace and no name.
    pub template: Box<Pod>,
}

/// The number of a workload's pods, and the suffixes of their names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WorkloadPods {
    /// One for each number: `NAME-0`, `NAME-1`, ...
    Ordinals(Range<u32>),
    /// One on each node that has these labels, the `nodeSelector` of a DaemonSet: `NAME-NODE`.
    Nodes(Labels),
}

/// A kind of workload.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WorkloadKind {
    /// apps/v1 Deployment.
    Deployment,
    /// apps/v1 ReplicaSet.
    ReplicaSet,
    /// apps/v1 StatefulSet.
    StatefulSet,
    /// apps/v1 DaemonSet.
    DaemonSet,
    /// batch/v1 Job.
    Job,
    /// v1 ReplicationController.
    ReplicationController,
    /// A kind of another group: `rollout.argoproj.io`, as kubectl writes it.
    Foreign(Arc<str>),
}

impl WorkloadKind {
    /// The kinds of Kubernetes itself.
    pub const ALL: [WorkloadKind; 6] = [
        WorkloadKind::Deployment,
        WorkloadKind::ReplicaSet,
        WorkloadKind::StatefulSet,
        WorkloadKind::DaemonSet,
        WorkloadKind::Job,
        WorkloadKind::ReplicationController,
    ];

    /// The kind of a group, as references and messages write it, whether it is a workload or not.
    pub fn word_of(group: &str, kind: &str) -> String {
        let kind = kind.to_lowercase();
        match group {
            "" | "apps" | "batch" => kind,
            group => format!("{kind}.{group}"),
        }
    }

    /// A kind of another group.
    pub fn foreign(group: &str, kind: &str) -> WorkloadKind {
        WorkloadKind::Foreign(WorkloadKind::word_of(group, kind).into())
    }

    /// The kind in lower case, as references and messages write it.
    pub fn word(&self) -> &str {
        match self {
            WorkloadKind::Deployment => "deployment",
            WorkloadKind::ReplicaSet => "replicaset",
            WorkloadKind::StatefulSet => "statefulset",
            WorkloadKind::DaemonSet => "daemonset",
            WorkloadKind::Job => "job",
            WorkloadKind::ReplicationController => "replicationcontroller",
            WorkloadKind::Foreign(word) => word,
        }
    }

    /// The kind of a word. Only kinds of other groups have a dot.
    pub fn named(word: &str) -> Option<WorkloadKind> {
        let own = WorkloadKind::ALL.into_iter().find(|kind| kind.word() == word);
        own.or_else(|| word.contains('.').then(|| WorkloadKind::Foreign(word.into())))
    }

    /// Whether each of its pods has a label with its number and one with its name.
    pub fn numbers_its_pods(&self) -> bool {
        match self {
            WorkloadKind::StatefulSet => true,
            // OpenKruise's StatefulSet does the same as that of Kubernetes.
            WorkloadKind::Foreign(word) => word.starts_with("statefulset."),
            _ => false,
        }
    }
}

impl Workload {
    /// The names of its pods; for a DaemonSet, of those on these nodes.
    pub fn pod_names<'a>(&self, nodes: impl Iterator<Item = &'a str>) -> Vec<String> {
        let name = &self.metadata.name;
        match &self.pods {
            WorkloadPods::Ordinals(ordinals) => {
                ordinals.clone().map(|ordinal| format!("{name}-{ordinal}")).collect()
            }
            WorkloadPods::Nodes(_) => nodes.map(|node| format!("{name}-{node}")).collect(),
        }
    }
}
