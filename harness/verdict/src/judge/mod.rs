//! Judging: one expectation held against one observation.

use crate::decider::decides;
use crate::evidence::observed;
use crate::on_the_way;
use crate::unchecked::Unchecked;
use netproof_controlplane::Snapshot;
use netproof_model::event::{Denial, Finding, FindingKind, Status};
use netproof_model::{Decision, Observation, Outcome, Party, Verdict, Verdicts};
use netproof_plan::addresses::{address_name, covers};
use netproof_plan::{Expectation, Expected};

/// The result of one comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    /// Passed or not, or no verdict.
    pub status: Status,
    /// What was observed.
    pub observed: Verdicts,
    /// What is not as expected, or why there is no verdict.
    pub findings: Vec<Finding>,
}

impl Judgement {
    /// Failed if anything was found.
    pub(crate) fn new(observed: impl Into<Verdicts>, findings: Vec<Finding>) -> Self {
        let status = if findings.is_empty() { Status::Passed } else { Status::Failed };
        Judgement { status, observed: observed.into(), findings }
    }

    /// No verdict.
    fn errored(observed: Verdict, why: impl Into<String>) -> Self {
        let findings = vec![Finding::new(FindingKind::NoEvidence, why)];
        Judgement { status: Status::Errored, observed: observed.into(), findings }
    }

    /// Whether it found something of this kind.
    pub fn found(&self, kind: FindingKind) -> bool {
        self.findings.iter().any(|finding| finding.kind == kind)
    }

    /// Adds a finding.
    pub fn add(&mut self, kind: FindingKind, message: impl Into<String>) {
        self.findings.push(Finding::new(kind, message));
    }
}

/// Judges an expectation of the run itself.
///
/// Every rule that drops or rejects logs, and without an enforcer there is none: what looks like a denial
/// and was logged by nobody is no verdict, unless the server saw another source than expected. (Of an enforcer or a
/// proxy that logs nothing it is a denial, which whoever asks them adds.)
pub(crate) fn judge(
    expectation: &Expectation,
    expected: &Expected,
    observation: &Observation,
    denials: &[Denial],
    snapshot: &Snapshot,
) -> Judgement {
    let outcome = observation.outcome;
    let observed = observed(outcome, denials);
    // What is so without policy, too, needs no rule that explains it.
    let is_baseline = expectation.baseline.as_ref().is_some_and(|baseline| outcome.is(baseline.outcome));
    // So is an answer that is not to come back: that it was sent, and got lost, is what is expected.
    let is_unanswered = expected.is_no_answer() && outcome == Outcome::ReplyLost;
    if let Some(message) = unexplained(outcome, denials).filter(|_| !is_baseline && !is_unanswered) {
        let mut judgement = Judgement::errored(observed, message);
        // A source that the server saw is known to be wrong, whatever became of the answer.
        if observation.seen_source.is_some()
            && let Some(wrong) = wrong_source(expectation, observation, snapshot)
        {
            judgement.status = Status::Failed;
            judgement.findings.insert(0, wrong);
        }
        return judgement;
    }
    if let Some(message) = undecided(expected, outcome, denials) {
        return Judgement::errored(observed, message);
    }
    if !matches(expected, outcome, denials) {
        let mut judgement = Judgement::new(observed, Vec::new());
        judgement.status = Status::Failed;
        judgement.add(FindingKind::WrongVerdict, mismatch(expected, &judgement.observed));
        if outcome == Outcome::NameServerUnreachable && expected.is_denial() {
            let note = "the name could not be resolved, so the destination was never tried; \
                        if that is meant, write `outcome: name-server-unreachable`";
            judgement.add(FindingKind::Note, note);
        }
        return judgement;
    }
    let parts = [
        wrong_decider(expectation, expected, observation, denials),
        wrong_source(expectation, observation, snapshot),
    ];
    let way = on_the_way::findings(expectation, observation, denials, snapshot);
    let all = parts.into_iter().chain(way).flatten();
    let (unknown, wrong): (Vec<_>, Vec<_>) = all.partition(|it| it.kind == FindingKind::NoEvidence);
    match wrong.is_empty() && !unknown.is_empty() {
        true => Judgement { status: Status::Errored, observed: observed.into(), findings: unknown },
        false => Judgement::new(observed, wrong),
    }
}

/// That the verdict or outcome is another than the expected one.
pub(crate) fn mismatch(expected: &Expected, observed: &Verdicts) -> String {
    format!("expected {expected}, observed {observed}")
}

/// What an enforcer or proxy that gives no evidence would have to say for a verdict.
fn undecided(expected: &Expected, outcome: Outcome, denials: &[Denial]) -> Option<String> {
    unsaid_by(denials)?;
    match expected {
        Expected::All(Verdict::Drop | Verdict::Reject) if outcome == Outcome::NotPermitted => Some(format!(
            "expected {expected}, but the source's own stack refused to send, which looks the same for a drop and a \
             reject, and nobody says which it was"
        )),
        Expected::PerBackend(_) => {
            Some("denied before a backend was chosen, or nothing says which, and backends differ".to_owned())
        }
        _ => None,
    }
}

/// Who denied without giving evidence, if it was so.
fn unsaid_by(denials: &[Denial]) -> Option<Party> {
    match denials.first()?.decision {
        Decision::Unsaid { who } => Some(who),
        _ => None,
    }
}

/// Why it is not checked who decided, where all else is as expected.
pub(crate) fn unchecked_decider(
    expectation: &Expectation,
    judgement: &Judgement,
    denials: &[Denial],
) -> Option<Unchecked> {
    let is_asked = judgement.status == Status::Passed && expectation.decided_by.is_some();
    unsaid_by(denials).filter(|_| is_asked).map(Unchecked::Denial)
}

/// What to say of what looks like a denial and was logged by nobody: it is no verdict.
pub fn unexplained(outcome: Outcome, denials: &[Denial]) -> Option<String> {
    if !denials.is_empty() || !outcome.is_denial() {
        return None;
    }
    let what = match outcome {
        Outcome::Dropped => "the request was lost on the way",
        Outcome::ReplyLost => "the answer was lost on the way",
        Outcome::NotPermitted => "the source's own stack refused to send the request",
        Outcome::NameServerUnreachable => "the name server gave no answer",
        _ => "the request was rejected on the way",
    };
    Some(format!("{what}, and no rule of the enforcer or the proxy logged that it did that"))
}

/// Whether the outcome is the expected one; deciders and addresses apart.
fn matches(expected: &Expected, outcome: Outcome, denials: &[Denial]) -> bool {
    match expected {
        // Where only the answer was lost, the request had got through.
        Expected::All(Verdict::Deny) => observed(outcome, denials).is_denial(),
        Expected::All(verdict @ (Verdict::Drop | Verdict::Reject)) => observed(outcome, denials) == *verdict,
        Expected::All(verdict) => outcome.is(*verdict),
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
) -> Option<Finding> {
    let first = denials.first().map(|denial| &denial.decision);
    let message = match (&expectation.decided_by, first) {
        (None, Some(decision)) if !decision.is_policy() && expected.is_denial() => {
            let remedy = match decision.is_service() {
                true => "; if that is meant, write `decidedBy: service`",
                false => "",
            };
            format!("denied, but not by policy: {decision}{remedy}")
        }
        (None, _) => return None,
        // Who allowed is known of a trace; and of backends that differ, one that was to answer did.
        (Some(_), None) if observation.outcome == Outcome::Connected => return None,
        (Some(wanted), None) => {
            format!("expected to be decided by {wanted}, but nothing says who decided")
        }
        (Some(wanted), Some(decision)) if decides(wanted, decision) => return None,
        (Some(wanted), Some(decision)) => {
            format!("expected to be decided by {wanted}, decided by {decision}")
        }
    };
    Some(Finding::new(FindingKind::WrongDecider, message))
}

fn wrong_source(
    expectation: &Expectation,
    observation: &Observation,
    snapshot: &Snapshot,
) -> Option<Finding> {
    let wanted = expectation.sees.as_ref()?;
    let message = match observation.seen_source {
        Some(seen) if covers(wanted, seen, snapshot) => return None,
        Some(seen) => {
            format!("expected the server to see {wanted}, it saw {}", address_name(seen, snapshot))
        }
        None => format!("expected the server to see {wanted}, but it saw no packet"),
    };
    Some(Finding::new(FindingKind::WrongSource, message))
}

/// Judges a flow after the policies were removed: it must behave as it did in the rehearsal, whichever
/// backends its tries reached. A packet that was not lost then and is lost now, by no rule, says nothing of
/// the policies, unless who denies leaves no evidence of it (`explains` is false).
pub fn judge_cleanup(rehearsed: &[Observation], tries: &[Observation], explains: bool) -> Judgement {
    let (before, observed) = (outcomes(rehearsed), outcomes(tries));
    let problem = (before != observed).then(|| {
        let message = format!(
            "after the policies were removed, expected {before} as before they were applied, observed {observed}"
        );
        Finding::new(FindingKind::WrongInCleanup, message)
    });
    let vanished = |it: &Observation| {
        let lost = matches!(it.outcome, Outcome::Dropped | Outcome::ReplyLost);
        lost && it.logs.is_empty() && !rehearsed.iter().any(|before| before.outcome == it.outcome)
    };
    let mut judgement = Judgement::new(observed, problem.into_iter().collect());
    if explains && judgement.status == Status::Failed && tries.iter().any(vanished) {
        judgement.status = Status::Errored;
        judgement
            .add(FindingKind::NoEvidence, "no rule of the enforcer or the proxy logged that it did that");
    }
    judgement
}

/// The try that a clean-up's check tells of: one that no try of the rehearsal was like, else the first.
pub fn told_of_cleanup<'o>(rehearsed: &[Observation], tries: &'o [Observation]) -> Option<&'o Observation> {
    let verdict = |it: &Observation| observed(it.outcome, &[]);
    let strange = tries.iter().find(|it| !rehearsed.iter().any(|before| verdict(before) == verdict(it)));
    strange.or(tries.first())
}

/// What became of several tries without policy.
pub fn outcomes(tries: &[Observation]) -> Verdicts {
    Verdicts::any_of(tries.iter().map(|it| observed(it.outcome, &[])))
}

#[cfg(test)]
mod tests;
