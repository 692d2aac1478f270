//! Objects as the Kubernetes API would give them: JSON, as stored, with what a cluster has filled in.
//!
//! Fields that have nothing to do with the network (images, resources, versions of objects) are not kept
//! anywhere in netproof, and are not here.

use netproof_api::core::{ServiceType, TrafficDistribution};
use netproof_api::networking::NetworkPolicyRule;
use netproof_api::{
    ContainerPort, Endpoint, EndpointSlice, Namespace, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort,
    Node, ObjectMeta, Pod, Policy, Service, ServicePort,
};
use netproof_controlplane::host_interface;
use netproof_model::NamespacedName;
use serde::Serialize;
use serde_json::{Map, Value, json};
use std::net::IpAddr;

/// The annotation of a pod with a network of its own: the name of its interface on its node's side.
pub const INTERFACE_ANNOTATION: &str = "netproof.io/interface";

/// The annotation of a node in an overlay: the addresses of its end of it, with a comma between them.
pub const TUNNEL_ADDRESSES_ANNOTATION: &str = "netproof.io/tunnel-addresses";

/// Since when a pod that is being deleted is: all that matters is that it is.
const DELETED_SINCE: &str = "2026-01-01T00:00:00Z";

pub(super) fn namespace(namespace: &Namespace) -> Value {
    object("v1", "Namespace", metadata(&namespace.metadata), [("status", json!({"phase": "Active"}))])
}

pub(super) fn node(node: &Node) -> Value {
    let mut metadata = metadata(&node.metadata);
    if !node.tunnel_addresses.is_empty() {
        let addresses: Vec<String> = node.tunnel_addresses.iter().map(ToString::to_string).collect();
        annotate(&mut metadata, TUNNEL_ADDRESSES_ANNOTATION, addresses.join(","));
    }
    let internal = |address: &IpAddr| json!({"type": "InternalIP", "address": address});
    let addresses: Vec<Value> = node.addresses.iter().map(internal).collect();
    let mut spec = fields([("podCIDR", json!(node.pod_cidrs.first())), ("podCIDRs", json!(node.pod_cidrs))]);
    if !node.taints.is_empty() {
        spec.insert("taints".into(), json!(node.taints));
    }
    let spec = Value::Object(spec);
    object("v1", "Node", metadata, [("spec", spec), ("status", json!({"addresses": addresses}))])
}

pub(super) fn pod(name: &NamespacedName, pod: &Pod) -> Value {
    let mut metadata = metadata(&pod.metadata);
    if !pod.host_network {
        annotate(&mut metadata, INTERFACE_ANNOTATION, host_interface(name));
    }
    if pod.terminating {
        metadata.insert("deletionTimestamp".into(), DELETED_SINCE.into());
    }
    let port = |port: &ContainerPort| {
        let mut fields = named(&port.name);
        fields.insert("containerPort".into(), port.container_port.into());
        fields.insert("protocol".into(), json!(port.protocol));
        if pod.host_network {
            fields.insert("hostPort".into(), port.container_port.into());
        }
        if let Some(host) = &port.host_port {
            fields.insert("hostPort".into(), host.port.into());
            fields.extend(host.ip.map(|ip| ("hostIP".to_owned(), json!(ip))));
        }
        Value::Object(fields)
    };
    let containers: Vec<Value> = pod
        .containers
        .iter()
        .map(|it| json!({"name": it.name, "ports": it.ports.iter().map(port).collect::<Vec<_>>()}))
        .collect();
    let mut spec =
        fields([("serviceAccountName", json!(pod.service_account)), ("containers", json!(containers))]);
    insert(&mut spec, "nodeName", &pod.node_name);
    insert(&mut spec, "hostname", &pod.hostname);
    insert(&mut spec, "subdomain", &pod.subdomain);
    if !pod.node_selector.is_empty() {
        spec.insert("nodeSelector".into(), json!(pod.node_selector));
    }
    if !pod.tolerations.is_empty() {
        spec.insert("tolerations".into(), json!(pod.tolerations));
    }
    if pod.host_network {
        spec.insert("hostNetwork".into(), true.into());
    }
    let ready = if pod.ready { "True" } else { "False" };
    let conditions = json!([{"type": "Ready", "status": ready}]);
    let mut status = fields([("phase", json!(pod.phase)), ("conditions", conditions)]);
    for (one, all, ips) in [("podIP", "podIPs", &pod.pod_ips), ("hostIP", "hostIPs", &pod.host_ips)] {
        insert(&mut status, one, &ips.first());
        status.insert(all.into(), ips.iter().map(|ip| json!({"ip": ip})).collect());
    }
    object("v1", "Pod", metadata, [("spec", spec.into()), ("status", status.into())])
}

pub(super) fn service(service: &Service) -> Value {
    let is_external_name = service.service_type == ServiceType::ExternalName;
    let is_load_balancer = service.service_type == ServiceType::LoadBalancer;
    let from_outside = match service.service_type {
        ServiceType::NodePort | ServiceType::LoadBalancer => true,
        ServiceType::ClusterIP => !service.external_ips.is_empty(),
        ServiceType::ExternalName => false,
    };
    let port = |port: &ServicePort| {
        let mut fields = named(&port.name);
        fields.insert("protocol".into(), json!(port.protocol));
        fields.insert("port".into(), port.port.into());
        fields.insert("targetPort".into(), json!(port.target_port));
        insert(&mut fields, "nodePort", &port.node_port);
        Value::Object(fields)
    };
    let ports: Vec<Value> = service.ports.iter().map(port).collect();
    let mut spec = fields([("type", json!(service.service_type)), ("ports", ports.into())]);
    if !service.selector.is_empty() {
        spec.insert("selector".into(), json!(service.selector));
    }
    if service.headless {
        spec.insert("clusterIP".into(), "None".into());
        spec.insert("clusterIPs".into(), json!(["None"]));
    } else if let Some(first) = service.cluster_ips.first() {
        spec.insert("clusterIP".into(), json!(first));
        spec.insert("clusterIPs".into(), json!(service.cluster_ips));
    }
    if is_external_name {
        insert(&mut spec, "externalName", &service.external_name);
    } else {
        spec.insert("ipFamilies".into(), json!(service.ip_families));
        insert(&mut spec, "ipFamilyPolicy", &service.ip_family_policy);
        spec.insert("internalTrafficPolicy".into(), json!(service.internal_traffic_policy));
    }
    if !service.external_ips.is_empty() {
        spec.insert("externalIPs".into(), json!(service.external_ips));
    }
    if from_outside {
        spec.insert("externalTrafficPolicy".into(), json!(service.external_traffic_policy));
    }
    let affinity = if service.session_affinity.is_some() { "ClientIP" } else { "None" };
    spec.insert("sessionAffinity".into(), affinity.into());
    if let Some(seconds) = service.session_affinity {
        spec.insert("sessionAffinityConfig".into(), json!({"clientIP": {"timeoutSeconds": seconds}}));
    }
    if is_load_balancer {
        let allocate = service.allocate_load_balancer_node_ports;
        spec.insert("allocateLoadBalancerNodePorts".into(), allocate.into());
        if !service.load_balancer_source_ranges.is_empty() {
            let ranges = json!(service.load_balancer_source_ranges);
            spec.insert("loadBalancerSourceRanges".into(), ranges);
        }
    }
    insert(&mut spec, "healthCheckNodePort", &service.health_check_node_port);
    spec.insert("publishNotReadyAddresses".into(), service.publish_not_ready_addresses.into());
    let distribution = service.traffic_distribution.map(|distribution| match distribution {
        TrafficDistribution::PreferSameZone => "PreferSameZone",
        TrafficDistribution::PreferSameNode => "PreferSameNode",
    });
    insert(&mut spec, "trafficDistribution", &distribution);
    let mut balancer = Map::new();
    if !service.load_balancer_ingress.is_empty() {
        balancer.insert("ingress".into(), json!(service.load_balancer_ingress));
    }
    let status = json!({"loadBalancer": balancer});
    object("v1", "Service", metadata(&service.metadata), [("spec", spec.into()), ("status", status)])
}

pub(super) fn endpoint_slice(slice: &EndpointSlice) -> Value {
    let endpoint = |endpoint: &Endpoint| {
        let conditions = json!({
            "ready": endpoint.ready, "serving": endpoint.serving, "terminating": endpoint.terminating,
        });
        let mut fields = fields([("addresses", json!(endpoint.addresses)), ("conditions", conditions)]);
        insert(&mut fields, "hostname", &endpoint.hostname);
        insert(&mut fields, "nodeName", &endpoint.node_name);
        insert(&mut fields, "zone", &endpoint.zone);
        if let Some(hints) = &endpoint.hints {
            let mut lists = Map::new();
            for (name, list) in [("forZones", &hints.for_zones), ("forNodes", &hints.for_nodes)] {
                if !list.is_empty() {
                    lists.insert(name.into(), list.iter().map(|name| json!({"name": name})).collect());
                }
            }
            fields.insert("hints".into(), lists.into());
        }
        if let Some(pod) = &endpoint.pod {
            let target = json!({"kind": "Pod", "namespace": slice.metadata.namespace, "name": pod});
            fields.insert("targetRef".into(), target);
        }
        Value::Object(fields)
    };
    let endpoints: Vec<Value> = slice.endpoints.iter().map(endpoint).collect();
    let rest = [
        ("addressType", json!(slice.address_type)),
        ("endpoints", endpoints.into()),
        ("ports", json!(slice.ports)),
    ];
    object("discovery.k8s.io/v1", "EndpointSlice", metadata(&slice.metadata), rest)
}

pub(super) fn policy(policy: &Policy) -> Value {
    match policy {
        Policy::NetworkPolicy(policy) => network_policy(policy),
    }
}

pub(super) fn network_policy(policy: &NetworkPolicy) -> Value {
    let rules = |rules: &[NetworkPolicyRule], peers: &str| -> Value {
        let rule = |rule: &NetworkPolicyRule| {
            let mut fields = Map::new();
            // An empty list means the same as none.
            if !rule.peers.is_empty() {
                fields.insert(peers.into(), rule.peers.iter().map(peer).collect());
            }
            if !rule.ports.is_empty() {
                fields.insert("ports".into(), rule.ports.iter().map(policy_port).collect());
            }
            Value::Object(fields)
        };
        rules.iter().map(rule).collect()
    };
    let mut spec = fields([
        ("podSelector", json!(policy.spec.pod_selector)),
        ("policyTypes", json!(policy.spec.policy_types)),
    ]);
    for (name, list, peers) in
        [("ingress", &policy.spec.ingress, "from"), ("egress", &policy.spec.egress, "to")]
    {
        if !list.is_empty() {
            spec.insert(name.into(), rules(list, peers));
        }
    }
    object("networking.k8s.io/v1", "NetworkPolicy", metadata(&policy.metadata), [("spec", spec.into())])
}

fn peer(peer: &NetworkPolicyPeer) -> Value {
    let mut fields = Map::new();
    match peer {
        NetworkPolicyPeer::Pods { namespace_selector, pod_selector } => {
            insert(&mut fields, "namespaceSelector", namespace_selector);
            insert(&mut fields, "podSelector", pod_selector);
        }
        NetworkPolicyPeer::IpBlock(block) => {
            let mut range = self::fields([("cidr", json!(block.cidr))]);
            if !block.except.is_empty() {
                range.insert("except".into(), json!(block.except));
            }
            fields.insert("ipBlock".into(), range.into());
        }
    }
    fields.into()
}

fn policy_port(port: &NetworkPolicyPort) -> Value {
    let mut fields = fields([("protocol", json!(port.protocol))]);
    insert(&mut fields, "port", &port.port);
    insert(&mut fields, "endPort", &port.end_port);
    fields.into()
}

fn object<const N: usize>(
    api_version: &str,
    kind: &str,
    metadata: Map<String, Value>,
    rest: [(&str, Value); N],
) -> Value {
    let mut object = fields([("apiVersion", api_version.into()), ("kind", kind.into())]);
    object.insert("metadata".into(), metadata.into());
    object.extend(fields(rest));
    object.into()
}

fn metadata(metadata: &ObjectMeta) -> Map<String, Value> {
    let mut fields = fields([("name", json!(metadata.name))]);
    insert(&mut fields, "namespace", &metadata.namespace);
    for (name, map) in [("labels", &metadata.labels), ("annotations", &metadata.annotations)] {
        if !map.is_empty() {
            fields.insert(name.into(), json!(map));
        }
    }
    fields
}

fn annotate(metadata: &mut Map<String, Value>, key: &str, value: String) {
    let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
    if let Some(annotations) = annotations.as_object_mut() {
        annotations.insert(key.to_owned(), value.into());
    }
}

fn named(name: &Option<String>) -> Map<String, Value> {
    let mut fields = Map::new();
    insert(&mut fields, "name", name);
    fields
}

fn fields<const N: usize>(fields: [(&str, Value); N]) -> Map<String, Value> {
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Inserts what is there.
fn insert<T: Serialize>(fields: &mut Map<String, Value>, name: &str, value: &Option<T>) {
    if let Some(value) = value {
        fields.insert(name.to_owned(), json!(value));
    }
}

#[cfg(test)]
mod tests;
