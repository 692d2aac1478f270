//! Several tries of one flow, and what all of them say together.

use super::*;
use crate::judge;
use netproof_model::DecidedBy;
use netproof_model::Verdict;
use netproof_model::observation::PacketAddresses;
use netproof_model::{Action, Decision, Direction, Hook, Passage, PolicyKey, Protocol, Token};
use netproof_plan::testing::{expectation, observation};

fn pod(name: &str) -> Place {
    Place::pod("default", name)
}

fn flow(expected: Expected, backends: &[&str]) -> Expectation {
    let backends = backends.iter().map(|name| pod(name)).collect();
    Expectation { backends, ..expectation(expected, None) }
}

fn denial(backend: &str) -> Denial {
    let decision = Decision::Isolation {
        endpoint: pod(backend),
        direction: Direction::Ingress,
        policies: vec![PolicyKey::network_policy("default", "deny")],
    };
    let packet = PacketAddresses {
        source: "10.244.1.2".parse().unwrap(),
        destination: "10.244.1.3".parse().unwrap(),
        protocol: Protocol::Tcp,
        source_port: 1000,
        destination_port: 80,
    };
    Denial { decision, action: Action::Drop, node: "node1".into(), hook: Hook::Forward, packet }
}

/// `+a`: pod a answered; `-a`: it was denied; `?`: lost without a trace.
fn judged(expectation: &Expectation, tries: &[&str]) -> Judgement {
    let snapshot = netproof_plan::testing::snapshot();
    let observations: Vec<Observation> = tries
        .iter()
        .map(|one| match one.split_at(1) {
            ("+", name) => Observation { served_by: Some(pod(name)), ..observation(Outcome::Connected) },
            _ => observation(Outcome::Dropped),
        })
        .collect();
    let all = tries.iter().zip(&observations).map(|(one, observation)| {
        let (sign, name) = one.split_at(1);
        let denials = if sign == "-" { vec![denial(name)] } else { Vec::new() };
        let backend = (sign != "?").then(|| pod(name));
        let judgement =
            match expected_of(expectation, backend.as_ref(), observed(observation.outcome, &denials)) {
                Ok(expected) => judge::judge(expectation, &expected, observation, &denials, &snapshot),
                Err(stranger) => stranger,
            };
        Try { observation, denials, backend, judgement }
    });
    together(expectation, all.collect()).unwrap().judgement
}

fn status(expectation: &Expectation, tries: &[&str]) -> Status {
    judged(expectation, tries).status
}

#[test]
fn enough_tries_for_every_backend_whatever_is_expected() {
    let two = ["a", "b"];
    for (expectation, expected) in [
        (flow(Expected::All(Verdict::Allow), &[]), 1),
        (flow(Expected::All(Verdict::Allow), &["a"]), 1),
        (flow(Expected::All(Verdict::Allow), &two), 31),
        (flow(Expected::All(Verdict::Deny), &two), 31),
        (flow(Expected::Observe, &two), 31),
        (flow(Expected::All(Verdict::Allow), &["a", "b", "c"]), 54),
        (Expectation { keep: true, ..flow(Expected::All(Verdict::Allow), &two) }, 1),
        (Expectation { served_by: Some([pod("a")].into()), ..flow(Expected::All(Verdict::Allow), &two) }, 31),
    ] {
        assert_eq!(tries(&expectation), expected, "{expectation:?}");
        // The bound itself: n (1 - 1/n)^tries < 1e-9.
        let n = expectation.backends.len() as f64;
        let missed = n * (1.0 - 1.0 / n).powi(i32::try_from(expected).unwrap());
        assert!(expected == 1 || missed < 1e-9, "{missed}");
    }
}

#[test]
fn one_word_is_for_all_backends() {
    let allow = flow(Expected::All(Verdict::Allow), &["a", "b"]);
    let deny = flow(Expected::All(Verdict::Deny), &["a", "b"]);
    assert_eq!(status(&allow, &["+a", "+b", "+a"]), Status::Passed);
    // A traffic policy may leave only one of them.
    assert_eq!(status(&allow, &["+a", "+a"]), Status::Passed);
    assert_eq!(status(&deny, &["-a", "-b"]), Status::Passed);
    assert_eq!(
        judged(&allow, &["+a", "-b", "+a"]).said(),
        "expected allow, observed drop; backends differ in verdict: pod/default/a allow, pod/default/b drop; if \
         that is meant, write `verdict: {pod/default/a: allow, pod/default/b: deny}`"
    );
    assert_eq!(status(&deny, &["+a", "-b"]), Status::Failed);
    let differ = judged(&allow, &["+a", "-a", "+b"]).said();
    assert!(differ.ends_with("; the tries of this flow differ: 2 of allow, 1 of drop"), "{differ}");
}

#[test]
fn chance_does_not_choose_what_is_told() {
    let deny = flow(Expected::All(Verdict::Deny), &["a", "b"]);
    let one = judged(&deny, &["?b", "+a", "-b", "+b"]);
    assert_eq!((one.status, one.observed.clone()), (Status::Failed, Verdict::Allow.into()));
    assert_eq!(one, judged(&deny, &["+b", "+a", "?b", "-b"]));
    assert_eq!(status(&deny, &["-a", "?b"]), Status::Errored);
}

#[test]
fn each_backend_has_its_own_verdict() {
    let verdicts = [(pod("a"), Verdict::Allow), (pod("b"), Verdict::Deny)];
    let each = flow(Expected::PerBackend(verdicts.into()), &["a", "b", "c"]);
    assert_eq!(status(&each, &["+a", "-b"]), Status::Passed);
    assert_eq!(status(&each, &["+a", "+b"]), Status::Failed);
    assert_eq!(status(&each, &["+a", "-b", "+c"]), Status::Failed);
    let kinds =
        |judgement: &Judgement| -> Vec<FindingKind> { judgement.findings.iter().map(|it| it.kind).collect() };
    let wrong = judged(&each, &["-b", "-a"]);
    assert_eq!(
        wrong.said(),
        "expected pod/default/a: allow, pod/default/b: deny, observed pod/default/a: drop, pod/default/b: drop"
    );
    assert_eq!(kinds(&wrong), [FindingKind::WrongVerdict]);
    let missing = judged(&each, &["+a", "+a"]);
    assert_eq!(missing.said(), "in 2 tries never reached pod/default/b");
    assert_eq!(kinds(&missing), [FindingKind::WrongBackend]);
    assert_eq!(kinds(&judged(&each, &["+a", "-b", "+c"])), [FindingKind::WrongBackend]);
}

/// Every verdict is right and somebody else decided: nothing says that the verdict is wrong.
#[test]
fn of_backends_a_wrong_decider_is_no_wrong_verdict() {
    let verdicts = [(pod("a"), Verdict::Allow), (pod("b"), Verdict::Deny)];
    let each = flow(Expected::PerBackend(verdicts.into()), &["a", "b"]);
    let policy = PolicyKey::network_policy("default", "other");
    let decided_by = Some(DecidedBy::Policy { policy, direction: None, rule: None });
    let other = judged(&Expectation { decided_by, ..each }, &["+a", "-b"]);
    assert_eq!(other.status, Status::Failed);
    assert_eq!(
        other.said(),
        "expected to be decided by networkpolicy/default/other, decided by ingress isolation of pod/default/b by \
         networkpolicy/default/deny"
    );
    assert!(other.found(FindingKind::WrongDecider) && !other.found(FindingKind::WrongVerdict), "{other:?}");
    assert_eq!(other.observed.to_string(), "pod/default/a: allow, pod/default/b: drop");
}

#[test]
fn who_answers() {
    let both = [pod("a"), pod("b")];
    let served =
        Expectation { served_by: Some(both.into()), ..flow(Expected::All(Verdict::Allow), &["a", "b", "c"]) };
    assert_eq!(status(&served, &["+a", "+b"]), Status::Passed);
    assert_eq!(status(&served, &["+a", "+a"]), Status::Failed);
    assert_eq!(status(&served, &["+a", "+b", "+c"]), Status::Failed);
    let sticky = Expectation { sticky: true, ..served.clone() };
    assert_eq!(status(&sticky, &["+a", "+a"]), Status::Passed);
    assert_eq!(status(&sticky, &["+c", "+c"]), Status::Failed);
    assert_eq!(
        judged(&sticky, &["+a", "+b"]).said(),
        "2 tries were answered by pod/default/a, pod/default/b, and not all by one"
    );
    let kept = Expectation { keep: true, ..served };
    assert_eq!(status(&kept, &["+b"]), Status::Passed);
}

#[test]
fn each_node_keeps_a_client_with_a_backend() {
    let led = |node: &str, backend: &str| {
        let passage = Passage {
            node: node.into(),
            hook: Hook::Forward,
            translated: true,
            packet: denial(backend).packet,
            token: Token(1),
        };
        let served_by = Some(pod(backend));
        Observation { passages: vec![passage], served_by, ..observation(Outcome::Connected) }
    };
    let sticky = Expectation { sticky: true, ..flow(Expected::All(Verdict::Allow), &["a", "b"]) };
    let judged = |observations: &[Observation]| {
        let tries = observations.iter().map(|observation| {
            let judgement =
                Judgement { status: Status::Passed, observed: Verdict::Allow.into(), findings: vec![] };
            let backend = observation.served_by.clone();
            Try { observation, denials: vec![], backend, judgement }
        });
        together(&sticky, tries.collect()).unwrap().judgement.said()
    };
    assert!(judged(&[led("n1", "a"), led("n2", "b"), led("n1", "a"), led("n2", "b")]).is_empty());
    let stray = "2 tries that node/n2 led were answered by pod/default/a, pod/default/b, and not all by one";
    assert_eq!(judged(&[led("n1", "a"), led("n2", "b"), led("n2", "a")]), stray);
}
