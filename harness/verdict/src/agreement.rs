//! The three answers held against each other: what the scenario expects, what the API says, what the packets
//! did. Any two that differ fail the check.

use crate::evidence;
use crate::judge::{self, Judgement};
use crate::prediction::{Answer, Difference};
use crate::tries::Try;
use netproof_controlplane::Snapshot;
use netproof_model::event::{Denial, Finding, FindingKind, Status};
use netproof_model::{Decision, Outcome, Party, Verdict, Verdicts};
use netproof_oracle::Switches;
use netproof_plan::{Expectation, Expected};

/// A difference between what the API says and what the packets did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Differing {
    difference: Difference,
    /// What the packets did.
    observed: Verdict,
    /// Who denied it, or was to.
    culprit: Party,
}

/// In what the tries of a flow differ from what the API says: a verdict before a decider.
pub(crate) fn of_tries(answer: &Answer, tries: &[Try<'_>], snapshot: &Snapshot) -> Option<Differing> {
    let differing = tries.iter().filter_map(|it| {
        Some(Differing {
            difference: answer.difference(it.observation, &it.denials, snapshot)?,
            observed: evidence::observed(it.observation.outcome, &it.denials),
            culprit: culprit(answer, &it.denials),
        })
    });
    differing.min_by_key(|it| it.difference.is_decider())
}

/// Who is to blame for a try that is not as the API says.
fn culprit(answer: &Answer, denials: &[Denial]) -> Party {
    let may_be_both = |denial: &Denial| denial.decision == Decision::Unsaid { who: Party::Either };
    match denials {
        _ if answer.is_refused() => Party::Proxy,
        denials if denials.iter().any(may_be_both) => Party::Either,
        denials if denials.iter().any(|denial| denial.decision.is_service()) => Party::Proxy,
        _ => Party::Enforcer,
    }
}

/// That an answer is lost, and nothing logged it, is no trouble of the machine where the API says just that.
pub(crate) fn expect_loss(answer: &Answer, expected: &Expected, one: &mut Try<'_>, snapshot: &Snapshot) {
    let is_so = one.observation.outcome == Outcome::ReplyLost
        && answer.difference(one.observation, &one.denials, snapshot).is_none();
    let judgement = &mut one.judgement;
    if is_so && judgement.status == Status::Errored && answer.open(one.backend.as_ref()).is_none() {
        judgement.status = Status::Failed;
        let mismatch = judge::mismatch(expected, &judgement.observed);
        judgement.findings = vec![Finding::new(FindingKind::WrongVerdict, mismatch)];
    }
}

/// Where the API leaves the verdict on a try open, that is no failure, whatever the scenario expects of it, unless it
/// names its own profile (`is_meant`). The check says so, with the names of the switches that would settle it.
pub(crate) fn leave_open(answer: &Answer, is_meant: bool, one: &mut Try<'_>) {
    let judgement = &mut one.judgement;
    if !judgement.found(FindingKind::WrongVerdict) {
        return;
    }
    let Some(switches) = answer.open(one.backend.as_ref()) else { return };
    if is_meant {
        let note = format!(
            "the API leaves it open ({switches}); it fails because the scenario expects it under a profile of its own"
        );
        judgement.add(FindingKind::Note, note);
        return;
    }
    pass_as_open(judgement, switches);
}

/// Scenarios are written for one reading of what the API leaves open, and another profile may have another. A try that is
/// not as the scenario expects, but as the profile says (`answer`), is no failure where the API itself (`strictly`)
/// leaves its verdict open.
pub(crate) fn leave_to_profile(answer: &Answer, strictly: &Answer, one: &mut Try<'_>, snapshot: &Snapshot) {
    let is_wrong = one.judgement.found(FindingKind::WrongVerdict);
    let open = strictly.open(one.backend.as_ref()).filter(|_| is_wrong);
    if let Some(switches) = open
        && answer.difference(one.observation, &one.denials, snapshot).is_none()
    {
        pass_as_open(&mut one.judgement, switches);
    }
}

/// A wrong verdict that is none, since the API leaves it open.
fn pass_as_open(judgement: &mut Judgement, switches: Switches) {
    let wrong = judgement.findings.iter().find(|finding| finding.kind == FindingKind::WrongVerdict);
    let wrong = wrong.map(|finding| finding.message.as_str()).unwrap_or_default();
    let undefined = format!("undefined: {wrong}, and the API leaves it open ({switches})");
    judgement.status = Status::Passed;
    judgement.findings = vec![Finding::new(FindingKind::Undefined, undefined)];
}

/// Says which of the three answers differ, and fails a check that had passed if any do. `differing`: in what the
/// packets differ from what the API says. What broke, and what is not judged, stays as it is.
pub(crate) fn of_three(
    expectation: &Expectation,
    answer: &Answer,
    differing: Option<&Differing>,
    snapshot: &Snapshot,
    judgement: &mut Judgement,
) {
    let failed = match judgement.status {
        Status::Passed if expectation.expected == Expected::Observe => return,
        Status::Passed => false,
        Status::Failed => true,
        Status::Errored | Status::Skipped => return,
    };
    // What the scenario expects of a verdict that is open contradicts a profile, and not the API.
    let contradiction =
        answer.contradiction(expectation).filter(|_| !judgement.found(FindingKind::Undefined));
    let mut findings = Vec::new();
    let mut add = |kind, message| findings.push(Finding::new(kind, message));
    match (&contradiction, differing) {
        (None, None) => match answer.other_way(expectation, snapshot) {
            None => return,
            Some(other) if failed => {
                add(
                    FindingKind::ScenarioContradictsApi,
                    format!("the scenario contradicts the API: {other}"),
                );
            }
            Some(other) => add(
                FindingKind::ScenarioContradictsApi,
                format!("the scenario and the packets contradict the API: {other}"),
            ),
        },
        (None, Some(differing)) if failed => {
            add(differing.difference.kind(), differing.blamed(&expectation.expected, answer));
        }
        (None, Some(differing)) => {
            add(differing.difference.kind(), differing.told(&judgement.observed, answer))
        }
        (Some(contradiction), None) => {
            // That the packets are not as the scenario expects is no failure of theirs.
            judgement.findings.retain(|finding| finding.kind != FindingKind::WrongVerdict);
            add(
                FindingKind::ScenarioContradictsApi,
                format!(
                    "the scenario contradicts the API, and the packets do as the API says: {contradiction}"
                ),
            );
        }
        (Some(contradiction), Some(differing)) => {
            add(differing.difference.kind(), differing.told(&judgement.observed, answer));
            add(
                FindingKind::ScenarioContradictsApi,
                format!("the scenario contradicts the API: {contradiction}"),
            );
        }
    }
    judgement.status = Status::Failed;
    judgement.findings.append(&mut findings);
}

impl Differing {
    /// That another allowed than the API says.
    pub(crate) fn decider(difference: Difference) -> Differing {
        Differing { difference, observed: Verdict::Allow, culprit: Party::Enforcer }
    }

    /// That the packets contradict the API.
    fn told(&self, observed: &Verdicts, answer: &Answer) -> String {
        self.difference.told(observed, self.observed, answer)
    }

    /// Who is wrong where the scenario and the API agree.
    fn blamed(&self, expected: &Expected, answer: &Answer) -> String {
        let who = self.culprit;
        let says = match &self.difference {
            Difference::Decider { says, .. } => {
                return format!("the API says that {says} decides: {who} is wrong");
            }
            Difference::Verdict | Difference::Server(_) => answer.against(self.observed),
        };
        let agrees = expected.verdicts().as_ref() == Some(&says);
        format!("the API says {says}{}: {who} is wrong", if agrees { " too" } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::prediction::{ApiVerdict, Course};
    use crate::testing::isolation;
    use netproof_model::{Action, Observation, Place};
    use netproof_oracle::{PredictedDenial, Refusal, Switch, Switches};
    use netproof_plan::testing::{expectation, observation, snapshot};

    /// The answer of which nothing is known but a word; whoever gets through is answered by pod b.
    fn answer(verdict: ApiVerdict) -> Answer {
        let server = (verdict == ApiVerdict::Allow).then(|| Place::pod("default", "b"));
        Answer { courses: vec![Course { server, verdict, listens: true }], ..Answer::default() }
    }

    #[test]
    fn who_is_to_blame_is_who_denied_or_was_to() {
        let denied_by = |decision| vec![Denial { decision, ..isolation() }];
        let unsaid = |who| denied_by(Decision::Unsaid { who });
        let refused =
            ApiVerdict::Deny(PredictedDenial::Service { service: None, refusal: Refusal::NoSuchService });
        for (verdict, denials, who) in [
            (ApiVerdict::Allow, vec![], Party::Enforcer),
            (ApiVerdict::Allow, vec![isolation()], Party::Enforcer),
            (ApiVerdict::Allow, denied_by(Decision::UnknownService), Party::Proxy),
            (ApiVerdict::Allow, unsaid(Party::Enforcer), Party::Enforcer),
            (ApiVerdict::Allow, unsaid(Party::Proxy), Party::Proxy),
            (ApiVerdict::Allow, unsaid(Party::Either), Party::Either),
            (refused, vec![], Party::Proxy),
        ] {
            assert_eq!(culprit(&answer(verdict), &denials), who, "{denials:?}");
        }
    }

    /// What is expected, what was seen, what the API says; whether the check passes, and what is said.
    #[test]
    fn any_two_answers_that_differ_fail_and_the_message_says_which() {
        use FindingKind::{PacketsContradictApi, ScenarioContradictsApi, WrongVerdict};
        let deny = || ApiVerdict::Deny(PredictedDenial::Policy { action: None });
        let reject = || ApiVerdict::Deny(PredictedDenial::Policy { action: Some(Action::Reject) });
        let (connected, dropped) = (Outcome::Connected, Outcome::Dropped);
        type Findings<'a> = &'a [(FindingKind, &'a str)];
        let table: [(Expected, Outcome, ApiVerdict, Findings<'_>); 10] = [
            (Expected::All(Verdict::Allow), connected, ApiVerdict::Allow, &[]),
            (Expected::All(Verdict::Deny), dropped, deny(), &[]),
            (Expected::Observe, connected, deny(), &[]),
            (
                Expected::All(Verdict::Deny),
                connected,
                deny(),
                &[
                    (WrongVerdict, "expected deny, observed allow"),
                    (PacketsContradictApi, "the API says deny too: the enforcer is wrong"),
                ],
            ),
            (
                Expected::All(Verdict::Deny),
                connected,
                ApiVerdict::Allow,
                &[(
                    ScenarioContradictsApi,
                    "the scenario contradicts the API, and the packets do as the API says: expected deny, the API \
                     says allow",
                )],
            ),
            (
                Expected::All(Verdict::Deny),
                dropped,
                reject(),
                &[(
                    PacketsContradictApi,
                    "the packets contradict the API: observed drop, the API says reject",
                )],
            ),
            (
                Expected::All(Verdict::Deny),
                connected,
                reject(),
                &[
                    (WrongVerdict, "expected deny, observed allow"),
                    (PacketsContradictApi, "the API says deny too: the enforcer is wrong"),
                ],
            ),
            (
                Expected::All(Verdict::Allow),
                connected,
                deny(),
                &[
                    (
                        PacketsContradictApi,
                        "the packets contradict the API: observed allow, the API says deny",
                    ),
                    (
                        ScenarioContradictsApi,
                        "the scenario contradicts the API: expected allow, the API says deny",
                    ),
                ],
            ),
            (
                Expected::All(Verdict::Deny),
                connected,
                ApiVerdict::Unreachable,
                &[
                    (WrongVerdict, "expected deny, observed allow"),
                    (
                        PacketsContradictApi,
                        "the packets contradict the API: observed allow, the API says unreachable",
                    ),
                    (
                        ScenarioContradictsApi,
                        "the scenario contradicts the API: expected deny, the API says unreachable",
                    ),
                ],
            ),
            // It can connect, and does so with somebody else.
            (
                Expected::All(Verdict::Allow),
                Outcome::Refused,
                ApiVerdict::Allow,
                &[
                    (WrongVerdict, "expected allow, observed refused"),
                    (PacketsContradictApi, "the API says allow too: the enforcer is wrong"),
                ],
            ),
        ];
        for (expected, outcome, word, said) in table {
            let (expectation, answer) = (expectation(expected, None), answer(word));
            let mut seen = observation(outcome);
            let mut denials = vec![isolation()];
            if outcome != dropped {
                seen.served_by = Some(Place::pod("default", "b"));
                denials.clear();
            }
            let mut judgement = judged(&expectation, &seen, &denials);
            let tries = [Try { observation: &seen, denials, backend: None, judgement: judgement.clone() }];
            let differing = of_tries(&answer, &tries, &snapshot());
            of_three(&expectation, &answer, differing.as_ref(), &snapshot(), &mut judgement);
            let found: Vec<(FindingKind, &str)> =
                judgement.findings.iter().map(|it| (it.kind, it.message.as_str())).collect();
            assert_eq!(found, said, "{expectation:?} {outcome} {answer}");
            assert_eq!(judgement.status == Status::Passed, said.is_empty(), "{judgement:?}");
        }
        let mut errored =
            Judgement { status: Status::Errored, observed: Verdict::Drop.into(), findings: Vec::new() };
        of_three(
            &expectation(Expected::All(Verdict::Allow), None),
            &answer(deny()),
            None,
            &snapshot(),
            &mut errored,
        );
        assert_eq!((errored.status, errored.findings.len()), (Status::Errored, 0));
    }

    fn judged(expectation: &Expectation, observation: &Observation, denials: &[Denial]) -> Judgement {
        judge::judge(expectation, &expectation.expected, observation, denials, &snapshot())
    }

    /// What a scenario expects of an open verdict, another profile may contradict, and the packets may do as that says:
    /// what the API itself says decides whether it is a failure.
    #[test]
    fn what_a_profile_settles_otherwise_fails_where_the_api_says_it_too() {
        use FindingKind::{ScenarioContradictsApi, Undefined, WrongVerdict};
        let open = || ApiVerdict::Open(Switches::of(Switch::Icmp));
        let deny = || ApiVerdict::Deny(PredictedDenial::Policy { action: None });
        let expectation = expectation(Expected::All(Verdict::Deny), None);
        for (profile, strictly, kinds) in [
            (ApiVerdict::Allow, open(), &[Undefined][..]),
            (ApiVerdict::Allow, ApiVerdict::Allow, &[ScenarioContradictsApi]),
            (deny(), open(), &[WrongVerdict, FindingKind::PacketsContradictApi]),
        ] {
            let observation = observation(Outcome::Connected);
            let seen = Observation { served_by: Some(Place::pod("default", "b")), ..observation };
            let judgement = judged(&expectation, &seen, &[]);
            let mut one = Try { observation: &seen, denials: Vec::new(), backend: None, judgement };
            let answer = answer(profile);
            leave_to_profile(&answer, &self::answer(strictly), &mut one, &snapshot());
            let differing = of_tries(&answer, std::slice::from_ref(&one), &snapshot());
            let mut judgement = one.judgement;
            of_three(&expectation, &answer, differing.as_ref(), &snapshot(), &mut judgement);
            let found: Vec<FindingKind> = judgement.findings.iter().map(|it| it.kind).collect();
            assert_eq!(found, kinds, "{answer}");
            assert_eq!(judgement.status == Status::Passed, kinds == [Undefined], "{judgement:?}");
        }
    }

    /// A verdict that the API leaves open is no failure; whatever else is not as expected is one. How any of that is
    /// worded has no part in it.
    #[test]
    fn what_is_open_fails_nothing() {
        use FindingKind::{Note, Undefined, WrongSource, WrongVerdict};
        let open = || ApiVerdict::Open(Switches::of(Switch::Sctp));
        let deny = || ApiVerdict::Deny(PredictedDenial::Policy { action: None });
        for (word, kind, is_meant, status, kinds) in [
            (open(), WrongVerdict, true, Status::Failed, &[WrongVerdict, Note][..]),
            (open(), WrongVerdict, false, Status::Passed, &[Undefined]),
            (open(), WrongSource, false, Status::Failed, &[WrongSource]),
            (deny(), WrongVerdict, false, Status::Failed, &[WrongVerdict]),
            (deny(), WrongVerdict, true, Status::Failed, &[WrongVerdict]),
        ] {
            let findings = vec![Finding::new(kind, "in whatever words")];
            let judgement = Judgement { status: Status::Failed, observed: Verdict::Allow.into(), findings };
            let observation = &observation(Outcome::Connected);
            let mut one = Try { observation, denials: Vec::new(), backend: None, judgement };
            leave_open(&answer(word), is_meant, &mut one);
            let judgement = one.judgement;
            let found: Vec<FindingKind> = judgement.findings.iter().map(|it| it.kind).collect();
            assert_eq!((judgement.status, found.as_slice()), (status, kinds));
            if kind == WrongVerdict && status == Status::Passed {
                let said = "undefined: in whatever words, and the API leaves it open (sctp)";
                assert_eq!(judgement.said(), said);
            }
        }
    }
}
