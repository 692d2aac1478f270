//! The port of a flow: as written, or the only one that the destination serves.

use crate::flows::serving::Port;
use crate::flows::{Mistake, Part, ResolvedDestination};
use netproof_model::Protocol;
use netproof_model::flow::{Destination, Flow, FlowPort, FlowProtocol, PortRef};

/// The port of a flow, found.
pub(super) struct Found {
    /// As flows call it.
    pub(super) port: FlowPort,
    /// What to send to; 0 for an echo request.
    pub(super) number: u16,
    /// Who answers there, if it is known.
    pub(super) known: Option<Port>,
}

/// What to say to whoever means nobody to answer.
const MEANT: &str = "a flow that is meant to find nobody says so, as in `outcome: refused`";

/// The flow's port: as written or the only one.
pub(super) fn port(flow: &Flow, target: &ResolvedDestination, may_miss: bool) -> Result<Found, Mistake> {
    let to = &flow.to;
    if let Destination::Ip(address) = to
        && !target.answers_echo
        && target.ports.is_empty()
        && !may_miss
    {
        let message = format!("nobody has the address {address} in this step");
        return Err(Mistake::new(Part::To, message, MEANT));
    }
    match &flow.port {
        Some(FlowPort::Icmp) if target.answers_echo || may_miss => {
            Ok(Found { port: FlowPort::Icmp, number: 0, known: None })
        }
        Some(FlowPort::Icmp) => Err(Mistake::new(
            Part::To,
            format!("{to} does not answer echo requests"),
            "ping a pod, a node or an external host",
        )),
        Some(FlowPort::Port { port, protocol }) => written_port(to, port, *protocol, target, may_miss),
        None => only_port(to, target),
    }
}

/// A port as written.
fn written_port(
    to: &Destination,
    port: &PortRef,
    protocol: FlowProtocol,
    target: &ResolvedDestination,
    may_miss: bool,
) -> Result<Found, Mistake> {
    let written = FlowPort::Port { port: port.clone(), protocol };
    let transport = protocol.transport();
    let fits = |known: &&Port| known.protocol == transport && known.is_called(port);
    if let Some(found) = target.ports.iter().find(fits)
        && (found.served || may_miss)
    {
        return Ok(Found { port: written, number: found.dial, known: Some(found.clone()) });
    }
    match port {
        PortRef::Number(number) if may_miss => Ok(Found { port: written, number: *number, known: None }),
        _ if matches!(to, Destination::Dns(_)) && target.addresses.is_empty() => {
            let help = "give the port as a number: nobody knows its name";
            Err(Mistake::new(Part::To, format!("port `{port}` has no number here"), help))
        }
        PortRef::Number(_) => {
            let why = target.ports.iter().find(fits).and_then(|port| port.unserved.clone());
            let why = why.map(|why| format!(": {why}")).unwrap_or_default();
            let message = format!("nobody serves {port}/{transport} at {to}{why}");
            Err(Mistake::new(Part::To, message, format!("{}; {MEANT}", list_served(to, target))))
        }
        PortRef::Name(name) => {
            let message = format!("{to} has no port named `{name}` for {transport}");
            Err(Mistake::new(Part::To, message, list_served(to, target)))
        }
    }
}

/// The only port that the destination serves.
fn only_port(to: &Destination, target: &ResolvedDestination) -> Result<Found, Mistake> {
    let mut served = served(target);
    match (served.next(), served.next()) {
        (Some(only), None) => {
            let protocol = match only.protocol {
                Protocol::Udp => FlowProtocol::Udp,
                Protocol::Sctp => FlowProtocol::Sctp,
                Protocol::Tcp | Protocol::Icmp => FlowProtocol::Tcp,
            };
            let port = FlowPort::Port { port: PortRef::Number(only.number), protocol };
            Ok(Found { port, number: only.dial, known: Some(only.clone()) })
        }
        (None, _) => Err(Mistake::new(
            Part::To,
            format!("{to} serves no port"),
            format!("write the port, as in {to}:80; {MEANT}"),
        )),
        (Some(_), Some(_)) => {
            let help = format!("write one of them after a colon, as in {to}:80");
            let message = format!("the flow has no port, and {}", list_served(to, target));
            Err(Mistake::new(Part::To, message, help))
        }
    }
}

fn served(target: &ResolvedDestination) -> impl Iterator<Item = &Port> {
    target.ports.iter().filter(|port| port.served)
}

/// The ports that a destination serves, in words.
fn list_served(to: &Destination, target: &ResolvedDestination) -> String {
    let ports: Vec<String> = served(target).map(Port::to_string).collect();
    match ports.is_empty() {
        true => format!("{to} serves no port"),
        false => format!("{to} serves {}", ports.join(", ")),
    }
}
