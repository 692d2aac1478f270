//! What came of a stream: its probes counted, those that show a window kept, and what all of them say.

use crate::stream::{ENOUGH, blank};
use netproof_model::event::{Check, Denial, Finding, FindingKind, Never, Status, StreamCount};
use netproof_model::{Observation, Outcome};
use netproof_plan::{Step, Stream};
use netproof_verdict::evidence::observed;
use netproof_verdict::streams::Claim;
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
    /// The last change whose result a probe met; 0 is what there was before the first.
    met: Option<usize>,
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
    count: StreamCount,
    /// The switches that would settle what the API leaves open.
    open: Vec<String>,
    findings: Vec<Finding>,
    denials: Vec<Denial>,
    outcome: Option<Outcome>,
}

impl Tally {
    pub(super) fn new(never: Never) -> Self {
        Tally { never, probes: 0, during: 0, met: None, logged: 0, wrong: 0, shown: Vec::new() }
    }

    pub(super) fn add(&mut self, observation: Observation, change: Option<Moment>) {
        self.probes += 1;
        self.during += usize::from(change.is_some_and(|change| change.under_way));
        if change.is_none_or(|change| !change.under_way) {
            self.met = self.met.max(Some(change.map_or(0, |change| change.number)));
        }
        self.logged += usize::from(!observation.logs.is_empty());
        if is_wrong(self.never, &observation) {
            self.wrong += 1;
            if self.shown.len() < SHOWN {
                self.shown.push((observation, change));
            }
        }
    }

    /// Whether a probe was sent when the last of so many changes was in force.
    pub(super) fn has_met(&self, changes: usize) -> bool {
        self.met.is_some_and(|met| met >= changes)
    }

    /// Judges the stream. `evidence`: each packet that is denied says who decided that.
    /// `denials_of`: what the rules that logged a probe stand for.
    pub(super) fn judge(
        &self,
        claim: &Claim,
        changes: usize,
        evidence: bool,
        denials_of: &dyn Fn(&Observation) -> Vec<Denial>,
    ) -> Judged {
        let Tally { never, probes, during, wrong, .. } = self;
        let count = StreamCount {
            never: *never,
            probes: *probes,
            during: *during,
            wrong: *wrong,
            changes,
            predicted: claim.says.clone(),
        };
        let (mut findings, mut denials, mut outcome) = (Vec::new(), Vec::new(), None);
        if *wrong > 0 {
            let message = format!("expected {never}, observed {count}");
            findings.push(Finding::new(FindingKind::WrongVerdict, message));
        }
        for (observation, change) in self.shown.iter().rev() {
            denials = denials_of(observation);
            outcome = Some(observation.outcome);
            findings.insert(1, Finding::new(FindingKind::Note, told(observation, *change, &denials)));
        }
        let mut status = if *wrong > 0 { Status::Failed } else { Status::Passed };
        if let Some(contradiction) = &claim.contradiction {
            let says = &contradiction.says;
            let message =
                format!("the scenario contradicts the API: {never}, and between changes it says {says}");
            findings.push(Finding::new(FindingKind::ScenarioContradictsApi, message));
            status = Status::Failed;
        }
        if status == Status::Passed && *during < ENOUGH {
            let message = format!(
                "only {during} of {probes} probes were sent while a change was being made, which says too little: \
                 {ENOUGH} are needed; run fewer scenarios at once (--jobs)"
            );
            findings.push(Finding::new(FindingKind::NoEvidence, message));
            status = Status::Errored;
        }
        if status == Status::Passed && *never == Never::Allow && evidence && self.logged == 0 {
            let message = "no probe got through, and no rule of the enforcer or the proxy logged any of them";
            findings.push(Finding::new(FindingKind::NoEvidence, message));
            status = Status::Errored;
        }
        Judged { status, count, open: claim.names_of_open_switches(), findings, denials, outcome }
    }
}

impl Judged {
    /// The check of a stream that was judged so.
    pub(super) fn check(self, step: &Step, stream: &Stream) -> Check {
        let Judged { status, count, open, findings, denials, outcome } = self;
        Check { status, stream: Some(count), open, findings, denials, outcome, ..blank(step, stream) }
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
            format!("{place} received it, and it ended as {}", observed(outcome, denials))
        }
        (outcome, _, None) if denials.is_empty() => {
            format!(
                "it ended as {}, and no rule of the enforcer or the proxy logged it",
                observed(outcome, denials)
            )
        }
        (outcome, _, None) => format!("it ended as {}", observed(outcome, denials)),
    };
    format!("probe {}, {when}: {what}", observation.token)
}

#[cfg(test)]
mod tests {
    use super::*;
    use netproof_model::Verdict;
    use netproof_model::observation::{LogRecord, PacketAddresses, Sighting};
    use netproof_model::{Hook, Place, Protocol, Token};
    use netproof_plan::testing::observation;
    use netproof_verdict::streams::Contradiction;

    fn packet() -> PacketAddresses {
        PacketAddresses {
            source: "10.244.1.2".parse().unwrap(),
            destination: "10.244.1.3".parse().unwrap(),
            protocol: Protocol::Tcp,
            source_port: 1000,
            destination_port: 80,
        }
    }

    fn denied() -> Observation {
        let log =
            LogRecord { node: "node1".into(), number: 1, hook: Hook::Forward, packet: packet(), token: None };
        Observation { logs: vec![log], ..observation(Outcome::Dropped) }
    }

    /// The server got the request.
    fn received(outcome: Outcome) -> Observation {
        let place = Place::pod("default", "web");
        let sighting = Sighting { place, interface: "eth0".into(), packet: packet(), token: Token(7) };
        Observation { sightings: vec![sighting], ..observation(outcome) }
    }

    fn agrees() -> Claim {
        Claim { says: vec![Verdict::Deny.into()], open: None, contradiction: None }
    }

    fn during() -> Option<Moment> {
        Some(Moment { number: 2, generation: 4, since: Duration::from_micros(310), under_way: true })
    }

    impl Judged {
        fn messages(&self) -> String {
            self.findings.iter().map(|it| it.message.as_str()).collect::<Vec<_>>().join("\n")
        }
    }

    /// A stream whose probes, all but some, are as they should be.
    fn judged(never: Never, fine: (usize, &Observation), others: &[(Observation, Option<Moment>)]) -> Judged {
        let mut tally = Tally::new(never);
        for _ in 0..fine.0 {
            tally.add(fine.1.clone(), during());
        }
        for (observation, change) in others {
            tally.add(observation.clone(), *change);
        }
        tally.judge(&agrees(), 100, true, &|_| Vec::new())
    }

    #[test]
    fn one_probe_is_enough_to_fail() {
        let good = judged(Never::Allow, (300, &denied()), &[]);
        assert_eq!((good.status, good.findings.len()), (Status::Passed, 0));
        assert_eq!(good.count.to_string(), "none of 300 probes got through while 100 changes were made");
        // That the request was received is enough, whatever became of the answer.
        for outcome in [Outcome::Connected, Outcome::ReplyLost, Outcome::Refused, Outcome::Dropped] {
            let bad = judged(Never::Allow, (300, &denied()), &[(received(outcome), during())]);
            assert_eq!((bad.status, bad.outcome), (Status::Failed, Some(outcome)));
        }
        let connected = observation(Outcome::Connected);
        let good = judged(Never::Cut, (300, &connected), &[]);
        assert_eq!(good.count.to_string(), "all 300 probes were answered while 100 changes were made");
        assert_eq!(good.status, Status::Passed);
        for bad in [
            denied(),
            received(Outcome::ReplyLost),
            observation(Outcome::NoAnswer),
            observation(Outcome::Refused),
        ] {
            assert_eq!(judged(Never::Cut, (300, &connected), &[(bad, None)]).status, Status::Failed);
        }
    }

    #[test]
    fn what_is_said_of_a_window() {
        let since = Duration::from_millis(4);
        let after = Some(Moment { number: 3, generation: 5, since, under_way: false });
        let got = [
            (received(Outcome::ReplyLost), during()),
            (
                Observation { served_by: Some(Place::pod("default", "web")), ..received(Outcome::Connected) },
                after,
            ),
            (received(Outcome::Connected), None),
            (received(Outcome::Connected), None),
        ];
        insta::assert_snapshot!(judged(Never::Allow, (300, &denied()), &got).messages());
        let lost = [(observation(Outcome::Dropped), during())];
        insta::assert_snapshot!(
            judged(Never::Cut, (300, &observation(Outcome::Connected)), &lost).messages()
        );
    }

    #[test]
    fn what_proves_nothing_is_no_pass() {
        let few = judged(Never::Allow, (ENOUGH - 1, &denied()), &[(denied(), None), (denied(), None)]);
        assert_eq!(few.status, Status::Errored);
        insta::assert_snapshot!(few.messages());
        let lost = judged(Never::Allow, (300, &observation(Outcome::Dropped)), &[]);
        assert_eq!(lost.status, Status::Errored);
        insta::assert_snapshot!(lost.messages());
        let mut tally = Tally::new(Never::Allow);
        (0..300).for_each(|_| tally.add(observation(Outcome::Dropped), during()));
        // An enforcer that gives no evidence is believed.
        assert_eq!(tally.judge(&agrees(), 1, false, &|_| Vec::new()).status, Status::Passed);
        let contradiction =
            Contradiction { state: 1, says: Verdict::Allow.into(), derivation: String::new() };
        let claim = Claim {
            says: vec![Verdict::Deny.into(), Verdict::Allow.into()],
            open: None,
            contradiction: Some(contradiction),
        };
        let wrong = tally.judge(&claim, 1, false, &|_| Vec::new());
        assert_eq!(wrong.status, Status::Failed);
        insta::assert_snapshot!(wrong.messages());
    }

    #[test]
    fn what_a_change_has_made_is_met_when_it_is_in_force() {
        let mut tally = Tally::new(Never::Allow);
        let at = |number, under_way| Moment { number, generation: 1, since: Duration::ZERO, under_way };
        let mut met = |moment| {
            tally.add(denied(), moment);
            [0, 1, 2].map(|changes| tally.has_met(changes))
        };
        assert_eq!(met(Some(at(1, true))), [false, false, false]);
        assert_eq!(met(None), [true, false, false]);
        assert_eq!(met(Some(at(1, false))), [true, true, false]);
        assert_eq!(met(Some(at(2, true))), [true, true, false]);
        assert_eq!(met(Some(at(2, false))), [true, true, true]);
        // An answer that comes late takes nothing back.
        assert_eq!(met(Some(at(1, false))), [true, true, true]);
    }

    #[test]
    fn a_probe_belongs_to_the_change_that_had_begun() {
        let log = Log::default();
        let before = Instant::now();
        log.begin(3);
        let first = Instant::now();
        log.end();
        let between = Instant::now();
        log.begin(4);
        let second = Instant::now();
        let of = |time| log.at(time).map(|moment| (moment.number, moment.generation, moment.under_way));
        assert_eq!(log.len(), 2);
        assert_eq!(of(before), None);
        assert_eq!(of(first), Some((1, 3, true)));
        assert_eq!(of(between), Some((1, 3, false)));
        assert_eq!(of(second), Some((2, 4, true)));
    }
}
