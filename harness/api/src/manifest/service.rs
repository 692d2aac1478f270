//! Services as written, defaulted and validated as the API server does (`pkg/apis/core/validation`,
//! ValidateService): what all types have in common, and their ports. `service_addresses` and
//! `service_traffic` read addresses and traffic policies.

use super::metadata::{MetadataRules, label_map, object_meta};
use super::{Context, scalars, service_addresses, service_traffic, tables};
use crate::core::{IntOrString, Service, ServicePort, ServiceType, TransportProtocol};
use crate::names;
use crate::reader::{Field, Fields};
use netproof_text::quote::quote;
use netproof_text::yaml::Value;

/// The API server's default range of node ports.
pub(super) const NODE_PORTS: std::ops::RangeInclusive<u16> = 30000..=32767;

const TYPES: &[(&str, ServiceType)] = &[
    ("ClusterIP", ServiceType::ClusterIP),
    ("NodePort", ServiceType::NodePort),
    ("LoadBalancer", ServiceType::LoadBalancer),
    ("ExternalName", ServiceType::ExternalName),
];

pub(super) fn service(document: &Field<'_>, context: &Context) -> Option<Service> {
    let object = document.fields(tables::OBJECT)?;
    let rules = MetadataRules { check_name: names::check_dns_1035_label, ..MetadataRules::NAMESPACED };
    let mut service = Service { metadata: object_meta(&object, rules, context), ..Service::default() };
    let Some(spec) = object.require("spec").and_then(|field| field.fields(tables::SERVICE_SPEC)) else {
        return Some(service);
    };
    // The rules for the other fields depend on the type: without it their errors would mislead.
    service.service_type = match spec.text("type") {
        Some(field) => field.word("service type", TYPES)?,
        None => ServiceType::ClusterIP,
    };
    service.selector = spec.get("selector").map(|field| label_map(&field)).unwrap_or_default();
    service_addresses::read(&spec, &object, &mut service);
    service_traffic::read(&spec, &mut service);

    let items = spec.items("ports");
    if items.is_empty() && !service.headless && service.service_type != ServiceType::ExternalName {
        spec.missing("ports");
    }
    for field in &items {
        if let Some(port) = port(field, items.len(), &service) {
            service.ports.push(port);
        }
    }
    Some(service)
}

fn port(field: &Field<'_>, count: usize, service: &Service) -> Option<ServicePort> {
    let fields = field.fields(tables::SERVICE_PORT)?;
    let protocol = scalars::protocol(&fields);
    let port = fields.require("port").and_then(|field| scalars::port_number(&field));
    let name = port_name(&fields, count, service);
    let target = fields.get("targetPort").filter(|field| !is_absent(field));
    let target_port = match &target {
        Some(field) => scalars::port(field),
        None => port.map(IntOrString::Int),
    };
    let node_port = fields.get("nodePort").filter(|field| !is_absent(field));
    let node_port = node_port.and_then(|field| node_port_number(&field, protocol, service));
    let (port, target_port) = (port?, target_port?);
    if service.ports.iter().any(|other| (other.port, other.protocol) == (port, protocol)) {
        field.error(format!("the port {port}/{protocol} stands here twice"), "keep one of them");
    }
    Some(ServicePort { name, protocol, port, target_port, node_port })
}

/// Whether a port has the value that the API server writes for an unset one.
pub(super) fn is_absent(field: &Field<'_>) -> bool {
    matches!(*field.value(), Value::Int(0)) || field.node.as_str() == Some("")
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

fn node_port_number(field: &Field<'_>, protocol: TransportProtocol, service: &Service) -> Option<u16> {
    let number = field.integer("node port", NODE_PORTS)?;
    if let ServiceType::ClusterIP | ServiceType::ExternalName = service.service_type {
        field.error(
            format!("a service of type {:?} has no node ports", service.service_type),
            "write `type: NodePort`, or leave it out",
        );
    }
    if service.ports.iter().any(|other| (other.node_port, other.protocol) == (Some(number), protocol)) {
        field.error(format!("the node port {number}/{protocol} stands here twice"), "choose another number");
    }
    if service.health_check_node_port == Some(number) {
        let message = format!("{number} is the service's `healthCheckNodePort`, too");
        field.error(message, "choose another number");
    }
    Some(number)
}
