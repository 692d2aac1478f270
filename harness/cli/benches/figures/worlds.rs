//! Snapshots of a given size to measure with.

use netproof_api::core::{AddressType, IntOrString, TransportProtocol};
use netproof_api::{
    Container, ContainerPort, Endpoint, EndpointPort, EndpointSlice, LabelSelector, NetworkPolicy,
    NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicyRule, Object, ObjectMeta, Pod, Policy, PolicyType,
    Service, ServicePort,
};
use netproof_controlplane::{Change, ControlPlane, SERVICE_NAME_LABEL};
use netproof_model::Topology;
use netproof_model::topology::TopologyNode;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// `nodes` nodes, IPv4, routed, nobody outside.
pub fn topology(nodes: usize) -> Arc<Topology> {
    Arc::new(Topology {
        name: format!("{nodes}-nodes"),
        description: "for measuring".into(),
        nodes: (1..=nodes)
            .map(|n| TopologyNode { name: format!("node{n}"), ..TopologyNode::default() })
            .collect(),
        ..Topology::default()
    })
}

/// A control plane with `pods` pods of port 80, spread over the nodes, labelled `app: app-N` with N
/// from 0 to `apps` - 1 in turn.
pub fn with_pods(nodes: usize, pods: usize, apps: usize) -> ControlPlane {
    with_pods_on(topology(nodes), pods, apps)
}

/// The same on a topology.
pub fn with_pods_on(topology: Arc<Topology>, pods: usize, apps: usize) -> ControlPlane {
    let nodes = topology.nodes.len();
    let mut control = ControlPlane::new(topology).expect("a topology");
    let changes: Vec<Change> = (0..pods)
        .map(|n| {
            Change::Apply(Object::Pod(Pod {
                metadata: ObjectMeta {
                    name: format!("pod-{n}"),
                    namespace: Some("default".into()),
                    labels: BTreeMap::from([("app".into(), format!("app-{}", n % apps))]),
                    ..ObjectMeta::default()
                },
                node_name: Some(format!("node{}", n % nodes + 1)),
                service_account: "default".into(),
                containers: vec![Container {
                    name: "main".into(),
                    ports: vec![ContainerPort {
                        name: None,
                        container_port: 80,
                        protocol: TransportProtocol::Tcp,
                        host_port: None,
                    }],
                }],
                ready: true,
                ..Pod::default()
            }))
        })
        .collect();
    control.apply(&changes).expect("pods");
    control
}

/// Service number `n` on port 80 and its slice of these endpoints, port 80 too.
pub fn service(n: usize, endpoints: Vec<IpAddr>) -> [Change; 2] {
    let metadata = |name: String, labels| ObjectMeta {
        name,
        namespace: Some("default".into()),
        labels,
        ..ObjectMeta::default()
    };
    let name = format!("service-{n}");
    let service = Service {
        metadata: metadata(name.clone(), BTreeMap::new()),
        ports: vec![ServicePort {
            name: None,
            protocol: TransportProtocol::Tcp,
            port: 80,
            target_port: IntOrString::Int(80),
            node_port: None,
        }],
        ..Service::default()
    };
    let endpoint = |address| Endpoint {
        addresses: vec![address],
        ready: true,
        serving: true,
        terminating: false,
        node_name: None,
        hostname: None,
        zone: None,
        hints: None,
        pod: None,
    };
    let slice = EndpointSlice {
        metadata: metadata(
            format!("{name}-1"),
            BTreeMap::from([(SERVICE_NAME_LABEL.to_owned(), name.clone())]),
        ),
        address_type: AddressType::IPv4,
        endpoints: endpoints.into_iter().map(endpoint).collect(),
        ports: vec![EndpointPort { name: None, port: 80, protocol: TransportProtocol::Tcp }],
    };
    [Change::Apply(Object::Service(service)), Change::Apply(Object::EndpointSlice(slice))]
}

/// Policy number `n` of `apps`: pods of `app-N` take TCP 80 from those of the next app.
pub fn policy(n: usize, apps: usize) -> Change {
    policy_named(n, n, apps)
}

/// The same under the name of number `name`.
pub fn policy_named(name: usize, n: usize, apps: usize) -> Change {
    let app = |n: usize| LabelSelector {
        match_labels: BTreeMap::from([("app".into(), format!("app-{}", n % apps))]),
        match_expressions: Vec::new(),
    };
    Change::Apply(Object::Policy(Policy::from(NetworkPolicy {
        metadata: ObjectMeta {
            name: format!("policy-{name}"),
            namespace: Some("default".into()),
            ..ObjectMeta::default()
        },
        spec: netproof_api::networking::NetworkPolicySpec {
            pod_selector: app(n),
            policy_types: vec![PolicyType::Ingress],
            ingress: vec![NetworkPolicyRule {
                peers: vec![NetworkPolicyPeer::Pods {
                    namespace_selector: None,
                    pod_selector: Some(app(n + 1)),
                }],
                ports: vec![NetworkPolicyPort {
                    protocol: TransportProtocol::Tcp,
                    port: Some(IntOrString::Int(80)),
                    end_port: None,
                }],
            }],
            egress: Vec::new(),
        },
    })))
}
