//! Namespaces, nodes' labels and external hosts: the objects that no namespace holds.

use crate::addresses::{is_of_a_host, is_outside};
use crate::change::ChangeError;
use crate::control_plane::{Draft, NAMESPACE_NAME_LABEL};
use crate::nodes;
use netproof_api::{Namespace, Node};
use netproof_model::topology::ExternalHost;
use netproof_model::{Family, NamespacedName};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// The namespaces that the API server refuses to delete.
const UNDELETABLE: [&str; 3] = ["default", "kube-public", "kube-system"];

impl Draft {
    pub(crate) fn apply_namespace(&mut self, namespace: &Namespace) -> Result<(), ChangeError> {
        let mut namespace = namespace.clone();
        let name = namespace.metadata.name.clone();
        let label =
            namespace.metadata.labels.entry(NAMESPACE_NAME_LABEL.to_owned()).or_insert_with(|| name.clone());
        if *label != name {
            return Err(ChangeError::new(
                format!("the label {NAMESPACE_NAME_LABEL} of namespace/{name} says `{label}`"),
                "leave the label out: the API server sets it",
            ));
        }
        self.snapshot.namespaces.insert(name, Arc::new(namespace));
        Ok(())
    }

    /// Deletes a namespace and all that is in it. Whether there was one.
    pub(crate) fn delete_namespace(&mut self, name: &str) -> Result<bool, ChangeError> {
        if UNDELETABLE.contains(&name) {
            return Err(ChangeError::new(
                format!("namespace/{name} cannot be deleted"),
                "delete what is in it, or use a namespace of your own",
            ));
        }
        if self.snapshot.namespaces.remove(name).is_none() {
            return Ok(false);
        }
        for service in names_in(&self.snapshot.services, name) {
            self.delete_service(&service);
        }
        self.books.workloads.retain(|(_, workload), _| workload.namespace != name);
        for pod in names_in(&self.snapshot.pods, name) {
            self.delete_pod(&pod);
        }
        for slice in names_in(&self.snapshot.endpoint_slices, name) {
            self.snapshot.endpoint_slices.remove(&slice);
        }
        self.snapshot.policies.retain(|key, _| key.namespace.as_deref() != Some(name));
        Ok(true)
    }

    /// A node is the topology's; applying it replaces its labels and its taints.
    pub(crate) fn apply_node(&mut self, node: &Node) -> Result<(), ChangeError> {
        let name = &node.metadata.name;
        let Some(current) = self.snapshot.nodes.get_mut(name) else {
            return Err(self.unknown_node(name));
        };
        let same = |given: bool, what: &str| match given {
            true => Ok(()),
            false => Err(ChangeError::new(
                format!("the {what} of node/{name} are the topology's and cannot be given"),
                "leave them out",
            )),
        };
        same(node.addresses.is_empty() || node.addresses == current.addresses, "addresses")?;
        same(node.pod_cidrs.is_empty() || node.pod_cidrs == current.pod_cidrs, "pod ranges")?;
        let mut metadata = nodes::metadata(name, &node.metadata.labels);
        metadata.annotations.clone_from(&node.metadata.annotations);
        let current = Arc::make_mut(current);
        current.metadata = metadata;
        current.taints.clone_from(&node.taints);
        self.touched.node(name);
        self.follow_node_labels()
    }

    /// The error for a node that the topology lacks.
    pub(crate) fn unknown_node(&self, name: &str) -> ChangeError {
        let known: Vec<&str> = self.snapshot.nodes.keys().map(String::as_str).collect();
        ChangeError::new(
            format!("there is no node `{name}` in topology `{}`", self.snapshot.topology.name),
            format!("its nodes are {}", known.join(", ")),
        )
    }

    /// An external host may have any address that is not the cluster's and not another host's.
    /// Addresses of a family that the topology lacks are left away.
    pub(crate) fn apply_external(&mut self, host: &ExternalHost) -> Result<(), ChangeError> {
        let mut host = host.clone();
        let topology = self.snapshot.topology.clone();
        host.addresses.retain(|address| topology.family.contains(Family::of(*address)));
        // The primary family first, as everywhere.
        host.addresses.sort_by_key(|address| Family::of(*address));
        for address in &host.addresses {
            check(is_outside(*address), &format!("external/{}", host.name), *address)?;
            for (what, range) in nodes::all_ranges(&topology, Family::of(*address)) {
                if range.contains(address) {
                    return Err(ChangeError::new(
                        format!(
                            "{address} of external/{} is in the cluster's range of {what}, {range}",
                            host.name
                        ),
                        "give it an address outside the cluster's ranges",
                    ));
                }
            }
            let taken = self
                .snapshot
                .externals
                .values()
                .find(|other| other.name != host.name && other.addresses.contains(address));
            if let Some(other) = taken {
                return Err(ChangeError::new(
                    format!("external/{} and external/{} both have {address}", other.name, host.name),
                    "give each an address of its own",
                ));
            }
        }
        for address in &host.addresses {
            if let Some((service, _)) = self.snapshot.service_of_address(*address) {
                return Err(ChangeError::new(
                    format!("service/{service} and external/{} both have {address}", host.name),
                    "give each an address of its own",
                ));
            }
        }
        self.snapshot.externals.insert(host.name.clone(), Arc::new(host));
        Ok(())
    }
}

/// Refuses what cannot be a host's address.
pub(crate) fn check_unicast(what: &str, address: IpAddr) -> Result<(), ChangeError> {
    check(is_of_a_host(address), what, address)
}

fn check(may_be: bool, what: &str, address: IpAddr) -> Result<(), ChangeError> {
    match may_be {
        true => Ok(()),
        false => Err(ChangeError::new(
            format!("{address} cannot be the address of {what}"),
            "give it a unicast address that can be routed",
        )),
    }
}

/// The names of the objects of one namespace.
fn names_in<T>(objects: &BTreeMap<NamespacedName, T>, namespace: &str) -> Vec<NamespacedName> {
    in_namespace(objects, namespace).map(|(name, _)| name.clone()).collect()
}

/// The objects of one namespace.
pub(crate) fn in_namespace<'a, T>(
    objects: &'a BTreeMap<NamespacedName, T>,
    namespace: &'a str,
) -> impl Iterator<Item = (&'a NamespacedName, &'a T)> {
    objects
        .range(NamespacedName::new(namespace, "")..)
        .take_while(move |(name, _)| name.namespace == namespace)
}
