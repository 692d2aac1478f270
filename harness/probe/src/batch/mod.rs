//! A batch of probes. They are sent in chunks and checked after each chunk; those still undecided share one
//! wait.

mod stream;

pub use stream::{Streamed, Streaming, Turn};

use crate::error::ProbeError;
use crate::flight::{Flight, Next};
use crate::grace::{Grace, Waits};
use crate::ledger::Ledger;
use crate::probe::{Patience, Probe};
use crate::token::Tokens;
use crate::verdict::Moment;
use crate::world::World;
use crate::{backlog, kept, sys};
use netproof_model::{DataPath, Observation, Outcome};
use std::io;
use std::time::{Duration, Instant};

/// The most undecided probes that may hold a socket.
const MOST_OPEN: usize = 1024;
/// The most undecided probes that may wait for the kernel: it defers 1,000 packets (`netdev_max_backlog`)
/// and loses the rest.
const MOST_WAITING: usize = 256;
/// The most undecided packets of one node before another probe is sent, where a program decides: the smallest receive
/// buffer of its socket holds some 200, and a probe leaves several. (The queue itself holds 1,024.)
const MOST_QUEUED: usize = 64;
/// The most queries that may wait for a name server, which answers on another thread: if memory is short,
/// its socket holds some 270 (`net.core.rmem_default`) and loses the rest.
const MOST_ASKING: usize = 128;
/// The wait for an expected denial without evidence.
const SETTLE: Duration = Duration::from_millis(50);
/// The time that a name server has after it received the query.
const NAME_SERVER: Duration = Duration::from_secs(1);

/// The longest wait for deferred packets and undecided ones, and one step of it.
const BACKLOG: Duration = Duration::from_secs(5);
const TURN: Duration = Duration::from_millis(1);

/// The probes of one call.
pub(crate) struct Batch<'a> {
    pub world: &'a mut World,
    pub ledger: &'a mut Ledger,
    pub tokens: &'a mut Tokens,
    pub grace: &'a Grace,
    pub observations: Vec<Option<Observation>>,
}

impl<'a> Batch<'a> {
    /// Makes every probe, those of one source together.
    pub(crate) fn run(mut self, probes: &'a [Probe]) -> Result<Vec<Observation>, ProbeError> {
        self.ledger.begin(probes.len());
        self.observations.resize_with(probes.len(), || None);
        let (kept, single) = (0..probes.len()).partition(|index| probes[*index].keep);
        self.round(probes, single)?;
        for round in kept::rounds(probes, kept) {
            self.round(probes, round)?;
        }
        Ok(self.observations.into_iter().flatten().collect())
    }

    /// Makes the probes with these indices.
    fn round(&mut self, probes: &'a [Probe], mut order: Vec<usize>) -> Result<(), ProbeError> {
        order.sort_by_key(|index| &probes[*index].request.source);
        let mut open = Vec::new();
        let mut handled = 0;
        for chunk in order.chunks(self.world.chunk()) {
            let mut flights = Vec::with_capacity(chunk.len());
            for index in chunk {
                let probe = &probes[*index];
                let connection = if probe.keep { self.world.take_kept(&kept::Key::of(probe)) } else { None };
                flights.push(Flight::new(probe, *index, connection)?);
            }
            self.launch(&mut flights)?;
            open.extend(self.look(flights, Moment::Sent)?);
            if open.iter().filter(|flight| flight.asks_a_name_server()).count() >= MOST_ASKING {
                let (asking, others) = open.into_iter().partition(Flight::asks_a_name_server);
                open = others;
                handled = handled.min(open.len());
                self.settle(asking)?;
            }
            if open.len() >= MOST_OPEN {
                self.settle(std::mem::take(&mut open))?;
                handled = 0;
            } else if open.len() >= handled + MOST_WAITING || self.is_queue_full()? {
                self.catch_up()?;
                handled = open.len();
            }
        }
        self.settle(open)
    }

    /// Sends the next packet of each flight: one visit to a namespace for all neighbours of one source.
    fn launch(&mut self, flights: &mut [Flight<'a>]) -> Result<(), ProbeError> {
        for group in flights.chunk_by_mut(|a, b| a.probe.request.source == b.probe.request.source) {
            let Some(first) = group.first() else { continue };
            let source = &first.probe.request.source;
            let stack = self.world.stack(source)?;
            let netns = std::sync::Arc::clone(&stack.netns);
            let mut numbers = std::mem::take(&mut stack.numbers);
            let (world, ledger, tokens) = (&*self.world, &mut *self.ledger, &mut *self.tokens);
            let sent = netns.enter(|| -> io::Result<()> {
                for flight in group {
                    let sender =
                        world.sender(source, flight.probe.request.port.protocol(), flight.probe.family);
                    flight.launch(&mut numbers, sender, tokens, ledger)?;
                }
                Ok(())
            });
            self.world.stack(source)?.numbers = numbers;
            sent.flatten().map_err(|error| ProbeError::System {
                doing: "make a probe's socket",
                place: source.to_string(),
                source: error,
            })?;
        }
        Ok(())
    }

    /// Checks each flight, and again those that went on to another stage; returns those that are still open.
    fn look(&mut self, flights: Vec<Flight<'a>>, moment: Moment) -> Result<Vec<Flight<'a>>, ProbeError> {
        let mut open = Vec::new();
        let mut flights = flights;
        while !flights.is_empty() {
            let served = self.world.drain(Duration::ZERO, self.ledger)?;
            if served && moment != Moment::Sent {
                // What arrived may concern flights that were checked in an earlier round, and no further
                // event will report it. (After `Sent` all of them are checked again anyway.)
                flights.append(&mut open);
            }
            let (mut launch, mut again, mut decided) = (Vec::new(), Vec::new(), Vec::new());
            for mut flight in flights {
                match self.advance(&mut flight, moment)? {
                    Next::Decided(outcome) => decided.push((flight, outcome)),
                    Next::Launch => launch.push(flight),
                    Next::LookAgain => again.push(flight),
                    Next::Wait => open.push(flight),
                }
            }
            if self.conclude(decided, moment, Duration::ZERO)? && moment != Moment::Sent {
                again.append(&mut open);
            }
            self.launch(&mut launch)?;
            again.append(&mut launch);
            flights = again;
        }
        Ok(open)
    }

    /// Ends the flights that have an outcome. A socket is read after the witnesses, and may report what has come in
    /// between: who saw the request on its way has told by now, and what was seen says what the report means. Returns
    /// whether the witnesses told anything.
    fn conclude(
        &mut self,
        decided: Vec<(Flight<'a>, Outcome)>,
        moment: Moment,
        waited: Duration,
    ) -> Result<bool, ProbeError> {
        let is_unseen =
            |(flight, _): &(Flight<'a>, Outcome)| flight.is_reported() && !self.ledger.is_seen(flight.index);
        let told = decided.iter().any(is_unseen) && self.world.drain(Duration::ZERO, self.ledger)?;
        for (flight, outcome) in decided {
            let now = if flight.is_reported() { flight.outcome(self.ledger, moment) } else { None };
            self.finish(flight, now.unwrap_or(outcome), waited);
        }
        Ok(told)
    }

    /// Waits until the kernel has handled its deferred packets, and programs those that they decide about, if there
    /// are any.
    fn catch_up(&mut self) -> Result<(), ProbeError> {
        std::thread::yield_now();
        let began = Instant::now();
        // How many packets had been queued when nothing waited last.
        let mut calm = None;
        loop {
            let queues = self.world.queues()?;
            let quiet = !backlog::is_waiting() && queues.waiting.is_none();
            if quiet && (self.world.data_path() == DataPath::Kernel || calm == Some(queues.queued)) {
                return Ok(());
            }
            if began.elapsed() > BACKLOG {
                return Err(match queues.waiting {
                    Some((place, packets)) => ProbeError::Undecided { waited: BACKLOG, place, packets },
                    None => ProbeError::Backlog { waited: BACKLOG },
                });
            }
            calm = quiet.then_some(queues.queued);
            // A packet leaves its queue before it goes on, by the program's thread, and so may be in none. Once that
            // thread has gone on, and nothing was queued since, there is none. Some kernels cannot tell (`nohz_full`):
            // then a moment must do.
            if !quiet || sys::wait_for_verdicts().is_err() {
                self.world.drain(TURN, self.ledger)?;
            }
        }
    }

    /// Whether so many packets wait for a program's decision that more could be lost.
    fn is_queue_full(&mut self) -> Result<bool, ProbeError> {
        Ok(self.world.queues()?.waiting.is_some_and(|(_, packets)| packets >= MOST_QUEUED as u64))
    }

    fn advance(&mut self, flight: &mut Flight<'a>, moment: Moment) -> Result<Next, ProbeError> {
        flight.advance(self.ledger, moment).map_err(|error| ProbeError::System {
            doing: "look at a probe's socket",
            place: flight.probe.request.source.to_string(),
            source: error,
        })
    }

    fn finish(&mut self, mut flight: Flight<'a>, outcome: Outcome, waited: Duration) {
        let (index, probe, opened_by) = (flight.index, flight.probe, flight.opened_by());
        let connection = if probe.keep { flight.connection(outcome) } else { None };
        let observation = flight.finish(outcome, waited, self.ledger);
        match connection {
            Some(mut connection) => {
                connection.server = observation.served_by.clone().or(connection.server);
                self.world.keep(kept::Key::of(probe), connection);
            }
            None if probe.keep => self.world.forget(opened_by),
            None => {}
        }
        self.observations[index] = Some(observation);
    }

    /// Decides the remaining flights: at once if a rule logged a drop, otherwise when their time is up.
    fn settle(&mut self, flights: Vec<Flight<'a>>) -> Result<(), ProbeError> {
        if flights.is_empty() {
            return Ok(());
        }
        let _span = tracing::debug_span!("settle", undecided = flights.len()).entered();
        match self.world.data_path() {
            // A kernel thread handles deferred packets: let it run.
            DataPath::Kernel => std::thread::yield_now(),
            DataPath::UserSpace => self.catch_up()?,
        }
        let mut open = self.look(flights, Moment::Drained)?;
        let (began, waits) = (Instant::now(), self.grace.waits(self.world.data_path()));
        let (mut told, mut in_vain) = (Duration::ZERO, false);
        while let Some(next) = open.iter().map(|flight| self.due(flight, began, waits)).min() {
            let now = Instant::now();
            if now < next {
                for flight in open.iter_mut().filter(|flight| !flight.watched) {
                    flight.watched = true;
                    flight.socket.iter().try_for_each(|socket| self.world.watch(socket))?;
                }
                self.world.drain(next - now, self.ledger)?;
                open = self.look(open, Moment::Drained)?;
                continue;
            }
            // Time is up for some. Perhaps this thread or the kernel's thread did not get a processor: so
            // deferred packets are handled first.
            self.catch_up()?;
            open = self.look(open, Moment::Drained)?;
            let (due, rest): (Vec<_>, Vec<_>) =
                open.into_iter().partition(|flight| self.due(flight, began, waits) <= now);
            open = rest;
            for mut flight in due {
                if flight.probe.patience == Patience::ForAnswer && flight.repeats < waits.repeats {
                    self.repeat(&mut flight);
                    open.push(flight);
                    continue;
                }
                match self.advance(&mut flight, Moment::Over)? {
                    Next::Decided(outcome) => {
                        // All of them shared one wait: no moment of it is counted twice.
                        let waited = began.elapsed() - told;
                        told += waited;
                        in_vain |= flight.probe.patience == Patience::ForAnswer;
                        if self.conclude(vec![(flight, outcome)], Moment::Over, waited)? {
                            open = self.look(open, Moment::Drained)?;
                        }
                    }
                    // The answer came at the last moment: the next packet has its own time.
                    Next::Launch => {
                        self.launch(std::slice::from_mut(&mut flight))?;
                        open.push(flight);
                    }
                    Next::LookAgain | Next::Wait => open.push(flight),
                }
            }
        }
        if in_vain {
            self.grace.spend(self.world.data_path(), waits);
        }
        Ok(())
    }

    /// When a silent flight must be retried or decided. All flights that were under way when the wait began
    /// share it; a packet sent later (a query for the next name, or to an address that was just resolved)
    /// has the same time from then on.
    fn due(&self, flight: &Flight<'_>, began: Instant, waits: Waits) -> Instant {
        let patience = match flight.probe.patience {
            Patience::ForAnswer if flight.repeats < waits.repeats => waits.repeat * (flight.repeats + 1),
            Patience::ForAnswer => waits.answer,
            Patience::Settle => SETTLE,
        };
        let is_asked = || flight.asks_a_name_server() && self.ledger.is_seen(flight.index);
        let ends = flight.probe.patience == Patience::Settle || flight.repeats == waits.repeats;
        let patience = if ends && is_asked() { patience.max(NAME_SERVER) } else { patience };
        flight.launched.max(began) + patience
    }

    fn repeat(&self, flight: &mut Flight<'a>) {
        let probe = flight.probe;
        flight.repeat(self.world.sender(&probe.request.source, probe.request.port.protocol(), probe.family));
    }
}
