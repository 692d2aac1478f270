//! What the evidence says about the parts of an expectation that are about a request's way: how it was
//! rejected, which node chose the backend, which addresses policy saw, what a name resolved to.

use super::evidence::{self, address_name, covers};
use crate::plan::{AddressName, Expectation, PolicySees, rejection_word};
use netproof_controlplane::Snapshot;
use netproof_model::event::Denial;
use netproof_model::{Observation, Outcome};
use std::net::IpAddr;

/// What the evidence says about one part of an expectation.
pub(super) enum Finding {
    /// It is so, or nothing was expected.
    Right,
    /// It is not so.
    Wrong(String),
    /// There is no evidence: no verdict.
    Unknown(String),
}

/// Every part of an expectation that is about the way.
pub(super) fn of_the_way(
    expectation: &Expectation,
    observation: &Observation,
    denials: &[Denial],
    snapshot: &Snapshot,
) -> [Finding; 4] {
    [
        rejection(expectation, observation.outcome),
        via(expectation, observation),
        policy_sees(expectation, observation, denials, snapshot),
        names(expectation, observation, snapshot),
    ]
}

fn rejection(expectation: &Expectation, outcome: Outcome) -> Finding {
    let Some(wanted) = expectation.rejected_with else { return Finding::Right };
    match outcome {
        Outcome::Rejected(kind) if kind == wanted => Finding::Right,
        Outcome::Rejected(kind) => Finding::Wrong(format!(
            "expected to be rejected with {}, it was with {}",
            rejection_word(wanted),
            rejection_word(kind)
        )),
        Outcome::NotPermitted => Finding::Unknown(format!(
            "expected to be rejected with {}, but the source's own stack refused to send, which looks the same \
             however it is rejected",
            rejection_word(wanted)
        )),
        other => {
            Finding::Wrong(format!("expected to be rejected with {}, it was {other}", rejection_word(wanted)))
        }
    }
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

fn via(expectation: &Expectation, observation: &Observation) -> Finding {
    let Some(wanted) = &expectation.via else { return Finding::Right };
    let list: Vec<String> = wanted.iter().map(|node| format!("node/{node}")).collect();
    let list = list.join(" or ");
    match evidence::via(observation) {
        Some(node) if wanted.contains(node) => Finding::Right,
        Some(node) => {
            Finding::Wrong(format!("expected {list} to choose the backend, it was chosen by node/{node}"))
        }
        None if observation.passages.is_empty() => {
            let why = unobserved(expectation);
            Finding::Unknown(format!("expected {list} to choose the backend, but {why}"))
        }
        None => Finding::Wrong(format!("expected {list} to choose the backend, but no node chose one")),
    }
}

fn policy_sees(
    expectation: &Expectation,
    observation: &Observation,
    denials: &[Denial],
    snapshot: &Snapshot,
) -> Finding {
    let Some(PolicySees { source, destination }) = &expectation.policy_sees else { return Finding::Right };
    let Some(decided) = evidence::decided(observation, denials, snapshot) else {
        let why = unobserved(expectation);
        return Finding::Unknown(format!("nothing says which addresses policy saw: {why}"));
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
    if wrong.is_empty() {
        return Finding::Right;
    }
    Finding::Wrong(format!(
        "expected policy to see {} (on node/{}, hook {})",
        wrong.join(", and "),
        decided.node,
        decided.hook
    ))
}

fn names(expectation: &Expectation, observation: &Observation, snapshot: &Snapshot) -> Finding {
    let Some(wanted) = &expectation.resolves_to else { return Finding::Right };
    let resolved = &observation.resolved;
    if resolved.is_empty() {
        return Finding::Unknown("nothing says what the name resolved to".to_owned());
    }
    match other_addresses(wanted, resolved, snapshot) {
        None => Finding::Right,
        Some((wanted, resolved)) => Finding::Wrong(format!(
            "expected the name to resolve to {wanted}, it resolved to {resolved}"
        )),
    }
}

/// Both lists in words, unless the addresses are those of the names: each name's at least once, and no other.
pub(crate) fn other_addresses(
    wanted: &[AddressName],
    resolved: &[IpAddr],
    snapshot: &Snapshot,
) -> Option<(String, String)> {
    let covered = |name: &AddressName| resolved.iter().any(|address| covers(name, *address, snapshot));
    let expected = |address: &IpAddr| wanted.iter().any(|name| covers(name, *address, snapshot));
    if wanted.iter().all(covered) && resolved.iter().all(expected) {
        return None;
    }
    let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
    let resolved: Vec<String> = resolved.iter().map(|address| address_name(*address, snapshot)).collect();
    Some((wanted.join(", "), resolved.join(", ")))
}
