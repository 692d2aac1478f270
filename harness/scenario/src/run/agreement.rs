//! The three answers held against each other: what the scenario expects, what the API says, what the packets
//! did. Any two that differ fail the check.

use super::judge::{self, Judgement, observed_word};
use super::tries::Try;
use crate::plan::{Expectation, Expected};
use crate::prediction::Answer;
use netproof_controlplane::Snapshot;
use netproof_model::event::Status;
use netproof_model::{Outcome, Place};

/// Whether one try went as the API says.
pub(super) fn of_try(answer: &Answer, one: &Try<'_>) -> bool {
    let outcome = one.observation.outcome;
    answer.agrees(one.backend.as_ref(), outcome, observed_word(outcome, &one.denials))
}

/// That an answer is lost, and nothing logged it, is no trouble of the machine where the API says just that.
pub(super) fn expect_loss(
    answer: &Answer,
    expected: &Expected,
    backend: Option<&Place>,
    outcome: Outcome,
    judgement: &mut Judgement,
) {
    let is_so = outcome == Outcome::ReplyLost && answer.agrees(backend, outcome, &judgement.observed);
    if is_so && judgement.status == Status::Errored && answer.open(backend).is_none() {
        judgement.status = Status::Failed;
        judgement.messages = vec![judge::mismatch(expected, &judgement.observed)];
    }
}

/// Where the API leaves the verdict on a try open, that is no failure, whatever the scenario expects of it, unless it
/// names its own profile (`is_meant`). The check says so, with the names of the switches that would settle it.
pub(super) fn leave_open(
    answer: &Answer,
    backend: Option<&Place>,
    expected: &Expected,
    is_meant: bool,
    judgement: &mut Judgement,
) {
    let mismatch = judge::mismatch(expected, &judgement.observed);
    if judgement.status == Status::Failed
        && judgement.messages.first() == Some(&mismatch)
        && let Some(switches) = answer.open(backend)
    {
        if is_meant {
            judgement.messages.push(format!(
                "the API leaves it open ({switches}); what a scenario with a profile of its own expects counts all the \
                 same"
            ));
            return;
        }
        judgement.status = Status::Passed;
        judgement.messages = vec![format!("undefined: {mismatch}, and the API leaves it open ({switches})")];
    }
}

/// Says which of the three answers differ, and fails a check that had passed if any do. `agree`: all tries
/// went as the API says. What broke, and what is not judged, stays as it is.
pub(super) fn of_three(
    expectation: &Expectation,
    answer: &Answer,
    agree: bool,
    snapshot: &Snapshot,
    judgement: &mut Judgement,
) {
    let contradiction = answer.contradiction(expectation);
    let failed = match judgement.status {
        Status::Passed if expectation.expected == Expected::Observe => return,
        Status::Passed => false,
        Status::Failed => true,
        Status::Errored | Status::Skipped => return,
    };
    let message = match (contradiction, failed, agree) {
        // The verdict is right. Where the check failed, something else is not as expected.
        (None, _, true) => match answer.other_way(expectation, snapshot) {
            None => return,
            Some(contradiction) if failed => format!("the scenario contradicts the API: {contradiction}"),
            Some(contradiction) => {
                format!("the scenario and the packets contradict the API: {contradiction}")
            }
        },
        (None, true, false) => {
            let says = answer.against(&judgement.observed);
            format!("the API agrees with the scenario, not with the packets: it says {says}")
        }
        (None, false, false) => {
            let says = answer.against(&judgement.observed);
            format!("the packets contradict the API: observed {}, the API says {says}", judgement.observed)
        }
        (Some(contradiction), _, true) => {
            // That the packets are not as the scenario expects is no failure of theirs.
            let mismatch = judge::mismatch(&expectation.expected, &judgement.observed);
            judgement.messages.retain(|message| *message != mismatch);
            format!("the scenario contradicts the API, with which the packets agree: {contradiction}")
        }
        (Some(contradiction), false, false) => {
            format!("the scenario and the packets contradict the API: {contradiction}")
        }
        (Some(contradiction), true, false) => {
            format!("the scenario contradicts the API, and the packets contradict both: {contradiction}")
        }
    };
    judgement.status = Status::Failed;
    judgement.messages.push(message);
}

#[cfg(test)]
mod tests {
    use super::super::judge::tests::{expectation, snapshot};
    use super::*;
    use crate::prediction::{Course, Word};
    use netproof_model::Action;
    use netproof_oracle::{Denial, Switch, Switches};

    /// A course whose server, if it gets through, answers.
    fn course(word: Word) -> Course {
        Course { server: None, word, listens: true }
    }

    /// What is expected, what was observed, what the API says; whether the check passes, and what is said.
    #[test]
    fn any_two_answers_that_differ_fail_and_the_message_says_which() {
        let deny = || Word::Deny(Denial::Policy { action: None });
        let reject = || Word::Deny(Denial::Policy { action: Some(Action::Reject) });
        let table = [
            (Expected::Allow, "allow", Word::Allow, Ok(())),
            (Expected::Deny, "drop", deny(), Ok(())),
            (Expected::Observe, "allow", deny(), Ok(())),
            (
                Expected::Deny,
                "allow",
                deny(),
                Err("expected deny, observed allow; \
                     the API agrees with the scenario, not with the packets: it says deny"),
            ),
            (
                Expected::Deny,
                "allow",
                Word::Allow,
                Err("the scenario contradicts the API, with which the packets agree: \
                     expected deny, the API says allow"),
            ),
            (
                Expected::Deny,
                "drop",
                reject(),
                Err("the packets contradict the API: observed drop, the API says reject"),
            ),
            (
                Expected::Deny,
                "allow",
                reject(),
                Err("expected deny, observed allow; \
                     the API agrees with the scenario, not with the packets: it says deny"),
            ),
            (
                Expected::Allow,
                "allow",
                deny(),
                Err("the scenario and the packets contradict the API: expected allow, the API says deny"),
            ),
            (
                Expected::Deny,
                "allow",
                Word::Unreachable,
                Err(
                    "expected deny, observed allow; the scenario contradicts the API, and the packets contradict \
                     both: expected deny, the API says unreachable",
                ),
            ),
        ];
        for (expected, observed, word, result) in table {
            let as_expected = match &expected {
                Expected::Observe => true,
                Expected::Allow => observed == "allow",
                _ => observed == "drop",
            };
            let outcome = if observed == "allow" { Outcome::Connected } else { Outcome::Dropped };
            let messages = match as_expected {
                true => Vec::new(),
                false => vec![format!("expected {expected}, observed {observed}")],
            };
            let status = if as_expected { Status::Passed } else { Status::Failed };
            let mut judgement = Judgement { status, observed: observed.to_owned(), messages };
            let courses = vec![course(word)];
            let answer = Answer { courses, ..Answer::default() };
            let agree = answer.agrees(None, outcome, observed);
            of_three(&expectation(expected.clone(), None), &answer, agree, &snapshot(), &mut judgement);
            let said = match judgement.status {
                Status::Passed => Ok(()),
                _ => Err(judgement.messages.join("; ")),
            };
            assert_eq!(said, result.map_err(str::to_owned), "{expected} {observed} {answer}");
        }
        let mut errored =
            Judgement { status: Status::Errored, observed: "drop".into(), messages: vec!["lost".into()] };
        let answer = Answer { courses: vec![course(deny())], ..Answer::default() };
        of_three(&expectation(Expected::Allow, None), &answer, true, &snapshot(), &mut errored);
        assert_eq!((errored.status, errored.messages.len()), (Status::Errored, 1));
    }

    /// A verdict that the API leaves open is no failure; whatever else is not as expected is one.
    #[test]
    fn what_is_open_fails_nothing() {
        let open = || Word::Open(Switches::of(Switch::Sctp));
        let deny = || Word::Deny(Denial::Policy { action: None });
        let wrong = "expected deny, observed allow";
        let seen = "expected the server to see node/node1";
        let meant = "expected deny, observed allow; the API leaves it open (sctp); what a scenario with a profile of its \
             own expects counts all the same";
        for (word, message, is_meant, expected) in [
            (open(), wrong, true, (Status::Failed, meant)),
            (
                open(),
                wrong,
                false,
                (
                    Status::Passed,
                    "undefined: expected deny, observed allow, and the API leaves it open (sctp)",
                ),
            ),
            (open(), seen, false, (Status::Failed, seen)),
            (deny(), wrong, false, (Status::Failed, wrong)),
            (deny(), wrong, true, (Status::Failed, wrong)),
        ] {
            let answer = Answer { courses: vec![course(word)], ..Answer::default() };
            let messages = vec![message.to_owned()];
            let mut judgement = Judgement { status: Status::Failed, observed: "allow".into(), messages };
            leave_open(&answer, None, &Expected::Deny, is_meant, &mut judgement);
            assert_eq!((judgement.status, judgement.messages.join("; ").as_str()), expected);
        }
    }
}
