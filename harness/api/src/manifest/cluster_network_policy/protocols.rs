//! `protocols` of v1alpha2 and `ports` of v1alpha1.

use super::{Dialect, One, only};
use crate::cluster_network_policy::{ClusterPeer, ClusterPort};
use crate::core::TransportProtocol;
use crate::manifest::scalars::{optional_protocol, port_number};
use crate::reader::Field;

/// The entries of a rule. Those that are wrong are left out.
pub(super) fn protocols(dialect: &Dialect, list: &Field<'_>) -> Vec<ClusterPort> {
    let entry = if dialect.is_v1alpha1() { v1alpha1 } else { v1alpha2 };
    dialect.items(list, dialect.ports, 1).iter().filter_map(entry).collect()
}

/// Ports by name do not go with peers that are not pods.
pub(super) fn check_names(protocols: &[ClusterPort], peers: &[ClusterPeer], list: Option<&Field<'_>>) {
    let Some(list) = list.filter(|_| protocols.iter().any(|it| matches!(it, ClusterPort::Named(_)))) else {
        return;
    };
    let help = "make two rules of it: ports have names on pods only";
    if peers.iter().any(|peer| matches!(peer, ClusterPeer::Nodes(_))) {
        list.error("a port by name cannot stand beside the peer `nodes`", help);
    } else if peers.iter().any(|peer| matches!(peer, ClusterPeer::Networks(_))) {
        let message = "a port by name matches nothing at `networks`; some versions of the API refuse it";
        list.warn(message, help);
    }
}

fn v1alpha2(field: &Field<'_>) -> Option<ClusterPort> {
    let known = ["tcp", "udp", "sctp", "destinationNamedPort"];
    let fields = field.fields(&known)?;
    let help = "make an item of its own of each protocol";
    let (protocol, field) = match only(&fields, &known, ("an entry of `protocols`", help)) {
        One::Is("tcp", field) => (TransportProtocol::Tcp, field),
        One::Is("udp", field) => (TransportProtocol::Udp, field),
        One::Is("sctp", field) => (TransportProtocol::Sctp, field),
        One::Is(_, field) => return named(&field),
        One::Unknown => {
            let help = "as of peers: Accept matches nothing by it, Deny and Pass deny everything";
            field.warn("nothing of this protocol is known here", help);
            return Some(ClusterPort::Unknown);
        }
        One::Wrong => return None,
    };
    let port = field.fields(&["destinationPort"])?.require("destinationPort")?;
    let known = ["number", "range"];
    match only(&port.fields(&known)?, &known, ("`destinationPort`", "write a number, or a range")) {
        One::Is("number", field) => {
            port_number(&field).map(|number| ClusterPort::Number { protocol, number })
        }
        One::Is(_, field) => range(&field, protocol),
        One::Unknown | One::Wrong => None,
    }
}

/// A range of at least two ports.
fn range(field: &Field<'_>, protocol: TransportProtocol) -> Option<ClusterPort> {
    let fields = field.fields(&["start", "end"])?;
    let end_of = |name| fields.require(name).and_then(|field| port_number(&field));
    let (start, end) = (end_of("start"), end_of("end"));
    let (start, end) = (start?, end?);
    match start.cmp(&end) {
        std::cmp::Ordering::Less => {}
        std::cmp::Ordering::Equal => {
            field.error("a range has more than one port", format!("write `number: {start}`"));
        }
        std::cmp::Ordering::Greater => {
            field.error(format!("the range ends at {end}, before it starts at {start}"), "exchange the two");
        }
    }
    Some(ClusterPort::Range { protocol, start, end })
}

fn named(field: &Field<'_>) -> Option<ClusterPort> {
    Some(match field.string()? {
        "" => {
            let message = "the API server takes the empty name, and it means no port: Accept matches nothing by it, \
                           Deny and Pass deny everything";
            field.warn(message, "write the name of a container port");
            ClusterPort::Unknown
        }
        name => ClusterPort::Named(name.to_owned()),
    })
}

/// An entry of v1alpha1, where the protocol is TCP if none is written, and a range may have one port, or none.
fn v1alpha1(field: &Field<'_>) -> Option<ClusterPort> {
    let known = ["portNumber", "portRange", "namedPort"];
    let fields = field.fields(&known)?;
    match only(&fields, &known, ("an entry of `ports`", "make an item of its own of each")) {
        One::Is("portNumber", field) => {
            let fields = field.fields(&["protocol", "port"])?;
            let protocol = optional_protocol(&fields);
            let number = fields.require("port").and_then(|field| port_number(&field))?;
            Some(ClusterPort::Number { protocol, number })
        }
        One::Is("portRange", field) => {
            let fields = field.fields(&["protocol", "start", "end"])?;
            let protocol = optional_protocol(&fields);
            let end_of = |name| fields.require(name).and_then(|field| port_number(&field));
            let (start, end) = (end_of("start"), end_of("end"));
            let (start, end) = (start?, end?);
            if end < start {
                let help = "exchange the two, if a range is meant";
                field.warn(format!("the range from {start} to {end} has no port, and matches nothing"), help);
            }
            Some(ClusterPort::Range { protocol, start, end })
        }
        One::Is(_, field) => named(&field),
        One::Unknown => Some(ClusterPort::Unknown),
        One::Wrong => None,
    }
}
