//! A flow that a step names: all its tries judged, and the three answers held against each other.

use crate::allowed::{self, Traced};
use crate::judge::{self, Judgement};
use crate::prediction::Answer;
use crate::tries::{Try, backend, expected_of, together};
use crate::unchecked::Unchecked;
use crate::{agreement, evidence};
use netproof_controlplane::Snapshot;
use netproof_model::event::Denial;
use netproof_model::{Decision, Observation};
use netproof_plan::Expectation;

/// What was made of all tries of a flow: one of them stands for all.
#[derive(Clone, Debug)]
pub struct Judged<'o> {
    /// The try that stands for all.
    pub observation: &'o Observation,
    /// What the rules that logged it stand for.
    pub denials: Vec<Denial>,
    /// The result.
    pub judgement: Judgement,
    /// Who let it through at each end, as the traced tries say.
    pub allowed_by: Vec<Decision>,
    /// Why it was not checked who decided, where the expectation names somebody and all else is as expected.
    pub unchecked: Option<Unchecked>,
}

/// Judges all tries of one expectation, each with what the rules that logged it stand for. `answer` is what the API
/// says, if it speaks about the flow; `is_meant`: the scenario has a profile of its own, and means what it expects of
/// what the API leaves open. `strictly`: what the API itself says, where `answer` is what a profile makes of it that is
/// not the scenario's own. `traced`: further tries, of a flow that says who allows ([`allowed::is_traced`]), from an
/// enforcer that does. `None` without any try.
pub fn judge<'o>(
    expectation: &Expectation,
    answer: Option<&Answer>,
    strictly: Option<&Answer>,
    tries: Vec<(&'o Observation, Vec<Denial>)>,
    traced: Option<&[Traced]>,
    snapshot: &Snapshot,
    is_meant: bool,
) -> Option<Judged<'o>> {
    let judge_one = |(observation, denials): (&'o Observation, Vec<Denial>)| {
        let backend = backend(expectation, observation, &denials, snapshot);
        let observed = evidence::observed(observation.outcome, &denials);
        let expected = expected_of(expectation, backend.as_ref(), observed);
        let judgement = match &expected {
            Ok(expected) => judge::judge(expectation, expected, observation, &denials, snapshot),
            Err(stranger) => stranger.clone(),
        };
        let mut one = Try { observation, denials, backend, judgement };
        if let (Some(answer), Ok(expected)) = (answer, &expected) {
            agreement::expect_loss(answer, expected, &mut one, snapshot);
            agreement::leave_open(answer, is_meant, &mut one);
            if let Some(strictly) = strictly {
                agreement::leave_to_profile(answer, strictly, &mut one, snapshot);
            }
        }
        one
    };
    let tries: Vec<Try<'o>> = tries.into_iter().map(judge_one).collect();
    let difference = answer.and_then(|answer| agreement::of_tries(answer, &tries, snapshot));
    let Try { observation, denials, mut judgement, .. } = together(expectation, tries)?;
    let (other_allowed, unchecked) = allowed::judge(expectation, answer, traced, &mut judgement);
    if let Some(answer) = answer {
        let difference = difference.or(other_allowed);
        agreement::of_three(expectation, answer, difference.as_ref(), snapshot, &mut judgement);
    }
    let unchecked = unchecked.or_else(|| judge::unchecked_decider(expectation, &judgement, &denials));
    let allowed_by = traced.map(allowed::deciders).unwrap_or_default();
    Some(Judged { observation, denials, judgement, allowed_by, unchecked })
}
