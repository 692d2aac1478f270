//! Services.

use super::metadata::metadata;
use super::{fields, insert, insert_filled, object};
use netproof_api::core::{ServiceType, TrafficDistribution};
use netproof_api::{Service, ServicePort};
use serde_json::{Map, Value, json};

/// A Service (v1).
pub fn service(service: &Service) -> Value {
    let mut spec = fields([("type", json!(service.service_type))]);
    insert_filled(&mut spec, "ports", service.ports.iter().map(port).collect());
    insert_filled(&mut spec, "selector", json!(service.selector));
    addresses(service, &mut spec);
    traffic(service, &mut spec);
    let mut balancer = Map::new();
    insert_filled(&mut balancer, "ingress", json!(service.load_balancer_ingress));
    let status = json!({"loadBalancer": balancer});
    object("v1", "Service", metadata(&service.metadata), [("spec", spec.into()), ("status", status)])
}

fn port(port: &ServicePort) -> Value {
    let mut fields = fields([
        ("protocol", json!(port.protocol)),
        ("port", port.port.into()),
        ("targetPort", json!(port.target_port)),
    ]);
    insert(&mut fields, "name", &port.name);
    insert(&mut fields, "nodePort", &port.node_port);
    fields.into()
}

/// Where the service is.
fn addresses(service: &Service, spec: &mut Map<String, Value>) {
    if service.headless {
        spec.insert("clusterIP".into(), "None".into());
        spec.insert("clusterIPs".into(), json!(["None"]));
    } else if let Some(first) = service.cluster_ips.first() {
        spec.insert("clusterIP".into(), json!(first));
        spec.insert("clusterIPs".into(), json!(service.cluster_ips));
    }
    if service.service_type == ServiceType::ExternalName {
        insert(spec, "externalName", &service.external_name);
    } else {
        insert_filled(spec, "ipFamilies", json!(service.ip_families));
        insert(spec, "ipFamilyPolicy", &service.ip_family_policy);
    }
    insert_filled(spec, "externalIPs", json!(service.external_ips));
    if service.service_type == ServiceType::LoadBalancer {
        let allocate = service.allocate_load_balancer_node_ports;
        spec.insert("allocateLoadBalancerNodePorts".into(), allocate.into());
        insert_filled(spec, "loadBalancerSourceRanges", json!(service.load_balancer_source_ranges));
    }
    insert(spec, "healthCheckNodePort", &service.health_check_node_port);
}

/// Where its packets go.
fn traffic(service: &Service, spec: &mut Map<String, Value>) {
    let is_external = match service.service_type {
        ServiceType::NodePort | ServiceType::LoadBalancer => true,
        ServiceType::ClusterIP => !service.external_ips.is_empty(),
        ServiceType::ExternalName => false,
    };
    if service.service_type != ServiceType::ExternalName {
        spec.insert("internalTrafficPolicy".into(), json!(service.internal_traffic_policy));
    }
    if is_external {
        spec.insert("externalTrafficPolicy".into(), json!(service.external_traffic_policy));
    }
    let affinity = if service.session_affinity.is_some() { "ClientIP" } else { "None" };
    spec.insert("sessionAffinity".into(), affinity.into());
    if let Some(seconds) = service.session_affinity {
        spec.insert("sessionAffinityConfig".into(), json!({"clientIP": {"timeoutSeconds": seconds}}));
    }
    if service.publish_not_ready_addresses {
        spec.insert("publishNotReadyAddresses".into(), true.into());
    }
    let distribution = service.traffic_distribution.map(|distribution| match distribution {
        TrafficDistribution::PreferSameZone => "PreferSameZone",
        TrafficDistribution::PreferSameNode => "PreferSameNode",
    });
    insert(spec, "trafficDistribution", &distribution);
}
