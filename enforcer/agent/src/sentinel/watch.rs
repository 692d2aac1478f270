//! Watches for what must become true: each spot's connection is answered on the generation's port.
//!
//! Connections are begun again and again, at growing intervals, and each stays open for a while, since the verdict on
//! its first packet may be made in user space and take its time.

use super::spot::Spot;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::collections::VecDeque;
use std::io::{self, Read};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

/// So many generations have ports of their own; then they come again.
pub(super) const PORTS: u16 = 10;

/// The port of generation 0 at the target.
pub(super) const FIRST_PORT: u16 = 20_000;

/// The first and the longest interval between two attempts.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_millis(20);

/// So many attempts at a spot stay open.
const MOST_OPEN: usize = 16;

/// So often in a row a denial must be seen, and so long each attempt may take to be answered all the same.
const DENIALS: usize = 3;
const DENIAL_PATIENCE: Duration = Duration::from_millis(30);

/// The target's port in a generation.
pub(crate) fn port(generation: u64) -> u16 {
    // Less than `PORTS`.
    FIRST_PORT + (generation % u64::from(PORTS)) as u16
}

/// What is waited for at every spot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Awaited {
    pub(crate) generation: u64,
    /// The port that is asked.
    pub(crate) asked: u16,
    /// The port that must answer.
    pub(crate) by: u16,
    /// A port that must not answer: so it is in the first generation, before which every port does.
    pub(crate) denied: Option<u16>,
}

/// What was not seen in time, and at which spot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unseen {
    /// The generation's port does not answer.
    Answer(usize),
    /// This port does, and should not.
    Denial(usize, u16),
}

/// The attempts at some spots.
pub(crate) struct Watch<'a> {
    spots: &'a [Spot],
    /// For each spot, its attempts that are still open.
    attempts: Vec<VecDeque<TcpStream>>,
}

/// What became of one attempt.
enum Outcome {
    Open,
    /// The port that answered.
    Answered(u16),
    Over,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(spots: &'a [Spot]) -> Watch<'a> {
        let attempts = spots.iter().map(|_| VecDeque::new()).collect();
        Watch { spots, attempts }
    }

    /// Waits until all of it is seen everywhere, or `deadline` has passed: then what is not. `each` is asked before every
    /// attempt whether to go on.
    pub(crate) fn until<E: From<io::Error>>(
        &mut self,
        awaited: &Awaited,
        deadline: Instant,
        each: &mut dyn FnMut() -> Result<(), E>,
    ) -> Result<Option<Unseen>, E> {
        loop {
            if let Some(spot) = self.until_answered(awaited, deadline, each)? {
                return Ok(Some(Unseen::Answer(spot)));
            }
            let Some(denied) = awaited.denied else { return Ok(None) };
            let mut answered = None;
            for _ in 0..DENIALS {
                each()?;
                answered = self.answered(denied)?;
                if answered.is_some() {
                    break;
                }
            }
            match answered {
                None => return Ok(None),
                Some(spot) if Instant::now() >= deadline => {
                    return Ok(Some(Unseen::Denial(spot, denied)));
                }
                // Policy is not there yet, and so the answer before meant nothing.
                Some(_) => {}
            }
        }
    }

    /// Makes attempts until every spot is answered. A spot that is not when time is up.
    fn until_answered<E: From<io::Error>>(
        &mut self,
        awaited: &Awaited,
        deadline: Instant,
        each: &mut dyn FnMut() -> Result<(), E>,
    ) -> Result<Option<usize>, E> {
        self.forget();
        let mut open: Vec<usize> = (0..self.spots.len()).collect();
        let mut interval = SHORTEST;
        loop {
            each()?;
            let now = Instant::now();
            let left = deadline.saturating_duration_since(now);
            self.attempt(&open, awaited.asked)?;
            self.look(&mut open, now + interval.min(left), Some(awaited.by))?;
            if open.is_empty() || left.is_zero() {
                return Ok(open.first().copied());
            }
            interval = (2 * interval).min(LONGEST);
        }
    }

    /// Makes one attempt at every spot and gives them all some time. A spot that was answered.
    fn answered(&mut self, port: u16) -> io::Result<Option<usize>> {
        self.forget();
        let mut open: Vec<usize> = (0..self.spots.len()).collect();
        self.attempt(&open, port)?;
        self.look(&mut open, Instant::now() + DENIAL_PATIENCE, None)?;
        Ok((0..self.spots.len()).find(|index| !open.contains(index)))
    }

    fn forget(&mut self) {
        self.attempts.iter_mut().for_each(VecDeque::clear);
    }

    fn attempt(&mut self, spots: &[usize], port: u16) -> io::Result<()> {
        for index in spots {
            let (Some(spot), Some(attempts)) = (self.spots.get(*index), self.attempts.get_mut(*index)) else {
                continue;
            };
            if attempts.len() == MOST_OPEN {
                attempts.pop_front();
            }
            attempts.extend(spot.begin(port)?);
        }
        Ok(())
    }

    /// Answers and reads until it is time, or all of these spots are answered, by the port `by` where one is given; those
    /// that are go from the list.
    fn look(&mut self, open: &mut Vec<usize>, until: Instant, by: Option<u16>) -> io::Result<()> {
        loop {
            self.spots.iter().try_for_each(Spot::answer)?;
            open.retain(|index| {
                let attempts = self.attempts.get_mut(*index);
                !attempts.is_some_and(|attempts| is_answered(attempts, by))
            });
            let left = until.saturating_duration_since(Instant::now());
            if open.is_empty() || left.is_zero() {
                return Ok(());
            }
            self.wait(open, left)?;
        }
    }

    /// Waits until somebody connects or an attempt is answered, or for as long.
    fn wait(&self, open: &[usize], left: Duration) -> io::Result<()> {
        let mut polled: Vec<PollFd<'_>> = Vec::new();
        for index in open {
            let attempts = self.attempts.get(*index).into_iter().flatten();
            polled.extend(attempts.map(|attempt| PollFd::new(attempt.as_fd(), PollFlags::POLLIN)));
            let listeners = self.spots.get(*index).into_iter().flat_map(|it| &it.listeners);
            polled.extend(listeners.map(|(_, it)| PollFd::new(it.as_fd(), PollFlags::POLLIN)));
        }
        // Rounded up, so that a short rest is not waited for in turns.
        let milliseconds = u16::try_from(left.as_micros().div_ceil(1000)).unwrap_or(u16::MAX);
        match poll(&mut polled, PollTimeout::from(milliseconds)) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(errno) => Err(errno.into()),
        }
    }
}

/// Whether one of the attempts is answered; those that are over go.
fn is_answered(attempts: &mut VecDeque<TcpStream>, by: Option<u16>) -> bool {
    let mut answered = false;
    attempts.retain_mut(|attempt| match outcome(attempt) {
        Outcome::Open => true,
        Outcome::Answered(port) => {
            answered |= by.is_none_or(|by| by == port);
            false
        }
        Outcome::Over => false,
    });
    if answered {
        attempts.clear();
    }
    answered
}

/// What has become of an attempt so far.
fn outcome(attempt: &mut TcpStream) -> Outcome {
    let mut port = [0; 2];
    match attempt.read(&mut port) {
        Ok(2) => Outcome::Answered(u16::from_be_bytes(port)),
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
            Outcome::Open
        }
        _ => Outcome::Over,
    }
}
