//! Topologies and objects for the tests of the control plane.

#![allow(
    dead_code,
    clippy::allow_attributes,
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "each test file uses its own part of this, and a test says what went wrong by panicking"
)]

use netproof_api::core::{
    Container, ContainerPort, IntOrString, IpMode, LoadBalancerIngress, PodPhase, ServiceType,
    TransportProtocol,
};
use netproof_api::networking::{NetworkPolicySpec, PolicyType};
use netproof_api::{
    LabelSelector, Labels, Namespace, NetworkPolicy, Object, ObjectMeta, Pod, Service, ServicePort, Workload,
    WorkloadKind, WorkloadPods,
};
use netproof_controlplane::{Change, ChangeError, ControlPlane, ObjectRef, Snapshot};
use netproof_model::topology::{ExternalHost, ListenPort, LoadBalancer, PerFamily, TopologyNode};
use netproof_model::{Families, NamespacedName, Protocol, Topology};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

pub fn topology(family: Families) -> Topology {
    Topology {
        name: "two-nodes".into(),
        family,
        nodes: ["node1", "node2"]
            .map(|name| TopologyNode {
                name: name.into(),
                labels: labels(&[("zone", name)]),
                ..TopologyNode::default()
            })
            .into(),
        externals: vec![external("internet", &["203.0.113.10", "2001:db8:113::10"])],
        ..Topology::default()
    }
}

/// That, with a load balancer which has two addresses of IPv4 to give.
pub fn balanced(family: Families) -> Topology {
    let range =
        PerFamily { ipv4: "192.0.2.0/30".parse().unwrap(), ipv6: "2001:db8:2::/120".parse().unwrap() };
    Topology { load_balancer: Some(LoadBalancer { range, nodes: Vec::new() }), ..topology(family) }
}

pub fn balanced_cluster(family: Families) -> ControlPlane {
    ControlPlane::new(Arc::new(balanced(family))).unwrap()
}

pub fn cluster(family: Families) -> ControlPlane {
    ControlPlane::new(Arc::new(topology(family))).unwrap()
}

pub fn external(name: &str, addresses: &[&str]) -> ExternalHost {
    ExternalHost {
        name: name.into(),
        addresses: ips(addresses),
        ports: vec![ListenPort { port: 80, protocol: Protocol::Tcp }],
        dns: Vec::new(),
    }
}

pub fn ips(texts: &[&str]) -> Vec<IpAddr> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

pub fn labels(pairs: &[(&str, &str)]) -> Labels {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn metadata(name: &str) -> ObjectMeta {
    let (namespace, name) = name.split_once('/').unwrap_or(("default", name));
    ObjectMeta { name: name.into(), namespace: Some(namespace.into()), ..ObjectMeta::default() }
}

/// A running pod `[NAMESPACE/]NAME` with one port.
pub fn pod(name: &str) -> Pod {
    Pod {
        metadata: ObjectMeta { labels: labels(&[("app", "web")]), ..metadata(name) },
        containers: vec![Container { name: "c".into(), ports: vec![port("http", 80)] }],
        ready: true,
        ..Pod::default()
    }
}

pub fn port(name: &str, number: u16) -> ContainerPort {
    ContainerPort {
        name: Some(name.into()),
        container_port: number,
        protocol: TransportProtocol::Tcp,
        host_port: None,
    }
}

/// A service that selects `app: web`, port 80 to target port 80.
pub fn service(name: &str) -> Service {
    Service {
        metadata: metadata(name),
        selector: labels(&[("app", "web")]),
        ports: vec![service_port(80, IntOrString::Int(80))],
        ..Service::default()
    }
}

pub fn node_port_service(name: &str, node_port: Option<u16>) -> Service {
    let mut service = Service { service_type: ServiceType::NodePort, ..service(name) };
    service.ports[0].node_port = node_port;
    service
}

/// A service of type LoadBalancer whose status has these addresses.
pub fn load_balancer_service(name: &str, addresses: &[&str]) -> Service {
    let ingress = ips(addresses).into_iter().map(|ip| LoadBalancerIngress { ip, ip_mode: IpMode::VIP });
    Service {
        service_type: ServiceType::LoadBalancer,
        load_balancer_ingress: ingress.collect(),
        allocate_load_balancer_node_ports: true,
        ..service(name)
    }
}

/// The addresses that a load balancer has for a service, in one word.
pub fn balancer_ips(service: &Service) -> String {
    join(&service.load_balancer_ingress.iter().map(|entry| entry.ip).collect::<Vec<_>>())
}

pub fn service_port(port: u16, target_port: IntOrString) -> ServicePort {
    ServicePort { name: None, protocol: TransportProtocol::Tcp, port, target_port, node_port: None }
}

pub fn policy(name: &str) -> NetworkPolicy {
    NetworkPolicy {
        metadata: metadata(name),
        spec: NetworkPolicySpec {
            pod_selector: LabelSelector::default(),
            policy_types: vec![PolicyType::Ingress],
            ingress: Vec::new(),
            egress: Vec::new(),
        },
    }
}

pub fn namespace(name: &str) -> Namespace {
    Namespace { metadata: ObjectMeta { name: name.into(), ..ObjectMeta::default() } }
}

/// A workload whose pods have the label `app: web`: so many, or one on each node for a DaemonSet.
pub fn workload(kind: WorkloadKind, name: &str, count: u32) -> Workload {
    let mut template = Pod { metadata: ObjectMeta::default(), ..pod("template") };
    template.metadata.labels = labels(&[("app", "web")]);
    let pods = match kind {
        WorkloadKind::DaemonSet => WorkloadPods::Nodes(Labels::new()),
        _ => WorkloadPods::Ordinals(0..count),
    };
    Workload { metadata: metadata(name), kind, pods, template: Box::new(template) }
}

pub fn on(node: &str, mut pod: Pod) -> Pod {
    pod.node_name = Some(node.into());
    pod
}

pub fn at(addresses: &[&str], mut pod: Pod) -> Pod {
    pod.pod_ips = ips(addresses);
    pod
}

pub fn in_phase(phase: PodPhase, mut pod: Pod) -> Pod {
    pod.phase = phase;
    pod
}

/// Anything that can be applied.
pub trait Applied {
    fn change(self) -> Change;
}

impl Applied for Pod {
    fn change(self) -> Change {
        Change::Apply(Object::Pod(self))
    }
}

impl Applied for Service {
    fn change(self) -> Change {
        Change::Apply(Object::Service(self))
    }
}

impl Applied for Namespace {
    fn change(self) -> Change {
        Change::Apply(Object::Namespace(self))
    }
}

impl Applied for NetworkPolicy {
    fn change(self) -> Change {
        Change::Apply(Object::Policy(self.into()))
    }
}

impl Applied for Workload {
    fn change(self) -> Change {
        Change::Apply(Object::Workload(self))
    }
}

impl Applied for ExternalHost {
    fn change(self) -> Change {
        Change::ApplyExternal(self)
    }
}

/// `KIND/[NAMESPACE/]NAME`.
pub fn reference(text: &str) -> ObjectRef {
    let parts: Vec<&str> = text.split('/').collect();
    match parts[..] {
        [kind, name] => ObjectRef::new(kind, None, name),
        [kind, namespace, name] => ObjectRef::new(kind, Some(namespace), name),
        _ => panic!("{text} is not a reference"),
    }
}

pub fn delete(text: &str) -> Change {
    Change::Delete(reference(text))
}

pub fn label(text: &str, key: &str, value: Option<&str>) -> Change {
    let labels = BTreeMap::from([(key.to_owned(), value.map(str::to_owned))]);
    Change::Label { object: reference(text), labels }
}

pub fn name(text: &str) -> NamespacedName {
    let (namespace, name) = text.split_once('/').unwrap_or(("default", text));
    NamespacedName::new(namespace, name)
}

/// Applies one change set that must be accepted.
pub fn apply(cluster: &mut ControlPlane, changes: impl IntoIterator<Item = Change>) -> Arc<Snapshot> {
    cluster.apply(&changes.into_iter().collect::<Vec<_>>()).unwrap_or_else(|error| panic!("{error:?}"))
}

/// Applies one change set that must be refused.
pub fn refused(cluster: &mut ControlPlane, changes: impl IntoIterator<Item = Change>) -> ChangeError {
    let before = cluster.snapshot();
    let error = cluster.apply(&changes.into_iter().collect::<Vec<_>>()).expect_err("the change is refused");
    assert!(Arc::ptr_eq(&before, &cluster.snapshot()), "an error leaves the state as it was");
    error
}

/// A pod's addresses in one word.
pub fn pod_ips(snapshot: &Snapshot, pod: &str) -> String {
    join(&snapshot.pods[&name(pod)].pod_ips)
}

pub fn join(addresses: &[IpAddr]) -> String {
    addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(" ")
}

/// The slices of a service, one line each: `NAME TYPE [POD@NODE=ADDRESS ...] [PORT ...]`. After an address
/// stands `!` if it is not ready, `+` if it serves although it is not ready, `-` if it does not although it
/// is, `~` if it is terminating.
pub fn slices(snapshot: &Snapshot, service: &str) -> Vec<String> {
    let service = name(service);
    let of_service = snapshot.endpoint_slices.values().filter(|slice| {
        let owner = slice.metadata.labels.get(netproof_controlplane::SERVICE_NAME_LABEL);
        slice.metadata.namespace.as_ref() == Some(&service.namespace) && owner == Some(&service.name)
    });
    of_service
        .map(|slice| {
            let endpoints = slice.endpoints.iter().map(|endpoint| {
                format!(
                    "{}@{}={}{}",
                    endpoint.pod.as_deref().unwrap_or("?"),
                    endpoint.node_name.as_deref().unwrap_or("?"),
                    join(&endpoint.addresses),
                    match (endpoint.ready, endpoint.serving, endpoint.terminating) {
                        (true, true, false) => "",
                        (true, true, true) => "~",
                        (true, false, false) => "-",
                        (true, false, true) => "-~",
                        (false, false, false) => "!",
                        (false, false, true) => "!~",
                        (false, true, false) => "!+",
                        (false, true, true) => "!+~",
                    }
                )
            });
            let ports = slice.ports.iter().map(|port| format!("{}/{}", port.port, port.protocol));
            format!(
                "{} {:?} [{}] [{}]",
                slice.metadata.name,
                slice.address_type,
                endpoints.collect::<Vec<_>>().join(" "),
                ports.collect::<Vec<_>>().join(" ")
            )
        })
        .collect()
}
