//! The control plane: takes change sets, answers with snapshots.
//!
//! A change set is worked into a [`Draft`], a copy of the current state that shares every object with
//! it; the draft becomes the state only if all of its changes were accepted.

use crate::addresses::{Ledger, Pool, number};
use crate::change::{Change, ChangeError, KINDS, ObjectRef};
use crate::endpoints::Touched;
use crate::external_addresses::load_balancer_pool;
use crate::node_ports::NODE_PORTS;
use crate::scheduler::{HostPorts, Unschedulable, Waiting};
use crate::snapshot::Snapshot;
use crate::workloads::{Owned, WorkloadRef};
use crate::{nodes, well_known};
use netproof_api::{Object, ObjectMeta, Policy, WorkloadKind};
use netproof_model::topology::PerFamily;
use netproof_model::{Family, NamespacedName, PolicyKey, Topology};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// The API server and the controllers of one cluster.
#[derive(Clone, Debug)]
pub struct ControlPlane {
    snapshot: Arc<Snapshot>,
    books: Books,
}

/// Who has which address and port, and which EndpointSlices are the controller's own.
#[derive(Clone, Debug)]
pub(crate) struct Books {
    pub(crate) pod_ips: PerFamily<Ledger>,
    pub(crate) pod_pools: BTreeMap<String, PerFamily<Pool>>,
    pub(crate) cluster_ips: PerFamily<Ledger>,
    pub(crate) cluster_ip_pools: PerFamily<Pool>,
    pub(crate) load_balancer: PerFamily<Ledger>,
    pub(crate) load_balancer_pools: PerFamily<Pool>,
    pub(crate) node_ports: Ledger,
    pub(crate) node_port_pool: Pool,
    /// The slices that the controller made, by service.
    pub(crate) slices: BTreeMap<NamespacedName, Vec<NamespacedName>>,
    /// Workloads, and the pods that each has made.
    pub(crate) workloads: BTreeMap<WorkloadRef, Owned>,
    pub(crate) host_ports: HostPorts,
    /// Pods that no node takes.
    pub(crate) waiting: BTreeMap<NamespacedName, Waiting>,
}

/// The next state, while its changes are being made.
pub(crate) struct Draft {
    pub(crate) snapshot: Snapshot,
    pub(crate) books: Books,
    pub(crate) touched: Touched,
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
            pod_ips: PerFamily::default(),
            pod_pools: nodes::pod_pools(&nodes),
            cluster_ips: PerFamily::default(),
            cluster_ip_pools: PerFamily {
                ipv4: cluster_ip_pool(&topology, Family::Ipv4),
                ipv6: cluster_ip_pool(&topology, Family::Ipv6),
            },
            load_balancer: PerFamily::default(),
            load_balancer_pools: PerFamily {
                ipv4: load_balancer_pool(&topology, Family::Ipv4),
                ipv6: load_balancer_pool(&topology, Family::Ipv6),
            },
            node_ports: Ledger::default(),
            node_port_pool: Pool::new(u128::from(*NODE_PORTS.start()), u128::from(*NODE_PORTS.end())),
            slices: BTreeMap::new(),
            workloads: BTreeMap::new(),
            host_ports: HostPorts::default(),
            waiting: BTreeMap::new(),
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
        let mut draft = Draft { snapshot, books, touched: Touched::default() };
        for change in well_known::changes(&topology)? {
            draft.change(&change)?;
        }
        for host in &topology.externals {
            if draft.snapshot.externals.contains_key(&host.name) {
                return Err(ChangeError::new(
                    format!("two external hosts are named `{}`", host.name),
                    "give each external host a name of its own",
                ));
            }
            draft.apply_external(host)?;
        }
        draft.finish()
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
        let mut draft = Draft {
            snapshot: Snapshot::clone(&self.snapshot),
            books: self.books.clone(),
            touched: Touched::default(),
        };
        draft.snapshot.generation += 1;
        for (index, change) in changes.iter().enumerate() {
            draft.change(change).map_err(|error| ChangeError { index: Some(index), ..error })?;
        }
        *self = draft.finish()?;
        Ok(self.snapshot())
    }

    /// The pods that no node takes, and why: they are Pending, and have neither a node nor addresses.
    pub fn unschedulable(&self) -> impl Iterator<Item = (&NamespacedName, &Unschedulable)> {
        self.books.waiting.iter().map(|(name, waiting)| (name, waiting.why()))
    }
}

/// The first addresses of the range are left to services that ask for theirs, as the API server does:
/// a sixteenth of the range, at least 16 and at most 256.
fn cluster_ip_pool(topology: &Topology, family: Family) -> Pool {
    let range = *topology.ranges.services.get(family);
    if !topology.family.contains(family) {
        return Pool::empty();
    }
    let first = number(range.network());
    let size = number(range.broadcast()) - first;
    Pool::from_offset(range, (size / 16).clamp(16, 256))
}

impl Draft {
    fn finish(mut self) -> Result<ControlPlane, ChangeError> {
        self.schedule_waiting()?;
        self.update_endpoint_slices();
        Ok(ControlPlane { snapshot: Arc::new(self.snapshot), books: self.books })
    }

    fn change(&mut self, change: &Change) -> Result<(), ChangeError> {
        match change {
            Change::Apply(object) => self.apply(object),
            Change::ApplyExternal(host) => self.apply_external(host),
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
            Object::Namespace(namespace) => self.apply_namespace(namespace),
            Object::Node(node) => self.apply_node(node),
            Object::Pod(pod) => self.apply_bare_pod(pod),
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
    pub(crate) fn name_in_namespace(
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
            self.refuse_controllers_slice(&name)?;
        }
        let snapshot = &mut self.snapshot;
        let metadata = match object.kind.as_str() {
            "namespace" => {
                let fixed = labels.get(NAMESPACE_NAME_LABEL);
                if fixed.is_some_and(|value| value.as_deref() != Some(&object.name)) {
                    return Err(ChangeError::new(
                        format!("the label {NAMESPACE_NAME_LABEL} of {object} cannot be changed"),
                        "select the namespace by another label, or delete it and create one of another name",
                    ));
                }
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
                (Some(kind), _) => {
                    self.books.workloads.get_mut(&(kind, name.clone())).map(Owned::metadata_mut)
                }
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
            "pod" => match self.workload_of(&name) {
                Some(workload) => return self.restart_pod(&workload, &name),
                None => self.delete_pod(&name),
            },
            "service" => self.delete_service(&name),
            "endpointslice" => {
                self.refuse_controllers_slice(&name)?;
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
}

/// The label that the API server gives every namespace.
pub(crate) const NAMESPACE_NAME_LABEL: &str = "kubernetes.io/metadata.name";

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

/// Those of the given addresses that the topology's families have, the primary family first.
///
/// # Errors
/// None of them has such a family, or two have the same.
pub(crate) fn given_addresses(
    what: &str,
    given: &[IpAddr],
    topology: &Topology,
) -> Result<PerFamily<Option<IpAddr>>, ChangeError> {
    let mut by_family = PerFamily { ipv4: None, ipv6: None };
    for address in given {
        if by_family.get_mut(Family::of(*address)).replace(*address).is_some() {
            return Err(ChangeError::new(
                format!("{what} has two {} addresses", Family::of(*address)),
                "give at most one of each family",
            ));
        }
    }
    let usable = topology.family.list().iter().any(|family| by_family.get(*family).is_some());
    if !given.is_empty() && !usable {
        return Err(ChangeError::new(
            format!("{what} has no {} address", topology.family),
            "add one, or leave the address out and it gets the next free one",
        ));
    }
    Ok(by_family)
}
