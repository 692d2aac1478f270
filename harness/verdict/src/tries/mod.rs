//! How often an expectation is tried, which backend each try reached, and what all of them say together.

use crate::evidence::{self, observed};
use crate::judge::Judgement;
use netproof_controlplane::Snapshot;
use netproof_model::event::{Denial, Finding, FindingKind, Status};
use netproof_model::{BackendVerdict, Observation, Outcome, Place, Verdict, Verdicts};
use netproof_plan::{Expectation, Expected};
use std::collections::{BTreeMap, BTreeSet};

/// One try with what was made of it.
pub(crate) struct Try<'o> {
    pub(crate) observation: &'o Observation,
    pub(crate) denials: Vec<Denial>,
    pub(crate) backend: Option<Place>,
    pub(crate) judgement: Judgement,
}

/// How often an expectation is tried: once, or so often that missing one of several backends has a
/// chance below 1e-9 (union bound over the n backends, each missed with a chance of (1 - 1/n)^tries).
///
/// It is the same number whatever is expected: a flow whose backends differ must not pass by luck. A kept
/// connection has one backend.
pub fn tries(expectation: &Expectation) -> usize {
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
pub(crate) fn missing_backends<'a>(
    expectation: &Expectation,
    reached: impl Iterator<Item = &'a Place>,
) -> Vec<String> {
    if expectation.sticky || expectation.keep {
        return Vec::new();
    }
    let reached: BTreeSet<&Place> = reached.collect();
    named_backends(expectation).difference(&reached).map(ToString::to_string).collect()
}

/// Which backend a try reached: the one that answered (also where the answer was lost), or the destination of the
/// packet that a policy denied.
pub(crate) fn backend(
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
pub(crate) fn expected_of(
    expectation: &Expectation,
    backend: Option<&Place>,
    observed: Verdict,
) -> Result<Expected, Judgement> {
    let named = named_backends(expectation);
    match backend {
        Some(place) if !named.is_empty() && !named.contains(place) => Err(Judgement {
            status: Status::Failed,
            observed: observed.into(),
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
pub(crate) fn never_reached(tries: usize, missing: &[String]) -> String {
    match tries {
        1 => format!("did not reach {}", missing.join(", ")),
        _ => format!("in {tries} tries never reached {}", missing.join(", ")),
    }
}

/// Judges all tries together. One of them stands for all: the first that is not as expected, a failure
/// before an error, in the order of the backends, so that chance does not choose it; else one that was
/// denied and says by whom. `None` without any try.
pub(crate) fn together<'o>(expectation: &Expectation, tries: Vec<Try<'o>>) -> Option<Try<'o>> {
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
        let each = each.into_iter();
        let each = each.map(|(place, verdict)| BackendVerdict { backend: Some(place.clone()), verdict });
        Verdicts::PerBackend(each.collect())
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
            judgement.observed =
                expectation.expected.verdicts().unwrap_or_else(|| judgement.observed.clone());
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
fn each_backend<'t>(tries: &'t [Try<'_>]) -> Option<BTreeMap<&'t Place, Verdict>> {
    let mut each = BTreeMap::new();
    for it in tries {
        let word = observed(it.observation.outcome, &it.denials);
        if *each.entry(it.backend.as_ref()?).or_insert(word) != word {
            return None;
        }
    }
    Some(each)
}

/// What to say where one word is expected of all tries and they differ.
fn difference(expectation: &Expectation, tries: &[Try<'_>]) -> Option<Finding> {
    let failed = tries.iter().any(|it| it.judgement.status == Status::Failed);
    let mut words: BTreeMap<Verdict, usize> = BTreeMap::new();
    for it in tries {
        *words.entry(observed(it.observation.outcome, &it.denials)).or_default() += 1;
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
    let verdict = |it: &Try<'_>| match observed(it.observation.outcome, &it.denials) {
        Verdict::Allow => Some(Verdict::Allow),
        verdict => verdict.is_denial().then_some(Verdict::Deny),
    };
    let verdicts: Option<BTreeMap<&Place, Verdict>> =
        tries.iter().map(|it| Some((it.backend.as_ref()?, verdict(it)?))).collect();
    let remedy = verdicts.map(|verdicts| {
        let each: Vec<String> = verdicts.iter().map(|(place, word)| format!("{place}: {word}")).collect();
        format!("; if that is meant, write `verdict: {{{}}}`", each.join(", "))
    });
    note(format!("backends differ in verdict: {}{}", seen.join(", "), remedy.unwrap_or_default()))
}

#[cfg(test)]
mod tests;
