//! Clusters for the tests: built from manifests, as they would be in a run.

#![allow(
    dead_code,
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "each test file uses its own part of this, and a test says what went wrong by panicking"
)]

pub mod calico;
pub mod cases;

use netproof_api::manifest::Context;
use netproof_api::{Source, read_manifests};
use netproof_controlplane::{Change, ControlPlane, ObjectRef, Snapshot};
use netproof_model::topology::TopologyNode;
use netproof_model::{Families, Topology, Wiring};
use std::fmt::Write;
use std::sync::Arc;

/// A cluster of two nodes, if nothing else is asked for.
pub struct World {
    control_plane: ControlPlane,
}

impl World {
    pub fn new(family: Families, wiring: Wiring) -> World {
        World::of_nodes(family, wiring, &["node1", "node2"])
    }

    pub fn of_nodes(family: Families, wiring: Wiring, nodes: &[&str]) -> World {
        let topology = Topology {
            name: "of-a-test".into(),
            wiring,
            family,
            nodes: nodes
                .iter()
                .map(|name| TopologyNode { name: (*name).into(), ..TopologyNode::default() })
                .collect(),
            ..Topology::default()
        };
        World { control_plane: ControlPlane::new(Arc::new(topology)).unwrap() }
    }

    /// Applies manifests as one change set.
    pub fn apply(&mut self, manifests: &str) -> Arc<Snapshot> {
        let source = Source::new("test.yaml", manifests);
        let manifest = read_manifests(&source, &Context::default()).unwrap_or_else(|e| panic!("{e}"));
        let changes: Vec<Change> =
            manifest.objects.into_iter().map(|located| Change::Apply(located.object)).collect();
        self.control_plane.apply(&changes).unwrap_or_else(|e| panic!("{e}"))
    }

    /// Sets a label of a pod or a namespace; `None` removes it.
    pub fn label(&mut self, kind: &str, name: &str, key: &str, value: Option<&str>) -> Arc<Snapshot> {
        let labels = [(key.to_owned(), value.map(str::to_owned))].into();
        self.control_plane.apply(&[Change::Label { object: object(kind, name), labels }]).unwrap()
    }

    pub fn delete(&mut self, kind: &str, name: &str) -> Arc<Snapshot> {
        self.control_plane.apply(&[Change::Delete(object(kind, name))]).unwrap()
    }

    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.control_plane.snapshot()
    }
}

fn object(kind: &str, name: &str) -> ObjectRef {
    match (kind, name.split_once('/')) {
        ("namespace" | "node" | "clusternetworkpolicy", _) => ObjectRef::new(kind, None, name),
        (_, Some((namespace, name))) => ObjectRef::new(kind, Some(namespace), name),
        (_, None) => ObjectRef::new(kind, Some("default"), name),
    }
}

/// A namespace's manifest; labels as `a=b,c=d`.
pub fn namespace(name: &str, labels: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Namespace\nmetadata: {{name: {name}, labels: {{{}}}}}\n",
        mapping(labels)
    )
}

/// A pod's manifest: `[NAMESPACE/]NAME`, labels as `a=b`, ports as `name:80/TCP`, both joined by commas.
pub fn pod(name: &str, node: &str, labels: &str, ports: &str) -> String {
    let (namespace, name) = name.split_once('/').unwrap_or(("default", name));
    let mut list = String::new();
    for port in ports.split(',').filter(|port| !port.is_empty()) {
        let (name, port) = port.split_once(':').unwrap();
        let (number, protocol) = port.split_once('/').unwrap_or((port, "TCP"));
        write!(list, "{{name: {name}, containerPort: {number}, protocol: {protocol}}}, ").unwrap();
    }
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: {namespace}, labels: {{{}}}}}\n\
         spec: {{nodeName: {node}, containers: [{{name: c, image: i, ports: [{list}]}}]}}\n",
        mapping(labels)
    )
}

/// A NetworkPolicy's manifest: `[NAMESPACE/]NAME` and its spec.
pub fn policy(name: &str, spec: &str) -> String {
    let (namespace, name) = name.split_once('/').unwrap_or(("default", name));
    format!(
        "---\napiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {spec}\n"
    )
}

/// A ClusterNetworkPolicy's manifest: name and spec.
pub fn cluster_policy(name: &str, spec: &str) -> String {
    format!(
        "---\napiVersion: policy.networking.k8s.io/v1alpha2\nkind: ClusterNetworkPolicy\nmetadata: {{name: {name}}}\nspec: {spec}\n"
    )
}

/// A service's manifest: `[NAMESPACE/]NAME` and its spec.
pub fn service(name: &str, spec: &str) -> String {
    let (namespace, name) = name.split_once('/').unwrap_or(("default", name));
    format!(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, namespace: {namespace}}}\nspec: {spec}\n"
    )
}

/// An EndpointSlice's manifest: a ready endpoint on `node1`, port 80, for a service.
pub fn slice(name: &str, service: &str, address: &str) -> String {
    format!(
        "---\napiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {{name: {name}, namespace: default, \
         labels: {{kubernetes.io/service-name: {service}}}}}\naddressType: IPv4\n\
         endpoints: [{{addresses: [{address}], nodeName: node1, conditions: {{ready: true}}}}]\nports: [{{port: 80}}]\n"
    )
}

fn mapping(pairs: &str) -> String {
    let pairs = pairs.split(',').filter_map(|pair| pair.split_once('='));
    pairs.map(|(key, value)| format!("{key}: \"{value}\"")).collect::<Vec<_>>().join(", ")
}
