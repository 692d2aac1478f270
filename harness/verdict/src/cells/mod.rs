//! One cell: what the API says about it, held against what a probe saw.

use crate::judge::unexplained;
use crate::prediction::{Answer, Answers, ApiVerdict, Course, Difference};
use netproof_model::event::{Denial, ObservedCells, PredictedCells};
use netproof_model::{Observation, Outcome};
use netproof_oracle::{PredictedDenial, Switch, Switches};

use netproof_plan::cells::Cell;

/// A cell with what the API says about it.
#[derive(Clone, Debug)]
pub struct Predicted {
    /// Which.
    pub cell: Cell,
    /// How it follows, and with that who denies, where policy denies.
    pub answer: Answer,
}

/// How a try of a cell compares with what the API says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// It went as the API says, or the API leaves it open.
    Agrees,
    /// It did not.
    Differs(Difference),
    /// A packet was lost, and nothing says to whom: no verdict.
    Unexplained(String),
}

impl Predicted {
    /// `None` where the API does not speak about the cell.
    pub fn new(answers: &Answers<'_>, cell: Cell) -> Option<Predicted> {
        let answer = answers.fresh(&cell.request)?;
        let mut predicted = Predicted { cell, answer };
        // Some 5,000 cells a step: what nobody asks for is not kept.
        if !predicted.is_denied() {
            predicted.answer.predictions = Vec::new();
        }
        Some(predicted)
    }

    /// Whether policy denies it, for whichever backend: that must be rehearsed.
    pub fn is_denied(&self) -> bool {
        self.answer.courses.iter().any(|course| denies(&course.verdict))
    }

    /// Whether an answer is what is to be waited for.
    pub fn is_answered(&self) -> bool {
        self.answer.courses.iter().all(|course| course.verdict == ApiVerdict::Allow)
    }

    /// Whether nothing but what the API leaves open can keep it from getting through.
    pub fn is_let_through(&self) -> bool {
        self.answer
            .courses
            .iter()
            .all(|course| matches!(course.verdict, ApiVerdict::Allow | ApiVerdict::Open(_)))
    }

    /// Whether somebody listens wherever it may lead.
    pub fn is_served(&self) -> bool {
        self.answer.courses.iter().all(|course| course.server.is_none() || course.listens)
    }

    /// Counts it.
    pub fn count(&self, counts: &mut PredictedCells) {
        let open = self.answer.courses.iter().filter_map(|course| match &course.verdict {
            ApiVerdict::Open(switches) => Some(*switches),
            _ => None,
        });
        let all =
            |what: fn(&ApiVerdict) -> bool| self.answer.courses.iter().all(|course| what(&course.verdict));
        if let Some(switches) = open.reduce(Switches::union) {
            counts.add_undefined(switches.iter().map(Switch::name));
        } else if all(|word| *word == ApiVerdict::Allow) && self.is_served() {
            counts.allowed += 1;
        } else if all(denies) {
            counts.denied += 1;
        } else {
            counts.other += 1;
        }
    }

    /// Holds a try against what the API says.
    pub fn compare(
        &self,
        observation: &Observation,
        denials: &[Denial],
        answers: &Answers<'_>,
    ) -> Comparison {
        let is_open = |course: &Course| matches!(course.verdict, ApiVerdict::Open(_));
        if self.answer.courses.iter().all(is_open) {
            return Comparison::Agrees;
        }
        // That nothing comes back may be what the API says.
        let is_unanswered = observation.outcome == Outcome::ReplyLost
            && self.answer.courses.iter().any(|course| course.verdict == ApiVerdict::NoAnswer);
        if let Some(why) = unexplained(observation.outcome, denials).filter(|_| !is_unanswered) {
            return match self.answer.courses.iter().any(is_open) {
                true => Comparison::Agrees,
                false => Comparison::Unexplained(why),
            };
        }
        match self.answer.difference(observation, denials, answers.snapshot()) {
            None => Comparison::Agrees,
            Some(difference) => Comparison::Differs(difference),
        }
    }
}

/// Counts what a try saw.
pub fn count_observed(counts: &mut ObservedCells, outcome: Outcome, denials: &[Denial]) {
    match outcome {
        Outcome::Connected => counts.allowed += 1,
        _ if is_denial_by_policy(outcome, denials) => counts.denied += 1,
        _ => counts.other += 1,
    }
}

/// Whether policy denied a try. What nobody explains counts as well: it is told as such.
pub fn is_denial_by_policy(outcome: Outcome, denials: &[Denial]) -> bool {
    outcome.is_denial() && denials.first().is_none_or(|denial| denial.decision.is_policy())
}

/// Whether policy denies.
fn denies(word: &ApiVerdict) -> bool {
    matches!(word, ApiVerdict::Deny(PredictedDenial::Policy { .. }) | ApiVerdict::NameServerUnreachable)
}
