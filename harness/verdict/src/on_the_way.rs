//! What the evidence says about the parts of an expectation that are about a request's way: how it was
//! rejected, which node chose the backend, which addresses policy saw, what a name resolved to.

use crate::evidence;
use netproof_controlplane::Snapshot;
use netproof_model::event::{Denial, Finding, FindingKind};
use netproof_model::{Observation, Outcome};
use netproof_plan::addresses::{address_name, covers, other_addresses};
use netproof_plan::{Expectation, PolicySees};

/// Every part of an expectation that is about the way: what is not so, or that there is no evidence of it.
pub(crate) fn findings(
    expectation: &Expectation,
    observation: &Observation,
    denials: &[Denial],
    snapshot: &Snapshot,
) -> [Option<Finding>; 4] {
    [
        rejection(expectation, observation.outcome),
        via(expectation, observation),
        policy_sees(expectation, observation, denials, snapshot),
        names(expectation, observation, snapshot),
    ]
}

/// There is no evidence: no verdict.
fn unknown(why: impl Into<String>) -> Option<Finding> {
    Some(Finding::new(FindingKind::NoEvidence, why))
}

fn rejection(expectation: &Expectation, outcome: Outcome) -> Option<Finding> {
    let kind = expectation.rejected_with?;
    let wanted = kind.word();
    let message = match outcome {
        Outcome::Rejected(seen) if seen == kind => return None,
        Outcome::Rejected(seen) => {
            format!("expected to be rejected with {wanted}, it was with {}", seen.word())
        }
        Outcome::NotPermitted => {
            return unknown(format!(
                "expected to be rejected with {wanted}, but the source's own stack refused to send, which looks the \
                 same however it is rejected"
            ));
        }
        other => format!("expected to be rejected with {wanted}, it was {other}"),
    };
    Some(Finding::new(FindingKind::WrongRejection, message))
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

fn via(expectation: &Expectation, observation: &Observation) -> Option<Finding> {
    let wanted = expectation.via.as_ref()?;
    let list: Vec<String> = wanted.iter().map(|node| format!("node/{node}")).collect();
    let list = list.join(" or ");
    let message = match evidence::via(observation) {
        Some(node) if wanted.contains(node) => return None,
        Some(node) => format!("expected {list} to choose the backend, it was chosen by node/{node}"),
        None if observation.passages.is_empty() => {
            let why = unobserved(expectation);
            return unknown(format!("expected {list} to choose the backend, but {why}"));
        }
        None => format!("expected {list} to choose the backend, but no node chose one"),
    };
    Some(Finding::new(FindingKind::WrongVia, message))
}

fn policy_sees(
    expectation: &Expectation,
    observation: &Observation,
    denials: &[Denial],
    snapshot: &Snapshot,
) -> Option<Finding> {
    let PolicySees { source, destination } = expectation.policy_sees.as_ref()?;
    let Some(decided) = evidence::decided(observation, denials, snapshot) else {
        let why = unobserved(expectation);
        return unknown(format!("nothing says which addresses policy saw: {why}"));
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
    (!wrong.is_empty()).then(|| {
        let message = format!(
            "expected policy to see {} (on node/{}, hook {})",
            wrong.join(", and "),
            decided.node,
            decided.hook
        );
        Finding::new(FindingKind::WrongPolicySees, message)
    })
}

fn names(expectation: &Expectation, observation: &Observation, snapshot: &Snapshot) -> Option<Finding> {
    let wanted = expectation.resolves_to.as_ref()?;
    let resolved = &observation.resolved;
    if resolved.is_empty() {
        return unknown("nothing says what the name resolved to");
    }
    let (wanted, resolved) = other_addresses(wanted, resolved, snapshot)?;
    let message = format!("expected the name to resolve to {wanted}, it resolved to {resolved}");
    Some(Finding::new(FindingKind::WrongResolution, message))
}
