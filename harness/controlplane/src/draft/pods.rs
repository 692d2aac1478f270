//! Pods and the workloads that make them: which come and go, on which nodes, and with which addresses.

use super::Draft;
use crate::change::ChangeError;
use crate::scheduler::{NodeChoice, Unschedulable, Waiting};
use crate::workloads::WorkloadRef;
use crate::{nodes, pods, scheduler, workloads};
use netproof_api::{Node, Pod, Workload, WorkloadPods};
use netproof_model::NamespacedName;
use std::collections::BTreeSet;
use std::sync::Arc;

impl Draft {
    /// A pod that is written itself. It cannot be one that a workload makes.
    pub(super) fn apply_pod(&mut self, pod: &Pod) -> Result<(), ChangeError> {
        let name = self.name_in_namespace("pod", &mut pod.metadata.clone())?;
        if let Some(workload) = self.maker_of(&name) {
            return Err(ChangeError::new(
                format!("pod/{name} is made by {}", workloads::text(&workload)),
                "change the workload's template, or give the pod another name",
            ));
        }
        self.place_pod(pod, NodeChoice::Any(0))
    }

    /// Creates or replaces a pod. One that names no node stays where it is, or goes where `choice` lets it.
    fn place_pod(&mut self, pod: &Pod, choice: NodeChoice) -> Result<(), ChangeError> {
        let mut pod = pod.clone();
        let name = self.name_in_namespace("pod", &mut pod.metadata)?;
        let previous = self.snapshot.pods.get(&name).cloned();
        if pod.service_account.is_empty() {
            "default".clone_into(&mut pod.service_account);
        }
        self.books.scheduler.forget(&name);
        let written = pod.node_name.as_ref().or_else(|| previous.as_ref()?.node_name.as_ref());
        let runs = previous.as_ref().is_some_and(|previous| previous.node_name.is_some());
        let taken = match written {
            Some(node) => {
                let node = self
                    .snapshot
                    .nodes
                    .get(node)
                    .cloned()
                    .ok_or_else(|| nodes::unknown(&self.snapshot, node))?;
                if runs { Ok(node) } else { self.books.scheduler.admit(&name, &pod, node) }
            }
            None => self.choose_node(&name, &pod, &choice),
        };
        let node = match taken {
            Ok(node) => node,
            Err(why) => {
                self.snapshot.pods.insert(name.clone(), Arc::new(scheduler::pending(&pod)));
                self.books.scheduler.wait(name, pod, choice, why);
                return Ok(());
            }
        };
        pod.node_name = Some(node.metadata.name.clone());
        if let Some(previous) = &previous {
            pods::check_unchanged(&name, previous, &pod)?;
        }
        pod.host_ips.clone_from(&node.addresses);
        let addresses = &mut self.books.pod_addresses;
        pod.pod_ips = addresses.assign(&self.snapshot, &name, &pod, previous.as_deref(), &node)?;
        match pod.phase.has_ended() {
            true => self.end_pod(&name, &pod),
            false => self.books.scheduler.start(&name, &pod),
        }
        if let Some(previous) = &previous {
            self.touched.pod(&name.namespace, &previous.metadata.labels);
        }
        self.touched.pod(&name.namespace, &pod.metadata.labels);
        self.snapshot.listens.remove(&name);
        self.snapshot.pods.insert(name, Arc::new(pod));
        Ok(())
    }

    /// The node that takes a pod which names none.
    fn choose_node(
        &mut self,
        name: &NamespacedName,
        pod: &Pod,
        choice: &NodeChoice,
    ) -> Result<Arc<Node>, Unschedulable> {
        self.books.scheduler.choose(&self.snapshot, &mut self.books.pod_addresses, name, pod, choice)
    }

    /// Puts the pods that wait on nodes that take them by now.
    pub(super) fn schedule_waiting(&mut self) -> Result<(), ChangeError> {
        for (name, Waiting { pod, choice, .. }) in self.books.scheduler.take_waiting() {
            let named = pod.node_name.as_ref().and_then(|node| self.snapshot.nodes.get(node)).cloned();
            let taken = match named {
                Some(node) => self.books.scheduler.admit(&name, &pod, node),
                None => self.choose_node(&name, &pod, &choice),
            };
            match taken {
                Ok(_) => self.place_pod(&pod, choice)?,
                Err(why) => self.books.scheduler.wait(name, pod, choice, why),
            }
        }
        Ok(())
    }

    /// Deletes a pod and frees its addresses. Whether there was one.
    pub(super) fn delete_pod(&mut self, name: &NamespacedName) -> bool {
        let Some(pod) = self.snapshot.pods.remove(name) else {
            return false;
        };
        self.snapshot.listens.remove(name);
        self.books.scheduler.forget(name);
        self.touched.pod(&name.namespace, &pod.metadata.labels);
        self.end_pod(name, &pod);
        true
    }

    /// What a pod has is free again.
    fn end_pod(&mut self, name: &NamespacedName, pod: &Pod) {
        self.books.scheduler.end(name, pod);
        self.books.pod_addresses.release(name, pod);
    }

    /// Makes the pods that are missing and deletes those that are too many. A changed template replaces
    /// every pod by one with another address.
    pub(super) fn apply_workload(&mut self, workload: &Workload) -> Result<(), ChangeError> {
        let mut workload = workload.clone();
        let name = self.name_in_namespace(workload.kind.word(), &mut workload.metadata)?;
        let reference: WorkloadRef = (workload.kind.clone(), name.clone());
        let nodes = workloads::nodes_for(&self.snapshot, &workload);
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
                let whose = match self.maker_of(pod) {
                    Some(other) => format!("{} makes one of that name", workloads::text(&other)),
                    None => "there is one of that name already".to_owned(),
                };
                return Err(ChangeError::new(
                    format!("{} cannot make pod/{pod}: {whose}", workloads::text(&reference)),
                    "give one of the two another name",
                ));
            }
            let choice = match (&workload.pods, nodes.get(turn)) {
                (WorkloadPods::Nodes(_), Some(node)) => NodeChoice::Only(node.clone()),
                _ => NodeChoice::Any(turn),
            };
            self.place_pod(&workloads::pod_of(&workload, pod), choice)?;
        }
        self.books
            .workloads
            .insert(reference, workloads::Owned { workload, pods: wanted.into_iter().collect() });
        Ok(())
    }

    /// Moves the pods of DaemonSets to where they belong after a node's labels or taints have changed.
    pub(super) fn follow_node_labels(&mut self) -> Result<(), ChangeError> {
        for workload in self.books.workloads.of_nodes() {
            self.apply_workload(&workload)?;
        }
        Ok(())
    }

    /// Deletes a workload and its pods. Whether there was one.
    pub(super) fn delete_workload(&mut self, reference: &WorkloadRef) -> bool {
        let Some(owned) = self.books.workloads.remove(reference) else {
            return false;
        };
        for pod in &owned.pods {
            self.delete_pod(pod);
        }
        true
    }

    /// The workload that made a pod.
    pub(super) fn maker_of(&self, pod: &NamespacedName) -> Option<WorkloadRef> {
        self.snapshot.pods.get(pod)?;
        self.books.workloads.maker_of(pod)
    }

    /// Deletes a pod of a workload, whose controller makes it anew on the same node.
    pub(super) fn restart_pod(
        &mut self,
        reference: &WorkloadRef,
        name: &NamespacedName,
    ) -> Result<(), ChangeError> {
        let node = self.snapshot.pods.get(name).and_then(|pod| pod.node_name.clone());
        let template = self.books.workloads.get(reference).cloned();
        self.delete_pod(name);
        let choice = node.map_or(NodeChoice::Any(0), NodeChoice::Only);
        match template {
            Some(workload) => self.place_pod(&workloads::pod_of(&workload, name), choice),
            None => Ok(()),
        }
    }
}
