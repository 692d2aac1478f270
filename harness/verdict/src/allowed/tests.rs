use super::*;
use crate::prediction::Answers;
use netproof_model::{PolicyKey, PolicyKind, PolicyStage, Verdict};
use netproof_oracle::Profile;
use netproof_plan::Expected;
use netproof_plan::testing::{expectation, observation};
use std::net::IpAddr;

fn rule(policy: &str, direction: Direction, rule: usize) -> Decision {
    Decision::Rule {
        policy: PolicyKey::network_policy("default", policy),
        tier: PolicyKind::NetworkPolicy.word().to_owned(),
        stage: PolicyStage::Local,
        direction,
        rule,
    }
}

fn free(endpoint: &str, direction: Direction) -> Decision {
    Decision::NotIsolated { endpoint: Place::pod("default", endpoint), direction }
}

fn named(policy: &str, direction: Option<Direction>, rule: Option<usize>) -> DecidedBy {
    DecidedBy::Policy { policy: PolicyKey::network_policy("default", policy), direction, rule }
}

fn of(wanted: &DecidedBy) -> Expectation {
    expectation(Expected::All(Verdict::Allow), Some(wanted.clone()))
}

/// A try from pod a to pod b with who allowed at either end; `None`: nobody was asked.
fn traced(egress: Option<Decision>, ingress: Option<Decision>) -> Traced {
    let at = |endpoint: &str, direction, by| AllowedAt {
        endpoint: Place::pod("default", endpoint),
        direction,
        by,
    };
    let allowed = vec![at("a", Direction::Egress, egress), at("b", Direction::Ingress, ingress)];
    let served_by = Some(Place::pod("default", "b"));
    Traced {
        observation: Observation { served_by, ..observation(Outcome::Connected) },
        allowed,
        is_cut: false,
    }
}

fn passed() -> Judgement {
    Judgement { status: Status::Passed, observed: Verdict::Allow.into(), findings: Vec::new() }
}

/// What is made of traced tries, without an answer of the API: the status, what is said, and what is not checked.
fn judged(wanted: &DecidedBy, traced: &[Traced]) -> (Status, String, Option<Unchecked>) {
    let mut judgement = passed();
    let (differing, unchecked) = judge(&of(wanted), None, Some(traced), &mut judgement);
    assert!(differing.is_none());
    assert!(judgement.findings.iter().all(|it| it.kind == FindingKind::WrongDecider), "{judgement:?}");
    (judgement.status, judgement.said(), unchecked)
}

/// Who is named, who allowed at the source and at the destination; what is wrong, if anything is.
#[test]
fn a_name_is_right_if_it_allowed_at_one_end_and_default_if_nothing_isolates_any() {
    use Direction::{Egress, Ingress};
    let both = (rule("out", Egress, 1), rule("in", Ingress, 0));
    let nobody = (free("a", Egress), free("b", Ingress));
    let one = (free("a", Egress), rule("in", Ingress, 0));
    let by_both = "networkpolicy/default/out#egress[1]; networkpolicy/default/in#ingress[0]";
    let by_in = "networkpolicy/default/in#ingress[0]";
    let by_nobody =
        "no policy isolates pod/default/a for egress; no policy isolates pod/default/b for ingress";
    for (wanted, (egress, ingress), wrong) in [
        (named("out", None, None), &both, None),
        (named("in", None, None), &both, None),
        (named("in", Some(Ingress), Some(0)), &both, None),
        (named("out", Some(Egress), None), &both, None),
        (named("in", Some(Ingress), Some(1)), &both, Some(by_in)),
        (named("in", Some(Egress), None), &both, Some("networkpolicy/default/out#egress[1]")),
        (named("other", None, None), &both, Some(by_both)),
        (DecidedBy::Default, &both, Some(by_both)),
        (DecidedBy::Default, &nobody, None),
        (
            DecidedBy::Default,
            &one,
            Some("no policy isolates pod/default/a for egress; networkpolicy/default/in#ingress[0]"),
        ),
        (named("in", None, None), &one, None),
        (named("in", None, None), &nobody, Some(by_nobody)),
    ] {
        let (status, said, unchecked) =
            judged(&wanted, &[traced(Some(egress.clone()), Some(ingress.clone()))]);
        let expected = wrong.map(|by| format!("expected to be allowed by {wanted}, allowed by: {by}"));
        assert_eq!(said, expected.unwrap_or_default(), "{wanted} {egress} {ingress}");
        assert_eq!((status == Status::Passed, unchecked), (wrong.is_none(), None));
    }
}

#[test]
fn an_end_that_nobody_asked_about_is_not_checked() {
    use Direction::{Egress, Ingress};
    let (out, into) = (rule("out", Egress, 1), rule("in", Ingress, 0));
    let asked = |direction, pod| Some(Unchecked::NotAsked(direction, Place::pod("default", pod)));
    for (wanted, egress, ingress, status, unchecked) in [
        // It allowed at the end that was asked.
        (named("out", None, None), Some(&out), None, Status::Passed, None),
        // It may have allowed at the other.
        (named("in", None, None), Some(&out), None, Status::Passed, asked(Ingress, "b")),
        // That is not the end that is named.
        (named("in", Some(Egress), None), Some(&out), None, Status::Failed, None),
        (DecidedBy::Default, None, None, Status::Passed, asked(Egress, "a")),
        (DecidedBy::Default, None, Some(&into), Status::Failed, None),
    ] {
        let tries = [traced(egress.cloned(), ingress.cloned())];
        let (is, said, left) = judged(&wanted, &tries);
        assert_eq!((is, left), (status, unchecked), "{wanted} {egress:?} {ingress:?}: {said}");
    }
    let mut cut = traced(Some(out), Some(into));
    cut.is_cut = true;
    for wanted in [named("in", None, None), named("other", None, None), DecidedBy::Default] {
        let all = (Status::Passed, String::new(), Some(Unchecked::Cut));
        assert_eq!(judged(&wanted, std::slice::from_ref(&cut)), all, "{wanted}");
    }
}

/// An end that is no pod has no policies.
#[test]
fn only_pods_are_asked() {
    let wanted = DecidedBy::Default;
    let mut outside = traced(Some(free("a", Direction::Egress)), None);
    outside.observation.served_by = Some(Place::External("internet".into()));
    assert_eq!(judged(&wanted, &[outside.clone()]), (Status::Passed, String::new(), None));
    let ingress = named("in", Some(Direction::Ingress), None);
    let said = "expected to be allowed by networkpolicy/default/in#ingress, but no pod's ingress policies apply to it";
    assert_eq!(judged(&ingress, &[outside]), (Status::Failed, said.to_owned(), None));
}

/// Every backend's try is held against the name, and one that went otherwise is no verdict.
#[test]
fn all_tries_count() {
    use Direction::{Egress, Ingress};
    let by = |nth| traced(Some(free("a", Egress)), Some(rule("in", Ingress, nth)));
    let wanted = named("in", Some(Ingress), Some(0));
    assert_eq!(judged(&wanted, &[by(0), by(0)]).0, Status::Passed);
    let (status, said, _) = judged(&wanted, &[by(0), by(1), by(2)]);
    let expected = "expected to be allowed by networkpolicy/default/in#ingress[0], allowed by: no policy isolates \
                    pod/default/a for egress; networkpolicy/default/in#ingress[1]";
    let expected = expected.replace("no policy isolates pod/default/a for egress; ", "");
    assert_eq!((status, said), (Status::Failed, expected));
    let mut lost = by(0);
    lost.observation.outcome = Outcome::Dropped;
    let mut judgement = passed();
    let (_, unchecked) = judge(&of(&wanted), None, Some(&[lost]), &mut judgement);
    assert_eq!((judgement.status, unchecked), (Status::Errored, None));
    assert!(judgement.found(FindingKind::NoEvidence));
}

/// Without a trace nothing is held against the name: why, is said. Of a denial, and of what has failed, nothing is.
#[test]
fn what_is_not_traced_is_not_checked() {
    let wanted = DecidedBy::Default;
    let kept = Expectation { keep: true, ..of(&wanted) };
    let denied = expectation(Expected::All(Verdict::Deny), Some(named("in", None, None)));
    let silent = expectation(Expected::All(Verdict::Allow), None);
    for (expectation, unchecked) in [
        (&of(&wanted), Some(Unchecked::Allowance)),
        (&kept, Some(Unchecked::Kept)),
        (&denied, None),
        (&silent, None),
    ] {
        let mut judgement = passed();
        let (differing, left) = judge(expectation, None, None, &mut judgement);
        assert_eq!((differing.is_none(), left, judgement), (true, unchecked, passed()));
    }
    let mut failed = Judgement { status: Status::Failed, ..passed() };
    assert_eq!(judge(&of(&wanted), None, None, &mut failed).1, None);
    let connected = [observation(Outcome::Connected)];
    assert!(is_traced(&of(&wanted), &connected));
    assert!(
        !is_traced(&kept, &connected) && !is_traced(&denied, &connected) && !is_traced(&silent, &connected)
    );
    assert!(!is_traced(&of(&wanted), &[observation(Outcome::Refused)]));
}

/// Pods a and b, of which a may send where it likes and two rules of one policy and one of another let it reach b, and
/// a third rule does not.
const RULES: &str = "
apiVersion: v1
kind: Pod
metadata: {name: a, labels: {app: a}}
spec: {nodeName: node1, containers: [{name: c, image: i}]}
---
apiVersion: v1
kind: Pod
metadata: {name: b, labels: {app: b}}
spec: {nodeName: node1, containers: [{name: c, image: i, ports: [{containerPort: 80}]}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: in}
spec:
  podSelector: {matchLabels: {app: b}}
  ingress:
    - {}
    - {from: [{podSelector: {matchLabels: {app: a}}}]}
    - {from: [{podSelector: {matchLabels: {app: nobody}}}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: more}
spec:
  podSelector: {matchLabels: {app: b}}
  ingress: [{ports: [{port: 80}]}]
";

/// Who is named and who allowed at the destination; what is wrong of the name, and how the trace differs from the API.
#[test]
fn any_of_the_rules_that_allow_is_right() {
    use Direction::{Egress, Ingress};
    let snapshot = crate::testing::objects(RULES);
    let answers = Answers::new(&snapshot, Profile::named("netproof").unwrap());
    let to: IpAddr = snapshot.address_of(&Place::pod("default", "b"), netproof_model::Family::Ipv4).unwrap();
    let first = || rule("in", Ingress, 0);
    let says = "networkpolicy/default/in#ingress[0]";
    for (wanted, found, is_right, differs) in [
        (named("in", Some(Ingress), Some(0)), first(), true, None),
        // The enforcer names one, and the author another.
        (named("in", Some(Ingress), Some(1)), first(), true, None),
        (named("more", None, None), first(), true, None),
        (named("in", Some(Ingress), Some(2)), first(), false, None),
        // The enforcer names one that does not allow.
        (named("in", Some(Ingress), Some(2)), rule("in", Ingress, 2), true, Some(says)),
        (named("in", Some(Ingress), Some(0)), rule("in", Ingress, 2), false, Some(says)),
        (DecidedBy::Default, free("b", Ingress), true, Some(says)),
    ] {
        let mut expectation = of(&wanted);
        expectation.request.target = netproof_model::request::RequestTarget::Address(to);
        let answer = answers.fresh(&expectation.request).unwrap();
        let mut judgement = passed();
        let tries = [traced(Some(free("a", Egress)), Some(found.clone()))];
        let (differing, unchecked) = judge(&expectation, Some(&answer), Some(&tries), &mut judgement);
        assert_eq!((judgement.status == Status::Passed, unchecked), (is_right, None), "{wanted} {found}");
        let differs =
            differs.map(|says| Differing::decider(Difference::Decider { found, says: says.to_owned() }));
        assert_eq!(differing, differs, "{wanted}");
        // What the author names is held against the API alone, too.
        let may = matches!(&wanted, DecidedBy::Policy { rule, .. } if *rule != Some(2));
        assert_eq!(answer.other_way(&expectation, &snapshot).is_none(), may, "{wanted}");
    }
}
