//! How a service treats traffic, as written: which endpoints it uses, which sources it allows, and the port
//! of its health check.

use super::scalars;
use super::service::{NODE_PORTS, is_absent};
use crate::core::{Service, ServiceType, TrafficDistribution, TrafficPolicy};
use crate::names;
use crate::reader::{Field, Fields};
use ipnet::IpNet;

const TRAFFIC_POLICIES: &[(&str, TrafficPolicy)] =
    &[("Cluster", TrafficPolicy::Cluster), ("Local", TrafficPolicy::Local)];

const TRAFFIC_DISTRIBUTIONS: &[(&str, TrafficDistribution)] = &[
    ("PreferSameZone", TrafficDistribution::PreferSameZone),
    ("PreferSameNode", TrafficDistribution::PreferSameNode),
    // The former name of PreferSameZone.
    ("PreferClose", TrafficDistribution::PreferSameZone),
];

const AFFINITIES: &[(&str, bool)] = &[("None", false), ("ClientIP", true)];

/// The default timeout of an affinity, in seconds: three hours.
const AFFINITY_TIMEOUT: u32 = 10800;
/// The longest timeout, in seconds: a day.
const MAX_AFFINITY_TIMEOUT: u32 = 86400;

/// Reads it into a service whose type and addresses are known.
pub(super) fn read(spec: &Fields<'_>, service: &mut Service) {
    let policy = |name, field: Option<Field<'_>>| {
        field.and_then(|field| field.word(name, TRAFFIC_POLICIES)).unwrap_or_default()
    };
    // Fields that are pointers in the API are read with `get`: there the empty text is a value, and a wrong one.
    service.external_traffic_policy = policy("externalTrafficPolicy", spec.text("externalTrafficPolicy"));
    service.internal_traffic_policy = policy("internalTrafficPolicy", spec.get("internalTrafficPolicy"));
    let from_outside = match service.service_type {
        ServiceType::NodePort | ServiceType::LoadBalancer => true,
        ServiceType::ClusterIP => !service.external_ips.is_empty(),
        ServiceType::ExternalName => false,
    };
    if let Some(field) = spec.text("externalTrafficPolicy").filter(|_| !from_outside) {
        let message = "`externalTrafficPolicy` is for services that are reached from outside";
        field.error(message, "write `type: NodePort` or `LoadBalancer`, or `externalIPs`, or leave it out");
    }
    service.session_affinity = session_affinity(spec);
    service.publish_not_ready_addresses = flag(spec, "publishNotReadyAddresses").unwrap_or(false);
    service.traffic_distribution = spec
        .get("trafficDistribution")
        .and_then(|field| field.word("trafficDistribution", TRAFFIC_DISTRIBUTIONS));
    load_balancer(spec, service);
    service.health_check_node_port = health_check_node_port(spec, service);
}

fn flag(spec: &Fields<'_>, name: &str) -> Option<bool> {
    spec.get(name).and_then(|field| field.boolean())
}

/// `sessionAffinity` and `sessionAffinityConfig`: the timeout in seconds, if there is an affinity.
fn session_affinity(spec: &Fields<'_>) -> Option<u32> {
    let word = spec.text("sessionAffinity");
    let by_client = match &word {
        Some(field) => field.word("sessionAffinity", AFFINITIES)?,
        None => false,
    };
    let config = spec.get("sessionAffinityConfig");
    if !by_client {
        if let Some(field) = config {
            let help = "write `sessionAffinity: ClientIP`, or leave it out";
            field.error("`sessionAffinityConfig` is for `sessionAffinity: ClientIP`", help);
        }
        return None;
    }
    let timeout = config
        .and_then(|field| field.fields(&["clientIP"]))
        .and_then(|config| config.get("clientIP"))
        .and_then(|field| field.fields(&["timeoutSeconds"]))
        .and_then(|client| client.get("timeoutSeconds"))
        .and_then(|field| field.integer("timeout in seconds", 1..=MAX_AFFINITY_TIMEOUT));
    Some(timeout.unwrap_or(AFFINITY_TIMEOUT))
}

/// The fields that only services of type LoadBalancer have.
fn load_balancer(spec: &Fields<'_>, service: &mut Service) {
    service.allocate_load_balancer_node_ports = flag(spec, "allocateLoadBalancerNodePorts").unwrap_or(true);
    service.load_balancer_source_ranges = source_ranges(spec);
    if let Some(field) = spec.get("loadBalancerClass") {
        field.checked("load balancer class", names::check_label_key);
    }
    if service.service_type == ServiceType::LoadBalancer {
        return;
    }
    let ranges = spec.get("loadBalancerSourceRanges").filter(|field| !field.node.items().is_empty());
    let allocate = spec.get("allocateLoadBalancerNodePorts");
    let written = [
        ("loadBalancerSourceRanges", ranges),
        ("allocateLoadBalancerNodePorts", allocate),
        ("loadBalancerClass", spec.get("loadBalancerClass")),
    ];
    for (name, field) in written.into_iter().filter_map(|(name, field)| Some((name, field?))) {
        let help = "write `type: LoadBalancer`, or leave it out";
        field.error(format!("a service of type {:?} has no `{name}`", service.service_type), help);
    }
}

/// `loadBalancerSourceRanges`. Spaces around a range are accepted, as the API server accepts them.
fn source_ranges(spec: &Fields<'_>) -> Vec<IpNet> {
    let items = spec.items("loadBalancerSourceRanges");
    items.iter().filter_map(scalars::padded_cidr).map(|cidr| cidr.net()).collect()
}

fn health_check_node_port(spec: &Fields<'_>, service: &Service) -> Option<u16> {
    let field = spec.get("healthCheckNodePort").filter(|field| !is_absent(field))?;
    let local = service.external_traffic_policy == TrafficPolicy::Local;
    if service.service_type != ServiceType::LoadBalancer || !local {
        let message = "`healthCheckNodePort` is for load balancers of services with local endpoints";
        let help = "write `type: LoadBalancer` and `externalTrafficPolicy: Local`, or leave it out";
        field.error(message, help);
    }
    field.integer("node port", NODE_PORTS)
}
