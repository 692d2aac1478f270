//! EndpointSlices as written, defaulted and validated as the API server does
//! (`pkg/apis/discovery/validation`).

use super::metadata::{MetadataRules, object_meta};
use super::{Context, scalars, tables};
use crate::core::{AddressType, Endpoint, EndpointPort, EndpointSlice};
use crate::names;
use crate::reader::Field;
use crate::yaml::quote;
use std::net::IpAddr;

const ADDRESS_TYPES: &[(&str, AddressType)] = &[("IPv4", AddressType::IPv4), ("IPv6", AddressType::IPv6)];

pub(super) fn endpoint_slice(document: &Field<'_>, context: &Context) -> Option<EndpointSlice> {
    let object = document.fields(tables::ENDPOINT_SLICE)?;
    let metadata = object_meta(&object, MetadataRules::NAMESPACED, context);
    let address_type =
        object.require("addressType").and_then(|field| field.word("address type", ADDRESS_TYPES))?;
    let endpoints =
        object.items("endpoints").iter().filter_map(|field| endpoint(field, address_type)).collect();
    let mut ports: Vec<EndpointPort> = Vec::new();
    for field in object.items("ports") {
        let Some(port) = port(&field) else { continue };
        if ports.iter().any(|other| other.name == port.name) {
            let message = match &port.name {
                Some(name) => format!("two ports of the name {}", quote(name)),
                None => "two ports without a name".to_owned(),
            };
            field.error(message, "give every port of the slice a name of its own");
        }
        ports.push(port);
    }
    Some(EndpointSlice { metadata, address_type, endpoints, ports })
}

fn endpoint(field: &Field<'_>, address_type: AddressType) -> Option<Endpoint> {
    let fields = field.fields(tables::ENDPOINT)?;
    let items = fields.items("addresses");
    if items.is_empty() {
        fields.missing("addresses");
    }
    let addresses = items.iter().filter_map(|item| address(item, address_type)).collect();
    let conditions =
        fields.get("conditions").and_then(|field| field.fields(&["ready", "serving", "terminating"]));
    let ready = conditions.and_then(|conditions| conditions.get("ready")).and_then(|field| field.boolean());
    let node_name = fields
        .text("nodeName")
        .and_then(|field| field.checked("name", names::check_dns_subdomain))
        .map(str::to_owned);
    let target = fields.get("targetRef").and_then(|field| field.fields(tables::OBJECT_REFERENCE));
    let pod = target
        .filter(|target| target.text("kind").and_then(|kind| kind.string()) == Some("Pod"))
        .and_then(|target| target.text("name"))
        .and_then(|field| field.checked("name", names::check_dns_subdomain))
        .map(str::to_owned);
    let ready = ready.unwrap_or(true);
    let (serving, terminating, zone, hints) = (ready, false, None, None);
    Some(Endpoint { addresses, ready, serving, terminating, node_name, zone, hints, pod })
}

fn address(field: &Field<'_>, address_type: AddressType) -> Option<IpAddr> {
    let address = scalars::address(field)?;
    if address.is_ipv4() != (address_type == AddressType::IPv4) {
        let help = "a slice has addresses of one family; make a second slice for the other";
        field.error(format!("{address} is not what `addressType` says"), help);
    }
    let link_local = match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    if address.is_unspecified() || address.is_loopback() || address.is_multicast() || link_local {
        let help = "write an address that other nodes can reach";
        field.error(format!("{address} cannot be an endpoint"), help);
    }
    Some(address)
}

fn port(field: &Field<'_>) -> Option<EndpointPort> {
    let fields = field.fields(&["name", "port", "protocol", "appProtocol"])?;
    let name = fields
        .text("name")
        .and_then(|field| field.checked("port name", names::check_dns_label))
        .map(str::to_owned);
    let protocol = scalars::protocol(&fields);
    if fields.get("port").is_none() {
        field.error("endpoint ports without a number are not supported", "write `port`");
    }
    let port = fields.get("port").and_then(|field| scalars::port_number(&field))?;
    Some(EndpointPort { name, port, protocol })
}
