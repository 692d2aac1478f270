//! Reads flows. An error says what is wrong, where, and what would be right.

use super::{Destination, Flow, FlowPort, FlowProtocol, ObjectName, PortRef, Source};
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;
use thiserror::Error;

/// Why a flow cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct FlowError {
    /// Byte offset of the offending text within what was parsed.
    pub offset: usize,
    /// Length of the offending text in bytes.
    pub length: usize,
    /// What is wrong with it.
    pub message: String,
    /// What would be right.
    pub help: String,
}

/// The part of a flow's text that is being read: its start within the whole, for error positions.
#[derive(Clone, Copy)]
struct Part<'a> {
    text: &'a str,
    offset: usize,
}

impl<'a> Part<'a> {
    fn new(text: &'a str, offset: usize) -> Self {
        let trimmed = text.trim_start();
        Part { text: trimmed.trim_end(), offset: offset + (text.len() - trimmed.len()) }
    }

    fn split(self, separator: &str) -> Option<(Part<'a>, Part<'a>)> {
        let at = self.text.find(separator)?;
        Some(self.cut(at, separator.len()))
    }

    fn cut(self, at: usize, width: usize) -> (Part<'a>, Part<'a>) {
        let (left, right) = self.text.split_at(at);
        (
            Part { text: left, offset: self.offset },
            Part { text: &right[width..], offset: self.offset + at + width },
        )
    }

    fn error(self, message: impl Into<String>, help: impl Into<String>) -> FlowError {
        FlowError { offset: self.offset, length: self.text.len(), message: message.into(), help: help.into() }
    }
}

const SOURCES: &str = "a source is pod/[NAMESPACE/]NAME, node/NAME, external/NAME or external/ADDRESS";
const DESTINATIONS: &str = "a destination is pod/[NAMESPACE/]NAME, node/NAME, external/NAME, external/ADDRESS, \
    service/[NAMESPACE/]NAME, nodeport/[NAMESPACE/]SERVICE@NODE, loadbalancer/[NAMESPACE/]SERVICE, \
    dns/NAME or ip/ADDRESS";

impl FromStr for Flow {
    type Err = FlowError;

    fn from_str(text: &str) -> Result<Self, FlowError> {
        let whole = Part::new(text, 0);
        let Some((from, to)) = whole.split("->") else {
            return Err(whole.error(
                format!("`{}` is not a flow", whole.text),
                "write SOURCE -> DESTINATION[:PORT[/PROTOCOL]], as in pod/client -> service/web:80",
            ));
        };
        if let Some((_, second)) = to.split("->") {
            let more = Part::new(second.text, second.offset);
            return Err(more.error(
                format!("`{}` follows a second arrow", more.text),
                "a flow has one source and one destination; list several under `flows`",
            ));
        }
        let from = source(Part::new(from.text, from.offset))?;
        let (to, port) = destination(Part::new(to.text, to.offset))?;
        Ok(Flow { from, to, port, family: None })
    }
}

impl FromStr for Source {
    type Err = FlowError;

    fn from_str(text: &str) -> Result<Self, FlowError> {
        source(Part::new(text, 0))
    }
}

/// Reads `DESTINATION[:PORT[/PROTOCOL]]`.
///
/// # Errors
/// The offending part, with its place in `text`.
pub fn parse_destination(text: &str) -> Result<(Destination, Option<FlowPort>), FlowError> {
    destination(Part::new(text, 0))
}

/// Reads `PORT[/PROTOCOL]` or `icmp`, what follows the colon.
///
/// # Errors
/// The offending part, with its place in `text`.
pub fn parse_port(text: &str) -> Result<FlowPort, FlowError> {
    port(Part::new(text, 0))
}

fn source(part: Part<'_>) -> Result<Source, FlowError> {
    let Some((kind, name)) = part.split("/") else {
        return Err(part.error(format!("`{}` is not a source", part.text), SOURCES));
    };
    match kind.text {
        "pod" => Ok(Source::Pod(object_name(name)?)),
        "node" => Ok(Source::Node(plain_name(name)?)),
        "external" => match address_of_host(name)? {
            Some((address, None)) => Ok(Source::External(address.to_string())),
            Some((_, Some(port))) => {
                Err(port.error("a source has no port", "a port follows the destination"))
            }
            None => Ok(Source::External(plain_name(name)?)),
        },
        other => Err(kind.error(format!("`{other}` is not a kind of source"), SOURCES)),
    }
}

fn destination(part: Part<'_>) -> Result<(Destination, Option<FlowPort>), FlowError> {
    let Some((kind, rest)) = part.split("/") else {
        return Err(part.error(format!("`{}` is not a destination", part.text), DESTINATIONS));
    };
    if kind.text == "ip" {
        let (address, port_part) = address(rest)?;
        return Ok((Destination::Ip(address), port_part.map(port).transpose()?));
    }
    if kind.text == "external"
        && let Some((address, port_part)) = address_of_host(rest)?
    {
        return Ok((Destination::External(address.to_string()), port_part.map(port).transpose()?));
    }
    let (name, port_part) = match rest.split(":") {
        Some((name, port)) => (name, Some(port)),
        None => (rest, None),
    };
    let to = match kind.text {
        "pod" => Destination::Pod(object_name(name)?),
        "node" => Destination::Node(plain_name(name)?),
        "external" => Destination::External(plain_name(name)?),
        "service" => Destination::Service(object_name(name)?),
        "loadbalancer" => Destination::LoadBalancer(object_name(name)?),
        "dns" => Destination::Dns(dns_name(name)?),
        "nodeport" => {
            let Some((service, node)) = name.split("@") else {
                return Err(name.error(
                    format!("`{}` does not say which node is asked", name.text),
                    "write nodeport/[NAMESPACE/]SERVICE@NODE",
                ));
            };
            Destination::NodePort { service: object_name(service)?, node: plain_name(node)? }
        }
        other => {
            return Err(kind.error(format!("`{other}` is not a kind of destination"), DESTINATIONS));
        }
    };
    Ok((to, port_part.map(port).transpose()?))
}

/// The address in place of an external host's name, with the part after its colon; `None` for a name. (Names
/// have no colon and no bracket, and what looks like an IPv4 address is one.)
fn address_of_host(part: Part<'_>) -> Result<Option<(IpAddr, Option<Part<'_>>)>, FlowError> {
    let is_ipv6 = part.text.starts_with('[') || part.text.matches(':').count() > 1;
    let host = part.text.split(':').next().unwrap_or_default();
    match is_ipv6 || host.parse::<Ipv4Addr>().is_ok() {
        true => address(part).map(Some),
        false => Ok(None),
    }
}

/// `ADDRESS[:PORT]`, one of IPv6 with a port in brackets.
fn address(part: Part<'_>) -> Result<(IpAddr, Option<Part<'_>>), FlowError> {
    let help = "write an address and a port as 10.0.0.1:80 or [fd00::1]:80";
    let (address, port_part) = if let Some(inner) = part.text.strip_prefix('[') {
        let Some(end) = inner.find(']') else {
            return Err(part.error(format!("`{}` has no closing bracket", part.text), help));
        };
        let address = Part { text: &inner[..end], offset: part.offset + 1 };
        let rest = Part { text: &inner[end + 1..], offset: part.offset + end + 2 };
        let port_part = match rest.text.strip_prefix(':') {
            Some(text) => Some(Part { text, offset: rest.offset + 1 }),
            None if rest.text.is_empty() => None,
            None => return Err(rest.error(format!("`{}` follows the address", rest.text), help)),
        };
        (address, port_part)
    } else if part.text.matches(':').count() > 1 {
        (part, None)
    } else {
        match part.split(":") {
            Some((address, port)) => (address, Some(port)),
            None => (part, None),
        }
    };
    let parsed: IpAddr = address
        .text
        .parse()
        .map_err(|_| address.error(format!("`{}` is not an IP address", address.text), help))?;
    Ok((parsed, port_part))
}

fn port(part: Part<'_>) -> Result<FlowPort, FlowError> {
    if part.text == "icmp" {
        return Ok(FlowPort::Icmp);
    }
    let (port, protocol) = match part.split("/") {
        Some((port, word)) => (port, Some(word)),
        None => (part, None),
    };
    let protocol = match protocol {
        None => FlowProtocol::Tcp,
        Some(word) => FlowProtocol::WORDS
            .iter()
            .find(|(name, _)| *name == word.text)
            .map(|(_, protocol)| *protocol)
            .ok_or_else(|| {
                word.error(
                    format!("`{}` is not a protocol", word.text),
                    "a protocol is tcp, udp, sctp, http or dns, and follows a port; icmp stands in the port's place",
                )
            })?,
    };
    Ok(FlowPort::Port { port: port_ref(port)?, protocol })
}

fn port_ref(part: Part<'_>) -> Result<PortRef, FlowError> {
    let help = "a port is a number from 1 to 65535 or the name of a port";
    if !part.text.is_empty() && part.text.bytes().all(|b| b.is_ascii_digit()) {
        return match part.text.parse::<u16>() {
            Ok(number) if number > 0 => Ok(PortRef::Number(number)),
            _ => Err(part.error(format!("`{}` is not a port number", part.text), help)),
        };
    }
    if FlowProtocol::WORDS.iter().any(|(word, _)| *word == part.text) {
        return Err(part.error(
            format!("`{}` is a protocol, not a port", part.text),
            "write the port first, as in :53/udp",
        ));
    }
    let name_like = part.text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if part.text.is_empty() || part.text.len() > 63 || !name_like {
        return Err(part.error(format!("`{}` is not a port", part.text), help));
    }
    Ok(PortRef::Name(part.text.to_owned()))
}

fn object_name(part: Part<'_>) -> Result<ObjectName, FlowError> {
    match part.split("/") {
        Some((namespace, name)) => {
            Ok(ObjectName { namespace: Some(plain_name(namespace)?), name: plain_name(name)? })
        }
        None => Ok(ObjectName { namespace: None, name: plain_name(part)? }),
    }
}

/// A name to resolve. A name that ends with a dot is absolute and not tried under the search list.
fn dns_name(part: Part<'_>) -> Result<String, FlowError> {
    let relative = part.text.strip_suffix('.').unwrap_or(part.text);
    plain_name(Part { text: relative, ..part })?;
    Ok(part.text.to_owned())
}

/// A DNS-1123 subdomain: the syntax of the names of Kubernetes objects.
fn plain_name(part: Part<'_>) -> Result<String, FlowError> {
    let label = |text: &str| {
        let edge = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let bytes = text.as_bytes();
        edge(bytes.first())
            && edge(bytes.last())
            && bytes.iter().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-')
    };
    if part.text.is_empty() || part.text.len() > 253 || !part.text.split('.').all(label) {
        return Err(part.error(
            format!("`{}` is not a name", part.text),
            "a name has lower-case letters, digits, `-` and `.`, and starts and ends with a letter or digit",
        ));
    }
    Ok(part.text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_what_is_printed() {
        for text in [
            "pod/client -> service/web:80",
            "pod/other/client -> pod/default/web:53/udp",
            "node/node1 -> pod/web:metrics",
            "external/internet -> nodeport/web@node1:80/http",
            "external/internet -> nodeport/shop/web@node1",
            "pod/a -> loadbalancer/web:443",
            "pod/a -> dns/web.default:80/http",
            "pod/a -> dns/web.default.svc.cluster.local.:80",
            "pod/a -> ip/10.0.0.1:80",
            "pod/a -> ip/[fd00::1]:80/sctp",
            "pod/a -> ip/fd00::1",
            "pod/a -> external/gateway:icmp",
            "external/198.51.100.7 -> external/192.0.2.1:80",
            "external/2001:db8::7 -> external/[2001:db8::8]:80/udp",
            "external/2001:db8::7 -> external/2001:db8::8",
        ] {
            let flow: Flow = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(flow.to_string(), text);
        }
    }

    #[test]
    fn an_error_points_at_the_offending_text() {
        for (text, offending) in [
            ("pod/client", "pod/client"),
            ("deployment/web -> pod/a:80", "deployment"),
            ("pod/a -> svc/web:80", "svc"),
            ("pod/a -> pod/b:80/quic", "quic"),
            ("pod/a -> pod/b:udp", "udp"),
            ("pod/a -> pod/b:0", "0"),
            ("pod/a -> pod/b:65536", "65536"),
            ("pod/A -> pod/b:80", "A"),
            ("pod/a -> ip/10.0.0:80", "10.0.0"),
            ("pod/a -> ip/[fd00::1:80", "[fd00::1:80"),
            ("pod/a -> external/[fd00::1:80", "[fd00::1:80"),
            ("pod/a -> external/fd00::g", "fd00::g"),
            ("external/192.0.2.1:80 -> pod/a:80", "80"),
            ("pod/a -> nodeport/web:80", "web"),
            ("pod/a -> dns/web..:80", "web."),
            ("pod/a -> dns/.:80", ""),
            ("pod/a -> pod/b:80 -> pod/c:81", "pod/c:81"),
        ] {
            let error = text.parse::<Flow>().expect_err(text);
            assert_eq!(&text[error.offset..error.offset + error.length], offending, "{text}");
        }
    }
}
