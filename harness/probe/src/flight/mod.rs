//! One probe under way: what it sends, stage by stage, and what its socket reports.

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
use netproof_model::{Family, Observation, Outcome, Place, ProbeStage, Protocol, Token};
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

/// What to do next with a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// It has its outcome.
    Decided(Outcome),
    /// It wants to send the first packet of another stage, from its namespace.
    Launch,
    /// It has just sent something, and the answer may be there already.
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
    stage: ProbeStage,
    destination: Option<IpAddr>,
    /// Names still to be queried.
    resolution: Option<Resolution>,
    /// The addresses from the name server.
    resolved: Vec<IpAddr>,
    /// The token that opened the connection, if the probe is a message over a kept one.
    kept: Option<Token>,
    /// Who answered on that connection last.
    server: Option<Place>,
    /// Source port or echo identifier, for packets that another socket sends.
    number: u16,
    answer: Answer,
    /// The answer so far of an HTTP server, or over a kept connection.
    received: Vec<u8>,
    /// Logs of the stages before this one.
    logs: Vec<LogRecord>,
    pub started: Instant,
    /// When the first packet of the current stage was sent.
    pub launched: Instant,
    /// How often the request was sent again.
    pub repeats: u32,
    /// Its socket is watched.
    pub watched: bool,
}

impl<'a> Flight<'a> {
    /// A probe to send, over `connection` if one was kept for it.
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
            stage: if resolution.is_some() { ProbeStage::Resolve } else { ProbeStage::Connect },
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
            repeats: 0,
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

    /// Whether it waits for a name server, which may run on another thread and take longer.
    pub(crate) fn asks_a_name_server(&self) -> bool {
        self.stage == ProbeStage::Resolve
            || matches!(self.probe.request.port, RequestPort::Port { protocol: FlowProtocol::Dns, .. })
    }

    /// The token by which the server knows the connection.
    pub(crate) fn opened_by(&self) -> Token {
        self.kept.unwrap_or(self.token)
    }

    /// The connection, if it is to be kept. A TCP connection over which a message was lost is not kept: TCP
    /// would retransmit the message in a later step. Datagrams are not retransmitted, so a UDP socket stays.
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

    /// Ends the probe: closes its socket and returns the observation.
    pub(crate) fn finish(mut self, outcome: Outcome, waited: Duration, ledger: &mut Ledger) -> Observation {
        self.socket = None;
        let evidence = std::mem::take(ledger.of(self.index));
        let mut logs = self.logs;
        logs.extend(evidence.logs.iter().cloned());
        if matches!(outcome, Outcome::Dropped | Outcome::ReplyLost) && logs.is_empty() {
            logs.extend_from_slice(ledger.denied_discovery(self.probe.family));
        }
        // A packet that waits for neighbour discovery may still be sent when the answer comes.
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
