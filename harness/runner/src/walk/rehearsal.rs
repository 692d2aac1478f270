//! What a rehearsal tries.

use netproof_model::Observation;
use netproof_plan::Expectation;
use netproof_probe::Probe;
use netproof_verdict::tries::tries;
use std::collections::HashMap;

/// What must still be probed so that each expectation has all its tries; equal requests share theirs.
pub(super) fn fresh_requests(
    requests: &[Probe],
    expectations: &[Expectation],
    known: &HashMap<Probe, Vec<Observation>>,
) -> Vec<Probe> {
    let mut have: HashMap<&Probe, usize> = HashMap::new();
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
    use netproof_model::Verdict;
    use netproof_model::request::{Request, RequestPort, RequestTarget};
    use netproof_model::{Family, Outcome, Place};
    use netproof_plan::Expected;
    use netproof_plan::testing::{expectation, observation};
    use netproof_probe::Patience;

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
        let request = Probe {
            request: Request {
                source: Place::pod("default", "c"),
                target: RequestTarget::Address("10.96.0.50".parse().unwrap()),
                port: RequestPort::Icmp,
            },
            family: Family::Ipv4,
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
