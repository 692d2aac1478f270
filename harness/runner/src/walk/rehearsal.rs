//! What a rehearsal tries.

use netproof_model::Observation;
use netproof_plan::Expectation;
use netproof_probe::ProbeRequest;
use netproof_verdict::tries::tries;
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{expectation, observation};
    use netproof_model::Verdict;
    use netproof_model::{Family, Outcome, Place};
    use netproof_plan::Expected;
    use netproof_probe::{Patience, ProbePort, Target};

    fn backends() -> Expectation {
        let verdict = |name, verdict| (Place::pod("default", name), verdict);
        let verdicts = [verdict("a", Verdict::Allow), verdict("b", Verdict::Deny)];
        expectation(Expected::PerBackend(verdicts.into()), None)
    }

    fn answered_by(name: &str) -> Observation {
        Observation { served_by: Some(Place::pod("default", name)), ..observation(Outcome::Connected) }
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
        let once = expectation(Expected::All(Verdict::Deny), None);
        let count = |expectations: &[Expectation], known| {
            fresh_requests(&requests, expectations, &HashMap::from([(request.clone(), known)])).len()
        };
        assert_eq!(count(&[once.clone(), once.clone()], vec![]), 1);
        assert_eq!(count(&[once.clone(), many.clone()], vec![]), tries(&many));
        assert_eq!(count(&[many.clone(), once.clone()], vec![answered_by("a")]), tries(&many) - 1);
        assert_eq!(count(&[once.clone(), once], vec![answered_by("a")]), 0);
    }
}
