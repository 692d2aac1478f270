//! What NetworkPolicies say about a packet and why, in sentences.

mod mismatch;
mod selected;
mod trace;

use super::Named;
use crate::flow::PortProtocol;
use crate::policy::{PolicyAccount, Question, RuleAccount, View, open};
use crate::selector::words::unmet;
use crate::truth::Truth;
use mismatch::{peer_mismatch, port_mismatch};
use netproof_api::Pod;
use netproof_model::Direction;
use selected::{peer, pods_of_policy};
use trace::{Entries, PolicyTrace, RuleTrace, Selection, trace};

/// What a policy of the pod's namespace says.
pub(super) fn account<'a>(
    view: View<'_, 'a>,
    named: Named<'a>,
    pod: &'a Pod,
    question: &Question<'a>,
) -> PolicyAccount {
    let trace = trace(view, named, pod, question);
    PolicyAccount {
        policy: named.key.clone(),
        applies: matches!(trace.selection, Selection::Isolates),
        sentence: of_policy(question, &trace),
        rules: trace.rules.iter().map(|rule| of_rule(question, rule)).collect(),
    }
}

/// Whether the policy isolates the pod, and why, as a sentence.
fn of_policy(question: &Question<'_>, trace: &PolicyTrace<'_>) -> String {
    let (endpoint, direction) = (question.endpoint.place(), question.direction);
    let Named { key, policy, .. } = trace.policy;
    match &trace.selection {
        Selection::Isolates => {
            let selected = pods_of_policy(&policy.spec.pod_selector);
            let no_rule = match trace.rules.as_slice() {
                [] => format!(" and has no {direction} rule"),
                _ => String::new(),
            };
            format!("{key} selects {endpoint} for {direction} ({selected}){no_rule}.")
        }
        Selection::OtherDirection => {
            format!("{key} selects {endpoint}, but its policyTypes, written or by default, lack {direction}.")
        }
        Selection::NotSelected(missing) => {
            format!("{key} does not select {endpoint}, which {}.", unmet(missing))
        }
    }
}

/// Whether a rule matches, and why.
fn of_rule(question: &Question<'_>, trace: &RuleTrace<'_>) -> RuleAccount {
    let (direction, port) = (question.direction, question.packet.port);
    let (list, role) = match direction {
        Direction::Ingress => ("from", "source"),
        Direction::Egress => ("to", "destination"),
    };
    let name = format!("Rule {direction}[{}]", trace.index);
    let (sentence, reasons) = match trace.truth {
        Truth::Yes => (format!("{name} matches: {}.", why_it_matches(trace, (list, role), port)), Vec::new()),
        Truth::Either(switches) => (format!("{name} may match: {}.", open(switches)), Vec::new()),
        Truth::No => {
            let reasons = why_it_does_not(trace, (list, role), port);
            match reasons.as_slice() {
                [only] => (format!("{name} does not match: {only}."), Vec::new()),
                _ => (format!("{name} does not match:"), reasons),
            }
        }
    };
    RuleAccount { rule: trace.index, matches: trace.truth, sentence, reasons }
}

/// `list`: `from` or `to`; `role`: source or destination.
fn why_it_matches(trace: &RuleTrace<'_>, (list, role): (&str, &str), port: PortProtocol) -> String {
    let named = |index: usize| {
        let whom = trace.written.peers.get(index).map(|entry| format!(" ({})", peer(entry)));
        format!("{list}[{index}]{} names the {role}", whom.unwrap_or_default())
    };
    match (&trace.peers, &trace.ports) {
        (Entries::Match { index: peer, .. }, Entries::Match { index: entry, .. }) => {
            format!("{}, and ports[{entry}] covers {port}", named(*peer))
        }
        (Entries::Match { index, .. }, _) => format!("{}, and the rule is for every port", named(*index)),
        (_, Entries::Match { index, .. }) => {
            format!("the rule is for every {role}, and ports[{index}] covers {port}")
        }
        _ => format!("the rule is for every {role} and every port"),
    }
}

fn why_it_does_not(trace: &RuleTrace<'_>, (list, role): (&str, &str), port: PortProtocol) -> Vec<String> {
    let mut reasons = Vec::new();
    match &trace.peers {
        Entries::None(peers) if peers.len() == 1 => {
            reasons.extend(peers.iter().map(|mismatch| peer_mismatch(mismatch, role)));
        }
        Entries::None(peers) => {
            let peers = peers.iter().enumerate();
            let reason = |(index, mismatch)| format!("{list}[{index}]: {}", peer_mismatch(mismatch, role));
            reasons.extend(peers.map(reason));
        }
        Entries::All | Entries::Match { .. } => {}
    }
    if let Entries::None(ports) = &trace.ports {
        let ports = ports.iter().enumerate();
        reasons.extend(
            ports.map(|(index, mismatch)| format!("ports[{index}] {}", port_mismatch(mismatch, port))),
        );
    }
    reasons
}
