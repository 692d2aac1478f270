//! What a policy says about a packet and why, entry by entry.

use super::super::peers::{PeerMismatch, names};
use super::super::ports::{PortMismatch, covers};
use super::super::{Named, Sight, has_type, rules_of};
use crate::policy::{Question, View};
use crate::selector::{Unmet, unmet};
use crate::truth::Truth;
use netproof_api::{NetworkPolicy, NetworkPolicyRule, Pod};
use netproof_model::Direction;

/// What one policy of the pod's namespace says about a packet.
#[derive(Debug)]
pub(super) struct PolicyTrace<'a> {
    /// The policy.
    pub policy: Named<'a>,
    /// Whether it isolates the pod in the packet's direction.
    pub selection: Selection<'a>,
    /// Its rules of that direction, if it does.
    pub rules: Vec<RuleTrace<'a>>,
}

/// Whether a policy isolates a pod in one direction.
#[derive(Debug)]
pub(super) enum Selection<'a> {
    /// It does.
    Isolates,
    /// Its `policyTypes` lack the direction.
    OtherDirection,
    /// Its `podSelector` does not match the pod.
    NotSelected(Unmet<'a>),
}

/// What one rule says about a packet.
#[derive(Debug)]
pub(super) struct RuleTrace<'a> {
    /// Its position among the policy's rules of the direction, from 0.
    pub index: usize,
    /// As it is written.
    pub written: &'a NetworkPolicyRule,
    /// Whether it allows the packet.
    pub truth: Truth,
    /// Whether its `from` or `to` names the other end.
    pub peers: Entries<PeerMismatch<'a>>,
    /// Whether its `ports` cover what the packet asks for.
    pub ports: Entries<PortMismatch<'a>>,
}

/// The entries of one field of a rule, of which one must match.
#[derive(Debug)]
pub(super) enum Entries<M> {
    /// The field is empty or missing, which means everything.
    All,
    /// One matches: the first that does for certain, else the first that may.
    Match {
        /// Its position, from 0.
        index: usize,
        /// Whether any of them does.
        truth: Truth,
    },
    /// None matches: why, entry by entry.
    None(Vec<M>),
}

impl<M> Entries<M> {
    /// Whether the field matches.
    pub(super) fn truth(&self) -> Truth {
        match self {
            Entries::All => Truth::Yes,
            Entries::Match { truth, .. } => *truth,
            Entries::None(_) => Truth::No,
        }
    }

    /// `answers` of the entries, where an `Ok` is never a no.
    fn collect(answers: impl ExactSizeIterator<Item = Result<Truth, M>>) -> Self {
        if answers.len() == 0 {
            return Entries::All;
        }
        let mut best: Option<(usize, Truth)> = None;
        let mut mismatches = Vec::new();
        for (index, answer) in answers.enumerate() {
            match (answer, best) {
                (Err(mismatch), _) => mismatches.push(mismatch),
                (Ok(truth), None) => best = Some((index, truth)),
                (Ok(Truth::Yes), Some((_, Truth::Either(_)))) => best = Some((index, Truth::Yes)),
                (Ok(truth), Some((first, so_far))) => best = Some((first, so_far.or(truth))),
            }
        }
        match best {
            Some((index, truth)) => Entries::Match { index, truth },
            None => Entries::None(mismatches),
        }
    }
}

/// What a policy of the pod's namespace says.
pub(super) fn trace<'a>(
    view: View<'_, 'a>,
    named: Named<'a>,
    pod: &'a Pod,
    question: &Question<'a>,
) -> PolicyTrace<'a> {
    let Named { namespace, policy, .. } = named;
    let selection = selection(policy, pod, question.direction);
    let sight = Sight::of(view, question);
    let rules = match selection {
        Selection::Isolates => rules_of(policy, question.direction)
            .iter()
            .enumerate()
            .map(|(index, rule)| rule_trace(view, namespace, index, rule, sight))
            .collect(),
        _ => Vec::new(),
    };
    PolicyTrace { policy: named, selection, rules }
}

fn selection<'a>(policy: &'a NetworkPolicy, pod: &'a Pod, direction: Direction) -> Selection<'a> {
    if let Some(unmet) = unmet(&policy.spec.pod_selector, &pod.metadata.labels) {
        return Selection::NotSelected(unmet);
    }
    if !has_type(policy, direction) {
        return Selection::OtherDirection;
    }
    Selection::Isolates
}

fn rule_trace<'a>(
    view: View<'_, 'a>,
    namespace: &'a str,
    index: usize,
    rule: &'a NetworkPolicyRule,
    sight: Sight<'a>,
) -> RuleTrace<'a> {
    let peers = Entries::collect(rule.peers.iter().map(|entry| names(view, namespace, entry, sight.peer)));
    let ports = Entries::collect(
        rule.ports.iter().map(|entry| covers(view.profile, entry, sight.port, sight.destination)),
    );
    RuleTrace { index, written: rule, truth: peers.truth().and(ports.truth()), peers, ports }
}
