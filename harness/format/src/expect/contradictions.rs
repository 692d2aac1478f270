//! Expectations of a step that contradict the API, as a profile reads it.

use netproof_api::source::Span;
use netproof_controlplane::Snapshot;
use netproof_documents::document::{Document, Problems};
use netproof_model::Families;
use netproof_oracle::Profile;
use netproof_plan::Expectation;
use netproof_verdict::prediction::{Answers, Kept};
use std::cell::LazyCell;

/// Reports every expectation of a step that contradicts the API.
pub fn contradictions(
    document: &Document,
    snapshot: &Snapshot,
    profile: Profile,
    expectations: &[(Span, Expectation)],
    kept: &mut Kept,
    problems: &mut Problems,
) {
    let answers = Answers::new(snapshot, profile);
    let bare = LazyCell::new(|| snapshot.without_policies());
    let answers_bare = LazyCell::new(|| Answers::new(&bare, profile));
    for (span, expectation) in expectations {
        let mut report = |contradiction: String, help: &str, derivation: String| {
            // Of a flow in two families each has an answer of its own.
            let family = match snapshot.topology.family {
                Families::Dual => format!("of {}, ", expectation.family),
                Families::Ipv4 | Families::Ipv6 => String::new(),
            };
            let message = format!("the scenario contradicts the API: {family}{contradiction}");
            problems.push(document.error(*span, message).help(help).note(derivation));
        };
        if let Some(answer) = answers.answer(expectation, kept) {
            let verdict = answer.contradiction(expectation);
            if let Some(contradiction) = verdict.or_else(|| answer.other_way(expectation, snapshot)) {
                let help = "correct the expectation or the objects; points that the API leaves open are read with \
                    `--profile`";
                report(contradiction, help, answers.explain(&answer));
                continue;
            }
        }
        if expectation.expected_without_policy().is_some()
            && let Some(answer) = answers_bare.fresh(&expectation.request)
            && let Some(contradiction) = answer.contradiction_without_policy(expectation)
        {
            let help = "a denial counts only where the flow connects without policy; where it does not, `baseline` says \
                what becomes of it, and what a service proxy denies has `decidedBy: service`";
            report(contradiction, help, answers_bare.explain(&answer));
        }
    }
}
