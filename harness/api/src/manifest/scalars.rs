//! Protocols, ports, addresses and address ranges as written.

use crate::core::{IntOrString, TransportProtocol};
use crate::names;
use crate::networking::Cidr;
use crate::reader::{Field, Fields};
use ipnet::IpNet;
use netproof_text::quote::quote;
use netproof_text::yaml::Value;
use std::net::{IpAddr, Ipv6Addr};

const PROTOCOLS: &[(&str, TransportProtocol)] =
    &[("TCP", TransportProtocol::Tcp), ("UDP", TransportProtocol::Udp), ("SCTP", TransportProtocol::Sctp)];

/// `protocol` of a container or a service; TCP if it is absent or empty.
pub(super) fn protocol(fields: &Fields<'_>) -> TransportProtocol {
    fields.text("protocol").and_then(|field| field.word("protocol", PROTOCOLS)).unwrap_or_default()
}

/// `protocol` of a policy or an EndpointSlice; TCP if it is absent. The field is a pointer: the empty text
/// is a value, and the API server refuses it.
pub(super) fn optional_protocol(fields: &Fields<'_>) -> TransportProtocol {
    fields.get("protocol").and_then(|field| field.word("protocol", PROTOCOLS)).unwrap_or_default()
}

/// A port number.
pub(super) fn port_number(field: &Field<'_>) -> Option<u16> {
    field.integer("port", 1..=u16::MAX)
}

/// A port number or the name of a container port.
pub(super) fn port(field: &Field<'_>) -> Option<IntOrString> {
    match field.value().as_ref() {
        Value::String(text) if text.parse::<u16>().is_ok() => {
            let message = format!("{} is a name of a port here, and names have a letter", quote(text));
            field.error(message, format!("write the number without quotes: {text}"));
            None
        }
        Value::String(_) => {
            let name = field.checked("port name", names::check_port_name)?;
            Some(IntOrString::String(name.to_owned()))
        }
        _ => port_number(field).map(IntOrString::Int),
    }
}

/// An IP address.
pub(super) fn address(field: &Field<'_>) -> Option<IpAddr> {
    let text = field.string()?;
    match text.parse() {
        Ok(IpAddr::V6(address)) => unmapped(field, address, "").map(IpAddr::V6),
        Ok(address) => Some(address),
        Err(_) => {
            let help = leading_zeros(text)
                .unwrap_or_else(|| "write an address such as 10.0.0.1 or fd00::1".to_owned());
            field.error(format!("{} is not an IP address", quote(text)), help);
            None
        }
    }
}

/// An address that packets can be routed to; `what` it is, for the message.
pub(super) fn routable(field: &Field<'_>, what: &str) -> Option<IpAddr> {
    let address = address(field)?;
    let link_local = match address {
        IpAddr::V4(address) => address.is_link_local() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    };
    if address.is_unspecified() || address.is_loopback() || address.is_multicast() || link_local {
        field.error(format!("{address} cannot be {what}"), "write an address that other nodes can reach");
    }
    Some(address)
}

/// A point in time; only its syntax is checked.
pub(super) fn check_time(text: &str) -> Result<(), String> {
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    let zone = shape.strip_prefix("0000-00-00T00:00:00").map(|rest| match rest.strip_prefix('.') {
        Some(fraction) => fraction.trim_start_matches('0'),
        None => rest,
    });
    if matches!(zone, Some("Z" | "+00:00" | "-00:00")) {
        return Ok(());
    }
    Err("must be like 2026-01-01T00:00:00Z".to_owned())
}

/// An address range. Host bits are accepted with a warning and mean the network, as for the API server.
pub(super) fn cidr(field: &Field<'_>) -> Option<Cidr> {
    cidr_of(field, field.string()?)
}

/// An address range with perhaps spaces around it.
pub(super) fn padded_cidr(field: &Field<'_>) -> Option<Cidr> {
    cidr_of(field, field.string()?.trim())
}

/// An address range without host bits.
pub(super) fn masked_cidr(field: &Field<'_>) -> Option<Cidr> {
    let text = field.string()?;
    let net = net_of(field, text)?;
    let network = Cidr::new(net);
    if network.net() != net {
        let message = format!("{text} has host bits set, and the API refuses it");
        field.error(message, host_bits_help(net));
    }
    Some(network)
}

/// An address range with or without host bits, or an address for the range of it alone.
pub(super) fn lenient_cidr(field: &Field<'_>) -> Option<Cidr> {
    match field.string()?.parse::<IpAddr>() {
        Ok(address) => Some(Cidr::new(address.into())),
        Err(_) => net_of(field, field.string()?).map(Cidr::new),
    }
}

fn cidr_of(field: &Field<'_>, text: &str) -> Option<Cidr> {
    let net = net_of(field, text)?;
    let network = Cidr::new(net);
    if network.net() != net {
        field.warn(format!("{text} has host bits set and means {network}"), host_bits_help(net));
    }
    Some(network)
}

fn host_bits_help(net: IpNet) -> String {
    format!("write {}, or {}/{} for one address", net.trunc(), net.addr(), net.max_prefix_len())
}

fn net_of(field: &Field<'_>, text: &str) -> Option<IpNet> {
    let Some(net) = parse_cidr(text) else {
        field.error(format!("{} is not an address range", quote(text)), cidr_help(text));
        return None;
    };
    if let IpAddr::V6(address) = net.addr() {
        let length = net.prefix_len().checked_sub(96).map(|length| format!("/{length}"));
        unmapped(field, address, &length.unwrap_or_default())?;
    }
    Some(net)
}

/// `ADDRESS/LENGTH`, neither with leading zeros (which the parser of [`IpNet`] lets pass).
fn parse_cidr(text: &str) -> Option<IpNet> {
    let (address, length) = text.split_once('/')?;
    let plain = length == "0" || !length.starts_with(['0', '+']);
    IpNet::new(address.parse().ok()?, length.parse().ok().filter(|_| plain)?).ok()
}

/// The address range of an interface, `10.0.0.0/24`, for nodes.
pub(super) fn net(field: &Field<'_>) -> Option<IpNet> {
    cidr(field).map(Cidr::net)
}

fn cidr_help(text: &str) -> String {
    if let Ok(address) = text.parse::<IpAddr>() {
        let length = if address.is_ipv4() { 32 } else { 128 };
        return format!("write {text}/{length} for this one address");
    }
    let (address, length) = text.split_once('/').unwrap_or((text, ""));
    if let Some(help) = leading_zeros(address) {
        return help;
    }
    match address.parse::<IpAddr>() {
        Ok(IpAddr::V4(_)) => format!("the length after the `/` is 0 to 32, not {length:?}"),
        Ok(IpAddr::V6(_)) => format!("the length after the `/` is 0 to 128, not {length:?}"),
        Err(_) => "write a range such as 10.0.0.0/8 or fd00::/8".to_owned(),
    }
}

/// Refuses 010.0.0.1: some readers take it for octal.
fn leading_zeros(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split('.').collect();
    if parts.len() != 4 || !parts.iter().any(|part| part.len() > 1 && part.starts_with('0')) {
        return None;
    }
    let plain: Vec<String> = parts
        .iter()
        .map(|part| part.parse::<u8>().ok().map(|number| number.to_string()))
        .collect::<Option<_>>()?;
    Some(format!("leading zeros are ambiguous: write {}", plain.join(".")))
}

/// Refuses ::ffff:10.0.0.1, which some read as IPv6 and some as IPv4; `length` is that of the IPv4 range.
fn unmapped(field: &Field<'_>, address: Ipv6Addr, length: &str) -> Option<Ipv6Addr> {
    match address.to_ipv4_mapped() {
        None => Some(address),
        Some(mapped) => {
            let message = format!("{address} is an IPv4 address written as IPv6");
            field.error(message, format!("write it as IPv4: {mapped}{length}"));
            None
        }
    }
}
