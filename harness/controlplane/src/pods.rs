//! The addresses of pods, and what nobody can change in a pod.

use crate::addresses::{Ledger, Pool, address, check_unicast, given_addresses, last_host, number};
use crate::change::ChangeError;
use crate::nodes::GATEWAY_OFFSET;
use crate::snapshot::Snapshot;
use ipnet::IpNet;
use netproof_api::core::{ContainerPort, PodPhase};
use netproof_api::{Node, Pod};
use netproof_model::topology::PerFamily;
use netproof_model::{Families, Family, NamespacedName};
use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;

/// Which pod has which address, and what each node has left.
#[derive(Clone, Debug)]
pub(crate) struct PodAddresses {
    taken: PerFamily<Ledger>,
    free: BTreeMap<String, PerFamily<Pool>>,
}

impl PodAddresses {
    /// All are free: each node's range without its gateway.
    pub(crate) fn new(nodes: &[Node]) -> Self {
        let mut free = BTreeMap::new();
        for node in nodes {
            let mut pools = PerFamily { ipv4: Pool::empty(), ipv6: Pool::empty() };
            for range in &node.pod_cidrs {
                *pools.get_mut(Family::of(range.addr())) = Pool::from_offset(*range, GATEWAY_OFFSET + 1);
            }
            free.insert(node.metadata.name.clone(), pools);
        }
        PodAddresses { taken: PerFamily::default(), free }
    }

    /// Whether a node has addresses left for a pod that needs some.
    pub(crate) fn has_room(&mut self, families: Families, pod: &Pod, node: &Node) -> bool {
        if pod.host_network || pod.phase != PodPhase::Running {
            return true;
        }
        let Some(pools) = self.free.get_mut(&node.metadata.name) else { return false };
        let is_needed = |family: &&Family| !pod.pod_ips.iter().any(|given| Family::of(*given) == **family);
        let mut needed = families.list().iter().filter(is_needed);
        needed.all(|family| pools.get_mut(*family).has_room(self.taken.get(*family)))
    }

    /// The addresses of a pod on a node: the node's, or its own.
    pub(crate) fn assign(
        &mut self,
        cluster: &Snapshot,
        name: &NamespacedName,
        pod: &Pod,
        previous: Option<&Pod>,
        node: &Node,
    ) -> Result<Vec<IpAddr>, ChangeError> {
        match pod.host_network {
            true => host_addresses(cluster.topology.family, name, pod, node),
            false => self.own_addresses(cluster, name, pod, previous, node),
        }
    }

    /// Frees those of a pod that ends or goes.
    pub(crate) fn release(&mut self, name: &NamespacedName, pod: &Pod) {
        for address in &pod.pod_ips {
            self.taken.get_mut(Family::of(*address)).release(number(*address), name);
        }
    }

    /// Those that it has, those that are given, or the next of its node's range: one of each family.
    fn own_addresses(
        &mut self,
        cluster: &Snapshot,
        name: &NamespacedName,
        pod: &Pod,
        previous: Option<&Pod>,
        node: &Node,
    ) -> Result<Vec<IpAddr>, ChangeError> {
        let topology = &cluster.topology;
        let given = given_addresses(&format!("pod/{name}"), &pod.pod_ips, topology)?;
        let mut addresses = Vec::new();
        for family in topology.family.list() {
            let current =
                previous.and_then(|pod| pod.pod_ips.iter().copied().find(|ip| Family::of(*ip) == *family));
            let address = match (current, *given.get(*family)) {
                (Some(current), Some(given)) if current != given => {
                    return Err(immutable(name, "address", &current.to_string(), &given.to_string()));
                }
                (Some(current), _) => current,
                (None, Some(given)) => self.claim(cluster, name, pod, given)?,
                // A pod that has not started has no network yet, and one that has ended none any more.
                (None, None) if pod.phase != PodPhase::Running => continue,
                (None, None) => self.next(name, node, *family)?,
            };
            addresses.push(address);
        }
        Ok(addresses)
    }

    fn next(&mut self, name: &NamespacedName, node: &Node, family: Family) -> Result<IpAddr, ChangeError> {
        let pool = self.free.get_mut(&node.metadata.name);
        let taken = pool.and_then(|pool| pool.get_mut(family).take(self.taken.get_mut(family), name));
        taken.map(|number| address(family, number)).ok_or_else(|| {
            ChangeError::new(
                format!("no {family} address is left on {} for pod/{name}", node.metadata.name),
                "put the pod on another node",
            )
        })
    }

    /// A given address: of the cluster's pod range, reserved for nobody, and no living pod's.
    fn claim(
        &mut self,
        cluster: &Snapshot,
        name: &NamespacedName,
        pod: &Pod,
        given: IpAddr,
    ) -> Result<IpAddr, ChangeError> {
        let family = Family::of(given);
        check_unicast(&format!("pod/{name}"), given)?;
        let ranges: Vec<IpNet> = cluster.topology.pod_ranges(family).collect();
        if !ranges.iter().any(|range| range.contains(&given)) {
            let ranges: Vec<String> = ranges.iter().map(ToString::to_string).collect();
            return Err(ChangeError::new(
                format!("{given} of pod/{name} is not in the cluster's range of pods, {}", ranges.join(", ")),
                "give it an address of that range, or none",
            ));
        }
        for node in cluster.nodes.values() {
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
        let ledger = self.taken.get_mut(family);
        if let Some(owner) = ledger.owner(number(given)) {
            return Err(ChangeError::new(
                format!("{given} is the address of pod/{owner}; pod/{name} cannot have it too"),
                format!("delete pod/{owner} first, or give another address, or none"),
            ));
        }
        ledger.claim(number(given), name);
        Ok(given)
    }
}

/// A hostNetwork pod has its node's addresses, and shares its node's ports with the others there.
fn host_addresses(
    families: Families,
    name: &NamespacedName,
    pod: &Pod,
    node: &Node,
) -> Result<Vec<IpAddr>, ChangeError> {
    let mut given = pod.pod_ips.iter().filter(|given| families.contains(Family::of(**given)));
    if let Some(given) = given.find(|given| !node.addresses.contains(given)) {
        return Err(ChangeError::new(
            format!("pod/{name} is in its node's network and cannot have {given}"),
            format!("leave the address out: it has those of {}", node.metadata.name),
        ));
    }
    Ok(node.addresses.clone())
}

/// What the API server lets nobody change in a pod, and that a pod which has ended does not start again.
pub(crate) fn check_unchanged(name: &NamespacedName, old: &Pod, new: &Pod) -> Result<(), ChangeError> {
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
