//! One probe under way: what it sends, stage by stage, and what its socket says.

use crate::error::ProbeError;
use crate::ledger::Ledger;
use crate::request::{ProbePort, ProbeRequest, Target};
use crate::stack::{Numbers, any_address};
use crate::sys::{self, TcpState};
use crate::token::Tokens;
use crate::verdict::{self, Answer, Moment};
use crate::{dns, packet, server};
use netproof_model::flow::FlowProtocol;
use netproof_model::observation::LogRecord;
use netproof_model::{Family, Observation, Outcome, Protocol, Stage, Token};
use std::collections::VecDeque;
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
    names: VecDeque<String>,
    /// The name server could not say, at least once.
    failed: bool,
    answer: Answer,
    /// What an HTTP server has answered so far.
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
    pub(crate) fn new(request: &'a ProbeRequest, index: usize) -> Result<Self, ProbeError> {
        if request.port.protocol() == Protocol::Sctp {
            return Err(ProbeError::Sctp);
        }
        let (stage, destination, names) = match &request.target {
            Target::Address(address) => (Stage::Connect, *address, VecDeque::new()),
            Target::Name { name, search, server } => {
                let names: VecDeque<String> = dns::candidates(name, search).into();
                if names.iter().any(|name| dns::query(Token(0), name, request.family).is_none()) {
                    return Err(ProbeError::BadName { name: name.clone() });
                }
                (Stage::Resolve, *server, names)
            }
        };
        if stage == Stage::Connect && Family::of(destination) != request.family {
            return Err(ProbeError::WrongFamily { family: request.family, address: destination });
        }
        let now = Instant::now();
        Ok(Flight {
            request,
            index,
            token: Token(0),
            socket: None,
            stage,
            destination: (stage == Stage::Connect).then_some(destination),
            names,
            failed: false,
            answer: Answer::Nothing,
            received: Vec::new(),
            logs: Vec::new(),
            started: now,
            launched: now,
            repeated: false,
            watched: false,
        })
    }

    /// Whether the answer comes from a name server, which may be another thread's and take its time.
    pub(crate) fn asks_a_name_server(&self) -> bool {
        self.stage == Stage::Resolve
            || matches!(self.request.port, ProbePort::Transport { protocol: FlowProtocol::Dns, .. })
    }

    /// Sends the first packet of the current stage. The calling thread is in the source's namespace.
    pub(crate) fn launch(
        &mut self,
        numbers: &mut Numbers,
        echo: Option<&OwnedFd>,
        tokens: &mut Tokens,
        ledger: &mut Ledger,
    ) -> io::Result<()> {
        self.token = if self.asks_a_name_server() { tokens.next_dns() } else { tokens.next() };
        ledger.expect(self.token, self.index);
        self.answer = Answer::Nothing;
        self.launched = Instant::now();
        self.repeated = false;
        self.watched = false;
        let sent = self.send_first(numbers, echo)?;
        if let Err(error) = sent {
            self.answer = Answer::Errno(error.raw_os_error().unwrap_or(libc::EIO));
        }
        Ok(())
    }

    /// The inner result is the network's, the outer one the harness's.
    fn send_first(&mut self, numbers: &mut Numbers, echo: Option<&OwnedFd>) -> io::Result<io::Result<()>> {
        let (address, port, protocol) = match (self.stage, &self.request.target, self.request.port) {
            (Stage::Resolve, Target::Name { server, .. }, _) => (*server, 53, Protocol::Udp),
            (_, _, ProbePort::Icmp) => (self.address()?, 0, Protocol::Icmp),
            (_, _, ProbePort::Transport { port, protocol }) => (self.address()?, port, protocol.transport()),
        };
        let to = SocketAddr::new(address, port);
        let family = Family::of(address);
        match protocol {
            Protocol::Tcp => {
                let fd = sys::tcp_socket(family)?;
                sys::set_initial_sequence(&fd, self.token.0)?;
                bind_fresh(&fd, family, || numbers.port(protocol))?;
                let connected = sys::connect(&fd, to);
                self.socket = Some(fd);
                Ok(connected)
            }
            Protocol::Udp => {
                let fd = sys::udp_socket(family)?;
                bind_fresh(&fd, family, || numbers.port(protocol))?;
                let connected =
                    sys::connect(&fd, to).and_then(|()| sys::send(&fd, &self.datagram()?).map(drop));
                self.socket = Some(fd);
                Ok(connected)
            }
            Protocol::Icmp => {
                let echo = echo.ok_or(io::ErrorKind::NotFound)?;
                let mut payload = self.token.0.to_be_bytes().to_vec();
                payload.extend_from_slice(REQUEST);
                Ok(sys::send_to(echo, &packet::echo_request(family, numbers.echo(), &payload), to))
            }
            Protocol::Sctp => Err(io::ErrorKind::Unsupported.into()),
        }
    }

    fn address(&self) -> io::Result<IpAddr> {
        self.destination.ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }

    /// The datagram of the current stage.
    fn datagram(&self) -> io::Result<Vec<u8>> {
        let name = match self.stage {
            Stage::Resolve => self.names.front().map(String::as_str),
            _ => Some(DNS_PROBE_NAME),
        };
        if self.asks_a_name_server() {
            let query = name.and_then(|name| dns::query(self.token, name, self.request.family));
            return query.ok_or_else(|| io::ErrorKind::InvalidInput.into());
        }
        let mut datagram = self.token.0.to_be_bytes().to_vec();
        datagram.extend_from_slice(REQUEST);
        Ok(datagram)
    }

    /// Sends the request of a protocol that does not repeat it by itself once more.
    pub(crate) fn repeat(&mut self, echo: Option<&OwnedFd>, numbers: &mut Numbers) {
        self.repeated = true;
        let protocol = self.request.port.protocol();
        // That it cannot be sent a second time is no news: the first time it could.
        if self.stage == Stage::Resolve || protocol == Protocol::Udp {
            if let (Some(fd), Ok(datagram)) = (&self.socket, self.datagram()) {
                let _ = sys::send(fd, &datagram);
            }
        } else if protocol == Protocol::Icmp {
            let _ = self.send_first(numbers, echo);
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
        if outcome == Outcome::Connected
            && matches!(self.request.port, ProbePort::Transport { protocol: FlowProtocol::Http, .. })
        {
            self.stage = Stage::Answer;
            self.launched = Instant::now();
            return Ok(match self.ask() {
                Ok(()) => Next::LookAgain,
                Err(_) => Next::Decided(Outcome::NoAnswer),
            });
        }
        Ok(Next::Decided(outcome))
    }

    /// What the socket says.
    fn look(&mut self) -> io::Result<Answer> {
        let Some(fd) = &self.socket else { return Ok(Answer::Nothing) };
        if self.request.port.protocol() == Protocol::Tcp {
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
                Ok(length) if self.asks_a_name_server() && !dns::answers(self.token, &buffer[..length]) => {}
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
        let answer = &buffer[..length];
        let evidence = ledger.of(self.index);
        match dns::read(answer, self.request.family) {
            Some(dns::Reply::Addresses(addresses)) => {
                self.destination = addresses.first().copied();
                self.stage = Stage::Connect;
            }
            reply => {
                self.failed |= reply != Some(dns::Reply::NotFound);
                self.names.pop_front();
                if self.names.is_empty() {
                    return Ok(Some(Next::Decided(if self.failed {
                        Outcome::NameServerUnreachable
                    } else {
                        Outcome::NameNotFound
                    })));
                }
            }
        }
        // What the query met says nothing about the next packet.
        self.logs.append(&mut evidence.logs);
        *evidence = verdict::Evidence::default();
        self.socket = None;
        Ok(Some(Next::Launch))
    }

    /// Sends the application's request.
    fn ask(&self) -> io::Result<()> {
        let host = match (&self.request.target, self.destination) {
            (Target::Name { name, .. }, _) => name.clone(),
            (_, Some(IpAddr::V6(address))) => format!("[{address}]"),
            (_, address) => address.map(|address| address.to_string()).unwrap_or_default(),
        };
        let request =
            format!("GET / HTTP/1.1\r\nHost: {host}\r\nUser-Agent: netproof\r\nConnection: close\r\n\r\n");
        match &self.socket {
            Some(fd) => sys::send(fd, request.as_bytes()).map(drop),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// Reads the application's answer.
    fn fetch(&mut self, moment: Moment) -> io::Result<Next> {
        const NO_ANSWER: Next = Next::Decided(Outcome::NoAnswer);
        let Some(fd) = &self.socket else { return Ok(NO_ANSWER) };
        let mut buffer = [0; 2048];
        loop {
            match sys::receive(fd, &mut buffer) {
                Ok(0) => return Ok(NO_ANSWER),
                Ok(length) => self.received.extend_from_slice(&buffer[..length]),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Ok(if moment == Moment::Over { NO_ANSWER } else { Next::Wait });
                }
                Err(_) => return Ok(NO_ANSWER),
            }
            match server::is_our_answer(&self.received) {
                Some(true) => return Ok(Next::Decided(Outcome::Connected)),
                Some(false) => return Ok(NO_ANSWER),
                None => {}
            }
        }
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
        Observation {
            outcome,
            stage: self.stage,
            destination: self.destination,
            token: self.token,
            served_by,
            seen_source,
            logs,
            sightings: verdict::path(evidence),
            passages: Vec::new(),
            resolved: Vec::new(),
            elapsed: self.started.elapsed(),
            waited,
        }
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
