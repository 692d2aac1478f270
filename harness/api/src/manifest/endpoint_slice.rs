//! EndpointSlices as written, defaulted and validated as the API server does
//! (`pkg/apis/discovery/validation`).

use super::metadata::{MetadataRules, object_meta};
use super::{Context, scalars, tables};
use crate::core::{AddressType, Endpoint, EndpointHints, EndpointPort, EndpointSlice};
use crate::names;
use crate::reader::{Field, Fields};
use netproof_text::quote::quote;
use std::net::IpAddr;

const ADDRESS_TYPES: &[(&str, AddressType)] = &[("IPv4", AddressType::IPv4), ("IPv6", AddressType::IPv6)];

/// The most zones or nodes in an endpoint's hints.
const MAX_HINTS: usize = 8;

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
    let condition = |name| {
        conditions.as_ref().and_then(|conditions| conditions.get(name)).and_then(|field| field.boolean())
    };
    // An absent `ready` means true, an absent `serving` the same as `ready` (EndpointConditions).
    let ready = condition("ready").unwrap_or(true);
    let serving = condition("serving").unwrap_or(ready);
    let terminating = condition("terminating").unwrap_or(false);
    let node_name = fields
        .get("nodeName")
        .and_then(|field| field.checked("name", names::check_dns_subdomain))
        .map(str::to_owned);
    let hostname = fields
        .text("hostname")
        .and_then(|field| field.checked("host name", names::check_dns_label))
        .map(str::to_owned);
    let target = fields.get("targetRef").and_then(|field| field.fields(tables::OBJECT_REFERENCE));
    let pod = target
        .filter(|target| target.text("kind").and_then(|kind| kind.string()) == Some("Pod"))
        .and_then(|target| target.text("name"))
        .and_then(|field| field.checked("name", names::check_dns_subdomain))
        .map(str::to_owned);
    let zone = fields.text("zone").and_then(|field| field.checked("zone", check_zone)).map(str::to_owned);
    let hints = fields.get("hints").and_then(|field| hints(&field));
    Some(Endpoint { addresses, ready, serving, terminating, hostname, node_name, zone, hints, pod })
}

/// Hints; empty ones count as absent.
fn hints(field: &Field<'_>) -> Option<EndpointHints> {
    let fields = field.fields(&["forZones", "forNodes"])?;
    let for_zones = hinted(&fields, "forZones", "zone", check_zone);
    let for_nodes = hinted(&fields, "forNodes", "node name", names::check_dns_subdomain);
    (!for_zones.is_empty() || !for_nodes.is_empty()).then_some(EndpointHints { for_zones, for_nodes })
}

/// The names of a list of hints: at most eight, each once.
fn hinted(fields: &Fields<'_>, list: &str, what: &str, check: fn(&str) -> Result<(), String>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for item in fields.items(list) {
        let name = item.fields(&["name"]).and_then(|fields| fields.require("name"));
        let Some(name) = name.and_then(|field| field.checked(what, check)) else { continue };
        if all.iter().any(|other| other == name) {
            item.error(format!("the {what} {} stands here twice", quote(name)), "keep one of them");
        }
        if all.len() == MAX_HINTS {
            item.error(format!("more than {MAX_HINTS} entries in `{list}`"), "leave the others out");
        }
        all.push(name.to_owned());
    }
    all
}

/// A zone is a label's value, and not empty.
fn check_zone(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("must not be empty".to_owned());
    }
    names::check_label_value(name)
}

fn address(field: &Field<'_>, address_type: AddressType) -> Option<IpAddr> {
    let address = scalars::routable(field, "an endpoint")?;
    if address.is_ipv4() != (address_type == AddressType::IPv4) {
        let help = "a slice has addresses of one family; make a second slice for the other";
        field.error(format!("{address} is not what `addressType` says"), help);
    }
    Some(address)
}

fn port(field: &Field<'_>) -> Option<EndpointPort> {
    let fields = field.fields(&["name", "port", "protocol", "appProtocol"])?;
    let name = fields
        .text("name")
        .and_then(|field| field.checked("port name", names::check_dns_label))
        .map(str::to_owned);
    let protocol = scalars::optional_protocol(&fields);
    if fields.get("port").is_none() {
        field.error("endpoint ports without a number are not supported", "write `port`");
    }
    let port = fields.get("port").and_then(|field| scalars::port_number(&field))?;
    Some(EndpointPort { name, port, protocol })
}
