//! Pairs of ends whose connections say whether a generation is in force on a node, in one family.

use super::watch::{FIRST_PORT, PORTS};
use super::{Role, address, service_address};
use crate::error::AgentError;
use netproof_enforcer::{EnforcerError, NodeHandle};
use netproof_model::{Family, NamespacedName, Topology};
use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrIn6, connect, setsockopt, socket, sockopt,
};
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

/// A pair of ends on one node, in one family. One end listens on each port that a generation may have, and tells
/// whoever connects which of them it is.
pub(crate) struct Spot {
    pub(crate) node: String,
    /// The network namespace from which connections are begun.
    from: OwnedFd,
    /// Who begins them.
    source: String,
    /// Where they are begun to; the port is the generation's.
    to: IpAddr,
    /// Who answers, by port.
    pub(super) listeners: Vec<(u16, TcpListener)>,
}

impl Spot {
    /// From each node's hidden source to its target.
    pub(crate) fn of_policy<'a>(
        topology: &Topology,
        hidden: &dyn Fn(&NamespacedName) -> Option<BorrowedFd<'a>>,
    ) -> Result<Vec<Spot>, EnforcerError> {
        Spot::all(topology, |node, index, family| {
            let (source, target) = (Role::Source.pod(node), Role::Target.pod(node));
            let (from, at) = (hidden(&source)?, hidden(&target)?);
            let to = address(family, Role::Target, index);
            Some(Spot::new(node, (from, format!("pod/{source}")), (at, to), to))
        })
    }

    /// From each node itself to its own service.
    pub(crate) fn of_services<'a>(
        topology: &Topology,
        nodes: &[NodeHandle<'_>],
        hidden: &dyn Fn(&NamespacedName) -> Option<BorrowedFd<'a>>,
    ) -> Result<Vec<Spot>, EnforcerError> {
        Spot::all(topology, |node, index, family| {
            let from = nodes.iter().find(|it| it.name == node)?.netns;
            let at = (hidden(&Role::Backend.pod(node))?, address(family, Role::Backend, index));
            Some(Spot::new(node, (from, format!("node/{node}")), at, service_address(family, index)))
        })
    }

    /// One on each node for each family. Where `make` lacks a namespace, that is an error: a node
    /// that nobody watches would pass for done.
    fn all(
        topology: &Topology,
        make: impl Fn(&str, usize, Family) -> Option<io::Result<Spot>>,
    ) -> Result<Vec<Spot>, EnforcerError> {
        let nodes = topology.nodes.iter().enumerate();
        let each = nodes.flat_map(|(index, node)| {
            topology.family.list().iter().map(move |family| (node.name.as_str(), index, *family))
        });
        each.map(|(node, index, family)| {
            let missing = || Err(io::Error::from(io::ErrorKind::NotFound));
            let made = make(node, index, family).unwrap_or_else(missing);
            made.map_err(|source| {
                EnforcerError::node(
                    node,
                    AgentError::Api { doing: "listen in the sentinel's pods", source: source.into() },
                )
            })
        })
        .collect()
    }

    /// A spot where `source` begins connections in the network namespace `from` to the address `to`, which are to reach
    /// the address `target` in the namespace `at`.
    fn new(
        node: &str,
        (from, source): (BorrowedFd<'_>, String),
        (at, target): (BorrowedFd<'_>, IpAddr),
        to: IpAddr,
    ) -> io::Result<Spot> {
        let listeners = within(at, || {
            let listen = |port| {
                let listener = TcpListener::bind(SocketAddr::new(target, port))?;
                listener.set_nonblocking(true)?;
                Ok((port, listener))
            };
            (FIRST_PORT..FIRST_PORT + PORTS).map(listen).collect::<io::Result<_>>()
        })?;
        let from = from.try_clone_to_owned()?;
        Ok(Spot { node: node.to_owned(), from, source, to, listeners })
    }

    /// The flow to a port, in words.
    pub(crate) fn flow(&self, port: u16) -> String {
        format!("{} -> {}", self.source, SocketAddr::new(self.to, port))
    }

    /// Begins a connection; `None` where it was refused at once.
    pub(super) fn begin(&self, port: u16) -> io::Result<Option<TcpStream>> {
        let family = if self.to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let begun = within(self.from.as_fd(), || {
            let socket = socket(family, SockType::Stream, flags, None)?;
            // Closed connections leave nothing behind.
            setsockopt(&socket, sockopt::Linger, &nix::libc::linger { l_onoff: 1, l_linger: 0 })?;
            let connected = match SocketAddr::new(self.to, port) {
                SocketAddr::V4(to) => connect(socket.as_raw_fd(), &SockaddrIn::from(to)),
                SocketAddr::V6(to) => connect(socket.as_raw_fd(), &SockaddrIn6::from(to)),
            };
            // Whatever else is said of it (no route, refused, not permitted), it was not answered.
            Ok(matches!(connected, Ok(()) | Err(Errno::EINPROGRESS)).then_some(socket))
        })?;
        Ok(begun.map(TcpStream::from))
    }

    /// Tells whoever has connected the port that they reached.
    pub(super) fn answer(&self) -> io::Result<()> {
        for (port, listener) in &self.listeners {
            loop {
                match listener.accept() {
                    // Who has gone away needs no answer. Two bytes fit into every new connection.
                    Ok((mut stream, _)) => drop(stream.write(&port.to_be_bytes())),
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(error) if is_passing(&error) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(())
    }
}

/// A connection that was reset before it was accepted says nothing of the socket that listens.
fn is_passing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted)
}

/// Does something in a network namespace. A thread of its own goes there, so that this one need not come back.
pub(crate) fn within<T: Send>(
    netns: BorrowedFd<'_>,
    act: impl FnOnce() -> io::Result<T> + Send,
) -> io::Result<T> {
    std::thread::scope(|scope| {
        let act = || {
            setns(netns, CloneFlags::CLONE_NEWNET)?;
            act()
        };
        let thread = std::thread::Builder::new().spawn_scoped(scope, act)?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
