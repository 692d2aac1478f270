//! What a rehearsal tries, and what its tries prove.

use super::judge::{self, Judgement};
use super::tries::{missing_backends, never_reached, tries};
use crate::plan::Expectation;
use netproof_model::Observation;
use netproof_model::event::{FindingKind, Status};
use netproof_probe::ProbeRequest;
use std::collections::HashMap;

/// What must still be probed so that each expectation has all its tries; equal requests share theirs.
pub(super) fn fresh_requests(
    requests: &[ProbeRequest],
    expectations: &[Expectation],
    known: &HashMap<ProbeRequest, Vec<Observation>>,
) -> Vec<ProbeRequest> {
    let mut have: HashMap<&ProbeRequest, usize> = HashMap::new();
    let mut fresh = Vec::new();
    for (request, expectation) in requests.iter().zip(expectations) {
        let needed = tries(expectation);
        let have = have.entry(request).or_insert_with(|| known.get(request).map_or(0, Vec::len));
        fresh.extend(std::iter::repeat_n(request.clone(), needed.saturating_sub(*have)));
        *have = needed.max(*have);
    }
    fresh
}

/// Judges all tries of a rehearsed flow, and that they reached each backend whose denial is expected; the
/// first that is not as it should be stands for it.
pub(super) fn judge_rehearsal<'o>(
    expectation: &Expectation,
    first: &'o Observation,
    tries: &'o [Observation],
) -> (&'o Observation, Judgement) {
    for observation in tries {
        let judgement = judge::judge_rehearsal(expectation.baseline.as_ref(), observation);
        if judgement.status != Status::Passed {
            return (observation, judgement);
        }
    }
    let mut judgement = judge::judge_rehearsal(expectation.baseline.as_ref(), first);
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

#[cfg(test)]
mod tests {
    use super::super::judge::tests::{expectation, observation};
    use super::*;
    use crate::plan::{Expected, VerdictWord};
    use netproof_model::{Family, Outcome, Place};
    use netproof_probe::{Patience, ProbePort, Target};

    fn backends() -> Expectation {
        let verdict = |name, verdict| (Place::pod("default", name), verdict);
        let verdicts = [verdict("a", VerdictWord::Allow), verdict("b", VerdictWord::Deny)];
        expectation(Expected::PerBackend(verdicts.into()), None)
    }

    fn answered_by(name: &str) -> Observation {
        Observation { served_by: Some(Place::pod("default", name)), ..observation(Outcome::Connected) }
    }

    #[test]
    fn every_backend_that_is_to_be_denied_must_have_answered() {
        let expectation = backends();
        let status = |tries: &[Observation]| judge_rehearsal(&expectation, &tries[0], tries).1.status;
        assert_eq!(status(&[answered_by("a"), answered_by("b")]), Status::Passed);
        assert_eq!(status(&[answered_by("a"), answered_by("a")]), Status::Failed);
        assert_eq!(
            status(&[answered_by("a"), answered_by("b"), observation(Outcome::Refused)]),
            Status::Failed
        );
    }

    #[test]
    fn equal_requests_share_their_tries() {
        let request = ProbeRequest {
            source: Place::pod("default", "c"),
            family: Family::Ipv4,
            target: Target::Address("10.96.0.50".parse().unwrap()),
            port: ProbePort::Icmp,
            patience: Patience::ForAnswer,
            keep: false,
        };
        let (requests, many) = (vec![request.clone(); 2], backends());
        let once = expectation(Expected::Deny, None);
        let count = |expectations: &[Expectation], known| {
            fresh_requests(&requests, expectations, &HashMap::from([(request.clone(), known)])).len()
        };
        assert_eq!(count(&[once.clone(), once.clone()], vec![]), 1);
        assert_eq!(count(&[once.clone(), many.clone()], vec![]), tries(&many));
        assert_eq!(count(&[many.clone(), once.clone()], vec![answered_by("a")]), tries(&many) - 1);
        assert_eq!(count(&[once.clone(), once], vec![answered_by("a")]), 0);
    }
}
