//! Handles what a socket has received: records it as evidence, or answers it.

use super::Entry;
use crate::ledger::Ledger;
use crate::packet::{self, IpHeader, Kind};
use crate::stack::{Role, Stack, interface_name};
use crate::{nflog, sctp, server, sys};
use netproof_model::{Family, Place, Protocol};
use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;

/// Records or answers one datagram.
pub(super) fn deliver(
    entry: &mut Entry,
    datagram: sys::Datagram<'_>,
    stacks: &BTreeMap<Place, Stack>,
    ledger: &mut Ledger,
) {
    let fd = &entry.fd;
    let place = &*entry.place;
    match &mut entry.role {
        Role::Log => {
            if let Place::Node(node) = place {
                nflog::parse(datagram.data).for_each(|logged| ledger.logged(node, &logged));
            }
        }
        Role::RuleTracer => {
            if let Place::Node(node) = place {
                ledger.traces.told(node, datagram.data);
            }
        }
        Role::Witness { family, protocol, interfaces } => {
            let read = match family {
                Family::Ipv4 => packet::ip_header(datagram.data),
                Family::Ipv6 => datagram.from.zip(datagram.to).map(|(from, to)| {
                    let header = IpHeader {
                        source: from.ip(),
                        destination: to,
                        hop_limit: datagram.hop_limit,
                        protocol: protocol.number(*family),
                    };
                    (header, datagram.data)
                }),
            };
            let Some((header, data)) = read else { return };
            if *protocol == Protocol::Sctp && !sctp::is_intact(data) {
                return;
            }
            let Some(packet) = packet::transport(header, data) else { return };
            ledger.delivered(place, &packet, || interface_name(fd, interfaces, datagram.interface));
            if *protocol == Protocol::Sctp && packet.kind == Kind::Request {
                let serves = |port| stacks.get(place).is_some_and(|stack| stack.sctp.contains(&port));
                let client = SocketAddr::new(header.source, 0);
                if let Some(answer) = sctp::answer(data, serves, &place.to_string(), client) {
                    // As below: the probe will notice.
                    let _ = sys::send_from(fd, &answer, client, header.destination);
                }
            }
        }
        Role::Tracer { interfaces } => {
            if let Some(packet) = packet::parse(datagram.data) {
                ledger.traced(place, &packet, || interface_name(fd, interfaces, datagram.interface));
            }
        }
        Role::Datagrams(_) => {
            if let (Some(from), Some(to)) = (datagram.from, datagram.to)
                && let Some(answer) = server::answer_datagram(datagram.data, &place.to_string(), Some(from))
            {
                // An answer that its own node refuses is a reply lost, which the probe will notice.
                let _ = sys::send_from(fd, &answer, from, to);
            }
        }
        Role::Listener(_) | Role::Connection { .. } => {}
    }
}

/// Reads what a client has sent and answers if the request is complete; returns false when the connection is
/// over.
pub(super) fn converse(connection: &mut Entry) -> bool {
    let Role::Connection { client, request, opened_by } = &mut connection.role else { return false };
    let mut buffer = [0; 2048];
    loop {
        match sys::receive(&connection.fd, &mut buffer) {
            Ok(0) => return false,
            Ok(length) => request.extend_from_slice(&buffer[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
            Err(_) => return false,
        }
        if request.len() > server::LONGEST_REQUEST {
            return false;
        }
        if let Some((message, answer)) =
            server::answer_stream(request, &connection.place.to_string(), *client)
        {
            request.clear();
            *opened_by = opened_by.or(message);
            // A client that cannot be answered will notice itself.
            if sys::send(&connection.fd, &answer).is_err() {
                return false;
            }
        }
    }
}
