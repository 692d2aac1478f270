//! One probe under way: what it sends, stage by stage, and what its socket says.

use crate::error::ProbeError;
use crate::kept::{self, Connection};
use crate::ledger::Ledger;
use crate::request::{ProbePort, ProbeRequest, Target};
use crate::resolve::{Resolution, Step};
use crate::stack::{Numbers, any_address};
use crate::sys::{self, TcpState};
use crate::token::{self, Tokens};
use crate::verdict::{self, Answer, Awaited, Moment};
use crate::{dns, packet, sctp, server};
use netproof_model::flow::FlowProtocol;
use netproof_model::observation::LogRecord;
use netproof_model::{Family, Observation, Outcome, Protocol, Stage, Token};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// What a DNS probe asks for; any answer will do.
const DNS_PROBE_NAME: &str = "netproof.test";
/// What follows the token in a datagram.
const REQUEST: &[u8] = b" netproof";
/// How many source ports are tried where some are taken.
const PORT_TRIES: usize = 64;

/// What is to be done next with a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// It has its outcome.
    Decided(Outcome),
    /// It wants to send the first packet of another stage, from its namespace.
    Launch,
    /// It has just sent something, to which the answer may be there already.
    LookAgain,
    /// Nothing has come yet.
    Wait,
}

/// A probe under way.
pub(crate) struct Flight<'a> {
    pub request: &'a ProbeRequest,
    /// Its position in the batch.
    pub index: usize,
    pub token: Token,
    pub socket: Option<OwnedFd>,
    stage: Stage,
    destination: Option<IpAddr>,
    /// Names still to be asked for.
    resolution: Option<Resolution>,
    /// What the name server gave.
    resolved: Vec<IpAddr>,
    /// The probe is a message over a connection which this token opened.
    kept: Option<Token>,
    /// Source port or echo identifier of what no socket of its own sends.
    number: u16,
    answer: Answer,
    /// What an HTTP server, or that of a connection which is kept, has answered so far.
    received: Vec<u8>,
    /// Logs of the stages before this one.
    logs: Vec<LogRecord>,
    pub started: Instant,
    /// When the first packet of the current stage was sent.
    pub launched: Instant,
    /// The request was sent a second time.
    pub repeated: bool,
    /// Its socket is watched.
    pub watched: bool,
}

impl<'a> Flight<'a> {
    /// A probe that is to be sent, over `connection` if one was kept for it.
    pub(crate) fn new(
        request: &'a ProbeRequest,
        index: usize,
        connection: Option<Connection>,
    ) -> Result<Self, ProbeError> {
        if request.keep {
            match request.port {
                ProbePort::Transport { protocol: FlowProtocol::Tcp | FlowProtocol::Udp, .. } => {}
                ProbePort::Transport { protocol, .. } => {
                    return Err(ProbeError::CannotKeep { what: protocol.to_string() });
                }
                ProbePort::Icmp => return Err(ProbeError::CannotKeep { what: Protocol::Icmp.to_string() }),
            }
        }
        let (destination, resolution) = match &request.target {
            Target::Address(address) if Family::of(*address) != request.family => {
                return Err(ProbeError::WrongFamily { family: request.family, address: *address });
            }
            Target::Address(address) => (Some(*address), None),
            Target::Name { .. } if connection.is_some() => (None, None),
            Target::Name { name, search, .. } => (None, Some(Resolution::new(name, search, request.family)?)),
        };
        let now = Instant::now();
        let mut flight = Flight {
            request,
            index,
            token: Token(0),
            socket: None,
            stage: if resolution.is_some() { Stage::Resolve } else { Stage::Connect },
            destination,
            resolution,
            resolved: Vec::new(),
            kept: None,
            number: 0,
            answer: Answer::Nothing,
            received: Vec::new(),
            logs: Vec::new(),
            started: now,
            launched: now,
            repeated: false,
            watched: false,
        };
        if let Some(connection) = connection {
            flight.socket = Some(connection.socket);
            flight.kept = Some(connection.opened_by);
            flight.destination = Some(connection.destination);
            flight.resolved = connection.resolved;
        }
        Ok(flight)
    }

    /// Whether the answer comes from a name server, which may be another thread's and take its time.
    pub(crate) fn asks_a_name_server(&self) -> bool {
        self.stage == Stage::Resolve
            || matches!(self.request.port, ProbePort::Transport { protocol: FlowProtocol::Dns, .. })
    }

    /// Sends the first packet of the current stage. The calling thread is in the source's namespace;
    /// `sender` is the socket for protocols that have none for each probe.
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
        self.repeated = false;
        self.watched = false;
        let sent = if self.kept.is_some() {
            self.send_message()
        } else {
            self.send_first(numbers, sender, ledger)?
        };
        if let Err(error) = sent {
            self.answer = match error.raw_os_error() {
                // The connection that was kept has been reset since.
                Some(libc::ECONNRESET | libc::EPIPE) => Answer::Reset,
                errno => Answer::Errno(errno.unwrap_or(libc::EIO)),
            };
        }
        Ok(())
    }

    /// Whom the current stage asks.
    fn asked(&self) -> io::Result<(SocketAddr, Protocol)> {
        let (address, port, protocol) = match (self.stage, &self.request.target, self.request.port) {
            (Stage::Resolve, Target::Name { server, .. }, _) => (Some(*server), 53, Protocol::Udp),
            (_, _, ProbePort::Icmp) => (self.destination, 0, Protocol::Icmp),
            (_, _, ProbePort::Transport { port, protocol }) => (self.destination, port, protocol.transport()),
        };
        let address = address.ok_or(io::ErrorKind::InvalidInput)?;
        Ok((SocketAddr::new(address, port), protocol))
    }

    /// The inner result is the network's, the outer one the harness's.
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
                let place = self.request.source.clone();
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
        // A raw socket takes no port.
        sys::send_to(sender, &packet, SocketAddr::new(to.ip(), 0))
    }

    /// Sends the message of a probe whose connection was there already.
    fn send_message(&self) -> io::Result<()> {
        let fd = self.socket.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        if self.request.port.protocol() == Protocol::Tcp {
            return sys::send(fd, &kept::message(self.token)).map(drop);
        }
        // What became of an earlier message is not this one's error.
        sys::take_error(fd)?;
        sys::send(fd, &self.payload()).map(drop)
    }

    /// The datagram of the current stage.
    fn datagram(&self) -> io::Result<Vec<u8>> {
        if !self.asks_a_name_server() {
            return Ok(self.payload());
        }
        let name = match &self.resolution {
            Some(resolution) if self.stage == Stage::Resolve => resolution.name(),
            _ => Some(DNS_PROBE_NAME),
        };
        let query = name.and_then(|name| dns::query(self.token, name, self.request.family));
        query.ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }

    /// What a datagram or an echo carries.
    fn payload(&self) -> Vec<u8> {
        [&self.token.0.to_be_bytes()[..], REQUEST].concat()
    }

    /// Sends the request of a protocol that does not repeat it by itself once more.
    pub(crate) fn repeat(&mut self, sender: Option<&OwnedFd>) {
        self.repeated = true;
        // That it cannot be sent a second time is no news: the first time it could.
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

    /// Looks at the socket and the evidence.
    pub(crate) fn advance(&mut self, ledger: &mut Ledger, moment: Moment) -> io::Result<Next> {
        if self.stage == Stage::Answer {
            return self.fetch(moment);
        }
        if self.answer == Answer::Nothing {
            if self.stage == Stage::Resolve {
                if let Some(next) = self.resolve(ledger)? {
                    return Ok(next);
                }
            } else {
                self.answer = self.look()?;
            }
        }
        let Some(outcome) = verdict::decide(self.answer, ledger.of(self.index), moment) else {
            return Ok(Next::Wait);
        };
        if self.stage == Stage::Resolve {
            return Ok(Next::Decided(Outcome::NameServerUnreachable));
        }
        if outcome == Outcome::Connected && self.has_more_to_say() {
            self.stage = Stage::Answer;
            self.launched = Instant::now();
            return Ok(match self.ask() {
                Ok(()) => Next::LookAgain,
                Err(_) => Next::Decided(Outcome::NoAnswer),
            });
        }
        Ok(Next::Decided(outcome))
    }

    /// Whether something is to be sent over the connection that has just been made.
    fn has_more_to_say(&self) -> bool {
        match self.request.port {
            ProbePort::Transport { protocol: FlowProtocol::Http, .. } => true,
            ProbePort::Transport { protocol: FlowProtocol::Tcp, .. } => {
                self.request.keep && self.kept.is_none()
            }
            _ => false,
        }
    }

    /// What the socket says.
    fn look(&mut self) -> io::Result<Answer> {
        let protocol = self.request.port.protocol();
        if protocol == Protocol::Tcp && self.kept.is_some() {
            return Ok(match self.read_stream() {
                Stream::Ours => Answer::Connected,
                Stream::Nothing | Stream::Foreign | Stream::Over(Some(libc::ETIMEDOUT)) => Answer::Nothing,
                Stream::Over(None | Some(libc::ECONNRESET | libc::EPIPE)) => Answer::Reset,
                Stream::Over(Some(errno)) => Answer::Errno(errno),
            });
        }
        let Some(fd) = &self.socket else { return Ok(Answer::Nothing) };
        if protocol == Protocol::Tcp {
            return Ok(match sys::tcp_state(fd)? {
                TcpState::Established | TcpState::Closing => Answer::Connected,
                TcpState::SynSent => match sys::take_error(fd)? {
                    0 => Answer::Nothing,
                    errno => Answer::Errno(errno),
                },
                TcpState::Closed => match sys::take_error(fd)? {
                    libc::ECONNREFUSED | libc::ECONNRESET => Answer::Reset,
                    // Its own timers gave up.
                    0 | libc::ETIMEDOUT => Answer::Nothing,
                    errno => Answer::Errno(errno),
                },
            });
        }
        let mut buffer = [0; 2048];
        loop {
            match sys::receive(fd, &mut buffer) {
                // Not an answer to this; there may be one behind it.
                Ok(length) if !self.is_answer(&buffer[..length]) => {}
                Ok(_) => return Ok(Answer::Connected),
                Err(error) => match error.raw_os_error() {
                    Some(libc::EAGAIN) => return Ok(Answer::Nothing),
                    Some(libc::EINTR) => {}
                    Some(errno) => return Ok(Answer::Errno(errno)),
                    None => return Err(error),
                },
            }
        }
    }

    /// Whether a datagram on the probe's own socket answers it.
    fn is_answer(&self, datagram: &[u8]) -> bool {
        if self.asks_a_name_server() {
            dns::answers(self.token, datagram)
        } else {
            // Only a socket that is kept may receive what answers another probe.
            self.kept.is_none() || datagram.starts_with(&token::answer_word(self.token.0).to_be_bytes())
        }
    }

    /// Reads the name server's answer. `None` where there is none.
    fn resolve(&mut self, ledger: &mut Ledger) -> io::Result<Option<Next>> {
        let Some(fd) = &self.socket else { return Ok(None) };
        let mut buffer = [0; 2048];
        let length = loop {
            match sys::receive(fd, &mut buffer) {
                Ok(length) if dns::answers(self.token, &buffer[..length]) => break length,
                // Not an answer to this query; there may be one behind it.
                Ok(_) => {}
                Err(error) => match error.raw_os_error() {
                    Some(libc::EINTR) => {}
                    errno => {
                        if let Some(errno) = errno.filter(|errno| *errno != libc::EAGAIN) {
                            self.answer = Answer::Errno(errno);
                        }
                        return Ok(None);
                    }
                },
            }
        };
        let evidence = ledger.of(self.index);
        let Some(resolution) = &mut self.resolution else { return Ok(None) };
        match resolution.answered(dns::read(&buffer[..length], self.request.family)) {
            Step::Found(addresses) => {
                self.destination = addresses.first().copied();
                self.resolved = addresses;
                self.stage = Stage::Connect;
            }
            Step::Ask => {}
            Step::Over(outcome) => return Ok(Some(Next::Decided(outcome))),
        }
        // What the query met says nothing about the next packet.
        self.logs.append(&mut evidence.logs);
        *evidence = verdict::Evidence::default();
        self.socket = None;
        Ok(Some(Next::Launch))
    }

    /// Sends the application's request, or the first message over a connection that is to be kept.
    fn ask(&self) -> io::Result<()> {
        let fd = self.socket.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        if self.request.keep {
            return sys::send(fd, &kept::message(self.token)).map(drop);
        }
        let host = match (&self.request.target, self.destination) {
            (Target::Name { name, .. }, _) => name.clone(),
            (_, Some(IpAddr::V6(address))) => format!("[{address}]"),
            (_, address) => address.map(|address| address.to_string()).unwrap_or_default(),
        };
        let request =
            format!("GET / HTTP/1.1\r\nHost: {host}\r\nUser-Agent: netproof\r\nConnection: close\r\n\r\n");
        sys::send(fd, request.as_bytes()).map(drop)
    }

    /// Reads the application's answer.
    fn fetch(&mut self, moment: Moment) -> io::Result<Next> {
        Ok(match self.read_stream() {
            Stream::Ours => Next::Decided(Outcome::Connected),
            Stream::Nothing if moment != Moment::Over => Next::Wait,
            Stream::Nothing | Stream::Foreign | Stream::Over(_) => Next::Decided(Outcome::NoAnswer),
        })
    }

    /// Reads what the server has sent over a connection.
    fn read_stream(&mut self) -> Stream {
        let Some(fd) = &self.socket else { return Stream::Over(None) };
        let mut buffer = [0; 2048];
        loop {
            match sys::receive(fd, &mut buffer) {
                Ok(0) => return Stream::Over(None),
                Ok(length) => self.received.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Stream::Nothing,
                Err(error) => return Stream::Over(error.raw_os_error()),
            }
            let ours = if self.request.keep {
                kept::is_answer(self.token, &self.received)
            } else {
                server::is_our_answer(&self.received)
            };
            match ours {
                Some(true) => return Stream::Ours,
                Some(false) => return Stream::Foreign,
                None => {}
            }
        }
    }

    /// The token by which the server knows the connection.
    pub(crate) fn opened_by(&self) -> Token {
        self.kept.unwrap_or(self.token)
    }

    /// The connection, if it is to be kept. One of TCP over which a message was lost is not: the message
    /// would be sent again in a later step. A datagram is not, so the socket stays.
    pub(crate) fn connection(&mut self, outcome: Outcome) -> Option<Connection> {
        let lossy = self.kept.is_some() && self.request.port.protocol() == Protocol::Udp;
        if outcome != Outcome::Connected && !lossy {
            return None;
        }
        Some(Connection {
            socket: self.socket.take()?,
            opened_by: self.opened_by(),
            destination: self.destination?,
            resolved: self.resolved.clone(),
        })
    }

    /// Ends the probe: closes its socket and puts together what is known.
    pub(crate) fn finish(mut self, outcome: Outcome, waited: Duration, ledger: &mut Ledger) -> Observation {
        self.socket = None;
        let evidence = std::mem::take(ledger.of(self.index));
        if outcome != Outcome::Connected && evidence.sightings.is_empty() {
            ledger.judged_lost(self.token);
        }
        let mut logs = self.logs;
        logs.extend(evidence.logs.iter().cloned());
        let served_by = verdict::served_by(&evidence).cloned();
        let seen_source = evidence.sightings.last().map(|sighting| sighting.packet.source);
        let (sightings, passages) = verdict::path(evidence);
        Observation {
            outcome,
            stage: self.stage,
            destination: self.destination,
            token: self.token,
            served_by,
            seen_source,
            logs,
            sightings,
            passages,
            resolved: self.resolved,
            elapsed: self.started.elapsed(),
            waited,
        }
    }
}

/// What has come over a connection.
enum Stream {
    /// A complete answer of ours.
    Ours,
    /// Something else.
    Foreign,
    /// Not enough yet.
    Nothing,
    /// Its end, with the socket's error if there is one.
    Over(Option<i32>),
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
