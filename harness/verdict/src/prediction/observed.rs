//! What a try did, held against what the API says. Flows that a step names and cells of matrices, and with them
//! `matrix` and `fuzz`, are all judged by this one comparison.

use crate::evidence;
use crate::prediction::{Answer, ApiVerdict, Course};
use netproof_controlplane::Snapshot;
use netproof_model::event::{Denial, FindingKind};
use netproof_model::{Action, Decision, Direction, Observation, Outcome, Place, Verdict, Verdicts};
use netproof_oracle::{self as oracle, PolicyDecision, PredictedDenial};

/// In what a try differs from what the API says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// Another verdict or outcome.
    Verdict,
    /// The verdict is right, and not who decided.
    Decider {
        /// Who did.
        found: Decision,
        /// Who does, as the API says.
        says: String,
    },
    /// A place answered that the request cannot lead to.
    Server(Place),
}

impl Difference {
    /// What it is as a finding.
    pub fn kind(&self) -> FindingKind {
        match self {
            Difference::Verdict => FindingKind::PacketsContradictApi,
            Difference::Decider { .. } => FindingKind::WrongDecider,
            Difference::Server(_) => FindingKind::WrongBackend,
        }
    }

    /// Whether the verdict is right.
    pub fn is_decider(&self) -> bool {
        matches!(self, Difference::Decider { .. })
    }

    /// That the packets contradict the API, and how; right verdicts with wrong deciders are told as such. `observed`: what the packets did, in a word, and what that is to
    /// policy.
    pub fn told(&self, observed: &Verdicts, verdict: Verdict, answer: &Answer) -> String {
        let what = match self {
            Difference::Verdict => {
                let says = answer.against(verdict);
                // Both are an allow where what differs is whether anybody listens.
                let all_allow = answer.courses.iter().all(|course| course.verdict == ApiVerdict::Allow);
                let listener = answer.courses.iter().find_map(Course::listener).filter(|_| all_allow);
                let listener = listener.map(|it| format!(", and {it}")).unwrap_or_default();
                format!("observed {observed}, the API says {says}{listener}")
            }
            Difference::Decider { found, says } => {
                return format!("right verdict, wrong decider: decided by {found}, the API says by {says}");
            }
            Difference::Server(place) => match answer.servers().as_slice() {
                [] => format!("{place} answered, the API says nobody does"),
                servers => format!("{place} answered, the API says {} does", servers.join(" or ")),
            },
        };
        format!("the packets contradict the API: {what}")
    }
}

impl Answer {
    /// In what a try differs from this answer; `None` where it does not, or the API leaves it open. Who decided is
    /// compared where the answer has its derivation.
    pub fn difference(
        &self,
        observation: &Observation,
        denials: &[Denial],
        snapshot: &Snapshot,
    ) -> Option<Difference> {
        let reached = self.reached(observation, denials, snapshot);
        // Any of them may have been it where nobody is known to have been reached.
        let possible = |course: &&Course| reached.is_none() || course.server == reached;
        let agrees = |course: &&Course| self.agrees(course, observation, denials, reached.is_some());
        let mut others = self
            .courses
            .iter()
            .filter(possible)
            .filter(agrees)
            .map(|course| self.other_decider(course, denials, reached.as_ref()))
            .peekable();
        if others.peek().is_some() {
            // It may have been any of those that agree.
            return others.collect::<Option<Vec<_>>>()?.into_iter().next();
        }
        let stranger = reached.as_ref().filter(|place| {
            observation.outcome == Outcome::Connected
                && !self.courses.iter().any(|course| course.server.as_ref() == Some(*place))
                && self.courses.iter().any(|course| course.verdict == ApiVerdict::Allow)
        });
        Some(stranger.map_or(Difference::Verdict, |place| Difference::Server(place.clone())))
    }

    /// Who may answer.
    fn servers(&self) -> Vec<String> {
        let allowed = self.courses.iter().filter(|course| course.verdict == ApiVerdict::Allow);
        allowed.filter_map(|course| course.server.as_ref()).map(ToString::to_string).collect()
    }

    /// Whether a try went as this course says, whoever decided.
    fn agrees(&self, course: &Course, observation: &Observation, denials: &[Denial], is_known: bool) -> bool {
        let outcome = observation.outcome;
        match &course.verdict {
            ApiVerdict::Open(_) => true,
            ApiVerdict::Allow => match outcome {
                // An open connection stays open, whether or not anybody would accept a new one.
                Outcome::Connected => self.exists || (is_known && course.listens),
                Outcome::Refused => course.server.is_some() && !course.listens,
                // On a node the service proxy answers health checks, and not as servers of netproof do.
                Outcome::NoAnswer => matches!(course.server, Some(Place::Node(_))) && course.listens,
                _ => false,
            },
            ApiVerdict::Deny(denial) => match (evidence::observed(outcome, denials), denial.action()) {
                (Verdict::Drop, said) => said.is_none_or(|it| it == Action::Drop),
                (Verdict::Reject, said) => said.is_none_or(|it| it == Action::Reject),
                _ => false,
            },
            ApiVerdict::Unreachable => outcome == Outcome::Unreachable,
            ApiVerdict::NoAnswer => outcome == Outcome::ReplyLost,
            ApiVerdict::NameNotFound => outcome == Outcome::NameNotFound,
            ApiVerdict::NameServerUnreachable => outcome == Outcome::NameServerUnreachable,
        }
    }

    /// That not who the API says decided on a try that went as this course says. An enforcer or proxy that gives no
    /// evidence may have meant anybody.
    fn other_decider(
        &self,
        course: &Course,
        denials: &[Denial],
        reached: Option<&Place>,
    ) -> Option<Difference> {
        let found = &denials.first()?.decision;
        let says = match &course.verdict {
            ApiVerdict::Deny(PredictedDenial::Service { service, .. }) => {
                let is_it = match found {
                    Decision::Service { service: by, .. } => service.as_ref() == Some(by),
                    Decision::UnknownService => service.is_none(),
                    Decision::Unsaid { .. } => found.is_service(),
                    _ => false,
                };
                match service {
                    _ if is_it => return None,
                    Some(service) => format!("service/{service}"),
                    None => Decision::UnknownService.to_string(),
                }
            }
            ApiVerdict::Deny(PredictedDenial::Policy { .. }) | ApiVerdict::NameServerUnreachable => {
                let deciders = self.deciders(reached);
                let is_open = deciders.is_empty() || matches!(found, Decision::Unsaid { .. });
                if found.is_policy() && (is_open || deciders.contains(found)) {
                    return None;
                }
                deciders.first().map_or("policy".to_owned(), ToString::to_string)
            }
            ApiVerdict::Allow
            | ApiVerdict::Open(_)
            | ApiVerdict::Unreachable
            | ApiVerdict::NoAnswer
            | ApiVerdict::NameNotFound => {
                return None;
            }
        };
        Some(Difference::Decider { found: found.clone(), says })
    }

    /// Who may deny, on the ways that lead to the place that a try has reached, or on all of them if that is not known;
    /// empty where the API does not name who, as where a profile denies by itself.
    fn deciders(&self, reached: Option<&Place>) -> Vec<Decision> {
        let ways = self.predictions.iter().flat_map(|prediction| &prediction.alternatives).filter(|way| {
            let server = way.server.as_ref().map(|server| &server.place);
            matches!(way.verdict, oracle::Verdict::Deny(PredictedDenial::Policy { .. }))
                && (reached.is_none() || server == reached)
        });
        let each: Option<Vec<Vec<Decision>>> = ways
            .map(|way| {
                Some(way.deniers().into_iter().cloned().collect()).filter(|by: &Vec<_>| !by.is_empty())
            })
            .collect();
        each.unwrap_or_default().concat()
    }

    /// Who may let it through at one end, on the ways that lead to the place that answered; empty where the API names
    /// nobody, or leaves it open.
    pub(crate) fn allowed_by(
        &self,
        direction: Direction,
        endpoint: &Place,
        server: Option<&Place>,
    ) -> Vec<&Decision> {
        let ways = self.predictions.iter().flat_map(|prediction| &prediction.alternatives);
        let ways = ways.filter(|way| way.server.as_ref().map(|server| &server.place) == server);
        let here = |it: &&PolicyDecision| it.direction == direction && it.endpoint == *endpoint;
        let each: Option<Vec<&[Decision]>> = ways
            .flat_map(|way| way.decisions().filter(here))
            .map(|decision| Some(decision.decided_by()).filter(|by| !by.is_empty()))
            .collect();
        each.unwrap_or_default().into_iter().flatten().collect()
    }

    /// The place that answered (also where the answer was lost) or refused, or the destination of the denied packet.
    fn reached(&self, observation: &Observation, denials: &[Denial], snapshot: &Snapshot) -> Option<Place> {
        if matches!(observation.outcome, Outcome::Connected | Outcome::Refused | Outcome::ReplyLost) {
            return observation.served_by.clone();
        }
        // With one course there is no other place that it could have reached.
        if self.courses.len() == 1 {
            return None;
        }
        let denial = denials.first().filter(|denial| denial.decision.is_policy())?;
        let place = snapshot.place_of_address(denial.packet.destination)?;
        // Before DNAT a packet is addressed to the service.
        let known = self.courses.iter().any(|course| course.server.as_ref() == Some(&place));
        known.then_some(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::isolation;
    use netproof_model::Rejection;
    use netproof_plan::testing::{observation, snapshot};

    fn pod(name: &str) -> Place {
        Place::pod("default", name)
    }

    fn course(server: Option<Place>, verdict: ApiVerdict, listens: bool) -> Course {
        Course { server, verdict, listens }
    }

    fn differs(answer: &Answer, outcome: Outcome, by: Option<Place>) -> Option<Difference> {
        let denials = if outcome.is_denial() { vec![isolation()] } else { Vec::new() };
        let seen = Observation { served_by: by, ..observation(outcome) };
        answer.difference(&seen, &denials, &snapshot())
    }

    /// The server and whether it listens, the outcome and who answered, and how that differs from the API.
    #[test]
    fn getting_through_is_not_enough() {
        let node = Place::node("node1");
        let (connected, refused, no_answer) = (Outcome::Connected, Outcome::Refused, Outcome::NoAnswer);
        for (server, listens, outcome, by, difference) in [
            (pod("a"), true, connected, Some(pod("a")), None),
            (pod("a"), true, connected, Some(pod("b")), Some(Difference::Server(pod("b")))),
            // Somebody must have seen it arrive.
            (pod("a"), true, connected, None, Some(Difference::Verdict)),
            (pod("a"), false, connected, Some(pod("a")), Some(Difference::Verdict)),
            (pod("a"), true, refused, Some(pod("a")), Some(Difference::Verdict)),
            (pod("a"), false, refused, Some(pod("a")), None),
            (pod("a"), true, no_answer, Some(pod("a")), Some(Difference::Verdict)),
            (node.clone(), true, no_answer, Some(node.clone()), None),
            (node.clone(), false, no_answer, Some(node.clone()), Some(Difference::Verdict)),
            (pod("a"), true, Outcome::Dropped, None, Some(Difference::Verdict)),
        ] {
            let courses = vec![course(Some(server), ApiVerdict::Allow, listens)];
            let answer = Answer { courses, ..Answer::default() };
            assert_eq!(differs(&answer, outcome, by), difference, "{answer:?} {outcome}");
        }
        // A connection that is kept outlives that its server listens.
        let courses = vec![course(Some(pod("a")), ApiVerdict::Allow, false)];
        let kept = Answer { courses, exists: true, ..Answer::default() };
        assert_eq!(differs(&kept, connected, Some(pod("a"))), None);
        assert_eq!(differs(&kept, Outcome::Dropped, None), Some(Difference::Verdict));
    }

    #[test]
    fn how_and_by_whom_a_flow_is_denied() {
        let deny = |action| ApiVerdict::Deny(PredictedDenial::Policy { action });
        let reset = Outcome::Rejected(Rejection::TcpReset);
        let verdict = Some(Difference::Verdict);
        for (word, outcome, difference) in [
            (deny(None), Outcome::Dropped, None),
            (deny(None), reset, None),
            (deny(None), Outcome::NotPermitted, None),
            (deny(None), Outcome::ReplyLost, verdict.clone()),
            (deny(Some(Action::Drop)), Outcome::Dropped, None),
            (deny(Some(Action::Drop)), reset, verdict.clone()),
            (deny(Some(Action::Reject)), Outcome::Dropped, verdict.clone()),
            (deny(None), Outcome::Connected, verdict.clone()),
            (ApiVerdict::Unreachable, Outcome::Unreachable, None),
            (ApiVerdict::Unreachable, Outcome::Dropped, verdict.clone()),
            (ApiVerdict::NoAnswer, Outcome::ReplyLost, None),
            (ApiVerdict::NoAnswer, Outcome::Dropped, verdict.clone()),
            (ApiVerdict::NoAnswer, Outcome::Connected, verdict.clone()),
            (ApiVerdict::NameNotFound, Outcome::NameNotFound, None),
            (ApiVerdict::NameServerUnreachable, Outcome::NameServerUnreachable, None),
            (ApiVerdict::NameServerUnreachable, Outcome::Dropped, verdict),
        ] {
            let answer = Answer { courses: vec![course(None, word, false)], ..Answer::default() };
            assert_eq!(differs(&answer, outcome, None), difference, "{answer} {outcome}");
        }
        let service = netproof_model::NamespacedName::new("default", "web");
        let refusal = netproof_oracle::Refusal::NoEndpoints;
        let by_service = ApiVerdict::Deny(PredictedDenial::Service { service: Some(service), refusal });
        let answer = Answer { courses: vec![course(None, by_service, false)], ..Answer::default() };
        let denials = [Denial { action: Action::Reject, ..isolation() }];
        let difference = answer.difference(&observation(reset), &denials, &snapshot());
        let [Denial { decision: found, .. }] = denials;
        assert_eq!(difference, Some(Difference::Decider { found, says: "service/default/web".into() }));
    }
}
