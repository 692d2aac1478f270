//! What is written is read back by the strict parser of manifests, and is the same object.

mod calico;
mod canonical;
mod cluster_network_policies;

use super::network_policy::network_policy;
use super::*;
use crate::world::World;
use netproof_api::core::{
    AddressType, EndpointHints, IntOrString, IpFamilyPolicy, IpMode, LoadBalancerIngress, PodPhase,
    ServiceType, TrafficDistribution, TrafficPolicy, TransportProtocol,
};
use netproof_api::manifest::Context;
use netproof_api::networking::{NetworkPolicyRule, NetworkPolicySpec};
use netproof_api::scheduling::{TaintEffect, TolerationOperator};
use netproof_api::{
    Cidr, Container, ContainerPort, Endpoint, EndpointPort, EndpointSlice, IpBlock, LabelSelector, Labels,
    NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort, Node, Object, ObjectMeta, Operator, OwnerReference,
    Pod, PolicyType, Requirement, Service, ServicePort, Source, Toleration, read_manifests,
};
use netproof_controlplane::{Snapshot, host_interface};
use netproof_model::{Families, InterfacePrefix, NamespacedName, Wiring};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;

/// The object that a JSON text is, as the parser of manifests understands it.
fn read(value: &Value) -> Object {
    let source = Source::new("object.json", value.to_string());
    let mut manifest =
        read_manifests(&source, &Context::default()).unwrap_or_else(|errors| panic!("{errors}\n{value:#}"));
    assert!(manifest.problems.is_empty(), "{:?}", manifest.problems);
    manifest.objects.pop().unwrap_or_else(|| panic!("nothing was read of {value:#}")).object
}

fn snapshot() -> Snapshot {
    (*World::new(Families::Dual, Wiring::Routed).snapshot()).clone()
}

/// Takes out an annotation that netproof has added.
fn without(mut object: Object, annotation: &str) -> (Object, Option<String>) {
    let value = object.metadata_mut().annotations.remove(annotation);
    (object, value)
}

fn name() -> impl Strategy<Value = String> {
    "[a-z]([a-z0-9-]{0,8}[a-z0-9])?"
}

fn labels() -> impl Strategy<Value = Labels> {
    btree_map("([a-z]{1,5}\\.[a-z]{1,3}/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,6}[A-Za-z0-9])?", label_value(), 0..3)
}

fn label_value() -> impl Strategy<Value = String> {
    "([A-Za-z0-9]([-A-Za-z0-9_.]{0,6}[A-Za-z0-9])?)?"
}

fn meta() -> impl Strategy<Value = ObjectMeta> {
    let annotations = btree_map("[a-z]{1,5}\\.io/[a-z]{1,5}", any::<String>(), 0..2);
    (name(), name(), labels(), annotations).prop_map(|(name, namespace, labels, annotations)| ObjectMeta {
        name,
        namespace: Some(namespace),
        labels,
        annotations,
        controller: None,
    })
}

fn protocol() -> impl Strategy<Value = TransportProtocol> {
    prop::sample::select(vec![TransportProtocol::Tcp, TransportProtocol::Udp, TransportProtocol::Sctp])
}

fn selector() -> impl Strategy<Value = LabelSelector> {
    let operator =
        prop::sample::select(vec![Operator::In, Operator::NotIn, Operator::Exists, Operator::DoesNotExist]);
    let requirement =
        (name(), operator, vec(label_value(), 1..3)).prop_map(|(key, operator, values)| Requirement {
            key,
            operator,
            values: if matches!(operator, Operator::In | Operator::NotIn) { values } else { Vec::new() },
        });
    (labels(), vec(requirement, 0..3))
        .prop_map(|(match_labels, match_expressions)| LabelSelector { match_labels, match_expressions })
}

fn peer_strategy() -> impl Strategy<Value = NetworkPolicyPeer> {
    let pods = (option::of(selector()), option::of(selector()))
        .prop_filter("at least one of the two is there", |(a, b)| a.is_some() || b.is_some())
        .prop_map(|(namespace_selector, pod_selector)| NetworkPolicyPeer::Pods {
            namespace_selector,
            pod_selector,
        });
    let block = prop::sample::select(vec![
        ("0.0.0.0/0", vec!["10.0.0.0/8", "192.168.0.0/16"]),
        ("10.0.0.0/8", vec![]),
        ("fd00::/8", vec!["fd00:1::/64"]),
    ])
    .prop_map(|(cidr, except)| {
        let cidr_of = |text: &str| Cidr::new(text.parse().unwrap());
        NetworkPolicyPeer::IpBlock(IpBlock {
            cidr: cidr_of(cidr),
            except: except.into_iter().map(cidr_of).collect(),
        })
    });
    prop_oneof![pods, block]
}

fn port_strategy() -> impl Strategy<Value = NetworkPolicyPort> {
    let port = prop_oneof![
        Just((None, None)),
        "[a-z]{1,15}".prop_map(|name| (Some(IntOrString::String(name)), None)),
        (1..=u16::MAX).prop_map(|port| (Some(IntOrString::Int(port)), None)),
        (1..=100u16, 100..=u16::MAX).prop_map(|(port, end)| (Some(IntOrString::Int(port)), Some(end))),
    ];
    (protocol(), port).prop_map(|(protocol, (port, end_port))| NetworkPolicyPort { protocol, port, end_port })
}

fn rules() -> impl Strategy<Value = Vec<NetworkPolicyRule>> {
    let rule = (vec(peer_strategy(), 0..3), vec(port_strategy(), 0..3))
        .prop_map(|(peers, ports)| NetworkPolicyRule { peers, ports });
    vec(rule, 0..3)
}

fn policy() -> impl Strategy<Value = NetworkPolicy> {
    let types = prop::sample::select(vec![
        vec![PolicyType::Ingress],
        vec![PolicyType::Egress],
        vec![PolicyType::Ingress, PolicyType::Egress],
    ]);
    (meta(), selector(), types, rules(), rules()).prop_map(
        |(metadata, pod_selector, policy_types, ingress, egress)| NetworkPolicy {
            metadata,
            spec: NetworkPolicySpec { pod_selector, policy_types, ingress, egress },
        },
    )
}

fn pod_strategy() -> impl Strategy<Value = Pod> {
    let phase = prop::sample::select(vec![
        PodPhase::Pending,
        PodPhase::Running,
        PodPhase::Succeeded,
        PodPhase::Failed,
    ]);
    let ports = btree_map("[a-z]{1,15}", (1..=u16::MAX, protocol()), 0..3);
    (meta(), any::<[bool; 4]>(), phase, ports).prop_map(
        |(metadata, [host_network, ready, ending, dual], phase, ports)| {
            let mut seen = std::collections::BTreeSet::new();
            let ports = ports.into_iter().filter(|(_, port)| seen.insert(*port));
            let ports = ports.map(|(name, (container_port, protocol))| ContainerPort {
                name: Some(name),
                container_port,
                protocol,
                host_port: None,
            });
            let ips = ["10.244.0.9", "fd00:10:244::9"].map(|ip| ip.parse().unwrap());
            Pod {
                metadata,
                node_name: Some("node1".into()),
                host_network,
                service_account: "default".into(),
                containers: vec![Container { name: "main".into(), ports: ports.collect() }],
                pod_ips: ips.into_iter().take(if dual { 2 } else { 1 }).collect(),
                host_ips: vec!["172.18.0.2".parse().unwrap()],
                phase,
                ready,
                terminating: ending,
                node_selector: [("disk".to_owned(), "ssd".to_owned())].into(),
                tolerations: vec![Toleration {
                    key: "slow".into(),
                    operator: TolerationOperator::Exists,
                    value: String::new(),
                    effect: Some(TaintEffect::NoSchedule),
                }],
                hostname: Some("first".into()),
                subdomain: Some("peers".into()),
            }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn policies_are_read_back(policy in policy()) {
        prop_assert_eq!(read(&network_policy(&policy)), Object::Policy(policy.into()));
    }

    #[test]
    fn pods_are_read_back_with_their_interface(pod in pod_strategy()) {
        let name = NamespacedName::new(pod.metadata.namespace.clone().unwrap(), &pod.metadata.name);
        let prefix = "cali".parse().unwrap();
        let (object, interface) = without(read(&super::pod(&prefix, &name, &pod)), INTERFACE_ANNOTATION);
        prop_assert_eq!(interface, (!pod.host_network).then(|| host_interface(&prefix, &name)));
        prop_assert_eq!(object, Object::Pod(pod));
    }
}

fn metadata_of(name: &str, namespace: Option<&str>) -> ObjectMeta {
    ObjectMeta { name: name.into(), namespace: namespace.map(str::to_owned), ..ObjectMeta::default() }
}

#[test]
fn namespaces_and_nodes_are_read_back() {
    for namespace in snapshot().namespaces.values() {
        assert_eq!(read(&super::namespace(namespace)), Object::Namespace((**namespace).clone()));
    }
    for node in snapshot().nodes.values() {
        let tunnel_addresses = vec!["10.244.0.1".parse().unwrap(), "fd00:10:244::1".parse().unwrap()];
        let node = Node { tunnel_addresses, ..(**node).clone() };
        let (object, tunnel) = without(read(&super::node(&node)), TUNNEL_ADDRESSES_ANNOTATION);
        assert_eq!(tunnel.as_deref(), Some("10.244.0.1,fd00:10:244::1"));
        assert_eq!(object, Object::Node(Node { tunnel_addresses: Vec::new(), ..node }));
    }
}

#[test]
fn services_of_every_type_are_read_back() {
    let port = |target_port, node_port| ServicePort {
        name: Some("web".into()),
        protocol: TransportProtocol::Udp,
        port: 80,
        target_port,
        node_port,
    };
    let cluster_ip = Service {
        metadata: metadata_of("web", Some("default")),
        selector: [("app".to_owned(), "web".to_owned())].into(),
        ports: vec![port(IntOrString::String("http".into()), None)],
        cluster_ips: vec!["10.96.0.9".parse().unwrap(), "fd00:10:96::9".parse().unwrap()],
        ip_families: vec![AddressType::IPv4, AddressType::IPv6],
        ip_family_policy: Some(IpFamilyPolicy::RequireDualStack),
        allocate_load_balancer_node_ports: true,
        ..Service::default()
    };
    let load_balancer = Service {
        service_type: ServiceType::LoadBalancer,
        ports: vec![port(IntOrString::Int(8080), Some(30001))],
        external_ips: vec!["203.0.113.9".parse().unwrap()],
        external_traffic_policy: TrafficPolicy::Local,
        internal_traffic_policy: TrafficPolicy::Local,
        session_affinity: Some(60),
        load_balancer_source_ranges: vec!["10.0.0.0/8".parse().unwrap()],
        load_balancer_ingress: vec![LoadBalancerIngress {
            ip: "203.0.113.10".parse().unwrap(),
            ip_mode: IpMode::Proxy,
        }],
        allocate_load_balancer_node_ports: false,
        health_check_node_port: Some(30002),
        publish_not_ready_addresses: true,
        traffic_distribution: Some(TrafficDistribution::PreferSameNode),
        ..cluster_ip.clone()
    };
    let headless = Service { headless: true, cluster_ips: Vec::new(), ..cluster_ip.clone() };
    let external_name = Service {
        metadata: metadata_of("alias", Some("default")),
        service_type: ServiceType::ExternalName,
        external_name: Some("example.com".into()),
        allocate_load_balancer_node_ports: true,
        ..Service::default()
    };
    for service in [cluster_ip, load_balancer, headless, external_name] {
        assert_eq!(read(&super::service(&service)), Object::Service(service));
    }
}

#[test]
fn endpoint_slices_are_read_back() {
    let endpoint = Endpoint {
        addresses: vec!["10.244.1.3".parse().unwrap()],
        ready: false,
        serving: true,
        terminating: true,
        zone: Some("a".into()),
        hints: Some(EndpointHints { for_zones: vec!["a".into()], for_nodes: vec!["node1".into()] }),
        hostname: Some("web-0".into()),
        node_name: Some("node1".into()),
        pod: Some("web".into()),
    };
    let bare = Endpoint {
        zone: None,
        hints: None,
        hostname: None,
        node_name: None,
        pod: None,
        ready: true,
        ..endpoint.clone()
    };
    let port = |name: Option<&str>| EndpointPort {
        name: name.map(str::to_owned),
        port: 80,
        protocol: TransportProtocol::Sctp,
    };
    let slice = EndpointSlice {
        metadata: metadata_of("web-1", Some("default")),
        address_type: AddressType::IPv4,
        endpoints: vec![endpoint, bare],
        ports: vec![port(Some("web")), port(None)],
    };
    assert_eq!(read(&endpoint_slice(&slice)), Object::EndpointSlice(slice));
}

#[test]
fn a_controller_is_an_owner() {
    let controller = OwnerReference { group: "apps".into(), kind: "ReplicaSet".into(), name: "web-1".into() };
    let metadata = ObjectMeta { controller: Some(controller), ..metadata_of("web-1-x", Some("default")) };
    let pod = Pod {
        metadata,
        service_account: "default".into(),
        containers: vec![Container { name: "c".into(), ports: Vec::new() }],
        ready: true,
        ..Pod::default()
    };
    let value = super::pod(&InterfacePrefix::default(), &NamespacedName::new("default", "web-1-x"), &pod);
    assert_eq!(value["metadata"]["ownerReferences"][0]["apiVersion"], "apps/v1");
    assert_eq!(without(read(&value), INTERFACE_ANNOTATION).0, Object::Pod(pod));

    // A slice that the controller made is its service's; one that somebody gave is nobody's.
    let mut world = World::new(Families::Ipv4, Wiring::Routed);
    let snapshot = world.apply(
        &[
            crate::world::service("web", "{selector: {app: web}, ports: [{port: 80}]}"),
            crate::world::slice("given", "web", "192.0.2.1"),
        ]
        .concat(),
    );
    let slice = |name: &str| endpoint_slice(&snapshot.endpoint_slices[&NamespacedName::new("default", name)]);
    assert_eq!(
        slice("web-ipv4")["metadata"]["ownerReferences"],
        json!([{"apiVersion": "v1", "kind": "Service", "name": "web", "controller": true, "blockOwnerDeletion": true}]),
    );
    assert_eq!(slice("given")["metadata"]["ownerReferences"], Value::Null);
}
