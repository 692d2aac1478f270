//! One cell: what the API says about it, held against what a probe saw.

use super::super::judge::{observed_word, unexplained};
use crate::prediction::{Answer, Answers, Word};
use netproof_controlplane::Snapshot;
use netproof_model::event::{Denial as Denied, ObservedCells, PredictedCells};
use netproof_model::{Observation, Outcome, Place};
use netproof_oracle::{Denial, Switch, Switches};

use super::Cell;

/// A cell with what the API says about it.
#[derive(Clone, Debug)]
pub(in crate::run) struct Predicted {
    pub(in crate::run) cell: Cell,
    /// Without how it follows, which is asked for again where it is told.
    pub(in crate::run) answer: Answer,
}

/// How a try of a cell compares with what the API says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Comparison {
    /// It went as the API says, or the API leaves it open.
    Agrees,
    /// It did not.
    Differs,
    /// A packet was lost, and nothing says to whom: no verdict.
    Unexplained(String),
}

impl Predicted {
    /// `None` where the API does not speak about the cell.
    pub(super) fn new(answers: &Answers<'_>, cell: Cell) -> Option<Predicted> {
        let mut answer = answers.fresh(&cell.request)?;
        // Some 5,000 cells a step: their derivations are not kept.
        answer.predictions = Vec::new();
        Some(Predicted { cell, answer })
    }

    /// Whether policy denies it, for whichever backend: that must be rehearsed.
    pub(super) fn is_denied(&self) -> bool {
        self.answer.courses.iter().any(|course| denies(&course.word))
    }

    /// Whether an answer is what is to be waited for.
    pub(super) fn is_answered(&self) -> bool {
        self.answer.courses.iter().all(|course| course.word == Word::Allow)
    }

    /// Whether nothing but what the API leaves open can keep it from getting through.
    pub(super) fn is_let_through(&self) -> bool {
        self.answer.courses.iter().all(|course| matches!(course.word, Word::Allow | Word::Open(_)))
    }

    /// Whether somebody listens wherever it may lead.
    pub(super) fn is_served(&self) -> bool {
        self.answer.courses.iter().all(|course| course.server.is_none() || course.listens)
    }

    /// Counts it.
    pub(super) fn count(&self, counts: &mut PredictedCells) {
        let open = self.answer.courses.iter().filter_map(|course| match &course.word {
            Word::Open(switches) => Some(*switches),
            _ => None,
        });
        let all = |what: fn(&Word) -> bool| self.answer.courses.iter().all(|course| what(&course.word));
        if let Some(switches) = open.reduce(Switches::union) {
            counts.add_undefined(switches.iter().map(Switch::name));
        } else if all(|word| *word == Word::Allow) && self.is_served() {
            counts.allowed += 1;
        } else if all(denies) {
            counts.denied += 1;
        } else {
            counts.other += 1;
        }
    }

    /// Holds a try against what the API says.
    pub(super) fn compare(
        &self,
        observation: &Observation,
        denials: &[Denied],
        snapshot: &Snapshot,
    ) -> Comparison {
        let courses = &self.answer.courses;
        let is_open = |word: &Word| matches!(word, Word::Open(_));
        if courses.iter().all(|course| is_open(&course.word)) {
            return Comparison::Agrees;
        }
        let outcome = observation.outcome;
        // That nothing comes back is what the API says.
        let is_unanswered =
            outcome == Outcome::ReplyLost && courses.iter().any(|course| course.word == Word::NoAnswer);
        if let Some(why) = unexplained(outcome, denials).filter(|_| !is_unanswered) {
            return match courses.iter().any(|course| is_open(&course.word)) {
                true => Comparison::Agrees,
                false => Comparison::Unexplained(why),
            };
        }
        let reached = self.reached(observation, denials, snapshot);
        let word = observed_word(outcome, denials);
        let mut candidates = courses.iter().filter(|course| match &reached {
            Some(place) => course.server.as_ref() == Some(place),
            // Any of them may have been it.
            None => true,
        });
        let agrees = candidates.any(|course| match &course.word {
            Word::Allow => match outcome {
                Outcome::Connected => reached.is_some() && course.listens,
                Outcome::Refused => course.server.is_some() && !course.listens,
                _ => false,
            },
            said @ Word::Deny(denial) => said.agrees(outcome, word) && is_by(denial, denials),
            said => said.agrees(outcome, word),
        });
        if agrees { Comparison::Agrees } else { Comparison::Differs }
    }

    /// Who answered or refused, or to whom the packet that policy denied was addressed.
    fn reached(&self, observation: &Observation, denials: &[Denied], snapshot: &Snapshot) -> Option<Place> {
        if matches!(observation.outcome, Outcome::Connected | Outcome::Refused | Outcome::ReplyLost) {
            return observation.served_by.clone();
        }
        // With one course there is nobody else whom it could have met.
        if self.answer.courses.len() == 1 {
            return None;
        }
        let denial = denials.first().filter(|denial| denial.decision.is_policy())?;
        let place = snapshot.place_of_address(denial.packet.destination)?;
        // Before DNAT a packet is addressed to the service.
        let known = self.answer.courses.iter().any(|course| course.server.as_ref() == Some(&place));
        known.then_some(place)
    }
}

/// Counts what a try saw.
pub(super) fn count_observed(counts: &mut ObservedCells, outcome: Outcome, denials: &[Denied]) {
    match outcome {
        Outcome::Connected => counts.allowed += 1,
        _ if is_denial_by_policy(outcome, denials) => counts.denied += 1,
        _ => counts.other += 1,
    }
}

/// Whether policy denied a try. What nobody explains counts as well: it is told as such.
pub(super) fn is_denial_by_policy(outcome: Outcome, denials: &[Denied]) -> bool {
    outcome.is_denial() && denials.first().is_none_or(|denial| denial.decision.is_policy())
}

/// Whether policy denies.
fn denies(word: &Word) -> bool {
    matches!(word, Word::Deny(Denial::Policy { .. }) | Word::NameServerUnreachable)
}

/// Whether the evidence names the same kind of decision: policy, or the service proxy.
fn is_by(denial: &Denial, denials: &[Denied]) -> bool {
    denials.first().is_none_or(|found| match denial {
        Denial::Policy { .. } => found.decision.is_policy(),
        Denial::Service { .. } => found.decision.is_service(),
    })
}
