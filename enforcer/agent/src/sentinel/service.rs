//! The sentinel of services: a service for each node, whose port and target port move with the generation.

use super::watch::port;
use super::{NAMESPACE, Role, address, service_address};
use netproof_kubeapi::{Event, EventType};
use netproof_model::{Family, Topology};
use serde_json::{Value, json};

/// The service's port in generation 0.
const FIRST_PORT: u16 = 10_000;

/// The port of the sentinel's services in a generation.
pub(crate) fn service_port(generation: u64) -> u16 {
    // Less than ten.
    FIRST_PORT + (generation % 10) as u16
}

/// What changes with a generation: each service and its EndpointSlices.
pub(crate) fn events(topology: &Topology, generation: u64) -> Vec<Event> {
    // Generations count from 1.
    let kind = if generation > 1 { EventType::Modified } else { EventType::Added };
    let nodes = topology.nodes.iter().enumerate();
    let objects = nodes.flat_map(|(index, node)| {
        let families = topology.family.list();
        let service = service(index, families, generation);
        let slices = families.iter().map(move |family| slice(&node.name, index, *family, generation));
        std::iter::once(service).chain(slices)
    });
    objects.map(|object| Event { kind, object }).collect()
}

fn service(index: usize, families: &[Family], generation: u64) -> Value {
    let addresses: Vec<_> = families.iter().map(|family| service_address(*family, index)).collect();
    let policy = if families.len() > 1 { "RequireDualStack" } else { "SingleStack" };
    json!({
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": name(index), "namespace": NAMESPACE},
        "spec": {
            "type": "ClusterIP", "clusterIP": addresses.first(), "clusterIPs": addresses,
            "ipFamilies": families.iter().map(|family| word(*family)).collect::<Vec<_>>(),
            "ipFamilyPolicy": policy, "internalTrafficPolicy": "Cluster", "sessionAffinity": "None",
            "ports": [{"protocol": "TCP", "port": service_port(generation), "targetPort": port(generation)}],
        },
        "status": {"loadBalancer": {}},
    })
}

fn slice(node: &str, index: usize, family: Family, generation: u64) -> Value {
    let pod = Role::Backend.pod(node);
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": {
            "name": format!("{}-{}", name(index), word(family).to_lowercase()), "namespace": NAMESPACE,
            "labels": {"kubernetes.io/service-name": name(index)},
        },
        "addressType": word(family),
        "endpoints": [{
            "addresses": [address(family, Role::Backend, index)],
            "conditions": {"ready": true, "serving": true, "terminating": false},
            "nodeName": node,
            "targetRef": {"kind": "Pod", "namespace": NAMESPACE, "name": pod.name},
        }],
        "ports": [{"name": "", "protocol": "TCP", "port": port(generation)}],
    })
}

/// The name of a node's service; a node's own name may be none of a service.
fn name(index: usize) -> String {
    format!("sentinel-{index}")
}

/// A family as Services and EndpointSlices name it.
fn word(family: Family) -> &'static str {
    match family {
        Family::Ipv4 => "IPv4",
        Family::Ipv6 => "IPv6",
    }
}
