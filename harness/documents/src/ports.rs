//! Ports of short forms: `80`, `53/udp`, `metrics:9100`, `8001:8000`.

use crate::document::{Document, Problems};
use crate::tree::At;
use crate::unions::PortText;
use netproof_api::yaml::{Node, Spanned, Value};
use netproof_model::Protocol;
use netproof_model::topology::ListenPort;

/// A port number, never 0.
fn number(text: &str) -> Option<i64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse::<u16>().ok().filter(|number| digits && *number > 0).map(i64::from)
}

/// `TEXT[/PROTOCOL]`: the text, and the protocol as a manifest spells it.
fn split_protocol(text: &str) -> Option<(&str, &'static str)> {
    match text.split_once('/') {
        None => Some((text, "TCP")),
        Some((port, "tcp")) => Some((port, "TCP")),
        Some((port, "udp")) => Some((port, "UDP")),
        Some((port, "sctp")) => Some((port, "SCTP")),
        Some(_) => None,
    }
}

/// The text of a port that is a number or a string.
fn port_text(port: &Node) -> Option<String> {
    match &port.value {
        Value::Int(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        _ => None,
    }
}

/// A container port: `PORT[/PROTOCOL]`, `NAME:PORT[/PROTOCOL]`, or a mapping as in a manifest.
pub fn pod_port(port: &Node, document: &Document, problems: &mut Problems) -> Option<Node> {
    if matches!(port.value, Value::Mapping(_)) {
        return Some(port.clone());
    }
    let at = At(port.span);
    let read = || {
        let text = port_text(port)?;
        let (rest, protocol) = split_protocol(&text)?;
        let (name, port) = match rest.split_once(':') {
            Some((name, port)) => (Some(at.text(name)), number(port)?),
            None => (None, number(rest)?),
        };
        Some(at.map([
            ("name", name),
            ("containerPort", Some(at.node(Value::Int(port)))),
            ("protocol", Some(at.text(protocol))),
        ]))
    };
    let manifest = read();
    if manifest.is_none() {
        let error = document.error(port.span, format!("{} is not a port of a pod", port.describe()));
        problems.push(error.help("write `80`, `53/udp` (tcp, udp or sctp) or, with a name, `metrics:9100`"));
    }
    manifest
}

/// A service port: `PORT[:TARGET][/PROTOCOL]`, or a mapping as in a manifest. One of several gets a name.
pub fn service_port(
    port: &Node,
    several: bool,
    document: &Document,
    problems: &mut Problems,
) -> Option<Node> {
    if matches!(port.value, Value::Mapping(_)) {
        return Some(port.clone());
    }
    let at = At(port.span);
    let read = || {
        let text = port_text(port)?;
        let (rest, protocol) = split_protocol(&text)?;
        let (port, target) = match rest.split_once(':') {
            Some((port, target)) => (number(port)?, Some(target)),
            None => (number(rest)?, None),
        };
        let target = match target {
            None => None,
            Some(target) => match number(target) {
                Some(number) => Some(at.node(Value::Int(number))),
                None if target.is_empty() || target.bytes().all(|byte| byte.is_ascii_digit()) => {
                    return None;
                }
                None => Some(at.text(target)),
            },
        };
        let name = several.then(|| at.text(format!("{}-{port}", protocol.to_ascii_lowercase())));
        Some(at.map([
            ("name", name),
            ("port", Some(at.node(Value::Int(port)))),
            ("targetPort", target),
            ("protocol", Some(at.text(protocol))),
        ]))
    };
    let manifest = read();
    if manifest.is_none() {
        let error = document.error(port.span, format!("{} is not a port of a service", port.describe()));
        problems.push(error.help(
            "write `80`, `8001:8000` (service port, then the pods' port) or `53/udp` (tcp, udp or sctp)",
        ));
    }
    manifest
}

/// A port to listen on: `PORT[/PROTOCOL]`.
pub fn listen_port(text: &str) -> Option<ListenPort> {
    let (port, protocol) = split_protocol(text)?;
    let port = u16::try_from(number(port)?).ok()?;
    let protocol = match protocol {
        "UDP" => Protocol::Udp,
        "SCTP" => Protocol::Sctp,
        _ => Protocol::Tcp,
    };
    Some(ListenPort { port, protocol })
}

/// The ports of a list; those that cannot be read or stand twice are left out and reported.
pub fn listen_ports(
    ports: &[Spanned<PortText>],
    document: &Document,
    problems: &mut Problems,
) -> Vec<ListenPort> {
    let mut all = Vec::new();
    for written in ports {
        match listen_port(&written.value.0) {
            None => {
                let message = format!("`{}` is not a port to listen on", written.value);
                problems.push(document.error(written.span, message).help("write `80` or `53/udp`"));
            }
            Some(port) if all.contains(&port) => {
                let message = format!("the port {} stands here twice", written.value);
                problems.push(document.error(written.span, message).help("keep one of the two"));
            }
            Some(port) => all.push(port),
        }
    }
    all
}
