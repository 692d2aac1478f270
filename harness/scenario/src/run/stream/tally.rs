//! What came of a stream: its probes counted, those that show a window kept, and what all of them say.

use super::{ENOUGH, blank};
use crate::claim::Claim;
use crate::plan::{Never, Step, Stream};
use crate::run::judge::observed_word;
use netproof_model::event::{Check, Denial, Status};
use netproof_model::{Observation, Outcome};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How many probes that show a window are kept.
const SHOWN: usize = 3;

/// When each change was made, in order.
#[derive(Default)]
pub(super) struct Log(Mutex<Vec<Made>>);

struct Made {
    generation: u64,
    began: Instant,
    ended: Option<Instant>,
}

/// The last change that had begun when a probe was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    /// Which, from 1.
    number: usize,
    generation: u64,
    /// How long before.
    since: Duration,
    /// Whether it was still being made.
    under_way: bool,
}

impl Log {
    fn made(&self) -> MutexGuard<'_, Vec<Made>> {
        // Whoever panicked has left whole entries.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A change begins that leads to this generation.
    pub(super) fn begin(&self, generation: u64) {
        self.made().push(Made { generation, began: Instant::now(), ended: None });
    }

    /// It is in force everywhere.
    pub(super) fn end(&self) {
        if let Some(last) = self.made().last_mut() {
            last.ended = Some(Instant::now());
        }
    }

    /// How many there were.
    pub(super) fn len(&self) -> usize {
        self.made().len()
    }

    /// What had begun at this time; `None` before the first change.
    pub(super) fn at(&self, time: Instant) -> Option<Moment> {
        let made = self.made();
        let number = made.partition_point(|change| change.began <= time);
        let change = made.get(number.checked_sub(1)?)?;
        Some(Moment {
            number,
            generation: change.generation,
            since: time.saturating_duration_since(change.began),
            under_way: change.ended.is_none_or(|ended| time < ended),
        })
    }
}

/// The probes of one stream.
pub(super) struct Tally {
    never: Never,
    /// All that have their outcome.
    pub(super) probes: usize,
    /// Those that were sent while a change was being made.
    pub(super) during: usize,
    /// Those that a rule logged.
    logged: usize,
    /// Those to which happened what never must.
    wrong: usize,
    /// The first of these.
    shown: Vec<(Observation, Option<Moment>)>,
}

/// What is said of a stream.
pub(super) struct Judged {
    status: Status,
    observed: String,
    messages: Vec<String>,
    denials: Vec<Denial>,
    outcome: Option<Outcome>,
}

impl Tally {
    pub(super) fn new(never: Never) -> Self {
        Tally { never, probes: 0, during: 0, logged: 0, wrong: 0, shown: Vec::new() }
    }

    pub(super) fn add(&mut self, observation: Observation, change: Option<Moment>) {
        self.probes += 1;
        self.during += usize::from(change.is_some_and(|change| change.under_way));
        self.logged += usize::from(!observation.logs.is_empty());
        if is_wrong(self.never, &observation) {
            self.wrong += 1;
            if self.shown.len() < SHOWN {
                self.shown.push((observation, change));
            }
        }
    }

    /// Judges the stream. `evidence`: the enforcer says of each packet that it denies who decided that.
    /// `denials_of`: what the rules that logged a probe stand for.
    pub(super) fn judge(
        &self,
        claim: &Claim,
        changes: usize,
        evidence: bool,
        denials_of: &dyn Fn(&Observation) -> Vec<Denial>,
    ) -> Judged {
        let Tally { never, probes, during, wrong, .. } = self;
        let made = if changes == 1 { "1 change was".to_owned() } else { format!("{changes} changes were") };
        let observed = match (never, wrong) {
            (Never::Allow, 0) => format!("none of {probes} probes got through while {made} made"),
            (Never::Allow, _) => format!("{wrong} of {probes} probes got through while {made} made"),
            (Never::Cut, 0) => format!("all {probes} probes were answered while {made} made"),
            (Never::Cut, _) => format!("{wrong} of {probes} probes were not answered while {made} made"),
        };
        let (mut messages, mut denials, mut outcome) = (Vec::new(), Vec::new(), None);
        if *wrong > 0 {
            messages.push(format!("expected {never}, observed {observed}"));
        }
        for (observation, change) in self.shown.iter().rev() {
            denials = denials_of(observation);
            outcome = Some(observation.outcome);
            messages.insert(1, told(observation, *change, &denials));
        }
        let mut status = if *wrong > 0 { Status::Failed } else { Status::Passed };
        if let Some(contradiction) = &claim.contradiction {
            let says = &contradiction.says;
            messages.push(format!(
                "the scenario contradicts the API: {never}, and between changes it says {says}"
            ));
            status = Status::Failed;
        }
        if status == Status::Passed && *during < ENOUGH {
            messages.push(format!(
                "only {during} of {probes} probes were sent while a change was being made, which says too little: \
                 {ENOUGH} are needed; run fewer scenarios at once (--jobs)"
            ));
            status = Status::Errored;
        }
        if status == Status::Passed && *never == Never::Allow && evidence && self.logged == 0 {
            messages.push(
                "no probe got through, and no rule of the enforcer or the proxy logged any of them".into(),
            );
            status = Status::Errored;
        }
        Judged { status, observed, messages, denials, outcome }
    }
}

impl Judged {
    /// The check of a stream that was judged so.
    pub(super) fn check(self, step: &Step, stream: &Stream, claim: &Claim) -> Check {
        let Judged { status, observed, messages, denials, outcome } = self;
        let predicted = Some(claim.says.clone());
        Check { status, observed, messages, denials, outcome, predicted, ..blank(step, stream) }
    }
}

/// Whether what never must happen to a probe did.
fn is_wrong(never: Never, observation: &Observation) -> bool {
    match never {
        Never::Allow => observation.outcome == Outcome::Connected || !observation.sightings.is_empty(),
        Never::Cut => observation.outcome != Outcome::Connected,
    }
}

/// One probe, in a sentence.
fn told(observation: &Observation, change: Option<Moment>, denials: &[Denial]) -> String {
    let when = match change {
        None => "sent before the first change".to_owned(),
        Some(Moment { number, generation, since, under_way }) => {
            let what = if under_way { "began" } else { "began, which was in force by then" };
            format!(
                "sent {:.2} ms after change {number} (generation {generation}) {what}",
                since.as_secs_f64() * 1000.0
            )
        }
    };
    let received = observation.sightings.last().map(|sighting| sighting.place.to_string());
    let what = match (observation.outcome, &observation.served_by, received) {
        (Outcome::Connected, Some(server), _) => format!("{server} answered it"),
        (Outcome::Connected, None, _) => "it was answered".to_owned(),
        (outcome, _, Some(place)) => {
            format!("{place} received it, and it ended as {}", observed_word(outcome, denials))
        }
        (outcome, _, None) if denials.is_empty() => {
            format!(
                "it ended as {}, and no rule of the enforcer or the proxy logged it",
                observed_word(outcome, denials)
            )
        }
        (outcome, _, None) => format!("it ended as {}", observed_word(outcome, denials)),
    };
    format!("probe {}, {when}: {what}", observation.token)
}
