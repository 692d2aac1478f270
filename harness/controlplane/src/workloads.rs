//! The controllers of workloads: which pods a Deployment and its like has, where they run, and what
//! becomes of them when the workload changes.
//!
//! Names and nodes are the same in every run: the pods of a workload are `NAME-0`, `NAME-1`, ... and run on
//! the topology's nodes in turn, those of a DaemonSet are `NAME-NODE`, on the nodes that its `nodeSelector`
//! takes.

use crate::change::ChangeError;
use crate::control_plane::Draft;
use crate::scheduler::Wish;
use crate::taints::repelling;
use netproof_api::{Node, ObjectMeta, Pod, Workload, WorkloadKind, WorkloadPods};
use netproof_model::NamespacedName;
use std::collections::BTreeSet;

/// Which workload.
pub(crate) type WorkloadRef = (WorkloadKind, NamespacedName);

/// A workload, and the pods that it has made.
#[derive(Clone, Debug)]
pub(crate) struct Owned {
    workload: Workload,
    pods: BTreeSet<NamespacedName>,
}

impl Owned {
    pub(crate) fn metadata_mut(&mut self) -> &mut ObjectMeta {
        &mut self.workload.metadata
    }
}

impl Draft {
    /// A pod that is written itself. It cannot be one that a workload makes.
    pub(crate) fn apply_bare_pod(&mut self, pod: &Pod) -> Result<(), ChangeError> {
        let name = self.name_in_namespace("pod", &mut pod.metadata.clone())?;
        if let Some(workload) = self.workload_of(&name) {
            return Err(ChangeError::new(
                format!("pod/{name} is made by {}", text(&workload)),
                "change the workload's template, or give the pod another name",
            ));
        }
        self.place_pod(pod, Wish::Any(0))
    }

    /// Makes the pods that are missing and deletes those that are too many. A changed template replaces
    /// every pod by one with another address.
    pub(crate) fn apply_workload(&mut self, workload: &Workload) -> Result<(), ChangeError> {
        let mut workload = workload.clone();
        let name = self.name_in_namespace(workload.kind.word(), &mut workload.metadata)?;
        let reference: WorkloadRef = (workload.kind.clone(), name.clone());
        let nodes = self.nodes_for(&workload);
        let names = workload.pod_names(nodes.iter().map(String::as_str)).into_iter();
        let wanted: Vec<NamespacedName> =
            names.map(|pod| NamespacedName::new(name.namespace.as_str(), pod)).collect();
        let kept: BTreeSet<NamespacedName> = match self.books.workloads.remove(&reference) {
            Some(previous) => {
                let same = previous.workload.template == workload.template;
                let (kept, gone): (BTreeSet<_>, BTreeSet<_>) =
                    previous.pods.into_iter().partition(|pod| same && wanted.contains(pod));
                gone.iter().for_each(|pod| {
                    self.delete_pod(pod);
                });
                kept
            }
            None => BTreeSet::new(),
        };
        for (turn, pod) in wanted.iter().enumerate().filter(|(_, pod)| !kept.contains(pod)) {
            if self.snapshot.pods.contains_key(pod) {
                let whose = match self.workload_of(pod) {
                    Some(other) => format!("{} makes one of that name", text(&other)),
                    None => "there is one of that name already".to_owned(),
                };
                return Err(ChangeError::new(
                    format!("{} cannot make pod/{pod}: {whose}", text(&reference)),
                    "give one of the two another name",
                ));
            }
            let wish = match (&workload.pods, nodes.get(turn)) {
                (WorkloadPods::Nodes(_), Some(node)) => Wish::Only(node.clone()),
                _ => Wish::Any(turn),
            };
            self.make_pod(&workload, pod, wish)?;
        }
        self.books.workloads.insert(reference, Owned { workload, pods: wanted.into_iter().collect() });
        Ok(())
    }

    /// The nodes that its pods run on, in the order of the topology.
    fn nodes_for(&self, workload: &Workload) -> Vec<String> {
        let takes = |node: &Node| match &workload.pods {
            WorkloadPods::Ordinals(_) => true,
            WorkloadPods::Nodes(selector) => {
                selector.iter().all(|(key, value)| node.metadata.labels.get(key) == Some(value))
                    && repelling(node, &workload.template, true).is_none()
            }
        };
        let nodes =
            self.snapshot.topology.nodes.iter().filter_map(|node| self.snapshot.nodes.get(&node.name));
        nodes.filter(|node| takes(node)).map(|node| node.metadata.name.clone()).collect()
    }

    /// Moves the pods of DaemonSets to where they belong after a node's labels or taints have changed.
    pub(crate) fn follow_node_labels(&mut self) -> Result<(), ChangeError> {
        let daemons = self.books.workloads.values().map(|owned| &owned.workload);
        let daemons = daemons.filter(|workload| matches!(workload.pods, WorkloadPods::Nodes(_)));
        for workload in daemons.cloned().collect::<Vec<_>>() {
            self.apply_workload(&workload)?;
        }
        Ok(())
    }

    /// Deletes a workload and its pods. Whether there was one.
    pub(crate) fn delete_workload(&mut self, reference: &WorkloadRef) -> bool {
        let Some(owned) = self.books.workloads.remove(reference) else {
            return false;
        };
        for pod in &owned.pods {
            self.delete_pod(pod);
        }
        true
    }

    /// The workload that made a pod. Linear in the number of workloads where there is such a pod.
    pub(crate) fn workload_of(&self, pod: &NamespacedName) -> Option<WorkloadRef> {
        self.snapshot.pods.get(pod)?;
        let mut all = self.books.workloads.iter();
        all.find(|(_, owned)| owned.pods.contains(pod)).map(|(reference, _)| reference.clone())
    }

    /// Deletes a pod of a workload, whose controller makes it anew on the same node.
    pub(crate) fn restart_pod(
        &mut self,
        reference: &WorkloadRef,
        name: &NamespacedName,
    ) -> Result<(), ChangeError> {
        let node = self.snapshot.pods.get(name).and_then(|pod| pod.node_name.clone());
        let template = self.books.workloads.get(reference).map(|owned| owned.workload.clone());
        self.delete_pod(name);
        let wish = node.map_or(Wish::Any(0), Wish::Only);
        match template {
            Some(workload) => self.make_pod(&workload, name, wish),
            None => Ok(()),
        }
    }

    /// Makes one pod, on the template's node or else where it is wished.
    fn make_pod(
        &mut self,
        workload: &Workload,
        name: &NamespacedName,
        wish: Wish,
    ) -> Result<(), ChangeError> {
        let mut pod = workload.template.clone();
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
        self.place_pod(&pod, wish)
    }
}

fn text((kind, name): &WorkloadRef) -> String {
    format!("{}/{name}", kind.word())
}
