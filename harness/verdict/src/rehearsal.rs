//! What the rehearsal of a flow proves: that it connects without policy, so that a deny of it is policy's.

use crate::evidence::observed;
use crate::judge::Judgement;
use crate::tries::{missing_backends, never_reached};
use netproof_model::event::{Finding, FindingKind, Status};
use netproof_model::{Observation, Outcome, Verdict};
use netproof_plan::{Baseline, Expectation};

/// Judges all tries of a rehearsed flow, and that they reached each backend whose denial is expected; the
/// first that is not as it should be stands for it.
pub fn judge<'o>(
    expectation: &Expectation,
    first: &'o Observation,
    tries: &'o [Observation],
) -> (&'o Observation, Judgement) {
    for observation in tries {
        let judgement = judge_try(expectation.baseline.as_ref(), observation);
        if judgement.status != Status::Passed {
            return (observation, judgement);
        }
    }
    let mut judgement = judge_try(expectation.baseline.as_ref(), first);
    let missing = missing_backends(expectation, tries.iter().filter_map(|it| it.served_by.as_ref()));
    if expectation.baseline.is_none() && !missing.is_empty() {
        judgement.status = Status::Failed;
        let missing = never_reached(tries.len(), &missing);
        judgement.add(
            FindingKind::WrongInRehearsal,
            format!("without policy, {missing}, so a deny of it would prove nothing"),
        );
    }
    (first, judgement)
}

/// Judges the rehearsal of a flow that a step expects to be denied, or that says what else to expect.
pub fn judge_try(baseline: Option<&Baseline>, observation: &Observation) -> Judgement {
    let observed = observed(observation.outcome, &[]);
    let problem = match baseline {
        Some(baseline) if observation.outcome.is(baseline.outcome) => None,
        Some(baseline) => Some(format!(
            "without policy, expected {} because {}, observed {observed}",
            baseline.outcome, baseline.because
        )),
        None if observation.outcome == Outcome::Connected => None,
        None => {
            // A service without endpoints rejects; a `baseline` is about what no rule does.
            let outcome = Verdict::OUTCOMES.into_iter().find(|it| observation.outcome.is(*it));
            let remedy = match outcome {
                Some(word) => format!("say so: `baseline: {{outcome: {word}, because: ...}}`"),
                None => "and a service proxy denies it, write `decidedBy: service`".to_owned(),
            };
            Some(format!(
                "the flow does not connect without policy either (observed {observed}), so a deny would prove \
                 nothing; if that is meant, {remedy}"
            ))
        }
    };
    let problem = problem.map(|it| Finding::new(FindingKind::WrongInRehearsal, it));
    Judgement::new(observed, problem.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use netproof_model::Place;
    use netproof_model::Verdict;
    use netproof_plan::Expected;
    use netproof_plan::testing::{expectation, observation};

    fn backends() -> Expectation {
        let verdict = |name, verdict| (Place::pod("default", name), verdict);
        let verdicts = [verdict("a", Verdict::Allow), verdict("b", Verdict::Deny)];
        expectation(Expected::PerBackend(verdicts.into()), None)
    }

    fn answered_by(name: &str) -> Observation {
        Observation { served_by: Some(Place::pod("default", name)), ..observation(Outcome::Connected) }
    }

    #[test]
    fn every_backend_that_is_to_be_denied_must_have_answered() {
        let expectation = backends();
        let status = |tries: &[Observation]| judge(&expectation, &tries[0], tries).1.status;
        assert_eq!(status(&[answered_by("a"), answered_by("b")]), Status::Passed);
        assert_eq!(status(&[answered_by("a"), answered_by("a")]), Status::Failed);
        assert_eq!(
            status(&[answered_by("a"), answered_by("b"), observation(Outcome::Refused)]),
            Status::Failed
        );
    }
}
