//! A stream: probes of a few flows, one after the other without pause, while another thread changes the
//! world.
//!
//! Nothing waits for a single probe: an unanswered probe stays open while the next ones are sent, and is
//! decided when its own time is up.

use super::{Batch, MOST_OPEN, TURN};
use crate::error::ProbeError;
use crate::flight::{Flight, Next};
use crate::kept;
use crate::probe::Probe;
use crate::stack::Site;
use crate::verdict::Moment;
use netproof_model::{Family, Observation};
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// The time for an answer. It ends before TCP retransmits (a SYN after a second, a message after 200 ms at
/// the earliest), because the answer to a retransmission would hide the loss.
const ANSWER: Duration = Duration::from_millis(100);
/// After this many rounds, only one a millisecond: five-tuples repeat after 32,749 others.
const UNPACED: usize = 5000;

/// What to do before the next round of a stream.
pub enum Turn {
    /// Nothing.
    Go,
    /// From now on these are the network stacks (see [`crate::Prober::attach`]).
    Attach {
        /// The stacks.
        sites: Vec<Site>,
        /// The families in which to listen and watch.
        families: Vec<Family>,
    },
    /// No further round.
    Stop,
}

/// A probe of a stream that has its outcome.
#[derive(Debug)]
pub struct Streamed {
    /// The position of its request.
    pub request: usize,
    /// When its first packet was sent.
    pub sent: Instant,
    /// When its outcome was known.
    pub decided: Instant,
    /// What the probe saw.
    pub observation: Observation,
}

/// Directs a stream and receives its results.
pub trait Streaming {
    /// Called before each round, when the previous turn's request has been carried out.
    fn turn(&mut self) -> Turn;

    /// Receives a decided probe, in the order of decision.
    fn done(&mut self, probe: Streamed);
}

/// A probe under way.
struct Open {
    request: usize,
    sent: Instant,
}

impl<'a> Batch<'a> {
    /// Probes every request once a round. A connection that is kept has one message under way at a time.
    pub(crate) fn stream(
        mut self,
        probes: &'a [Probe],
        streaming: &mut dyn Streaming,
    ) -> Result<(), ProbeError> {
        self.ledger.begin(0);
        let mut slots: HashMap<usize, Open> = HashMap::new();
        let mut flights: Vec<Flight<'a>> = Vec::new();
        let mut rounds = 0;
        loop {
            match streaming.turn() {
                Turn::Go => {}
                Turn::Attach { sites, families } => self.world.attach(sites, &families)?,
                Turn::Stop => break,
            }
            let is_full = flights.len() >= MOST_OPEN || self.is_queue_full()?;
            if !is_full {
                flights.extend(self.send_round(probes, &mut slots)?);
            }
            let idle = if is_full || flights.len() >= MOST_OPEN || rounds >= UNPACED {
                TURN
            } else {
                Duration::ZERO
            };
            flights = self.follow(flights, idle)?;
            self.hand_over(&mut slots, streaming);
            rounds += 1;
        }
        while !flights.is_empty() {
            flights = self.follow(flights, TURN)?;
            self.hand_over(&mut slots, streaming);
        }
        Ok(())
    }

    /// Sends a probe of every request, except over a connection that has one under way; returns the open
    /// ones.
    fn send_round(
        &mut self,
        probes: &'a [Probe],
        slots: &mut HashMap<usize, Open>,
    ) -> Result<Vec<Flight<'a>>, ProbeError> {
        let mut flights = Vec::with_capacity(probes.len());
        for (position, probe) in probes.iter().enumerate() {
            if probe.keep && slots.values().any(|open| open.request == position) {
                continue;
            }
            let index = self.ledger.add();
            if self.observations.len() <= index {
                self.observations.resize_with(index + 1, || None);
            }
            let connection = probe.keep.then(|| self.world.take_kept(&kept::Key::of(probe))).flatten();
            let flight = Flight::new(probe, index, connection)?;
            slots.insert(index, Open { request: position, sent: flight.launched });
            flights.push(flight);
        }
        self.launch(&mut flights)?;
        for flight in &flights {
            if let Some(open) = slots.get_mut(&flight.index) {
                open.sent = flight.launched;
            }
        }
        self.look(flights, Moment::Sent)
    }

    /// Checks the open probes, and decides those whose time is up.
    fn follow(&mut self, flights: Vec<Flight<'a>>, wait: Duration) -> Result<Vec<Flight<'a>>, ProbeError> {
        if !wait.is_zero() {
            self.world.drain(wait, self.ledger)?;
        }
        let open = self.look(flights, Moment::Drained)?;
        let now = Instant::now();
        let is_due = |flight: &Flight<'a>| flight.launched + ANSWER <= now;
        if !open.iter().any(is_due) {
            return Ok(open);
        }
        // The time may be up because this thread, or the kernel's, did not get a processor.
        self.catch_up()?;
        let (due, mut open): (Vec<_>, Vec<_>) =
            self.look(open, Moment::Drained)?.into_iter().partition(is_due);
        for mut flight in due {
            match self.advance(&mut flight, Moment::Over)? {
                Next::Decided(outcome) => self.finish(flight, outcome, Duration::ZERO),
                // An answer at the last moment: the next packet has its own time.
                Next::Launch => {
                    self.launch(std::slice::from_mut(&mut flight))?;
                    open.push(flight);
                }
                Next::LookAgain | Next::Wait => open.push(flight),
            }
        }
        Ok(open)
    }

    /// Hands over the decided probes. Their places in the ledger are reused.
    fn hand_over(&mut self, slots: &mut HashMap<usize, Open>, streaming: &mut dyn Streaming) {
        let decided = Instant::now();
        let mut done = Vec::new();
        slots.retain(|index, open| match self.observations[*index].take() {
            Some(observation) => {
                self.ledger.release(observation.token, *index);
                done.push(Streamed { request: open.request, sent: open.sent, decided, observation });
                false
            }
            None => true,
        });
        done.sort_by_key(|probe| (probe.sent, probe.request));
        done.into_iter().for_each(|probe| streaming.done(probe));
    }
}
