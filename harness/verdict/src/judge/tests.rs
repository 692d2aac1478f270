//! Expectations and observations made by hand, and what is judged of them.

use super::*;
use crate::rehearsal::judge_try;
use crate::testing::{denial, isolation};
use netproof_model::DecidedBy;
use netproof_model::Verdict;
use netproof_model::observation::{LogRecord, PacketAddresses};
use netproof_model::{Action, Hook, Passage, Place, PolicyKey, Protocol, Rejection, Token};
use netproof_plan::testing::{expectation, observation, snapshot};
use netproof_plan::{AddressName, Baseline, PolicySees};

fn no_endpoints() -> Denial {
    let service = netproof_model::NamespacedName::new("default", "web");
    denial(Decision::Service { service, reason: "no endpoints".into() }, Action::Reject)
}

fn spoofed() -> Denial {
    denial(Decision::Spoofed { endpoint: None }, Action::Drop)
}

fn unsaid(who: Party, action: Action) -> Denial {
    denial(Decision::Unsaid { who }, action)
}

fn policy(name: &str, rule: Option<usize>) -> Option<DecidedBy> {
    let policy = PolicyKey::network_policy("default", name);
    Some(DecidedBy::Policy { policy, direction: None, rule })
}

/// Expected, decided by whom, outcome, what was logged: the status.
#[test]
fn an_outcome_is_held_against_the_expectation() {
    use Status::{Errored, Failed, Passed};
    let reset = Outcome::Rejected(Rejection::TcpReset);
    let table = [
        (Expected::All(Verdict::Allow), None, Outcome::Connected, vec![], Passed),
        (Expected::All(Verdict::Allow), None, Outcome::Dropped, vec![isolation()], Failed),
        (Expected::All(Verdict::Allow), None, Outcome::Refused, vec![], Failed),
        (Expected::All(Verdict::Deny), None, Outcome::Connected, vec![], Failed),
        (Expected::All(Verdict::Deny), None, Outcome::Dropped, vec![isolation()], Passed),
        (Expected::All(Verdict::Deny), policy("deny", None), Outcome::Dropped, vec![isolation()], Passed),
        (Expected::All(Verdict::Deny), policy("other", None), Outcome::Dropped, vec![isolation()], Failed),
        (Expected::All(Verdict::Deny), policy("deny", Some(0)), Outcome::Dropped, vec![isolation()], Failed),
        (
            Expected::All(Verdict::Deny),
            Some(DecidedBy::Isolation),
            Outcome::Dropped,
            vec![isolation()],
            Passed,
        ),
        (Expected::All(Verdict::Deny), Some(DecidedBy::Service), Outcome::Dropped, vec![isolation()], Failed),
        (Expected::All(Verdict::Drop), None, Outcome::Dropped, vec![isolation()], Passed),
        (Expected::All(Verdict::Reject), None, Outcome::Dropped, vec![isolation()], Failed),
        // Not connected is not denied: nobody listens, no endpoints, no name, no route.
        (Expected::All(Verdict::Deny), None, Outcome::Refused, vec![], Failed),
        (Expected::All(Verdict::Deny), None, reset, vec![no_endpoints()], Failed),
        (Expected::All(Verdict::Deny), None, Outcome::NameNotFound, vec![], Failed),
        (Expected::All(Verdict::Deny), None, Outcome::NameServerUnreachable, vec![isolation()], Failed),
        (Expected::All(Verdict::Deny), None, Outcome::Unreachable, vec![], Failed),
        (Expected::All(Verdict::Reject), Some(DecidedBy::Service), reset, vec![no_endpoints()], Passed),
        (Expected::All(Verdict::Refused), None, Outcome::Refused, vec![], Passed),
        (Expected::All(Verdict::Refused), None, reset, vec![no_endpoints()], Failed),
        // Denied, but by the check of source addresses: something is wrong with the cluster.
        (Expected::All(Verdict::Deny), None, Outcome::Dropped, vec![spoofed()], Failed),
        (Expected::All(Verdict::Reject), None, reset, vec![no_endpoints()], Failed),
        // Denied without a trace is no verdict at all.
        (Expected::All(Verdict::Deny), None, Outcome::Dropped, vec![], Errored),
        (Expected::All(Verdict::Deny), None, Outcome::NotPermitted, vec![], Errored),
        (Expected::All(Verdict::Deny), None, reset, vec![], Errored),
        (Expected::All(Verdict::Reject), None, reset, vec![], Errored),
        (Expected::All(Verdict::Allow), None, Outcome::ReplyLost, vec![], Errored),
        // The request arrived: it was not denied.
        (Expected::All(Verdict::Deny), None, Outcome::ReplyLost, vec![isolation()], Failed),
        (Expected::All(Verdict::Drop), None, Outcome::ReplyLost, vec![isolation()], Failed),
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

/// Expected, decided by whom, outcome, of an enforcer that gives no evidence: the status, and whether it is
/// not checked who decided.
#[test]
fn without_evidence_silence_is_a_denial_and_nobody_knows_whose() {
    use Status::{Errored, Failed, Passed};
    let reset = Outcome::Rejected(Rejection::TcpReset);
    let table = [
        (Expected::All(Verdict::Deny), None, Outcome::Dropped, Passed, false),
        (Expected::All(Verdict::Deny), policy("deny", None), Outcome::Dropped, Passed, true),
        (Expected::All(Verdict::Deny), policy("deny", Some(0)), reset, Passed, true),
        (Expected::All(Verdict::Deny), Some(DecidedBy::Isolation), Outcome::NotPermitted, Passed, true),
        (Expected::All(Verdict::Drop), policy("deny", None), reset, Failed, false),
        (Expected::All(Verdict::Reject), None, reset, Passed, false),
        (Expected::All(Verdict::Reject), None, Outcome::Dropped, Failed, false),
        (Expected::All(Verdict::Allow), None, Outcome::Dropped, Failed, false),
        (Expected::All(Verdict::Allow), None, reset, Failed, false),
        (Expected::All(Verdict::Allow), None, Outcome::ReplyLost, Failed, false),
        // The request arrived: it was not denied.
        (Expected::All(Verdict::Deny), policy("deny", None), Outcome::ReplyLost, Failed, false),
        // The proxy says what it denies.
        (Expected::All(Verdict::Reject), Some(DecidedBy::Service), reset, Failed, false),
        // A node's own stack refuses to send for both.
        (Expected::All(Verdict::Deny), None, Outcome::NotPermitted, Passed, false),
        (Expected::All(Verdict::Drop), None, Outcome::NotPermitted, Errored, false),
        (Expected::All(Verdict::Reject), None, Outcome::NotPermitted, Errored, false),
        // Of backends that differ, it is not known which one was asked.
        (Expected::PerBackend(Default::default()), None, Outcome::Dropped, Errored, false),
    ];
    let snapshot = snapshot();
    for (expected, decided_by, outcome, status, unchecked) in table {
        let action = if outcome == reset { Action::Reject } else { Action::Drop };
        let (expectation, denials) = (expectation(expected, decided_by), [unsaid(Party::Enforcer, action)]);
        let judgement =
            judge(&expectation, &expectation.expected, &observation(outcome), &denials, &snapshot);
        assert_eq!(judgement.status, status, "{expectation:?} {outcome:?}: {judgement:?}");
        let why = unchecked_decider(&expectation, &judgement, &denials);
        assert_eq!(why.is_some(), unchecked, "{expectation:?} {outcome:?}: {judgement:?}");
    }
    // Who decided is checked where somebody says it.
    let expectation = expectation(Expected::All(Verdict::Deny), policy("deny", None));
    let passed = judge(
        &expectation,
        &Expected::All(Verdict::Deny),
        &observation(Outcome::Dropped),
        &[isolation()],
        &snapshot,
    );
    assert_eq!(unchecked_decider(&expectation, &passed, &[isolation()]), None);
}

/// Who gives no evidence, by whom it is to be decided: the status of a denial, and why it is not checked who decided.
#[test]
fn a_denial_without_evidence_is_of_those_that_give_none() {
    use Status::{Failed, Passed};
    let (policy, service) = (policy("deny", None), Some(DecidedBy::Service));
    for (who, decided_by, status, unchecked) in [
        (Party::Proxy, None, Failed, None),
        (Party::Proxy, policy.clone(), Failed, None),
        (Party::Proxy, service.clone(), Passed, Some("the proxy gives no evidence of its decisions")),
        (Party::Enforcer, service.clone(), Failed, None),
        (Party::Either, None, Passed, None),
        (
            Party::Either,
            policy,
            Passed,
            Some("neither the enforcer nor the proxy gives evidence of its decisions"),
        ),
        (
            Party::Either,
            service,
            Passed,
            Some("neither the enforcer nor the proxy gives evidence of its decisions"),
        ),
    ] {
        let expectation = expectation(Expected::All(Verdict::Deny), decided_by);
        let denials = [unsaid(who, Action::Drop)];
        let seen = observation(Outcome::Dropped);
        let judgement = judge(&expectation, &expectation.expected, &seen, &denials, &snapshot());
        assert_eq!(judgement.status, status, "{who:?} {judgement:?}");
        let why = unchecked_decider(&expectation, &judgement, &denials).map(|why| why.to_string());
        let expected = unchecked.map(|why| format!("who decided is not checked: {why}"));
        assert_eq!(why, expected, "{who:?} {judgement:?}");
    }
}

#[test]
fn a_name_server_that_never_answers_is_the_baseline_or_needs_a_reason() {
    let outcome = Outcome::NameServerUnreachable;
    let word = Verdict::NameServerUnreachable;
    let mut expectation = expectation(Expected::All(word), None);
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
    let mut expectation = expectation(Expected::All(Verdict::Allow), None);
    for (name, status) in [("node1", Status::Passed), ("node2", Status::Failed)] {
        expectation.sees = Some(AddressName::Place(Place::node(name)));
        let seen = observation(Outcome::Connected);
        let judgement = judge(&expectation, &Expected::All(Verdict::Allow), &seen, &[], &snapshot);
        assert_eq!(judgement.status, status, "{judgement:?}");
        // An answer that is lost without a trace is no verdict, but the source is known all the same.
        let lost = observation(Outcome::ReplyLost);
        let judgement = judge(&expectation, &Expected::All(Verdict::Allow), &lost, &[], &snapshot);
        let status = if status == Status::Passed { Status::Errored } else { status };
        assert_eq!(judgement.status, status, "{judgement:?}");
        let unseen = Observation { seen_source: None, ..observation(Outcome::Dropped) };
        let judgement = judge(&expectation, &Expected::All(Verdict::Allow), &unseen, &[], &snapshot);
        assert_eq!(judgement.status, Status::Errored, "{judgement:?}");
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
        let mut expectation = expectation(Expected::All(Verdict::Allow), None);
        change(&mut expectation);
        let judgement = judge(&expectation, &Expected::All(Verdict::Allow), &seen, &[], &snapshot);
        assert_eq!(judgement.status, status, "{expectation:?}: {judgement:?}");
        // Nobody watched: what the server saw is still known, and nothing else.
        let blind = observation(Outcome::Connected);
        let judgement = judge(&expectation, &Expected::All(Verdict::Allow), &blind, &[], &snapshot);
        let wanted = if expectation.sees.is_some() { status } else { Status::Errored };
        assert_eq!(judgement.status, wanted, "{expectation:?}: {judgement:?}");
    }
    // Observed, and no node translated it.
    let mut expectation = expectation(Expected::All(Verdict::Allow), None);
    expectation.via = via("node1");
    let direct = Observation {
        passages: vec![passed("node1", Hook::Forward, false, ["172.18.0.2", "10.244.1.3"])],
        ..observation(Outcome::Connected)
    };
    assert_eq!(
        judge(&expectation, &Expected::All(Verdict::Allow), &direct, &[], &snapshot).status,
        Status::Failed
    );
    // The router has the first address of the nodes' range.
    expectation.via = None;
    expectation.sees = Some(AddressName::Place(Place::Router));
    let by_router = Observation { seen_source: Some("172.18.0.1".parse().unwrap()), ..direct };
    assert_eq!(
        judge(&expectation, &Expected::All(Verdict::Allow), &by_router, &[], &snapshot).status,
        Status::Passed
    );
}

#[test]
fn a_rejection_is_of_its_kind() {
    let snapshot = snapshot();
    let mut expectation = expectation(Expected::All(Verdict::Deny), None);
    expectation.rejected_with = Some(Rejection::AdminProhibited);
    for (outcome, action, status) in [
        (Outcome::Rejected(Rejection::AdminProhibited), Action::Reject, Status::Passed),
        (Outcome::Rejected(Rejection::TcpReset), Action::Reject, Status::Failed),
        (Outcome::Dropped, Action::Drop, Status::Failed),
        // The source's own stack refused: how is not to be seen.
        (Outcome::NotPermitted, Action::Reject, Status::Errored),
    ] {
        let denials = [Denial { action, ..isolation() }];
        let judgement =
            judge(&expectation, &Expected::All(Verdict::Deny), &observation(outcome), &denials, &snapshot);
        assert_eq!(judgement.status, status, "{outcome}: {judgement:?}");
    }
}

#[test]
fn a_deny_needs_a_rehearsal_that_connects() {
    assert_eq!(judge_try(None, &observation(Outcome::Connected)).status, Status::Passed);
    // What to write instead is something that can be written.
    for (outcome, remedy) in [
        (Outcome::Refused, "say so: `baseline: {outcome: refused, because: ...}`"),
        (
            Outcome::Rejected(Rejection::PortUnreachable),
            "and a service proxy denies it, write `decidedBy: service`",
        ),
    ] {
        let judgement = judge_try(None, &observation(outcome));
        assert_eq!(judgement.status, Status::Failed);
        assert!(judgement.said().ends_with(remedy), "{judgement:?}");
    }
    let baseline = Baseline { outcome: Verdict::Refused, because: "nothing listens".into() };
    assert_eq!(judge_try(Some(&baseline), &observation(Outcome::Refused)).status, Status::Passed);
    assert_eq!(judge_try(Some(&baseline), &observation(Outcome::Connected)).status, Status::Failed);
}

#[test]
fn the_clean_up_must_end_where_the_rehearsal_was() {
    let [connected, refused, lost] =
        [Outcome::Connected, Outcome::Refused, Outcome::Dropped].map(observation);
    let packet = isolation().packet;
    let log = LogRecord { node: "node1".into(), number: 1, hook: Hook::Forward, packet, token: None };
    let dropped = Observation { logs: vec![log], ..lost.clone() };
    let status = |before: &[&Observation], after: &[&Observation]| {
        let own = |all: &[&Observation]| all.iter().map(|it| (*it).clone()).collect::<Vec<_>>();
        judge_cleanup(&own(before), &own(after), true).status
    };
    assert_eq!(status(&[&connected], &[&connected]), Status::Passed);
    assert_eq!(status(&[&connected], &[&dropped]), Status::Failed);
    // Backends may differ without policy, too; their order is chance.
    let both = [&connected, &refused];
    assert_eq!(status(&both, &[&refused, &connected, &refused]), Status::Passed);
    assert_eq!(status(&both, &[&connected, &connected]), Status::Failed);
    assert_eq!(status(&[&connected, &connected], &[&connected, &dropped]), Status::Failed);
    // Lost without a trace is no verdict, unless it was so before.
    assert_eq!(status(&[&connected], &[&lost]), Status::Errored);
    assert_eq!(status(&[&lost], &[&lost]), Status::Passed);
    assert_eq!(status(&[&lost], &[&connected]), Status::Failed);
    // It is one where the enforcer never leaves a trace.
    assert_eq!(judge_cleanup(&[connected], &[lost], false).status, Status::Failed);
}

#[test]
fn a_denial_that_is_not_policys_says_how_to_expect_it() {
    let snapshot = snapshot();
    let expectation = expectation(Expected::All(Verdict::Deny), None);
    let said = |denial, outcome| {
        judge(&expectation, &Expected::All(Verdict::Deny), &observation(outcome), &[denial], &snapshot).said()
    };
    assert_eq!(
        said(no_endpoints(), Outcome::Rejected(Rejection::PortUnreachable)),
        "denied, but not by policy: service/default/web: no endpoints; if that is meant, write `decidedBy: service`"
    );
    let spoofing = said(spoofed(), Outcome::Dropped);
    assert!(spoofing.starts_with("denied, but not by policy: ") && !spoofing.contains("write"), "{spoofing}");
}
