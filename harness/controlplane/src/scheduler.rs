//! The scheduler: the node of a pod that names none.
//!
//! A node takes a pod if it has the labels that the pod's `nodeSelector` asks for, no taint that the pod does not
//! tolerate, and the ports of the node that the pod needs are free there. Of those that take it, it is
//! the first one in turn that has an address left. A pod that names its node goes past all that, and the kubelet
//! there looks at the ports alone. A pod that no node takes waits: it is Pending, has neither a node nor addresses,
//! and every later change set tries again.

use crate::pods::PodAddresses;
use crate::snapshot::Snapshot;
use crate::taints::{prefers, repelling};
use netproof_api::core::{HostPort, PodPhase, TransportProtocol};
use netproof_api::{Node, Pod, Taint};
use netproof_model::NamespacedName;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Where a pod may run that names no node.
#[derive(Clone, Debug)]
pub(crate) enum NodeChoice {
    /// On any node; of several the first from this place in the topology on.
    Any(usize),
    /// On this node alone, as the pod of a DaemonSet.
    Only(String),
}

/// A pod that no node takes.
#[derive(Clone, Debug)]
pub(crate) struct Waiting {
    /// As it is to be.
    pub(crate) pod: Pod,
    pub(crate) choice: NodeChoice,
    why: Unschedulable,
}

/// Why no node takes a pod: how many nodes have which obstacle.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unschedulable(BTreeMap<Obstacle, usize>);

/// Why a node does not take a pod.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Obstacle {
    /// It lacks a label that the pod's `nodeSelector` asks for.
    Label(String, String),
    /// It has a taint that the pod does not tolerate.
    Taint(Taint),
    /// A port of the node that the pod needs is another pod's.
    Port(u16, TransportProtocol),
    /// A port of the node that the pod names is another pod's.
    PortOfNamed(String, u16, TransportProtocol),
}

impl fmt::Display for Unschedulable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (obstacle, nodes)) in self.0.iter().enumerate() {
            let comma = if index > 0 { ", " } else { "" };
            let nodes = if *nodes == 1 { "1 node".to_owned() } else { format!("{nodes} nodes") };
            match obstacle {
                Obstacle::Label(key, value) => write!(f, "{comma}{nodes} without the label {key}={value}")?,
                Obstacle::Taint(taint) => write!(f, "{comma}{nodes} with the taint {taint}")?,
                Obstacle::Port(port, protocol) => {
                    write!(f, "{comma}port {port}/{protocol} is another pod's on {nodes}")?;
                }
                Obstacle::PortOfNamed(node, port, protocol) => {
                    write!(
                        f,
                        "{comma}port {port}/{protocol} is another pod's on {node}, the node that it names"
                    )?;
                }
            }
        }
        Ok(())
    }
}

/// Which pods have which ports of which nodes.
#[derive(Clone, Debug, Default)]
struct HostPorts(BTreeMap<(String, u16, TransportProtocol), Vec<(HostPort, NamespacedName)>>);

/// The ports of its node that a pod needs: those of one in the node's network, and every `hostPort`.
pub fn host_ports(pod: &Pod) -> impl Iterator<Item = (HostPort, TransportProtocol)> {
    pod.ports().filter_map(|port| {
        let own = pod.host_network.then_some(HostPort { port: port.container_port, ip: None });
        Some((own.or(port.host_port)?, port.protocol))
    })
}

impl HostPorts {
    /// A port of the node that this pod needs and another one has.
    fn conflict(&self, name: &NamespacedName, pod: &Pod, node: &str) -> Option<(u16, TransportProtocol)> {
        host_ports(pod).find_map(|(port, protocol)| {
            let claims = self.0.get(&(node.to_owned(), port.port, protocol))?;
            let is_taken = claims.iter().any(|(other, owner)| owner != name && other.overlaps(&port));
            is_taken.then_some((port.port, protocol))
        })
    }

    fn claim(&mut self, name: &NamespacedName, pod: &Pod) {
        let Some(node) = &pod.node_name else { return };
        for (port, protocol) in host_ports(pod) {
            let claims = self.0.entry((node.clone(), port.port, protocol)).or_default();
            if !claims.iter().any(|(known, owner)| (known, owner) == (&port, name)) {
                claims.push((port, name.clone()));
            }
        }
    }

    fn release(&mut self, name: &NamespacedName, pod: &Pod) {
        let Some(node) = &pod.node_name else { return };
        for (port, protocol) in host_ports(pod) {
            let key = (node.clone(), port.port, protocol);
            if let Some(claims) = self.0.get_mut(&key) {
                claims.retain(|(_, owner)| owner != name);
                if claims.is_empty() {
                    self.0.remove(&key);
                }
            }
        }
    }
}

/// Which pod has which port of its node, and the pods that no node takes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scheduler {
    ports: HostPorts,
    waiting: BTreeMap<NamespacedName, Waiting>,
}

impl Scheduler {
    /// The node that a pod names, if its kubelet takes the pod.
    pub(crate) fn admit(
        &self,
        name: &NamespacedName,
        pod: &Pod,
        node: Arc<Node>,
    ) -> Result<Arc<Node>, Unschedulable> {
        let node_name = &node.metadata.name;
        match self.ports.conflict(name, pod, node_name).filter(|_| !pod.phase.has_ended()) {
            Some((port, protocol)) => {
                let obstacle = Obstacle::PortOfNamed(node_name.clone(), port, protocol);
                Err(Unschedulable([(obstacle, 1)].into()))
            }
            None => Ok(node),
        }
    }

    /// The node that takes a pod.
    pub(crate) fn choose(
        &self,
        cluster: &Snapshot,
        addresses: &mut PodAddresses,
        name: &NamespacedName,
        pod: &Pod,
        choice: &NodeChoice,
    ) -> Result<Arc<Node>, Unschedulable> {
        let topology = &cluster.topology;
        let count = topology.nodes.len();
        let (first, tries) = match choice {
            NodeChoice::Any(turn) => (*turn, count),
            NodeChoice::Only(node) => (topology.node_index(node).unwrap_or_default(), 1),
        };
        let mut obstacles = BTreeMap::new();
        let mut full = None;
        let is_daemon = matches!(choice, NodeChoice::Only(_));
        let in_turn = (first..first + tries).filter_map(|turn| {
            let node = topology.nodes.get(turn % count.max(1))?;
            cluster.nodes.get(&node.name).cloned()
        });
        // A node that is better left alone is so where another one takes the pod.
        let (preferred, others): (Vec<_>, Vec<_>) = in_turn.partition(|node| prefers(node, pod, is_daemon));
        for node in preferred.into_iter().chain(others) {
            if let Some(obstacle) = self.obstacle(name, pod, &node, is_daemon) {
                *obstacles.entry(obstacle).or_insert(0) += 1;
            } else if addresses.has_room(topology.family, pod, &node) {
                return Ok(node);
            } else {
                full.get_or_insert(node);
            }
        }
        // What has no address there is refused when it asks for one.
        full.ok_or(Unschedulable(obstacles))
    }

    /// A pod runs on its node, and has the ports there that it needs.
    pub(crate) fn start(&mut self, name: &NamespacedName, pod: &Pod) {
        self.ports.claim(name, pod);
    }

    /// A pod has ended, or is no more.
    pub(crate) fn end(&mut self, name: &NamespacedName, pod: &Pod) {
        self.ports.release(name, pod);
    }

    /// No node takes a pod: it is tried again later.
    pub(crate) fn wait(&mut self, name: NamespacedName, pod: Pod, choice: NodeChoice, why: Unschedulable) {
        self.waiting.insert(name, Waiting { pod, choice, why });
    }

    /// A pod waits no more.
    pub(crate) fn forget(&mut self, name: &NamespacedName) {
        self.waiting.remove(name);
    }

    /// The pods that wait, to be tried again: those that still find no node are to wait once more.
    pub(crate) fn take_waiting(&mut self) -> BTreeMap<NamespacedName, Waiting> {
        std::mem::take(&mut self.waiting)
    }

    /// The pods that no node takes, and why.
    pub(crate) fn unschedulable(&self) -> impl Iterator<Item = (&NamespacedName, &Unschedulable)> {
        self.waiting.iter().map(|(name, waiting)| (name, &waiting.why))
    }

    /// Why a node does not take a pod.
    fn obstacle(&self, name: &NamespacedName, pod: &Pod, node: &Node, is_daemon: bool) -> Option<Obstacle> {
        let lacks = |(key, value): &(&String, &String)| node.metadata.labels.get(*key) != Some(*value);
        if let Some((key, value)) = pod.node_selector.iter().find(lacks) {
            return Some(Obstacle::Label(key.clone(), value.clone()));
        }
        if let Some(taint) = repelling(node, pod, is_daemon) {
            return Some(Obstacle::Taint(taint.clone()));
        }
        let conflict = self.ports.conflict(name, pod, &node.metadata.name);
        conflict.map(|(port, protocol)| Obstacle::Port(port, protocol))
    }
}

/// A pod that waits, as others see it: Pending, without a node and without addresses.
pub(crate) fn pending(pod: &Pod) -> Pod {
    Pod {
        node_name: None,
        pod_ips: Vec::new(),
        host_ips: Vec::new(),
        phase: PodPhase::Pending,
        ready: false,
        ..pod.clone()
    }
}
