//! What has come back: on the probe's own socket, and as evidence.

use super::{Flight, Next};
use crate::ledger::Ledger;
use crate::resolve::Step;
use crate::sys::{self, TcpState};
use crate::verdict::{self, Answer, Moment};
use crate::{dns, kept, server, token};
use netproof_model::flow::FlowProtocol;
use netproof_model::request::RequestPort;
use netproof_model::{Outcome, ProbeStage, Protocol};
use std::io;
use std::time::Instant;

/// What a connection has received.
enum Stream {
    /// A complete answer of ours.
    Ours,
    /// Something else.
    Foreign,
    /// Not enough yet.
    Nothing,
    /// Its end, with the socket's error if there is one
    Over(Option<i32>),
}

impl Flight<'_> {
    /// Checks the socket and the evidence.
    pub(crate) fn advance(&mut self, ledger: &mut Ledger, moment: Moment) -> io::Result<Next> {
        if self.stage == ProbeStage::Answer {
            return self.fetch(moment);
        }
        if self.answer == Answer::Nothing {
            if self.stage == ProbeStage::Resolve {
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
        if self.stage == ProbeStage::Resolve {
            return Ok(Next::Decided(Outcome::NameServerUnreachable));
        }
        if outcome == Outcome::Connected && self.has_more_to_say() {
            self.stage = ProbeStage::Answer;
            self.launched = Instant::now();
            return Ok(match self.ask() {
                Ok(()) => Next::LookAgain,
                Err(_) => Next::Decided(Outcome::NoAnswer),
            });
        }
        Ok(Next::Decided(outcome))
    }

    /// Whether the outcome follows from what its socket has reported.
    pub(crate) fn is_reported(&self) -> bool {
        self.stage == ProbeStage::Connect && self.answer != Answer::Nothing
    }

    /// The outcome of a probe whose socket has reported, by the evidence that there is now.
    pub(crate) fn outcome(&self, ledger: &mut Ledger, moment: Moment) -> Option<Outcome> {
        verdict::decide(self.answer, ledger.of(self.index), moment)
    }

    /// Whether something must be sent over the new connection.
    fn has_more_to_say(&self) -> bool {
        match self.probe.request.port {
            RequestPort::Port { protocol: FlowProtocol::Http, .. } => true,
            RequestPort::Port { protocol: FlowProtocol::Tcp, .. } => self.probe.keep && self.kept.is_none(),
            _ => false,
        }
    }

    /// What the socket says.
    fn look(&mut self) -> io::Result<Answer> {
        let protocol = self.probe.request.port.protocol();
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
                // A reset may come between the two questions.
                TcpState::SynSent | TcpState::Closed => match sys::take_error(fd)? {
                    libc::ECONNREFUSED | libc::ECONNRESET => Answer::Reset,
                    // TCP's own timers gave up.
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
            // Only a kept socket may receive the answer to another probe.
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
        let Some(resolution) = &mut self.resolution else { return Ok(None) };
        match resolution.answered(dns::read(&buffer[..length], self.probe.family)) {
            Step::Found(addresses) => {
                self.destination = addresses.first().copied();
                self.resolved = addresses;
                self.stage = ProbeStage::Connect;
            }
            Step::Ask => {}
            Step::Over(outcome) => return Ok(Some(Next::Decided(outcome))),
        }
        self.logs.append(&mut ledger.end_stage(self.token, self.index).logs);
        self.socket = None;
        Ok(Some(Next::Launch))
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
            let ours = if self.probe.keep {
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
}
