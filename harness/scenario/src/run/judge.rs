//! Judging: one expectation held against one observation.

use super::evidence::{self, address_name, covers};
use crate::plan::{
    AddressName, Baseline, DecidedBy, Expectation, Expected, OutcomeWord, PolicySees, rejection_word,
};
use netproof_controlplane::Snapshot;
use netproof_model::event::{Denial, Status};
use netproof_model::{Action, Decision, Observation, Outcome};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// The result of one comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Judgement {
    pub(crate) status: Status,
    /// What was observed, in the words in which expectations are written.
    pub(crate) observed: String,
    /// What is not as expected, one sentence each.
    pub(crate) messages: Vec<String>,
}

impl Judgement {
    fn new(observed: String, problems: Vec<String>) -> Self {
        let status = if problems.is_empty() { Status::Passed } else { Status::Failed };
        Judgement { status, observed, messages: problems }
    }
}

/// What a person would call the outcome: `allow`, `drop`, `reject`, or the outcome's own word.
pub(crate) fn observed_word(outcome: Outcome, denials: &[Denial]) -> &'static str {
    match outcome {
        Outcome::Connected => "allow",
        Outcome::Dropped => "drop",
        Outcome::Rejected(_) => "reject",
        // The source's own stack refused; the rule that did it says which of the two it was.
        Outcome::NotPermitted => match denials.first().map(|denial| denial.action) {
            Some(Action::Reject) => "reject",
            _ => "drop",
        },
        other => other.word(),
    }
}

/// Whether an expectation counts as a deny by policy, which only counts where the rehearsal connects.
/// A name server that cannot be reached is one: without policy, it can.
pub(crate) fn expects_denial(expectation: &Expectation) -> bool {
    match &expectation.expected {
        Expected::Outcome(word) => *word == OutcomeWord::NameServerUnreachable,
        expected => expected.is_denial() && expectation.decided_by != Some(DecidedBy::Service),
    }
}

/// Judges an expectation of the run itself.
///
/// Every rule that drops or rejects logs, and without an enforcer there is none: what looks like a denial
/// and was logged by nobody is no verdict.
pub(crate) fn judge(
    expectation: &Expectation,
    expected: &Expected,
    observation: &Observation,
    denials: &[Denial],
    snapshot: &Snapshot,
) -> Judgement {
    let outcome = observation.outcome;
    let observed = observed_word(outcome, denials).to_owned();
    // What is so without policy, too, needs no rule that explains it.
    let is_baseline = expectation.baseline.as_ref().is_some_and(|baseline| baseline.outcome.is(outcome));
    if denials.is_empty() && outcome.is_denial() && !is_baseline {
        let what = match outcome {
            Outcome::Dropped => "the request was lost on the way",
            Outcome::ReplyLost => "the answer was lost on the way",
            Outcome::NotPermitted => "the source's own stack refused to send the request",
            Outcome::NameServerUnreachable => "the name server gave no answer",
            _ => "the request was rejected on the way",
        };
        let message = format!("{what}, and no rule of the enforcer or the proxy logged that it did that");
        return Judgement { status: Status::Errored, observed, messages: vec![message] };
    }
    let mut problems = Vec::new();
    let mut unknown = Vec::new();
    if !matches(expected, outcome, &observed) {
        problems.push(format!("expected {expected}, observed {observed}"));
        if outcome == Outcome::NameServerUnreachable && expected.is_denial() {
            problems.push(
                "the name could not be resolved, so the destination was never tried; \
                 if that is meant, write `outcome: name-server-unreachable`"
                    .to_owned(),
            );
        }
    } else {
        problems.extend(wrong_decider(expectation, expected, observation, denials));
        problems.extend(wrong_source(expectation, observation, snapshot));
        let evidence = [
            wrong_rejection(expectation, outcome),
            wrong_via(expectation, observation),
            wrong_policy_sees(expectation, observation, denials, snapshot),
            wrong_names(expectation, observation, snapshot),
        ];
        for finding in evidence {
            match finding {
                Finding::Right => {}
                Finding::Wrong(problem) => problems.push(problem),
                Finding::Unknown(why) => unknown.push(why),
            }
        }
    }
    if problems.is_empty() && !unknown.is_empty() {
        return Judgement { status: Status::Errored, observed, messages: unknown };
    }
    Judgement::new(observed, problems)
}

/// What the evidence says about one part of an expectation.
enum Finding {
    /// It is so, or nothing was expected.
    Right,
    /// It is not so.
    Wrong(String),
    /// There is no evidence: no verdict.
    Unknown(String),
}

/// Whether the outcome is the expected one; deciders and addresses apart.
fn matches(expected: &Expected, outcome: Outcome, observed: &str) -> bool {
    match expected {
        Expected::Allow => outcome == Outcome::Connected,
        // Where only the answer was lost, the request had got through.
        Expected::Deny => matches!(observed, "drop" | "reject"),
        Expected::Drop => observed == "drop",
        Expected::Reject => observed == "reject",
        Expected::Outcome(word) => word.is(outcome),
        // The caller picks the verdict of the backend that a try reached.
        Expected::PerBackend(_) => false,
        Expected::Observe => true,
    }
}

fn wrong_decider(
    expectation: &Expectation,
    expected: &Expected,
    observation: &Observation,
    denials: &[Denial],
) -> Option<String> {
    let first = denials.first().map(|denial| &denial.decision);
    match (&expectation.decided_by, first) {
        (None, Some(decision)) if !decision.is_policy() && expected.is_denial() => {
            Some(format!("denied, but not by policy: {decision}"))
        }
        (None, _) => None,
        (Some(_), None) if observation.outcome == Outcome::Connected => None,
        (Some(wanted), None) => {
            Some(format!("expected to be decided by {wanted}, but nothing says who decided"))
        }
        (Some(wanted), Some(decision)) if decides(wanted, decision) => None,
        (Some(wanted), Some(decision)) => {
            Some(format!("expected to be decided by {wanted}, decided by {decision}"))
        }
    }
}

/// Whether the decision is one that `wanted` names.
fn decides(wanted: &DecidedBy, decision: &Decision) -> bool {
    match (wanted, decision) {
        (
            DecidedBy::Policy { policy, direction, rule },
            Decision::Rule { policy: by, direction: at, rule: nth },
        ) => policy == by && direction.is_none_or(|it| it == *at) && rule.is_none_or(|it| it == *nth),
        (
            DecidedBy::Policy { policy, direction, rule: None },
            Decision::Isolation { policies, direction: at, .. },
        ) => policies.contains(policy) && direction.is_none_or(|it| it == *at),
        (DecidedBy::Isolation, Decision::Isolation { .. }) => true,
        (DecidedBy::Service, decision) => decision.is_service(),
        _ => false,
    }
}

fn wrong_source(expectation: &Expectation, observation: &Observation, snapshot: &Snapshot) -> Option<String> {
    let wanted = expectation.sees.as_ref()?;
    let Some(seen) = observation.seen_source else {
        return Some(format!("expected the server to see {wanted}, but it saw no packet"));
    };
    if covers(wanted, seen, snapshot) {
        return None;
    }
    Some(format!("expected the server to see {wanted}, it saw {}", address_name(seen, snapshot)))
}

fn wrong_rejection(expectation: &Expectation, outcome: Outcome) -> Finding {
    let Some(wanted) = expectation.rejected_with else { return Finding::Right };
    match outcome {
        Outcome::Rejected(kind) if kind == wanted => Finding::Right,
        Outcome::Rejected(kind) => Finding::Wrong(format!(
            "expected to be rejected with {}, it was with {}",
            rejection_word(wanted),
            rejection_word(kind)
        )),
        Outcome::NotPermitted => Finding::Unknown(format!(
            "expected to be rejected with {}, but the source's own stack refused to send, which looks the same \
             however it is rejected",
            rejection_word(wanted)
        )),
        other => {
            Finding::Wrong(format!("expected to be rejected with {}, it was {other}", rejection_word(wanted)))
        }
    }
}

/// Why there is no evidence of a request's way.
fn unobserved(expectation: &Expectation) -> &'static str {
    match expectation.keep {
        true => {
            "no node's observer saw the request (which none does of later requests over a kept connection)"
        }
        false => "no node's observer saw the request",
    }
}

fn wrong_via(expectation: &Expectation, observation: &Observation) -> Finding {
    let Some(wanted) = &expectation.via else { return Finding::Right };
    let list: Vec<String> = wanted.iter().map(|node| format!("node/{node}")).collect();
    let list = list.join(" or ");
    match evidence::via(observation) {
        Some(node) if wanted.contains(node) => Finding::Right,
        Some(node) => {
            Finding::Wrong(format!("expected {list} to choose the backend, it was chosen by node/{node}"))
        }
        None if observation.passages.is_empty() => {
            let why = unobserved(expectation);
            Finding::Unknown(format!("expected {list} to choose the backend, but {why}"))
        }
        None => Finding::Wrong(format!("expected {list} to choose the backend, but no node chose one")),
    }
}

fn wrong_policy_sees(
    expectation: &Expectation,
    observation: &Observation,
    denials: &[Denial],
    snapshot: &Snapshot,
) -> Finding {
    let Some(PolicySees { source, destination }) = &expectation.policy_sees else { return Finding::Right };
    let Some(decided) = evidence::decided(observation, denials, snapshot) else {
        let why = unobserved(expectation);
        return Finding::Unknown(format!("nothing says which addresses policy saw: {why}"));
    };
    let mut wrong = Vec::new();
    let ends =
        [("source", source, decided.packet.source), ("destination", destination, decided.packet.destination)];
    for (end, wanted, seen) in ends {
        if let Some(wanted) = wanted
            && !covers(wanted, seen, snapshot)
        {
            wrong.push(format!("{wanted} as the {end}, it saw {}", address_name(seen, snapshot)));
        }
    }
    if wrong.is_empty() {
        return Finding::Right;
    }
    Finding::Wrong(format!(
        "expected policy to see {} (on node/{}, hook {})",
        wrong.join(", and "),
        decided.node,
        decided.hook
    ))
}

/// The addresses that a name resolves to are those of the names, each at least once, and no other.
fn wrong_names(expectation: &Expectation, observation: &Observation, snapshot: &Snapshot) -> Finding {
    let Some(wanted) = &expectation.resolves_to else { return Finding::Right };
    let resolved = &observation.resolved;
    if resolved.is_empty() {
        return Finding::Unknown("nothing says what the name resolved to".to_owned());
    }
    let covered = |name: &AddressName| resolved.iter().any(|address| covers(name, *address, snapshot));
    let expected = |address: &IpAddr| wanted.iter().any(|name| covers(name, *address, snapshot));
    if wanted.iter().all(covered) && resolved.iter().all(expected) {
        return Finding::Right;
    }
    let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
    let resolved: Vec<String> = resolved.iter().map(|address| address_name(*address, snapshot)).collect();
    Finding::Wrong(format!(
        "expected the name to resolve to {}, it resolved to {}",
        wanted.join(", "),
        resolved.join(", ")
    ))
}

/// Judges the rehearsal of a flow that a step expects to be denied, or that says what else to expect.
pub(crate) fn judge_rehearsal(baseline: Option<&Baseline>, observation: &Observation) -> Judgement {
    let observed = observed_word(observation.outcome, &[]).to_owned();
    let problem = match baseline {
        Some(baseline) if baseline.outcome.is(observation.outcome) => None,
        Some(baseline) => Some(format!(
            "without policy, expected {} because {}, observed {observed}",
            baseline.outcome, baseline.because
        )),
        None if observation.outcome == Outcome::Connected => None,
        None => Some(format!(
            "the flow does not connect without policy either (observed {observed}), so a deny would prove nothing; \
             if that is meant, say so: `baseline: {{outcome: {observed}, because: ...}}`"
        )),
    };
    Judgement::new(observed, problem.into_iter().collect())
}

/// Judges a flow after the policies were removed: it must behave as it did in the rehearsal, whichever
/// backends its tries reached.
pub(crate) fn judge_cleanup(rehearsed: &[Observation], tries: &[Observation]) -> Judgement {
    let (before, observed) = (outcomes(rehearsed), outcomes(tries));
    let problem = (before != observed).then(|| {
        format!("after the policies were removed, expected {before} as before they were applied, observed {observed}")
    });
    Judgement::new(observed, problem.into_iter().collect())
}

/// The try that a clean-up's check tells of: one that no try of the rehearsal was like, else the first.
pub(crate) fn told_of_cleanup<'o>(
    rehearsed: &[Observation],
    tries: &'o [Observation],
) -> Option<&'o Observation> {
    let word = |it: &Observation| observed_word(it.outcome, &[]);
    let strange = tries.iter().find(|it| !rehearsed.iter().any(|before| word(before) == word(it)));
    strange.or(tries.first())
}

/// What became of several tries without policy, each word once: `allow`, or `allow or refused`.
pub(crate) fn outcomes(tries: &[Observation]) -> String {
    let words: BTreeSet<&str> = tries.iter().map(|it| observed_word(it.outcome, &[])).collect();
    words.into_iter().collect::<Vec<_>>().join(" or ")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::plan::{Request, RequestPort, RequestTarget};
    use netproof_controlplane::ControlPlane;
    use netproof_model::event::Location;
    use netproof_model::flow::FlowProtocol;
    use netproof_model::observation::PacketAddresses;
    use netproof_model::topology::{PerFamily, Ranges, TopologyNode};
    use netproof_model::{
        Direction, Families, Family, Hook, Passage, Place, PolicyRef, Protocol, Rejection, Stage, Token,
        Topology, Wiring,
    };
    use std::sync::Arc;
    use std::time::Duration;

    pub(in crate::run) fn snapshot() -> Arc<Snapshot> {
        let range = |v4: &str, v6: &str| PerFamily { ipv4: v4.parse().unwrap(), ipv6: v6.parse().unwrap() };
        let topology = Topology {
            name: "test".into(),
            description: String::new(),
            wiring: Wiring::Routed,
            family: Families::Ipv4,
            ranges: Ranges {
                pods: range("10.244.0.0/16", "fd00:10:244::/48"),
                services: range("10.96.0.0/12", "fd00:10:96::/108"),
                nodes: range("172.18.0.0/24", "fd00:172:18::/64"),
            },
            nodes: vec![TopologyNode { name: "node1".into(), labels: Default::default() }],
            nat_outgoing: false,
            advertised: Default::default(),
            load_balancer: None,
            externals: Vec::new(),
        };
        ControlPlane::new(Arc::new(topology)).unwrap().snapshot()
    }

    pub(in crate::run) fn expectation(expected: Expected, decided_by: Option<DecidedBy>) -> Expectation {
        Expectation {
            name: "step/flow".into(),
            location: Location { file: "f".into(), line: 1, column: 1 },
            step: "step".into(),
            flow: "pod/a -> pod/b:80".parse().unwrap(),
            family: Family::Ipv4,
            request: Request {
                source: Place::pod("default", "a"),
                target: RequestTarget::Address("10.244.1.3".parse().unwrap()),
                port: RequestPort::Port { port: 80, protocol: FlowProtocol::Tcp },
            },
            expected,
            decided_by,
            sees: None,
            served_by: None,
            sticky: false,
            via: None,
            policy_sees: None,
            rejected_with: None,
            resolves_to: None,
            keep: false,
            backends: Default::default(),
            baseline: None,
        }
    }

    pub(in crate::run) fn observation(outcome: Outcome) -> Observation {
        Observation {
            outcome,
            stage: Stage::Connect,
            destination: None,
            token: Token(1),
            served_by: None,
            seen_source: Some("172.18.0.2".parse().unwrap()),
            logs: Vec::new(),
            sightings: Vec::new(),
            passages: Vec::new(),
            resolved: Vec::new(),
            elapsed: Duration::ZERO,
            waited: Duration::ZERO,
        }
    }

    fn denial(decision: Decision, action: Action) -> Denial {
        let packet = PacketAddresses {
            source: "10.244.1.2".parse().unwrap(),
            destination: "10.244.1.3".parse().unwrap(),
            protocol: Protocol::Tcp,
            source_port: 1000,
            destination_port: 80,
        };
        Denial { decision, action, node: "node1".into(), hook: Hook::Forward, packet }
    }

    fn isolation() -> Denial {
        let decision = Decision::Isolation {
            endpoint: Place::pod("default", "b"),
            direction: Direction::Ingress,
            policies: vec![PolicyRef::network_policy("default", "deny")],
        };
        denial(decision, Action::Drop)
    }

    fn no_endpoints() -> Denial {
        let service = netproof_model::NamespacedName::new("default", "web");
        denial(Decision::Service { service, reason: "no endpoints".into() }, Action::Reject)
    }

    fn spoofed() -> Denial {
        denial(Decision::Spoofed { endpoint: None }, Action::Drop)
    }

    fn policy(name: &str, rule: Option<usize>) -> Option<DecidedBy> {
        let policy = PolicyRef::network_policy("default", name);
        Some(DecidedBy::Policy { policy, direction: None, rule })
    }

    /// Expected, decided by whom, outcome, what was logged: the status.
    #[test]
    fn an_outcome_is_held_against_the_expectation() {
        use Status::{Errored, Failed, Passed};
        let reset = Outcome::Rejected(Rejection::TcpReset);
        let table = [
            (Expected::Allow, None, Outcome::Connected, vec![], Passed),
            (Expected::Allow, None, Outcome::Dropped, vec![isolation()], Failed),
            (Expected::Allow, None, Outcome::Refused, vec![], Failed),
            (Expected::Deny, None, Outcome::Connected, vec![], Failed),
            (Expected::Deny, None, Outcome::Dropped, vec![isolation()], Passed),
            (Expected::Deny, policy("deny", None), Outcome::Dropped, vec![isolation()], Passed),
            (Expected::Deny, policy("other", None), Outcome::Dropped, vec![isolation()], Failed),
            (Expected::Deny, policy("deny", Some(0)), Outcome::Dropped, vec![isolation()], Failed),
            (Expected::Deny, Some(DecidedBy::Isolation), Outcome::Dropped, vec![isolation()], Passed),
            (Expected::Deny, Some(DecidedBy::Service), Outcome::Dropped, vec![isolation()], Failed),
            (Expected::Drop, None, Outcome::Dropped, vec![isolation()], Passed),
            (Expected::Reject, None, Outcome::Dropped, vec![isolation()], Failed),
            // Not connected is not denied: nobody listens, no endpoints, no name, no route.
            (Expected::Deny, None, Outcome::Refused, vec![], Failed),
            (Expected::Deny, None, reset, vec![no_endpoints()], Failed),
            (Expected::Deny, None, Outcome::NameNotFound, vec![], Failed),
            (Expected::Deny, None, Outcome::NameServerUnreachable, vec![isolation()], Failed),
            (Expected::Deny, None, Outcome::Unreachable, vec![], Failed),
            (Expected::Reject, Some(DecidedBy::Service), reset, vec![no_endpoints()], Passed),
            (Expected::Outcome(OutcomeWord::Refused), None, Outcome::Refused, vec![], Passed),
            (Expected::Outcome(OutcomeWord::Refused), None, reset, vec![no_endpoints()], Failed),
            // Denied, but by the check of source addresses: something is wrong with the cluster.
            (Expected::Deny, None, Outcome::Dropped, vec![spoofed()], Failed),
            (Expected::Reject, None, reset, vec![no_endpoints()], Failed),
            // Denied without a trace is no verdict at all.
            (Expected::Deny, None, Outcome::Dropped, vec![], Errored),
            (Expected::Deny, None, Outcome::NotPermitted, vec![], Errored),
            (Expected::Deny, None, reset, vec![], Errored),
            (Expected::Reject, None, reset, vec![], Errored),
            (Expected::Allow, None, Outcome::ReplyLost, vec![], Errored),
            // The request arrived: it was not denied.
            (Expected::Deny, None, Outcome::ReplyLost, vec![isolation()], Failed),
            (Expected::Drop, None, Outcome::ReplyLost, vec![isolation()], Failed),
            (Expected::Observe, None, Outcome::Refused, vec![], Passed),
        ];
        let snapshot = snapshot();
        for (expected, decided_by, outcome, denials, status) in table {
            let expectation = expectation(expected, decided_by);
            let judgement =
                judge(&expectation, &expectation.expected, &observation(outcome), &denials, &snapshot);
            assert_eq!(judgement.status, status, "{expectation:?} {outcome:?}: {judgement:?}");
        }
    }

    #[test]
    fn a_name_server_that_never_answers_is_the_baseline_or_needs_a_reason() {
        let outcome = Outcome::NameServerUnreachable;
        let word = OutcomeWord::NameServerUnreachable;
        let mut expectation = expectation(Expected::Outcome(word), None);
        let status = |expectation: &Expectation, denials: &[Denial]| {
            judge(expectation, &expectation.expected, &observation(outcome), denials, &snapshot()).status
        };
        assert_eq!(status(&expectation, &[isolation()]), Status::Passed);
        assert_eq!(status(&expectation, &[]), Status::Errored);
        expectation.baseline = Some(Baseline { outcome: word, because: "nobody serves names".into() });
        assert_eq!(status(&expectation, &[]), Status::Passed);
    }

    #[test]
    fn the_source_that_the_server_saw_is_compared_by_name() {
        let snapshot = snapshot();
        let mut expectation = expectation(Expected::Allow, None);
        for (name, status) in [("node1", Status::Passed), ("node2", Status::Failed)] {
            expectation.sees = Some(AddressName::Place(Place::node(name)));
            let seen = observation(Outcome::Connected);
            let judgement = judge(&expectation, &Expected::Allow, &seen, &[], &snapshot);
            assert_eq!(judgement.status, status, "{judgement:?}");
        }
    }

    fn passed(node: &str, hook: Hook, translated: bool, [source, destination]: [&str; 2]) -> Passage {
        let packet = PacketAddresses {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
            protocol: Protocol::Tcp,
            source_port: 1000,
            destination_port: 80,
        };
        Passage { node: node.into(), hook, translated, packet, token: Token(1) }
    }

    #[test]
    fn evidence_of_the_way_is_compared_and_its_absence_is_no_verdict() {
        let snapshot = snapshot();
        let seen = Observation {
            passages: vec![passed("node1", Hook::Forward, true, ["172.18.0.2", "10.244.1.3"])],
            resolved: vec!["10.244.1.3".parse().unwrap(), "172.18.0.2".parse().unwrap()],
            ..observation(Outcome::Connected)
        };
        let node = || Some(AddressName::Place(Place::node("node1")));
        let ip = |text: &str| AddressName::Address(text.parse().unwrap());
        let policy_sees = |source, destination| Some(PolicySees { source, destination });
        let via = |node: &str| Some([node.to_owned()].into());
        type Change<'a> = Box<dyn Fn(&mut Expectation) + 'a>;
        let table: [(Change<'_>, Status); 11] = [
            (Box::new(|it| it.via = via("node1")), Status::Passed),
            (Box::new(|it| it.via = via("node2")), Status::Failed),
            (Box::new(|it| it.policy_sees = policy_sees(node(), None)), Status::Passed),
            (Box::new(|it| it.policy_sees = policy_sees(node(), Some(ip("10.244.1.3")))), Status::Passed),
            (Box::new(|it| it.policy_sees = policy_sees(node(), Some(ip("10.96.0.1")))), Status::Failed),
            (Box::new(|it| it.policy_sees = policy_sees(Some(ip("10.244.1.3")), None)), Status::Failed),
            (Box::new(|it| it.policy_sees = policy_sees(None, node())), Status::Failed),
            (Box::new(|it| it.resolves_to = Some(vec![ip("10.244.1.3"), ip("172.18.0.2")])), Status::Passed),
            (Box::new(|it| it.resolves_to = Some(vec![ip("10.244.1.3")])), Status::Failed),
            (
                Box::new(|it| {
                    it.resolves_to = Some(vec![ip("10.244.1.3"), ip("172.18.0.2"), ip("10.244.1.4")]);
                }),
                Status::Failed,
            ),
            (Box::new(|it| it.sees = Some(AddressName::Place(Place::Router))), Status::Failed),
        ];
        for (change, status) in table {
            let mut expectation = expectation(Expected::Allow, None);
            change(&mut expectation);
            let judgement = judge(&expectation, &Expected::Allow, &seen, &[], &snapshot);
            assert_eq!(judgement.status, status, "{expectation:?}: {judgement:?}");
            // Nobody watched: what the server saw is still known, and nothing else.
            let blind = observation(Outcome::Connected);
            let judgement = judge(&expectation, &Expected::Allow, &blind, &[], &snapshot);
            let wanted = if expectation.sees.is_some() { status } else { Status::Errored };
            assert_eq!(judgement.status, wanted, "{expectation:?}: {judgement:?}");
        }
        // Observed, and no node translated it.
        let mut expectation = expectation(Expected::Allow, None);
        expectation.via = via("node1");
        let direct = Observation {
            passages: vec![passed("node1", Hook::Forward, false, ["172.18.0.2", "10.244.1.3"])],
            ..observation(Outcome::Connected)
        };
        assert_eq!(judge(&expectation, &Expected::Allow, &direct, &[], &snapshot).status, Status::Failed);
        // The router has the first address of the nodes' range.
        expectation.via = None;
        expectation.sees = Some(AddressName::Place(Place::Router));
        let by_router = Observation { seen_source: Some("172.18.0.1".parse().unwrap()), ..direct };
        assert_eq!(judge(&expectation, &Expected::Allow, &by_router, &[], &snapshot).status, Status::Passed);
    }

    #[test]
    fn a_rejection_is_of_its_kind() {
        let snapshot = snapshot();
        let mut expectation = expectation(Expected::Deny, None);
        expectation.rejected_with = Some(Rejection::AdminProhibited);
        for (outcome, action, status) in [
            (Outcome::Rejected(Rejection::AdminProhibited), Action::Reject, Status::Passed),
            (Outcome::Rejected(Rejection::TcpReset), Action::Reject, Status::Failed),
            (Outcome::Dropped, Action::Drop, Status::Failed),
            // The source's own stack refused: how is not to be seen.
            (Outcome::NotPermitted, Action::Reject, Status::Errored),
        ] {
            let denials = [Denial { action, ..isolation() }];
            let judgement = judge(&expectation, &Expected::Deny, &observation(outcome), &denials, &snapshot);
            assert_eq!(judgement.status, status, "{outcome}: {judgement:?}");
        }
    }

    #[test]
    fn a_deny_needs_a_rehearsal_that_connects() {
        assert_eq!(judge_rehearsal(None, &observation(Outcome::Connected)).status, Status::Passed);
        assert_eq!(judge_rehearsal(None, &observation(Outcome::Refused)).status, Status::Failed);
        let baseline = Baseline { outcome: OutcomeWord::Refused, because: "nothing listens".into() };
        assert_eq!(judge_rehearsal(Some(&baseline), &observation(Outcome::Refused)).status, Status::Passed);
        assert_eq!(judge_rehearsal(Some(&baseline), &observation(Outcome::Connected)).status, Status::Failed);
    }

    #[test]
    fn the_clean_up_must_end_where_the_rehearsal_was() {
        let [connected, refused, dropped] =
            [Outcome::Connected, Outcome::Refused, Outcome::Dropped].map(observation);
        let status = |before: &[&Observation], after: &[&Observation]| {
            let own = |all: &[&Observation]| all.iter().map(|it| (*it).clone()).collect::<Vec<_>>();
            judge_cleanup(&own(before), &own(after)).status
        };
        assert_eq!(status(&[&connected], &[&connected]), Status::Passed);
        assert_eq!(status(&[&connected], &[&dropped]), Status::Failed);
        // Backends may differ without policy, too; their order is chance.
        let both = [&connected, &refused];
        assert_eq!(status(&both, &[&refused, &connected, &refused]), Status::Passed);
        assert_eq!(status(&both, &[&connected, &connected]), Status::Failed);
        assert_eq!(status(&[&connected, &connected], &[&connected, &dropped]), Status::Failed);
    }
}
