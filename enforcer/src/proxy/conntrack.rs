//! Conntrack entries of UDP services that lead to endpoints which are gone.
//!
//! The first datagram of a flow is translated, and every later one goes where it went: conntrack, not
//! the rules, decides. TCP notices that nobody is there, SCTP too; UDP would be led astray for as long as
//! it goes on. So, as kube-proxy does, the entries are deleted whose original destination is a UDP
//! service's and whose answers would come from none of its endpoints that serve. Traffic policies,
//! topology and ending pods have no say in this.

use crate::services::UdpServices;
use netproof_model::{Family, Protocol};
use netproof_netfilter::{Attributes, Message, Refusal, Socket, attribute};
use nix::errno::Errno;
use nix::libc;
use std::collections::BTreeSet;
use std::io;
use std::net::IpAddr;
use std::os::fd::BorrowedFd;
use thiserror::Error;

/// `IPCTNL_MSG_CT_GET` and `IPCTNL_MSG_CT_DELETE`.
const GET: libc::c_int = 1;
const DELETE: libc::c_int = 2;

/// Kinds of attributes (`linux/netfilter/nfnetlink_conntrack.h`): of an entry, of a tuple, of its addresses and of
/// its protocol.
mod wire {
    pub const ORIGINAL: u16 = 1;
    pub const REPLY: u16 = 2;
    pub const ID: u16 = 12;

    pub const ADDRESSES: u16 = 1;
    pub const PROTOCOL: u16 = 2;

    pub const SOURCE_V4: u16 = 1;
    pub const DESTINATION_V4: u16 = 2;
    pub const SOURCE_V6: u16 = 3;
    pub const DESTINATION_V6: u16 = 4;

    pub const PROTOCOL_NUMBER: u16 = 1;
    pub const DESTINATION_PORT: u16 = 3;
}

const STALE: &str = "cannot remove stale conntrack entries of UDP services";

/// Why stale entries may still be there.
#[derive(Debug, Error)]
pub(super) enum ConntrackError {
    /// No connection to conntrack in the namespace.
    #[error("{STALE}: failed to open conntrack in the node's network namespace: {0}")]
    Open(#[source] io::Error),
    /// The kernel refused to list the entries.
    #[error("{STALE}: failed to list conntrack's entries: {0}")]
    List(#[source] Refusal),
    /// The kernel refused to delete an entry.
    #[error("{STALE}: failed to delete an entry: {0}")]
    Delete(#[source] Refusal),
}

/// A conntrack entry of a protocol that has ports.
struct Entry {
    protocol: u8,
    /// Where its first packet was sent.
    to: IpAddr,
    port: u16,
    /// Where its answers come from.
    answers: IpAddr,
    /// What names the entry to the kernel: its original tuple, and the identifier that no later entry has.
    tuple: Vec<u8>,
    id: u32,
}

impl Entry {
    /// An entry as the kernel lists it; none if it lacks what is asked for.
    fn of(attributes: &[u8]) -> Option<Entry> {
        let original = attribute(attributes, wire::ORIGINAL)?;
        let reply = attribute(attributes, wire::REPLY)?;
        let protocol = attribute(original, wire::PROTOCOL)?;
        let port = attribute(protocol, wire::DESTINATION_PORT)?;
        let id = attribute(attributes, wire::ID)?;
        Some(Entry {
            protocol: *attribute(protocol, wire::PROTOCOL_NUMBER)?.first()?,
            to: address(original, wire::DESTINATION_V4, wire::DESTINATION_V6)?,
            port: u16::from_be_bytes(port.try_into().ok()?),
            answers: address(reply, wire::SOURCE_V4, wire::SOURCE_V6)?,
            tuple: original.to_vec(),
            id: u32::from_be_bytes(id.try_into().ok()?),
        })
    }
}

/// An address of a tuple, in whichever family it has one.
fn address(tuple: &[u8], v4: u16, v6: u16) -> Option<IpAddr> {
    let addresses = attribute(tuple, wire::ADDRESSES)?;
    let in_v4 = attribute(addresses, v4).and_then(|it| Some(IpAddr::from(<[u8; 4]>::try_from(it).ok()?)));
    in_v4.or_else(|| Some(IpAddr::from(<[u8; 16]>::try_from(attribute(addresses, v6)?).ok()?)))
}

/// Whether a service leads an entry's datagrams to an address that does not serve it.
fn misleads(services: &UdpServices, entry: &Entry) -> bool {
    let Entry { protocol, to, port, answers, .. } = entry;
    let lacks = |endpoints: &BTreeSet<IpAddr>| !endpoints.contains(answers);
    *protocol == Protocol::Udp.number(Family::of(*to))
        && (services.addresses.get(&(*to, *port)).is_some_and(lacks)
            || services.node_ports.get(&(Family::of(*to), *port)).is_some_and(lacks))
}

/// Deletes the entries of a namespace that these services mislead; says how many.
pub(super) fn delete_stale(
    netns: BorrowedFd<'_>,
    families: &[Family],
    services: &UdpServices,
) -> Result<usize, ConntrackError> {
    let mut socket = Socket::open(netns).map_err(ConntrackError::Open)?;
    let mut deleted = 0;
    for family in families {
        let number = match family {
            Family::Ipv4 => libc::NFPROTO_IPV4,
            Family::Ipv6 => libc::NFPROTO_IPV6,
        };
        let mut stale = Vec::new();
        let listed = socket.dump(
            Message::new(libc::NFNL_SUBSYS_CTNETLINK, GET, number, Attributes::NONE),
            |attributes| {
                stale.extend(Entry::of(attributes).filter(|entry| misleads(services, entry)));
            },
        );
        listed.map_err(ConntrackError::List)?;
        for entry in stale {
            let mut attributes = Attributes::default();
            attributes.nested(wire::ORIGINAL, &entry.tuple);
            attributes.number(wire::ID, entry.id);
            let request = Message::new(libc::NFNL_SUBSYS_CTNETLINK, DELETE, number, &attributes);
            match socket.request(request) {
                Ok(()) => deleted += 1,
                // It ended meanwhile.
                Err(refusal) if refusal.errno == Errno::ENOENT => {}
                Err(refusal) => return Err(ConntrackError::Delete(refusal)),
            }
        }
    }
    Ok(deleted)
}
