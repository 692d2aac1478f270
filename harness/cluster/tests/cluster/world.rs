//! Worlds to build: a topology of two nodes and an external host, and pods by name.

use netproof_api::{Object, ObjectMeta, Pod};
use netproof_controlplane::{Change, ControlPlane, ObjectRef, Snapshot};
use netproof_model::topology::{ExternalHost, PerFamily, Ranges, TopologyNode};
use netproof_model::{Families, NamespacedName, Place, Topology, Wiring};
use std::sync::Arc;

/// `nodes` nodes, and the external host `internet` at 203.0.113.10 and 2001:db8:203::10.
pub fn topology(nodes: usize, wiring: Wiring, family: Families) -> Topology {
    let range =
        |ipv4: &str, ipv6: &str| PerFamily { ipv4: ipv4.parse().unwrap(), ipv6: ipv6.parse().unwrap() };
    Topology {
        name: format!("{nodes}-nodes"),
        description: "a test's".into(),
        wiring,
        family,
        ranges: Ranges {
            pods: range("10.244.0.0/16", "fd00:10:244::/48"),
            other_pods: Vec::new(),
            services: range("10.96.0.0/16", "fd00:10:96::/112"),
            nodes: range("172.18.0.0/24", "fd00:172:18::/64"),
        },
        nodes: (1..=nodes)
            .map(|i| TopologyNode { name: format!("node{i}"), ..TopologyNode::default() })
            .collect(),
        externals: vec![external("internet", &["203.0.113.10", "2001:db8:203::10"])],
        ..Topology::default()
    }
}

pub fn external(name: &str, addresses: &[&str]) -> ExternalHost {
    ExternalHost {
        name: name.into(),
        addresses: addresses.iter().map(|address| address.parse().unwrap()).collect(),
        ports: Vec::new(),
        dns: vec![format!("{name}.example.com")],
    }
}

/// A control plane that knows a topology, to which objects are added.
pub struct World {
    control_plane: ControlPlane,
}

impl World {
    pub fn new(topology: Topology) -> Self {
        World { control_plane: ControlPlane::new(Arc::new(topology)).unwrap() }
    }

    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.control_plane.snapshot()
    }

    pub fn change(&mut self, change: Change) -> Arc<Snapshot> {
        self.control_plane.apply(&[change]).unwrap()
    }

    pub fn pod(&mut self, name: &str, node: &str) -> Arc<Snapshot> {
        self.pod_at(name, node, &[])
    }

    /// A pod with addresses of the test's choice.
    pub fn pod_at(&mut self, name: &str, node: &str, addresses: &[&str]) -> Arc<Snapshot> {
        let pod = Pod {
            metadata: metadata(name),
            node_name: Some(node.into()),
            pod_ips: addresses.iter().map(|address| address.parse().unwrap()).collect(),
            ready: true,
            ..Pod::default()
        };
        self.change(Change::Apply(Object::Pod(pod)))
    }

    pub fn delete(&mut self, kind: &str, name: &str) -> Arc<Snapshot> {
        let namespace = (kind != "external" && kind != "namespace").then_some("default");
        self.change(Change::Delete(ObjectRef::new(kind, namespace, name)))
    }
}

pub fn metadata(name: &str) -> ObjectMeta {
    ObjectMeta { name: name.into(), namespace: Some("default".into()), ..ObjectMeta::default() }
}

pub fn pod(name: &str) -> Place {
    Place::Pod(NamespacedName::new("default", name))
}
