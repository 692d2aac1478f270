//! Pods: the node that a pod runs on, and its addresses.

use crate::addresses::{address, last_host, number};
use crate::change::ChangeError;
use crate::control_plane::{Draft, given_addresses};
use crate::namespaces::check_unicast;
use crate::nodes::GATEWAY_OFFSET;
use crate::scheduler::Wish;
use ipnet::IpNet;
use netproof_api::core::{ContainerPort, PodPhase};
use netproof_api::{Node, Pod};
use netproof_model::{Family, NamespacedName};
use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

impl Draft {
    /// Creates or replaces a pod. One that names no node stays where it is, or goes where it is wished.
    pub(crate) fn place_pod(&mut self, pod: &Pod, wish: Wish) -> Result<(), ChangeError> {
        let mut pod = pod.clone();
        let name = self.name_in_namespace("pod", &mut pod.metadata)?;
        let previous = self.snapshot.pods.get(&name).cloned();
        if pod.service_account.is_empty() {
            "default".clone_into(&mut pod.service_account);
        }
        self.books.waiting.remove(&name);
        let written = pod.node_name.as_ref().or_else(|| previous.as_ref()?.node_name.as_ref());
        let runs = previous.as_ref().is_some_and(|previous| previous.node_name.is_some());
        let taken = match written {
            Some(node) => {
                let node = self.snapshot.nodes.get(node).cloned().ok_or_else(|| self.unknown_node(node))?;
                if runs { Ok(node) } else { self.admit(&name, &pod, node) }
            }
            None => self.schedule(&name, &pod, &wish),
        };
        let node = match taken {
            Ok(node) => node,
            Err(why) => {
                self.wait(name, pod, wish, why);
                return Ok(());
            }
        };
        pod.node_name = Some(node.metadata.name.clone());
        if let Some(previous) = &previous {
            check_unchanged(&name, previous, &pod)?;
        }
        pod.host_ips.clone_from(&node.addresses);
        pod.pod_ips = match pod.host_network {
            true => self.host_addresses(&name, &pod, &node)?,
            false => self.pod_addresses(&name, &pod, previous.as_deref(), &node)?,
        };
        match pod.phase.has_ended() {
            true => self.release_pod(&name, &pod),
            false => self.books.host_ports.claim(&name, &pod),
        }
        if let Some(previous) = &previous {
            self.touched.pod(&name.namespace, &previous.metadata.labels);
        }
        self.touched.pod(&name.namespace, &pod.metadata.labels);
        self.snapshot.listens.remove(&name);
        self.snapshot.pods.insert(name, Arc::new(pod));
        Ok(())
    }

    /// Deletes a pod and frees its addresses. Whether there was one.
    pub(crate) fn delete_pod(&mut self, name: &NamespacedName) -> bool {
        let Some(pod) = self.snapshot.pods.remove(name) else {
            return false;
        };
        self.snapshot.listens.remove(name);
        self.books.waiting.remove(name);
        self.touched.pod(&name.namespace, &pod.metadata.labels);
        self.release_pod(name, &pod);
        true
    }

    /// A hostNetwork pod has its node's addresses, and shares its node's ports with the others there.
    fn host_addresses(
        &self,
        name: &NamespacedName,
        pod: &Pod,
        node: &Node,
    ) -> Result<Vec<IpAddr>, ChangeError> {
        let families = self.snapshot.topology.family;
        let mut given = pod.pod_ips.iter().filter(|given| families.contains(Family::of(**given)));
        if let Some(given) = given.find(|given| !node.addresses.contains(given)) {
            return Err(ChangeError::new(
                format!("pod/{name} is in its node's network and cannot have {given}"),
                format!("leave the address out: it has those of {}", node.metadata.name),
            ));
        }
        Ok(node.addresses.clone())
    }

    /// Those that it has, those that are given, or the next of its node's range: one of each family.
    fn pod_addresses(
        &mut self,
        name: &NamespacedName,
        pod: &Pod,
        previous: Option<&Pod>,
        node: &Node,
    ) -> Result<Vec<IpAddr>, ChangeError> {
        let topology = self.snapshot.topology.clone();
        let given = given_addresses(&format!("pod/{name}"), &pod.pod_ips, &topology)?;
        let mut addresses = Vec::new();
        for family in topology.family.list() {
            let current =
                previous.and_then(|pod| pod.pod_ips.iter().copied().find(|ip| Family::of(*ip) == *family));
            let address = match (current, *given.get(*family)) {
                (Some(current), Some(given)) if current != given => {
                    return Err(immutable(name, "address", &current.to_string(), &given.to_string()));
                }
                (Some(current), _) => current,
                (None, Some(given)) => self.claim_given(name, pod, given)?,
                // A pod that has not started has no network yet, and one that has ended none any more.
                (None, None) if pod.phase != PodPhase::Running => continue,
                (None, None) => self.next_pod_address(name, node, *family)?,
            };
            addresses.push(address);
        }
        Ok(addresses)
    }

    fn next_pod_address(
        &mut self,
        name: &NamespacedName,
        node: &Node,
        family: Family,
    ) -> Result<IpAddr, ChangeError> {
        let ledger = self.books.pod_ips.get_mut(family);
        let pool = self.books.pod_pools.get_mut(&node.metadata.name);
        let taken = pool.and_then(|pool| pool.get_mut(family).take(ledger, name));
        taken.map(|number| address(family, number)).ok_or_else(|| {
            ChangeError::new(
                format!("no {family} address is left on {} for pod/{name}", node.metadata.name),
                "put the pod on another node",
            )
        })
    }

    /// A given address: of the cluster's pod range, reserved for nobody, and no living pod's.
    fn claim_given(
        &mut self,
        name: &NamespacedName,
        pod: &Pod,
        given: IpAddr,
    ) -> Result<IpAddr, ChangeError> {
        let family = Family::of(given);
        check_unicast(&format!("pod/{name}"), given)?;
        let ranges: Vec<IpNet> = self.snapshot.topology.pod_ranges(family).collect();
        if !ranges.iter().any(|range| range.contains(&given)) {
            let ranges: Vec<String> = ranges.iter().map(ToString::to_string).collect();
            return Err(ChangeError::new(
                format!("{given} of pod/{name} is not in the cluster's range of pods, {}", ranges.join(", ")),
                "give it an address of that range, or none",
            ));
        }
        for node in self.snapshot.nodes.values() {
            if node.has_address(given) {
                return Err(ChangeError::new(
                    format!("{given} of pod/{name} is the address of node/{}", node.metadata.name),
                    "give it another address, or none; a pod in its node's network says `hostNetwork: true`",
                ));
            }
            for part in node.pod_cidrs.iter().filter(|part| part.contains(&given)) {
                let offset = number(given) - number(part.network());
                if offset <= GATEWAY_OFFSET || number(given) > last_host(*part) {
                    return Err(ChangeError::new(
                        format!(
                            "{given} of pod/{name} is reserved in {part}, the pod range of {}",
                            node.metadata.name
                        ),
                        "give it another address of that range, or none",
                    ));
                }
            }
        }
        if pod.phase.has_ended() {
            return Ok(given);
        }
        let ledger = self.books.pod_ips.get_mut(family);
        if let Some(owner) = ledger.owner(number(given)) {
            return Err(ChangeError::new(
                format!("{given} is the address of pod/{owner}; pod/{name} cannot have it too"),
                format!("delete pod/{owner} first, or give another address, or none"),
            ));
        }
        ledger.claim(number(given), name);
        Ok(given)
    }

    fn release_pod(&mut self, name: &NamespacedName, pod: &Pod) {
        self.books.host_ports.release(name, pod);
        for address in &pod.pod_ips {
            self.books.pod_ips.get_mut(Family::of(*address)).release(number(*address), name);
        }
    }
}

/// What the API server lets nobody change in a pod, and that a pod which has ended does not start again.
fn check_unchanged(name: &NamespacedName, old: &Pod, new: &Pod) -> Result<(), ChangeError> {
    if old.node_name.is_some() && old.node_name != new.node_name {
        let text = |node: &Option<String>| node.clone().unwrap_or_default();
        return Err(immutable(name, "node", &text(&old.node_name), &text(&new.node_name)));
    }
    if old.host_network != new.host_network {
        let (from, to) = (old.host_network.to_string(), new.host_network.to_string());
        return Err(immutable(name, "hostNetwork", &from, &to));
    }
    let ports = |pod: &Pod| pod.ports().cloned().collect::<HashSet<ContainerPort>>();
    if ports(old) != ports(new) {
        return Err(immutable(name, "ports", &port_list(old), &port_list(new)));
    }
    if old.terminating && !new.terminating {
        return Err(ChangeError::new(
            format!("pod/{name} is being deleted and cannot be kept"),
            "delete it first, then apply it",
        ));
    }
    if old.phase.has_ended() && !new.phase.has_ended() {
        return Err(ChangeError::new(
            format!("pod/{name} has ended and cannot start again"),
            "delete it first, then apply it",
        ));
    }
    Ok(())
}

fn immutable(name: &NamespacedName, field: &str, from: &str, to: &str) -> ChangeError {
    ChangeError::new(
        format!("the {field} of pod/{name} cannot change from {from} to {to}"),
        "delete the pod first, then apply it",
    )
}

fn port_list(pod: &Pod) -> String {
    let ports: Vec<String> = pod
        .ports()
        .map(|port| match &port.name {
            Some(name) => format!("{name}={}/{}", port.container_port, port.protocol),
            None => format!("{}/{}", port.container_port, port.protocol),
        })
        .collect();
    if ports.is_empty() { "none".to_owned() } else { ports.join(", ") }
}
