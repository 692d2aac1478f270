//! The next state, while its changes are being made: which objects come, go and change with a change, and whom that
//! asks. Addresses, ports and nodes are given out by those that keep them ([`Books`]).

mod pods;

use crate::change::{Change, ChangeError, KINDS, ObjectRef};
use crate::cluster_ips::ClusterIps;
use crate::endpoints::{self, EndpointController, Touched};
use crate::external_addresses::ExternalAddresses;
use crate::node_ports::NodePorts;
use crate::pods::PodAddresses;
use crate::scheduler::Scheduler;
use crate::snapshot::Snapshot;
use crate::workloads::Workloads;
use crate::{external_hosts, namespaces, nodes};
use netproof_api::{EndpointSlice, Node, Object, ObjectMeta, Policy, Service, WorkloadKind};
use netproof_model::{NamespacedName, PolicyKey};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Who gives out what, and what each has given.
#[derive(Clone, Debug)]
pub(crate) struct Books {
    pub(crate) pod_addresses: PodAddresses,
    pub(crate) cluster_ips: ClusterIps,
    pub(crate) node_ports: NodePorts,
    pub(crate) external_addresses: ExternalAddresses,
    pub(crate) scheduler: Scheduler,
    pub(crate) workloads: Workloads,
    pub(crate) endpoints: EndpointController,
}

/// The next state.
pub(crate) struct Draft {
    snapshot: Snapshot,
    books: Books,
    touched: Touched,
}

impl Draft {
    /// Begins with these objects.
    pub(crate) fn new(snapshot: Snapshot, books: Books) -> Self {
        Draft { snapshot, books, touched: Touched::default() }
    }

    /// The objects and the books after all changes: what waits is scheduled, and endpoints follow.
    pub(crate) fn finish(mut self) -> Result<(Snapshot, Books), ChangeError> {
        self.schedule_waiting()?;
        self.books.endpoints.update(self.touched, &mut self.snapshot);
        Ok((self.snapshot, self.books))
    }

    pub(crate) fn change(&mut self, change: &Change) -> Result<(), ChangeError> {
        match change {
            Change::Apply(object) => self.apply(object),
            Change::ApplyExternal(host) => {
                let host = external_hosts::complete(&self.snapshot, host)?;
                self.snapshot.externals.insert(host.name.clone(), Arc::new(host));
                Ok(())
            }
            Change::Listen { pod, ports } => {
                if !self.snapshot.pods.contains_key(pod) {
                    return Err(missing(&ObjectRef::new("pod", Some(&pod.namespace), &pod.name)));
                }
                self.snapshot.listens.insert(pod.clone(), ports.clone());
                Ok(())
            }
            Change::Label { object, labels } => self.label(object, labels),
            Change::Delete(object) => self.delete(object),
        }
    }

    fn apply(&mut self, object: &Object) -> Result<(), ChangeError> {
        match object {
            Object::Namespace(namespace) => {
                let namespace = namespaces::complete(namespace)?;
                self.snapshot.namespaces.insert(namespace.metadata.name.clone(), Arc::new(namespace));
                Ok(())
            }
            Object::Node(node) => self.apply_node(node),
            Object::Pod(pod) => self.apply_pod(pod),
            Object::Service(service) => self.apply_service(service),
            Object::EndpointSlice(slice) => self.apply_endpoint_slice(slice),
            Object::Policy(policy) => self.apply_policy(policy),
            Object::Workload(workload) => self.apply_workload(workload),
        }
    }

    fn apply_policy(&mut self, policy: &Policy) -> Result<(), ChangeError> {
        let (mut policy, kind) = (policy.clone(), policy.kind());
        let key = if kind.is_namespaced() {
            let name = self.name_in_namespace(kind.word(), policy.metadata_mut())?;
            PolicyKey::namespaced(kind, name.namespace, name.name)
        } else {
            PolicyKey::cluster(kind, policy.metadata().name.as_str())
        };
        self.snapshot.policies.insert(key, policy);
        Ok(())
    }

    /// The object's full name, its namespace written out. The namespace must exist.
    fn name_in_namespace(
        &self,
        kind: &str,
        metadata: &mut ObjectMeta,
    ) -> Result<NamespacedName, ChangeError> {
        let namespace = metadata.namespace.get_or_insert_with(|| "default".to_owned());
        if !self.snapshot.namespaces.contains_key(namespace) {
            return Err(ChangeError::new(
                format!(
                    "{kind}/{namespace}/{} is in namespace `{namespace}`, which does not exist",
                    metadata.name
                ),
                format!("create namespace `{namespace}` before what it holds"),
            )
            .for_want_of(ObjectRef::new("namespace", None, namespace.as_str())));
        }
        Ok(NamespacedName::new(namespace.as_str(), metadata.name.as_str()))
    }

    fn label(
        &mut self,
        object: &ObjectRef,
        labels: &BTreeMap<String, Option<String>>,
    ) -> Result<(), ChangeError> {
        let name = object.namespaced_name();
        if object.kind == "endpointslice" {
            self.books.endpoints.refuse_own(&self.snapshot, &name)?;
        }
        let snapshot = &mut self.snapshot;
        let metadata = match object.kind.as_str() {
            "namespace" => {
                namespaces::check_labels(object, labels)?;
                snapshot.namespaces.get_mut(&object.name).map(|o| &mut Arc::make_mut(o).metadata)
            }
            "node" => snapshot.nodes.get_mut(&object.name).map(|o| &mut Arc::make_mut(o).metadata),
            "pod" => snapshot.pods.get_mut(&name).map(|o| &mut Arc::make_mut(o).metadata),
            "service" => snapshot.services.get_mut(&name).map(|o| &mut Arc::make_mut(o).metadata),
            "endpointslice" => {
                snapshot.endpoint_slices.get_mut(&name).map(|o| &mut Arc::make_mut(o).metadata)
            }
            "external" => {
                return Err(ChangeError::new(
                    format!("{object} has no labels"),
                    "an external host is known by its address: use an ipBlock",
                ));
            }
            kind => match (WorkloadKind::named(kind), object.policy_key()) {
                (Some(kind), _) => self.books.workloads.metadata_mut(&(kind, name.clone())),
                (None, Some(key)) => snapshot.policies.get_mut(&key).map(Policy::metadata_mut),
                (None, None) => return Err(unknown_kind(object)),
            },
        };
        let metadata = metadata.ok_or_else(|| missing(object))?;
        match object.kind.as_str() {
            "pod" => self.touched.pod(&name.namespace, &metadata.labels),
            "service" => self.touched.service(&name),
            "node" => self.touched.node(&object.name),
            _ => {}
        }
        for (key, value) in labels {
            match value {
                Some(value) => metadata.labels.insert(key.clone(), value.clone()),
                None => metadata.labels.remove(key),
            };
        }
        match object.kind.as_str() {
            "pod" => self.touched.pod(&name.namespace, &metadata.labels),
            "node" => self.follow_node_labels()?,
            _ => {}
        }
        Ok(())
    }

    fn delete(&mut self, object: &ObjectRef) -> Result<(), ChangeError> {
        let name = object.namespaced_name();
        let existed = match object.kind.as_str() {
            "namespace" => self.delete_namespace(&object.name)?,
            "node" => {
                return Err(ChangeError::new(
                    format!("{object} cannot be deleted"),
                    "nodes are the topology's: use a topology without it",
                ));
            }
            "pod" => match self.maker_of(&name) {
                Some(workload) => return self.restart_pod(&workload, &name),
                None => self.delete_pod(&name),
            },
            "service" => self.delete_service(&name),
            "endpointslice" => {
                self.books.endpoints.refuse_own(&self.snapshot, &name)?;
                self.snapshot.endpoint_slices.remove(&name).is_some()
            }
            "external" => self.snapshot.externals.remove(&object.name).is_some(),
            kind => match (WorkloadKind::named(kind), object.policy_key()) {
                (Some(kind), _) => self.delete_workload(&(kind, name)),
                (None, Some(key)) => self.snapshot.policies.remove(&key).is_some(),
                (None, None) => return Err(unknown_kind(object)),
            },
        };
        if existed { Ok(()) } else { Err(missing(object)) }
    }

    /// Deletes a namespace and all that is in it. Whether there was one.
    fn delete_namespace(&mut self, name: &str) -> Result<bool, ChangeError> {
        namespaces::check_deletable(name)?;
        if self.snapshot.namespaces.remove(name).is_none() {
            return Ok(false);
        }
        for service in namespaces::names_in(&self.snapshot.services, name) {
            self.delete_service(&service);
        }
        self.books.workloads.remove_namespace(name);
        for pod in namespaces::names_in(&self.snapshot.pods, name) {
            self.delete_pod(&pod);
        }
        for slice in namespaces::names_in(&self.snapshot.endpoint_slices, name) {
            self.snapshot.endpoint_slices.remove(&slice);
        }
        self.snapshot.policies.retain(|key, _| key.namespace.as_deref() != Some(name));
        Ok(true)
    }

    /// A node is the topology's; applying it replaces its labels and its taints.
    fn apply_node(&mut self, node: &Node) -> Result<(), ChangeError> {
        let name = &node.metadata.name;
        let current = self.snapshot.nodes.get(name).ok_or_else(|| nodes::unknown(&self.snapshot, name))?;
        let replaced = nodes::replaced(current, node)?;
        self.snapshot.nodes.insert(name.clone(), Arc::new(replaced));
        self.touched.node(name);
        self.follow_node_labels()
    }

    fn apply_service(&mut self, service: &Service) -> Result<(), ChangeError> {
        let mut service = service.clone();
        let name = self.name_in_namespace("service", &mut service.metadata)?;
        let previous = self.snapshot.services.get(&name).map(Arc::as_ref);
        self.books.cluster_ips.assign(&name, &mut service, previous)?;
        self.books.node_ports.assign(&name, &mut service, previous)?;
        self.books.external_addresses.assign(&self.snapshot, &name, &mut service, previous)?;
        self.touched.service(&name);
        self.snapshot.services.insert(name, Arc::new(service));
        Ok(())
    }

    /// Deletes a service and frees its addresses and ports. Whether there was one.
    fn delete_service(&mut self, name: &NamespacedName) -> bool {
        let Some(service) = self.snapshot.services.remove(name) else {
            return false;
        };
        self.books.cluster_ips.release(name, &service);
        self.books.node_ports.release(name, &service);
        self.books.external_addresses.release(&self.snapshot, name, &service);
        self.touched.service(name);
        true
    }

    fn apply_endpoint_slice(&mut self, slice: &EndpointSlice) -> Result<(), ChangeError> {
        let mut slice = slice.clone();
        let name = self.name_in_namespace("endpointslice", &mut slice.metadata)?;
        self.books.endpoints.refuse_own(&self.snapshot, &name)?;
        if let Some(old) = self.snapshot.endpoint_slices.get(&name) {
            endpoints::check_unchanged(&name, old, &slice)?;
        }
        self.snapshot.endpoint_slices.insert(name, Arc::new(slice));
        Ok(())
    }
}

fn missing(object: &ObjectRef) -> ChangeError {
    ChangeError::new(format!("{object} does not exist"), "create it first, or correct the name")
        .for_want_of(object.clone())
}

fn unknown_kind(object: &ObjectRef) -> ChangeError {
    ChangeError::new(
        format!("`{}` is not a kind of object here", object.kind),
        format!("a kind is one of {}", KINDS.join(", ")),
    )
}
