//! Services as written, defaulted and validated as the API server does (`pkg/apis/core/validation`,
//! ValidateService).

use super::metadata::{MetadataRules, label_map, object_meta};
use super::{Context, scalars, tables};
use crate::core::{IntOrString, Service, ServicePort, ServiceType};
use crate::names;
use crate::reader::{Field, Fields};
use crate::yaml::{Value, quote};
use std::net::IpAddr;

/// The node ports that the API server gives out unless told otherwise.
const NODE_PORTS: std::ops::RangeInclusive<u16> = 30000..=32767;

pub(super) fn service(document: &Field<'_>, context: &Context) -> Option<Service> {
    let object = document.fields(tables::OBJECT)?;
    let rules = MetadataRules { check_name: names::check_dns_1035_label, ..MetadataRules::NAMESPACED };
    let mut service = Service { metadata: object_meta(&object, rules, context), ..Service::default() };
    let Some(spec) = object.require("spec").and_then(|field| field.fields(tables::SERVICE_SPEC)) else {
        return Some(service);
    };
    service.service_type = service_type(&spec)?;
    service.selector = spec.get("selector").map(|field| label_map(&field)).unwrap_or_default();
    (service.headless, service.cluster_ips) = cluster_ips(&spec);
    if service.headless && service.service_type == ServiceType::NodePort {
        let help = "leave `clusterIP` out, or make the type ClusterIP";
        spec.field().error("a service of type NodePort cannot be headless", help);
    }
    refuse_what_is_not_done(&spec);

    let items = spec.items("ports");
    if items.is_empty() && !service.headless {
        spec.missing("ports");
    }
    for field in &items {
        if let Some(port) = port(field, items.len(), &service) {
            service.ports.push(port);
        }
    }
    Some(service)
}

fn service_type(spec: &Fields<'_>) -> Option<ServiceType> {
    let Some(field) = spec.text("type") else { return Some(ServiceType::ClusterIP) };
    if let Some(name @ ("LoadBalancer" | "ExternalName")) = field.node.as_str() {
        let help = "use ClusterIP or NodePort";
        field.error(format!("services of type {name} are not supported yet"), help);
        return None;
    }
    field.word("service type", &[("ClusterIP", ServiceType::ClusterIP), ("NodePort", ServiceType::NodePort)])
}

/// What changes where packets go, and would silently not be done.
fn refuse_what_is_not_done(spec: &Fields<'_>) {
    let word = |text: &str| Value::String(text.to_owned());
    let nothing = [word(""), Value::Sequence(Vec::new())];
    spec.not_yet("sessionAffinity", &[word(""), word("None")]);
    spec.not_yet("internalTrafficPolicy", &[word(""), word("Cluster")]);
    spec.not_yet("externalTrafficPolicy", &[word(""), word("Cluster")]);
    spec.not_yet("publishNotReadyAddresses", &[Value::Bool(false)]);
    spec.not_yet("externalIPs", &nothing);
    if let Some(field) = spec.get("ipFamilyPolicy")
        && field.node.as_str() != Some("SingleStack")
    {
        let help = "the families of the topology decide";
        field.warn("`ipFamilyPolicy` is not looked at", help);
    }
}

/// Whether the service is headless, and its addresses from `clusterIPs` and `clusterIP`, its first.
fn cluster_ips(spec: &Fields<'_>) -> (bool, Vec<IpAddr>) {
    let mut words = spec.items("clusterIPs");
    if let Some(field) = spec.text("clusterIP") {
        match words.first() {
            None => words.push(field),
            Some(first) if first.node.value != field.node.value => {
                field.error("`clusterIP` is not the first of `clusterIPs`", "make them the same");
            }
            Some(_) => {}
        }
    }
    if words.first().is_some_and(|field| field.node.as_str() == Some("None")) {
        if let Some(second) = words.get(1) {
            second.error("a headless service has no addresses", "write `clusterIP: None` alone");
        }
        return (true, Vec::new());
    }
    let mut addresses: Vec<IpAddr> = Vec::new();
    for field in &words {
        let Some(address) = scalars::address(field) else { continue };
        if addresses.iter().any(|other| other.is_ipv4() == address.is_ipv4()) {
            field.error("two addresses of one family", "a service has at most one IPv4 and one IPv6 address");
        }
        addresses.push(address);
    }
    (false, addresses)
}

fn port(field: &Field<'_>, count: usize, service: &Service) -> Option<ServicePort> {
    let fields = field.fields(tables::SERVICE_PORT)?;
    let protocol = scalars::protocol(&fields);
    let port = fields.require("port").and_then(|field| scalars::port_number(&field));
    let name = port_name(&fields, count, service);
    let absent =
        |field: &Field<'_>| matches!(&field.node.value, Value::Int(0)) || field.node.as_str() == Some("");
    let target = fields.get("targetPort").filter(|field| !absent(field));
    let target_port = match &target {
        Some(field) => scalars::port(field),
        None => port.map(IntOrString::Int),
    };
    let node_port = fields.get("nodePort").filter(|field| !absent(field));
    let node_port = node_port.and_then(|field| node_port_number(&field, protocol, service));
    let (port, target_port) = (port?, target_port?);
    if service.ports.iter().any(|other| (other.port, other.protocol) == (port, protocol)) {
        field.error(format!("the port {port}/{protocol} stands here twice"), "keep one of them");
    }
    Some(ServicePort { name, protocol, port, target_port, node_port })
}

fn port_name(fields: &Fields<'_>, count: usize, service: &Service) -> Option<String> {
    let Some(field) = fields.text("name") else {
        if count > 1 {
            fields.field().error("a port of a service with several needs a name", "add `name: ...`");
        }
        return None;
    };
    let name = field.checked("port name", names::check_dns_label)?;
    if service.ports.iter().any(|other| other.name.as_deref() == Some(name)) {
        let message = format!("two ports of the name {}", quote(name));
        field.error(message, "give every port of the service a name of its own");
    }
    Some(name.to_owned())
}

fn node_port_number(
    field: &Field<'_>,
    protocol: crate::core::TransportProtocol,
    service: &Service,
) -> Option<u16> {
    let number = field.integer("node port", NODE_PORTS)?;
    if service.service_type == ServiceType::ClusterIP {
        field.error(
            "a service of type ClusterIP has no node ports",
            "write `type: NodePort`, or leave it out",
        );
    }
    if service.ports.iter().any(|other| (other.node_port, other.protocol) == (Some(number), protocol)) {
        field.error(format!("the node port {number}/{protocol} stands here twice"), "choose another number");
    }
    Some(number)
}
