//! Streams: while this thread makes a step's changes, another probes the flows of which something must hold
//! all the time, without pause.
//!
//! The prober is with the other thread then. Where the stacks of the cluster change, this thread sends it the
//! new ones and waits until it has attached them.
//!
//! The first round of changes waits for the streams: a probe of each has to meet what every change has made
//! before the next one. So what a stream says does not hang on which thread the kernel favours. The rounds
//! after it are made at full speed.

mod tally;

use crate::world::{Attach, Changing, HarnessError, World};
use netproof_model::event::{Check, Never, Phase};
use netproof_model::{Family, Observation, Verdict};
use netproof_oracle::Profile;
use netproof_plan::{Step, Stream};
use netproof_probe::{Patience, Probe, ProbeError, Site, Streamed, Streaming, Turn};
use netproof_verdict::judge::Judgement;
use netproof_verdict::rehearsal;
use netproof_verdict::streams::{self, Claim};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::Instant;
use tally::{Log, Tally};

/// Fewest probes of each stream that must be sent while a change is being made.
pub(crate) const ENOUGH: usize = 200;
/// The most rounds of changes beyond those that the step asks for, to get enough probes.
const MORE_ROUNDS: usize = 2000;

/// Makes a step's changes under its streams; a check for each of these.
pub(crate) fn run(
    world: &mut World,
    step: &Step,
    profile: Profile,
    check_time: &dyn Fn() -> Result<(), HarnessError>,
) -> Result<Vec<Check>, HarnessError> {
    let begin = Instant::now();
    let claims = step.streams.iter().map(|stream| streams::answer(stream, step.states.through(), profile));
    let claims: Vec<Claim> = claims.collect();
    let requests: Vec<Probe> = step.streams.iter().map(request).collect();
    let shared = Shared::default();
    let (order, orders) = channel();
    let (answer, answers) = channel();
    let mut conductor = Conductor {
        shared: &shared,
        orders,
        answer,
        pending: None,
        tallies: step.streams.iter().map(|stream| Tally::new(stream.never)).collect(),
    };
    let (prober, mut changing) = world.apart();
    let (probed, changed) = std::thread::scope(|scope| {
        let (conductor, requests) = (&mut conductor, &requests);
        let probing = scope.spawn(move || prober.stream(requests, conductor));
        let ask = |wish: Order| {
            order.send(wish).map_err(|_| ended())?;
            answers.recv().map_err(|_| ended())
        };
        let changed = make(&mut changing, step, &shared, &ask, check_time);
        shared.stop.store(true, Ordering::Relaxed);
        let probed = probing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (probed, changed)
    });
    // Where the prober broke, the changes broke off for that reason.
    probed?;
    changed?;
    let elapsed = begin.elapsed();
    let tallies = conductor.tallies;
    let told = step.streams.iter().zip(&requests).zip(&claims).zip(&tallies);
    let changes = shared.log.len();
    Ok(told
        .map(|(((stream, request), claim), tally)| {
            let judged = tally
                .judge(claim, changes, world.explains(&stream.request), &|seen| world.denials(request, seen));
            Check { elapsed, ..judged.check(step, stream) }
        })
        .collect())
}

/// Makes the changes until each stream has had enough probes; at least as often as the step says.
fn make(
    changing: &mut Changing<'_>,
    step: &Step,
    shared: &Shared,
    ask: &dyn Fn(Order) -> Result<(), HarnessError>,
    check_time: &dyn Fn() -> Result<(), HarnessError>,
) -> Result<(), HarnessError> {
    let attach: &mut Attach<'_> =
        &mut |sites, families| ask(Order::Attach { sites, families: families.to_vec() });
    // What there is before the first change.
    ask(Order::Meet)?;
    for round in 1..=step.rounds + MORE_ROUNDS {
        for changes in &step.change_sets {
            check_time()?;
            shared.log.begin(changing.control.snapshot().generation + 1);
            let changed = changing.change(changes, attach);
            shared.log.end();
            changed?;
            if round == 1 {
                ask(Order::Meet)?;
            }
        }
        if round >= step.rounds && shared.least.load(Ordering::Relaxed) >= ENOUGH {
            break;
        }
    }
    Ok(())
}

/// What to say where the other thread does not answer; why it ended, it says itself.
fn ended() -> HarnessError {
    HarnessError::Probe(ProbeError::System {
        doing: "go on with a stream of probes",
        place: "this process".into(),
        source: std::io::ErrorKind::BrokenPipe.into(),
    })
}

/// What both threads know.
#[derive(Default)]
struct Shared {
    log: Log,
    stop: AtomicBool,
    /// How many probes were sent while a change was being made, of the stream that has the fewest.
    least: AtomicUsize,
}

/// What this thread wants of the other, which answers when it is done.
enum Order {
    /// These are the network stacks from now on.
    Attach { sites: Vec<Site>, families: Vec<Family> },
    /// A probe of each stream has to meet what the last change has made.
    Meet,
}

/// An answer that the other thread has not given yet.
enum PendingAnswer {
    /// When it has attached what it was told to.
    Attached,
    /// When a probe of each stream has met what so many changes have made.
    Met(usize),
}

/// Directs the other thread.
struct Conductor<'s> {
    shared: &'s Shared,
    orders: Receiver<Order>,
    answer: Sender<()>,
    pending: Option<PendingAnswer>,
    tallies: Vec<Tally>,
}

impl Streaming for Conductor<'_> {
    fn turn(&mut self) -> Turn {
        let is_due = match self.pending {
            None => false,
            Some(PendingAnswer::Attached) => true,
            Some(PendingAnswer::Met(changes)) => self.tallies.iter().all(|tally| tally.has_met(changes)),
        };
        if is_due {
            self.pending = None;
            // Nobody listens any more only where the changes broke off, and then the stream ends as well.
            let _ = self.answer.send(());
        }
        if self.shared.stop.load(Ordering::Relaxed) {
            return Turn::Stop;
        }
        match self.orders.try_recv() {
            Ok(Order::Attach { sites, families }) => {
                self.pending = Some(PendingAnswer::Attached);
                Turn::Attach { sites, families }
            }
            Ok(Order::Meet) => {
                self.pending = Some(PendingAnswer::Met(self.shared.log.len()));
                Turn::Go
            }
            Err(TryRecvError::Empty) => Turn::Go,
            Err(TryRecvError::Disconnected) => Turn::Stop,
        }
    }

    fn done(&mut self, probe: Streamed) {
        let change = self.shared.log.at(probe.sent);
        if let Some(tally) = self.tallies.get_mut(probe.request) {
            tally.add(probe.observation, change);
        }
        let least = self.tallies.iter().map(|tally| tally.during).min().unwrap_or_default();
        self.shared.least.store(least, Ordering::Relaxed);
    }
}

/// The probe of a stream.
pub(crate) fn request(stream: &Stream) -> Probe {
    Probe {
        request: stream.request.clone(),
        family: stream.family,
        patience: Patience::ForAnswer,
        keep: stream.keep,
    }
}

/// The streams whose flows are rehearsed after so many change sets: those that nothing must get through, as
/// soon as both ends are there.
pub(crate) fn rehearsed(step: &Step, made: usize) -> Vec<&Stream> {
    let is_due = |stream: &&Stream| {
        stream.never == Never::Allow && stream.complete_after.min(step.change_sets.len()) == made
    };
    step.streams.iter().filter(is_due).collect()
}

/// That a stream's flow connects without policy.
pub(crate) fn judge_rehearsal(step: &Step, stream: &Stream, observation: &Observation) -> Check {
    let Judgement { status, observed, findings } = rehearsal::judge_try(None, observation);
    Check {
        name: format!("{}{}", Phase::Rehearsal.prefix(), stream.name),
        phase: Phase::Rehearsal,
        expected: Some(Verdict::Allow.into()),
        observed: Some(observed),
        status,
        findings,
        outcome: Some(observation.outcome),
        served_by: observation.served_by.clone(),
        elapsed: observation.elapsed,
        ..blank(step, stream)
    }
}

/// A check of a stream of which nothing is known yet.
fn blank(step: &Step, stream: &Stream) -> Check {
    let (name, location) = (stream.name.clone(), stream.location.clone());
    Check {
        family: Some(stream.family),
        ..Check::new(name, location, Phase::Run, &step.name, stream.flow.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netproof_model::Outcome;
    use netproof_plan::testing::observation;

    #[test]
    fn it_is_answered_when_a_probe_of_each_stream_has_met_the_change() {
        let shared = Shared::default();
        let (order, orders) = channel();
        let (answer, answers) = channel();
        let tallies = vec![Tally::new(Never::Allow), Tally::new(Never::Allow)];
        let mut conductor = Conductor { shared: &shared, orders, answer, pending: None, tallies };
        let probe = |request, sent| Streamed {
            request,
            sent,
            decided: Instant::now(),
            observation: observation(Outcome::Dropped),
        };
        let before = Instant::now();
        shared.log.begin(1);
        let under_way = Instant::now();
        shared.log.end();
        order.send(Order::Meet).unwrap();
        let mut is_answered = |request, sent| {
            conductor.turn();
            conductor.done(probe(request, sent));
            conductor.turn();
            answers.try_recv().is_ok()
        };
        assert!(!is_answered(0, before));
        assert!(!is_answered(1, under_way));
        assert!(!is_answered(1, Instant::now()));
        assert!(is_answered(0, Instant::now()));
        // Once.
        assert!(!is_answered(0, Instant::now()));
    }
}
