//! One network stack: its listeners and witnesses, and the counters that give every probe a new five-tuple.

use crate::filter;
use crate::{nflog, sys};
use netproof_cluster::Netns;
use netproof_model::topology::ListenPort;
use netproof_model::{Family, Place, Protocol, Token};
use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;

/// The description of a network stack: where it is and what it serves.
#[derive(Clone, Debug)]
pub struct Site {
    /// Its name.
    pub place: Place,
    /// Its namespace.
    pub netns: Arc<Netns>,
    /// The ports that it listens on.
    pub listens: BTreeSet<ListenPort>,
}

/// The purpose of a long-lived socket.
#[derive(Debug)]
pub(crate) enum Role {
    /// Receives the log messages of rules.
    Log,
    /// Receives a copy of every request that is delivered to the stack; knows the names of interfaces.
    Witness { family: Family, protocol: Protocol, interfaces: Vec<(u32, String)> },
    /// Receives a copy of everything that arrives, while a probe is traced.
    Tracer { interfaces: Vec<(u32, String)> },
    /// Receives the kernel's trace messages, while rules are traced.
    RuleTracer,
    /// Accepts connections.
    Listener(ListenPort),
    /// Answers datagrams.
    Datagrams(ListenPort),
    /// An accepted connection: what its client has sent, and the token that opened it if it is kept.
    Connection { client: Option<SocketAddr>, request: Vec<u8>, opened_by: Option<Token> },
}

/// A stack with its sockets, each given by its key in the event loop.
#[derive(Debug)]
pub(crate) struct Stack {
    pub netns: Arc<Netns>,
    /// Witnesses and the log reader.
    pub keys: Vec<usize>,
    /// Listeners by port.
    pub listeners: Vec<(ListenPort, usize)>,
    /// The ports that it serves over SCTP: its witness answers.
    pub sctp: BTreeSet<u16>,
    /// The keys of the witnesses that also send: those of ICMP and SCTP.
    pub senders: Vec<(Protocol, Family, usize)>,
    /// What the kernel says of the queues of a node, once it has been asked.
    pub queues: Option<File>,
    pub numbers: Numbers,
}

/// Counters of source ports and echo identifiers. Their ranges have a prime length, so that batches of any
/// size repeat a five-tuple as late as possible.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Numbers {
    tcp: u64,
    udp: u64,
    sctp: u64,
    echo: u64,
}

const FIRST_PORT: u16 = 32_787;
const PORTS: u64 = 32_749;
const ECHOES: u64 = 65_521;

impl Numbers {
    /// The next source port, or echo identifier.
    pub(crate) fn next(&mut self, protocol: Protocol) -> u16 {
        let counter = match protocol {
            Protocol::Tcp => &mut self.tcp,
            Protocol::Udp => &mut self.udp,
            Protocol::Sctp => &mut self.sctp,
            Protocol::Icmp => {
                self.echo += 1;
                // Less than 65,521: the cast loses nothing.
                return (self.echo % ECHOES) as u16;
            }
        };
        let number = *counter % PORTS;
        *counter += 1;
        // Less than 32,749, likewise.
        FIRST_PORT + number as u16
    }

    /// Raises each counter to the other's, so that neither's numbers are used again.
    pub(crate) fn follow(&mut self, other: &Numbers) {
        self.tcp = self.tcp.max(other.tcp);
        self.udp = self.udp.max(other.udp);
        self.sctp = self.sctp.max(other.sctp);
        self.echo = self.echo.max(other.echo);
    }
}

/// The unspecified address.
pub(crate) fn any_address(family: Family) -> IpAddr {
    match family {
        Family::Ipv4 => Ipv4Addr::UNSPECIFIED.into(),
        Family::Ipv6 => Ipv6Addr::UNSPECIFIED.into(),
    }
}

/// Opens what a stack needs besides listeners, in the calling thread's namespace.
pub(crate) fn open_witnesses(place: &Place, families: &[Family]) -> io::Result<Vec<(OwnedFd, Role)>> {
    let mut opened = Vec::with_capacity(9);
    for family in families.iter().copied() {
        for protocol in [Protocol::Icmp, Protocol::Tcp, Protocol::Udp, Protocol::Sctp] {
            let fd = sys::raw_socket(family, protocol.number(family))?;
            sys::enlarge_receive_buffer(&fd)?;
            sys::attach_filter(&fd, &filter::witness(family, protocol))?;
            opened.push((fd, Role::Witness { family, protocol, interfaces: Vec::new() }));
        }
    }
    if matches!(place, Place::Node(_)) {
        opened.push((nflog::open()?, Role::Log));
    }
    Ok(opened)
}

/// Opens a listener on a port in every family, in the calling thread's namespace. SCTP has none: its witness
/// answers.
pub(crate) fn open_listener(listen: ListenPort, families: &[Family]) -> io::Result<Vec<(OwnedFd, Role)>> {
    let mut opened = Vec::with_capacity(2);
    for family in families.iter().copied() {
        let address = SocketAddr::new(any_address(family), listen.port);
        let fd = match listen.protocol {
            Protocol::Tcp => sys::tcp_socket(family)?,
            Protocol::Udp => sys::udp_socket(family)?,
            Protocol::Sctp | Protocol::Icmp => continue,
        };
        if family == Family::Ipv6 {
            sys::only_ipv6(&fd)?;
        }
        let role = match listen.protocol {
            Protocol::Tcp => Role::Listener(listen),
            _ => {
                sys::receive_details(&fd, family)?;
                sys::enlarge_receive_buffer(&fd)?;
                Role::Datagrams(listen)
            }
        };
        sys::bind(&fd, address)?;
        if listen.protocol == Protocol::Tcp {
            sys::listen(&fd)?;
        }
        opened.push((fd, role));
    }
    Ok(opened)
}

/// Opens a tracer in the calling thread's namespace.
pub(crate) fn open_tracer() -> io::Result<(OwnedFd, Role)> {
    let fd = sys::packet_socket()?;
    sys::attach_filter(&fd, &filter::everything())?;
    Ok((fd, Role::Tracer { interfaces: Vec::new() }))
}

/// The name of an interface of the socket's namespace, looked up once.
pub(crate) fn interface_name(fd: &OwnedFd, known: &mut Vec<(u32, String)>, index: u32) -> String {
    if let Some((_, name)) = known.iter().find(|(known, _)| *known == index) {
        return name.clone();
    }
    // For an interface that is gone, use its number.
    let name = sys::interface_name(fd, index).unwrap_or_else(|_| format!("if{index}"));
    known.push((index, name.clone()));
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_come_again_only_after_all_others() {
        let mut numbers = Numbers::default();
        let first: Vec<u16> = (0..PORTS).map(|_| numbers.next(Protocol::Tcp)).collect();
        let distinct: BTreeSet<u16> = first.iter().copied().collect();
        assert_eq!(distinct.len() as u64, PORTS);
        assert_eq!(distinct.last(), Some(&u16::MAX));
        assert_eq!(numbers.next(Protocol::Tcp), first[0]);
        assert_eq!(numbers.next(Protocol::Udp), first[0], "each protocol counts for itself");
    }

    #[test]
    fn a_stack_counts_on_where_those_that_are_gone_stopped() {
        let (mut gone, mut other) = (Numbers::default(), Numbers::default());
        let ports: Vec<u16> = (0..3).map(|_| gone.next(Protocol::Udp)).collect();
        other.next(Protocol::Udp);
        other.next(Protocol::Icmp);
        let mut next = Numbers::default();
        next.follow(&gone);
        next.follow(&other);
        assert!(!ports.contains(&next.next(Protocol::Udp)));
        assert_eq!((next.next(Protocol::Icmp), next.next(Protocol::Tcp)), (2, FIRST_PORT));
    }
}
