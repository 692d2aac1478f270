//! How often an expectation is tried, which backend each try reached, and what all of them say together.

use super::evidence;
use super::judge::{Judgement, observed_word};
use crate::plan::{Expectation, Expected};
use crate::prediction::action;
use netproof_controlplane::Snapshot;
use netproof_model::event::{Denial, Finding, FindingKind, Status};
use netproof_model::{Action, Observation, Outcome, Place};
use std::collections::{BTreeMap, BTreeSet};

/// One try with what was made of it.
pub(super) struct Try<'o> {
    pub(super) observation: &'o Observation,
    pub(super) denials: Vec<Denial>,
    pub(super) backend: Option<Place>,
    pub(super) judgement: Judgement,
}

/// How often an expectation is tried: once, or so often that missing one of several backends has a
/// chance below 1e-9 (union bound over the n backends, each missed with a chance of (1 - 1/n)^tries).
///
/// It is the same number whatever is expected: a flow whose backends differ must not pass by luck. A kept
/// connection has one backend.
pub(super) fn tries(expectation: &Expectation) -> usize {
    let backends = expectation.backends.len().max(named_backends(expectation).len());
    if backends < 2 || expectation.keep {
        return 1;
    }
    let n = backends as f64;
    // A few dozen for a few backends: the cast loses nothing.
    ((1e-9 / n).ln() / (1.0 - 1.0 / n).ln()).ceil() as usize
}

/// The backends that an expectation names.
fn named_backends(expectation: &Expectation) -> BTreeSet<&Place> {
    let by_verdict = match &expectation.expected {
        Expected::PerBackend(verdicts) => Some(verdicts.keys()),
        _ => None,
    };
    by_verdict.into_iter().flatten().chain(expectation.served_by.iter().flatten()).collect()
}

/// Backends that the expectation names and no try reached. Tries that are all answered by one backend
/// need not reach the others.
pub(super) fn missing_backends<'a>(
    expectation: &Expectation,
    reached: impl Iterator<Item = &'a Place>,
) -> Vec<String> {
    if expectation.sticky || expectation.keep {
        return Vec::new();
    }
    let reached: BTreeSet<&Place> = reached.collect();
    named_backends(expectation).difference(&reached).map(ToString::to_string).collect()
}

/// Which backend a try reached: who answered, if only into the void, or to whom the packet that a policy denied was
/// addressed.
pub(super) fn backend(
    expectation: &Expectation,
    observation: &Observation,
    denials: &[Denial],
    snapshot: &Snapshot,
) -> Option<Place> {
    if matches!(observation.outcome, Outcome::Connected | Outcome::ReplyLost) {
        return observation.served_by.clone();
    }
    let denial = denials.first().filter(|denial| denial.decision.is_policy())?;
    let place = snapshot.place_of_address(denial.packet.destination)?;
    // Before DNAT, a packet to a node port is addressed to the node, which answers nothing.
    let known = expectation.backends.contains(&place) || named_backends(expectation).contains(&place);
    known.then_some(place)
}

/// What is expected of a try that reached `backend`; a backend that the expectation does not name is
/// a failure of its own.
pub(super) fn expected_of(expectation: &Expectation, backend: Option<&Place>) -> Result<Expected, Judgement> {
    let named = named_backends(expectation);
    match backend {
        Some(place) if !named.is_empty() && !named.contains(place) => Err(Judgement {
            status: Status::Failed,
            observed: place.to_string(),
            findings: vec![Finding::new(
                FindingKind::WrongBackend,
                format!("{place} was reached, which the expectation does not name"),
            )],
        }),
        Some(place) => Ok(match &expectation.expected {
            Expected::PerBackend(verdicts) => match verdicts.get(place) {
                Some(verdict) => Expected::from(*verdict),
                None => expectation.expected.clone(),
            },
            expected => expected.clone(),
        }),
        None => Ok(expectation.expected.clone()),
    }
}

/// That so many tries met none of these backends.
pub(super) fn never_reached(tries: usize, missing: &[String]) -> String {
    match tries {
        1 => format!("did not reach {}", missing.join(", ")),
        _ => format!("in {tries} tries never reached {}", missing.join(", ")),
    }
}

/// Judges all tries together. One of them stands for all: the first that is not as expected, a failure
/// before an error, in the order of the backends, so that chance does not choose it; else one that was
/// denied and says by whom. `None` without any try.
pub(super) fn together<'o>(expectation: &Expectation, tries: Vec<Try<'o>>) -> Option<Try<'o>> {
    let count = tries.len();
    let mut problems: Vec<Finding> = difference(expectation, &tries).into_iter().collect();
    let missing = missing_backends(expectation, tries.iter().filter_map(|it| it.backend.as_ref()));
    if !missing.is_empty() {
        problems.push(Finding::new(FindingKind::WrongBackend, never_reached(count, &missing)));
    }
    if expectation.sticky {
        problems.extend(strays(&tries));
    }
    let each = match expectation.expected {
        Expected::PerBackend(_) => each_backend(&tries),
        _ => None,
    };
    let each = each.map(|each| {
        let each: Vec<String> = each.iter().map(|(place, word)| format!("{place}: {word}")).collect();
        each.join(", ")
    });
    let is_wrong = tries.iter().any(|it| it.judgement.found(FindingKind::WrongVerdict));
    let rank = |it: &Try<'_>| {
        let status = match it.judgement.status {
            Status::Failed if it.judgement.found(FindingKind::WrongVerdict) => 0,
            Status::Failed => 1,
            Status::Errored => 2,
            Status::Passed | Status::Skipped => 3,
        };
        (status, it.denials.is_empty(), it.backend.clone())
    };
    let mut told = tries.into_iter().min_by_key(rank)?;
    let judgement = &mut told.judgement;
    // An error keeps its own reason; only a verdict can be wrong.
    if judgement.status == Status::Failed || (judgement.status == Status::Passed && !problems.is_empty()) {
        judgement.status = Status::Failed;
        judgement.findings.extend(problems);
    }
    match each {
        // Every backend was reached, and each did as expected.
        Some(_) if judgement.status == Status::Passed => {
            judgement.observed = expectation.expected.to_string();
        }
        Some(each) if judgement.status == Status::Failed => {
            judgement.observed = each;
            if is_wrong {
                // In the place of what is said of one backend.
                judgement.findings.retain(|finding| finding.kind != FindingKind::WrongVerdict);
                let message = format!("expected {}, observed {}", expectation.expected, judgement.observed);
                judgement.findings.insert(0, Finding::new(FindingKind::WrongVerdict, message));
            }
        }
        _ => {}
    }
    Some(told)
}

/// What to say where one node led the client to several backends. Each node remembers for itself whom it
/// led where: clients outside whose flows are spread over several nodes have one backend on each of them.
fn strays(tries: &[Try<'_>]) -> Vec<Finding> {
    let mut answered: BTreeMap<Option<&str>, Vec<&Place>> = BTreeMap::new();
    for observation in tries.iter().map(|it| it.observation) {
        answered.entry(evidence::via(observation)).or_default().extend(&observation.served_by);
    }
    let stray = |(node, places): (Option<&str>, Vec<&Place>)| {
        let count = places.len();
        let different: BTreeSet<&Place> = places.into_iter().collect();
        let list: Vec<String> = different.iter().map(ToString::to_string).collect();
        let node = node.map(|node| format!(" that node/{node} led")).unwrap_or_default();
        let message = format!("{count} tries{node} were answered by {}, and not all by one", list.join(", "));
        (list.len() > 1).then(|| Finding::new(FindingKind::WrongBackend, message))
    };
    answered.into_iter().filter_map(stray).collect()
}

/// What each backend did, in a word; `None` where that is not known of every try, or one did two things.
fn each_backend<'t>(tries: &'t [Try<'_>]) -> Option<BTreeMap<&'t Place, &'static str>> {
    let mut each = BTreeMap::new();
    for it in tries {
        let word = observed_word(it.observation.outcome, &it.denials);
        if *each.entry(it.backend.as_ref()?).or_insert(word) != word {
            return None;
        }
    }
    Some(each)
}

/// What to say where one word is expected of all tries and they differ.
fn difference(expectation: &Expectation, tries: &[Try<'_>]) -> Option<Finding> {
    let failed = tries.iter().any(|it| it.judgement.status == Status::Failed);
    let mut words: BTreeMap<&str, usize> = BTreeMap::new();
    for it in tries {
        *words.entry(observed_word(it.observation.outcome, &it.denials)).or_default() += 1;
    }
    if matches!(expectation.expected, Expected::PerBackend(_)) || !failed || words.len() < 2 {
        return None;
    }
    let note = |message: String| Some(Finding::new(FindingKind::Note, message));
    let Some(each) = each_backend(tries) else {
        // Some tries reached nobody that is known, or one backend had both.
        let counts: Vec<String> = words.iter().map(|(word, n)| format!("{n} of {word}")).collect();
        return note(format!("the tries of this flow differ: {}", counts.join(", ")));
    };
    let seen: Vec<String> = each.iter().map(|(place, word)| format!("{place} {word}")).collect();
    let verdict = |it: &Try<'_>| match action(it.observation.outcome, &it.denials) {
        Some(Action::Allow) => Some("allow"),
        Some(Action::Drop | Action::Reject) => Some("deny"),
        None => None,
    };
    let verdicts: Option<BTreeMap<&Place, &str>> =
        tries.iter().map(|it| Some((it.backend.as_ref()?, verdict(it)?))).collect();
    let remedy = verdicts.map(|verdicts| {
        let each: Vec<String> = verdicts.iter().map(|(place, word)| format!("{place}: {word}")).collect();
        format!("; if that is meant, write `verdict: {{{}}}`", each.join(", "))
    });
    note(format!("backends differ in verdict: {}{}", seen.join(", "), remedy.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::super::judge::tests::{expectation, observation};
    use super::super::judge::{self};
    use super::*;
    use crate::plan::{DecidedBy, VerdictWord};
    use netproof_model::observation::PacketAddresses;
    use netproof_model::{Action, Decision, Direction, Hook, Passage, PolicyRef, Protocol, Token};

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
            policies: vec![PolicyRef::network_policy("default", "deny")],
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
        let snapshot = judge::tests::snapshot();
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
            let judgement = match expected_of(expectation, backend.as_ref()) {
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
            (flow(Expected::Allow, &[]), 1),
            (flow(Expected::Allow, &["a"]), 1),
            (flow(Expected::Allow, &two), 31),
            (flow(Expected::Deny, &two), 31),
            (flow(Expected::Observe, &two), 31),
            (flow(Expected::Allow, &["a", "b", "c"]), 54),
            (Expectation { keep: true, ..flow(Expected::Allow, &two) }, 1),
            (Expectation { served_by: Some([pod("a")].into()), ..flow(Expected::Allow, &two) }, 31),
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
        let allow = flow(Expected::Allow, &["a", "b"]);
        let deny = flow(Expected::Deny, &["a", "b"]);
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
        let deny = flow(Expected::Deny, &["a", "b"]);
        let one = judged(&deny, &["?b", "+a", "-b", "+b"]);
        assert_eq!((one.status, one.observed.as_str()), (Status::Failed, "allow"));
        assert_eq!(one, judged(&deny, &["+b", "+a", "?b", "-b"]));
        assert_eq!(status(&deny, &["-a", "?b"]), Status::Errored);
    }

    #[test]
    fn each_backend_has_its_own_verdict() {
        let verdicts = [(pod("a"), VerdictWord::Allow), (pod("b"), VerdictWord::Deny)];
        let each = flow(Expected::PerBackend(verdicts.into()), &["a", "b", "c"]);
        assert_eq!(status(&each, &["+a", "-b"]), Status::Passed);
        assert_eq!(status(&each, &["+a", "+b"]), Status::Failed);
        assert_eq!(status(&each, &["+a", "-b", "+c"]), Status::Failed);
        let kinds = |judgement: &Judgement| -> Vec<FindingKind> {
            judgement.findings.iter().map(|it| it.kind).collect()
        };
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
        let verdicts = [(pod("a"), VerdictWord::Allow), (pod("b"), VerdictWord::Deny)];
        let each = flow(Expected::PerBackend(verdicts.into()), &["a", "b"]);
        let policy = PolicyRef::network_policy("default", "other");
        let decided_by = Some(DecidedBy::Policy { policy, direction: None, rule: None });
        let other = judged(&Expectation { decided_by, ..each }, &["+a", "-b"]);
        assert_eq!(other.status, Status::Failed);
        assert_eq!(
            other.said(),
            "expected to be decided by networkpolicy/default/other, decided by ingress isolation of pod/default/b by \
             networkpolicy/default/deny"
        );
        assert!(
            other.found(FindingKind::WrongDecider) && !other.found(FindingKind::WrongVerdict),
            "{other:?}"
        );
        assert_eq!(other.observed, "pod/default/a: allow, pod/default/b: drop");
    }

    #[test]
    fn who_answers() {
        let both = [pod("a"), pod("b")];
        let served = Expectation { served_by: Some(both.into()), ..flow(Expected::Allow, &["a", "b", "c"]) };
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
        let sticky = Expectation { sticky: true, ..flow(Expected::Allow, &["a", "b"]) };
        let judged = |observations: &[Observation]| {
            let tries = observations.iter().map(|observation| {
                let judgement =
                    Judgement { status: Status::Passed, observed: "allow".into(), findings: vec![] };
                let backend = observation.served_by.clone();
                Try { observation, denials: vec![], backend, judgement }
            });
            together(&sticky, tries.collect()).unwrap().judgement.said()
        };
        assert!(judged(&[led("n1", "a"), led("n2", "b"), led("n1", "a"), led("n2", "b")]).is_empty());
        let stray =
            "2 tries that node/n2 led were answered by pod/default/a, pod/default/b, and not all by one";
        assert_eq!(judged(&[led("n1", "a"), led("n2", "b"), led("n2", "a")]), stray);
    }
}
