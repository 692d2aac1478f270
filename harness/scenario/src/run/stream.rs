//! Streams: while this thread makes a step's changes, another probes the flows of which something must hold
//! all the time, without pause.
//!
//! The prober is with the other thread then. Where the stacks of the cluster change, this thread sends it the
//! new ones and waits until it has attached them.

mod tally;

use super::changing::{Attach, Changing};
use super::judge;
use super::world::{HarnessError, World};
use crate::claim::{self, Claim};
use crate::plan::{Never, RequestPort, RequestTarget, Step, Stream};
use netproof_model::event::{Check, Phase, Status};
use netproof_model::{Family, Observation};
use netproof_oracle::Profile;
use netproof_probe::{
    Patience, ProbeError, ProbePort, ProbeRequest, Site, Streamed, Streaming, Target, Turn,
};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::time::{Duration, Instant};
use tally::{Log, Tally};

/// So many probes of each stream must have been sent while a change was being made.
pub(super) const ENOUGH: usize = 200;
/// The most rounds of changes beyond those that the step asks for, to get enough probes.
const MORE_ROUNDS: usize = 2000;

/// Makes a step's changes under its streams; a check for each of these.
pub(super) fn run(
    world: &mut World,
    step: &Step,
    profile: Profile,
    check_time: &dyn Fn() -> Result<(), HarnessError>,
) -> Result<Vec<Check>, HarnessError> {
    let begin = Instant::now();
    let states = world.states_after(&step.change_sets)?;
    let claims = step.streams.iter().map(|stream| claim::answer(stream, &states, profile));
    let claims: Vec<Claim> = claims.collect();
    let requests: Vec<ProbeRequest> = step.streams.iter().map(request).collect();
    let shared = Shared::default();
    let (order, orders) = channel();
    let (answer, answers) = channel();
    let mut conductor = Conductor {
        shared: &shared,
        orders,
        answer,
        owes_answer: false,
        tallies: step.streams.iter().map(|stream| Tally::new(stream.never)).collect(),
        has_begun: false,
    };
    let (prober, mut changing) = world.apart();
    let (probed, changed) = std::thread::scope(|scope| {
        let (conductor, requests) = (&mut conductor, &requests);
        let probing = scope.spawn(move || prober.stream(requests, conductor));
        let mut attach = |sites: Vec<Site>, families: &[Family]| {
            let stacks = Stacks { sites, families: families.to_vec() };
            order.send(stacks).map_err(|_| ended())?;
            answers.recv().map_err(|_| ended())
        };
        // The first answer says that every stream has begun.
        let began = answers.recv().map_err(|_| ended());
        let changed = began.and_then(|()| make(&mut changing, step, &shared, &mut attach, check_time));
        shared.stop.store(true, Ordering::Relaxed);
        let probed = probing.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        (probed, changed)
    });
    // Where the prober broke, the changes broke off for that reason.
    probed?;
    changed?;
    let evidence = world.explains();
    let elapsed = begin.elapsed();
    let tallies = conductor.tallies;
    let told = step.streams.iter().zip(&requests).zip(&claims).zip(&tallies);
    let changes = shared.log.len();
    Ok(told
        .map(|(((stream, request), claim), tally)| {
            let judged = tally.judge(claim, changes, evidence, &|seen| world.denials(request, seen));
            Check { elapsed, ..judged.check(step, stream, claim) }
        })
        .collect())
}

/// Makes the changes until each stream has had enough probes; at least as often as the step says.
fn make(
    changing: &mut Changing<'_>,
    step: &Step,
    shared: &Shared,
    attach: &mut Attach<'_>,
    check_time: &dyn Fn() -> Result<(), HarnessError>,
) -> Result<(), HarnessError> {
    for round in 1..=step.rounds + MORE_ROUNDS {
        for changes in &step.change_sets {
            check_time()?;
            shared.log.begin(changing.control.snapshot().generation + 1);
            let changed = changing.change(changes, attach);
            shared.log.end();
            changed?;
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

/// The network stacks that there are from now on.
struct Stacks {
    sites: Vec<Site>,
    families: Vec<Family>,
}

/// Directs the other thread.
struct Conductor<'s> {
    shared: &'s Shared,
    orders: Receiver<Stacks>,
    answer: Sender<()>,
    owes_answer: bool,
    tallies: Vec<Tally>,
    has_begun: bool,
}

impl Streaming for Conductor<'_> {
    fn turn(&mut self) -> Turn {
        if std::mem::take(&mut self.owes_answer) {
            self.tell();
        }
        if self.shared.stop.load(Ordering::Relaxed) {
            return Turn::Stop;
        }
        match self.orders.try_recv() {
            Ok(Stacks { sites, families }) => {
                self.owes_answer = true;
                Turn::Attach { sites, families }
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
        if !self.has_begun && self.tallies.iter().all(|tally| tally.probes > 0) {
            self.has_begun = true;
            self.tell();
        }
        let least = self.tallies.iter().map(|tally| tally.during).min().unwrap_or_default();
        self.shared.least.store(least, Ordering::Relaxed);
    }
}

impl Conductor<'_> {
    /// Nobody listens any more only where the changes broke off, and then the stream ends as well.
    fn tell(&self) {
        let _ = self.answer.send(());
    }
}

/// The probe of a stream.
pub(super) fn request(stream: &Stream) -> ProbeRequest {
    let address = match &stream.request.target {
        RequestTarget::Address(address) => *address,
        // The plan has none; the first of its addresses would be asked.
        RequestTarget::Name { addresses, .. } => {
            addresses.first().copied().unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
        }
    };
    ProbeRequest {
        source: stream.request.source.clone(),
        family: stream.family,
        target: Target::Address(address),
        port: match stream.request.port {
            RequestPort::Icmp => ProbePort::Icmp,
            RequestPort::Port { port, protocol } => ProbePort::Transport { port, protocol },
        },
        patience: Patience::ForAnswer,
        keep: stream.keep,
    }
}

/// The streams whose flows are rehearsed after so many change sets: those that nothing must get through, as
/// soon as both ends are there.
pub(super) fn rehearsed(step: &Step, made: usize) -> Vec<&Stream> {
    let is_due = |stream: &&Stream| {
        stream.never == Never::Allow && stream.complete_after.min(step.change_sets.len()) == made
    };
    step.streams.iter().filter(is_due).collect()
}

/// That a stream's flow connects without policy.
pub(super) fn judge_rehearsal(step: &Step, stream: &Stream, observation: &Observation) -> Check {
    let judge::Judgement { status, observed, messages } = judge::judge_rehearsal(None, observation);
    Check {
        name: format!("rehearsal/{}", stream.name),
        phase: Phase::Rehearsal,
        expected: "allow".to_owned(),
        observed,
        status,
        messages,
        outcome: Some(observation.outcome),
        served_by: observation.served_by.clone(),
        elapsed: observation.elapsed,
        ..blank(step, stream)
    }
}

/// A check of a stream of which nothing is known yet.
fn blank(step: &Step, stream: &Stream) -> Check {
    Check {
        name: stream.name.clone(),
        location: stream.location.clone(),
        phase: Phase::Run,
        step: step.name.clone(),
        flow: stream.flow.to_string(),
        family: Some(stream.family),
        expected: stream.never.to_string(),
        observed: String::new(),
        predicted: None,
        derivation: Vec::new(),
        outcome: None,
        status: Status::Passed,
        messages: Vec::new(),
        denials: Vec::new(),
        served_by: None,
        seen_source: None,
        via: None,
        policy_sees: None,
        path: Vec::new(),
        elapsed: Duration::ZERO,
    }
}
