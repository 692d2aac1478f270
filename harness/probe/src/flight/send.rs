//! What a probe sends, stage by stage.

use super::Flight;
use crate::ledger::Ledger;
use crate::stack::{Numbers, any_address};
use crate::token::Tokens;
use crate::verdict::{Answer, Awaited};
use crate::{dns, kept, packet, sctp, sys};
use netproof_model::request::{RequestPort, RequestTarget};
use netproof_model::{Family, ProbeStage, Protocol};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Instant;

/// The name that a DNS probe queries; any answer will do.
const DNS_PROBE_NAME: &str = "netproof.test";
/// What follows the token in a datagram.
const REQUEST: &[u8] = b" netproof";
/// The most source ports to try if some are taken.
const PORT_TRIES: usize = 64;

impl Flight<'_> {
    /// Sends the first packet of the current stage. The calling thread is in the source's namespace;
    /// `sender` is the shared socket of protocols without a socket for each probe.
    pub(crate) fn launch(
        &mut self,
        numbers: &mut Numbers,
        sender: Option<&OwnedFd>,
        tokens: &mut Tokens,
        ledger: &mut Ledger,
    ) -> io::Result<()> {
        self.token = if self.asks_a_name_server() { tokens.next_dns() } else { tokens.next() };
        ledger.expect(self.token, self.index);
        self.answer = Answer::Nothing;
        self.launched = Instant::now();
        self.repeats = 0;
        self.watched = false;
        let sent =
            if self.kept.is_some() { self.send_message() } else { self.send_first(numbers, sender, ledger)? };
        if let Err(error) = sent {
            self.answer = match error.raw_os_error() {
                // The kept connection has been reset since.
                Some(libc::ECONNRESET | libc::EPIPE) => Answer::Reset,
                errno => Answer::Errno(errno.unwrap_or(libc::EIO)),
            };
        }
        Ok(())
    }

    /// The destination of the current stage.
    fn asked(&self) -> io::Result<(SocketAddr, Protocol)> {
        let (address, port, protocol) =
            match (self.stage, &self.probe.request.target, self.probe.request.port) {
                (ProbeStage::Resolve, RequestTarget::Name { server, .. }, _) => {
                    (Some(*server), 53, Protocol::Udp)
                }
                (_, _, RequestPort::Icmp) => (self.destination, 0, Protocol::Icmp),
                (_, _, RequestPort::Port { port, protocol }) => {
                    (self.destination, port, protocol.transport())
                }
            };
        let address = address.ok_or(io::ErrorKind::InvalidInput)?;
        Ok((SocketAddr::new(address, port), protocol))
    }

    /// The inner error is the network's, the outer one the harness's.
    fn send_first(
        &mut self,
        numbers: &mut Numbers,
        sender: Option<&OwnedFd>,
        ledger: &mut Ledger,
    ) -> io::Result<io::Result<()>> {
        let (to, protocol) = self.asked()?;
        let family = Family::of(to.ip());
        match protocol {
            Protocol::Tcp => {
                let fd = sys::tcp_socket(family)?;
                sys::set_initial_sequence(&fd, self.token.0)?;
                bind_fresh(&fd, family, || numbers.next(protocol))?;
                let connected = sys::connect(&fd, to);
                self.socket = Some(fd);
                Ok(connected)
            }
            Protocol::Udp => {
                let fd = sys::udp_socket(family)?;
                bind_fresh(&fd, family, || numbers.next(protocol))?;
                let connected =
                    sys::connect(&fd, to).and_then(|()| sys::send(&fd, &self.datagram()?).map(drop));
                self.socket = Some(fd);
                Ok(connected)
            }
            Protocol::Icmp | Protocol::Sctp => {
                self.number = numbers.next(protocol);
                let port = if protocol == Protocol::Sctp { self.number } else { 0 };
                let place = self.probe.request.source.clone();
                ledger.of(self.index).awaited = Some(Awaited { place, from: to, port });
                Ok(self.send_crafted(sender.ok_or(io::ErrorKind::NotFound)?))
            }
        }
    }

    /// Sends the echo or the INIT.
    fn send_crafted(&self, sender: &OwnedFd) -> io::Result<()> {
        let (to, protocol) = self.asked()?;
        let packet = if protocol == Protocol::Sctp {
            sctp::init(self.number, to.port(), self.token)
        } else {
            packet::echo_request(Family::of(to.ip()), self.number, &self.payload())
        };
        // A raw socket has no port.
        sys::send_to(sender, &packet, SocketAddr::new(to.ip(), 0))
    }

    /// Sends the message of a probe over a kept connection.
    fn send_message(&self) -> io::Result<()> {
        let fd = self.socket.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        if self.probe.request.port.protocol() == Protocol::Tcp {
            return sys::send(fd, &kept::message(self.token)).map(drop);
        }
        // An error of an earlier message is not this one's.
        sys::take_error(fd)?;
        sys::send(fd, &self.payload()).map(drop)
    }

    /// The datagram of the current stage.
    fn datagram(&self) -> io::Result<Vec<u8>> {
        if !self.asks_a_name_server() {
            return Ok(self.payload());
        }
        let name = match &self.resolution {
            Some(resolution) if self.stage == ProbeStage::Resolve => resolution.name(),
            _ => Some(DNS_PROBE_NAME),
        };
        let query = name.and_then(|name| dns::query(self.token, name, self.probe.family));
        query.ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }

    /// The payload of a datagram or an echo.
    fn payload(&self) -> Vec<u8> {
        [&self.token.0.to_be_bytes()[..], REQUEST].concat()
    }

    /// Sends the request again, for a protocol that does not retransmit.
    pub(crate) fn repeat(&mut self, sender: Option<&OwnedFd>) {
        self.repeats += 1;
        // An error is ignored here: the first request was sent.
        match self.asked() {
            Ok((_, Protocol::Udp)) => {
                if let (Some(fd), Ok(datagram)) = (&self.socket, self.datagram()) {
                    let _ = sys::send(fd, &datagram);
                }
            }
            Ok((_, Protocol::Icmp | Protocol::Sctp)) => {
                let _ = sender.map(|sender| self.send_crafted(sender));
            }
            Ok((_, Protocol::Tcp)) | Err(_) => {}
        }
    }

    /// Sends the application's request, or the first message over a connection to keep.
    pub(super) fn ask(&self) -> io::Result<()> {
        let fd = self.socket.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        if self.probe.keep {
            return sys::send(fd, &kept::message(self.token)).map(drop);
        }
        let host = match (&self.probe.request.target, self.destination) {
            (RequestTarget::Name { name, .. }, _) => name.clone(),
            (_, Some(IpAddr::V6(address))) => format!("[{address}]"),
            (_, address) => address.map(|address| address.to_string()).unwrap_or_default(),
        };
        let request =
            format!("GET / HTTP/1.1\r\nHost: {host}\r\nUser-Agent: netproof\r\nConnection: close\r\n\r\n");
        sys::send(fd, request.as_bytes()).map(drop)
    }
}

/// Binds to the next free source port.
fn bind_fresh(fd: &OwnedFd, family: Family, mut next: impl FnMut() -> u16) -> io::Result<()> {
    let mut tries = PORT_TRIES;
    loop {
        match sys::bind(fd, SocketAddr::new(any_address(family), next())) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries > 0 => tries -= 1,
            result => return result,
        }
    }
}
