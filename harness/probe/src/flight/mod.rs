//! One probe under way: what it sends, stage by stage, and what its socket says.

mod receive;
mod send;

use crate::error::ProbeError;
use crate::kept::Connection;
use crate::ledger::Ledger;
use crate::probe::Probe;
use crate::resolve::Resolution;
use crate::verdict::{self, Answer};
use netproof_model::flow::FlowProtocol;
use netproof_model::observation::LogRecord;
use netproof_model::request::{RequestPort, RequestTarget};
use netproof_model::{Family, Observation, Outcome, Place, Protocol, Stage, Token};
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

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
    pub probe: &'a Probe,
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
    /// Who answered on that connection last.
    server: Option<Place>,
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
        probe: &'a Probe,
        index: usize,
        connection: Option<Connection>,
    ) -> Result<Self, ProbeError> {
        if probe.keep {
            match probe.request.port {
                RequestPort::Port { protocol: FlowProtocol::Tcp | FlowProtocol::Udp, .. } => {}
                RequestPort::Port { protocol, .. } => {
                    return Err(ProbeError::CannotKeep { what: protocol.to_string() });
                }
                RequestPort::Icmp => return Err(ProbeError::CannotKeep { what: Protocol::Icmp.to_string() }),
            }
        }
        let (destination, resolution) = match &probe.request.target {
            RequestTarget::Address(address) if Family::of(*address) != probe.family => {
                return Err(ProbeError::WrongFamily { family: probe.family, address: *address });
            }
            RequestTarget::Address(address) => (Some(*address), None),
            RequestTarget::Name { .. } if connection.is_some() => (None, None),
            RequestTarget::Name { name, search, .. } => {
                (None, Some(Resolution::new(name, search, probe.family)?))
            }
        };
        let now = Instant::now();
        let mut flight = Flight {
            probe,
            index,
            token: Token(0),
            socket: None,
            stage: if resolution.is_some() { Stage::Resolve } else { Stage::Connect },
            destination,
            resolution,
            resolved: Vec::new(),
            kept: None,
            server: None,
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
            flight.server = connection.server;
        }
        Ok(flight)
    }

    /// Whether the answer comes from a name server, which may be another thread's and take its time.
    pub(crate) fn asks_a_name_server(&self) -> bool {
        self.stage == Stage::Resolve
            || matches!(self.probe.request.port, RequestPort::Port { protocol: FlowProtocol::Dns, .. })
    }

    /// The token by which the server knows the connection.
    pub(crate) fn opened_by(&self) -> Token {
        self.kept.unwrap_or(self.token)
    }

    /// The connection, if it is to be kept. One of TCP over which a message was lost is not: the message
    /// would be sent again in a later step. A datagram is not, so the socket stays.
    pub(crate) fn connection(&mut self, outcome: Outcome) -> Option<Connection> {
        let lossy = self.kept.is_some() && self.probe.request.port.protocol() == Protocol::Udp;
        if outcome != Outcome::Connected && !lossy {
            return None;
        }
        Some(Connection {
            socket: self.socket.take()?,
            opened_by: self.opened_by(),
            destination: self.destination?,
            resolved: self.resolved.clone(),
            server: self.server.take(),
        })
    }

    /// Ends the probe: closes its socket and puts together what is known.
    pub(crate) fn finish(mut self, outcome: Outcome, waited: Duration, ledger: &mut Ledger) -> Observation {
        self.socket = None;
        let evidence = std::mem::take(ledger.of(self.index));
        let mut logs = self.logs;
        logs.extend(evidence.logs.iter().cloned());
        if matches!(outcome, Outcome::Dropped | Outcome::ReplyLost) && logs.is_empty() {
            logs.extend_from_slice(ledger.denied_discovery(self.probe.family));
        }
        // What waits for an answer about a neighbour may still be sent when one comes.
        let waits = logs.iter().any(|log| log.token.is_none());
        if outcome != Outcome::Connected && evidence.sightings.is_empty() && !waits {
            ledger.judged_lost(self.token);
        }
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
