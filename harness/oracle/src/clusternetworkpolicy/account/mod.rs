//! What a ClusterNetworkPolicy says about a packet and why, in sentences.

mod words;

use super::peers::{PeerMismatch, names};
use super::ports::{PortMismatch, covers};
use super::{Named, Reading, Sight, is_of_pods, is_subject, rules_of, says};
use crate::policy::{PolicyAccount, Question, RuleAccount, View, open};
use crate::truth::Truth;
use netproof_api::{ClusterPort, ClusterRule, Pod};
use netproof_model::Direction;
use words::{peer, peer_mismatch, port_mismatch, subject};

/// What a policy says.
pub(super) fn account<'a>(
    view: View<'_, 'a>,
    named: Named<'a>,
    pod: &'a Pod,
    question: &Question<'a>,
) -> PolicyAccount {
    let Named { key, policy } = named;
    let (endpoint, direction) = (question.endpoint.place(), question.direction);
    let (tier, priority) = (policy.spec.tier, policy.spec.priority);
    let place = format!("{key} (tier {tier:?}, priority {priority})");
    let subject = subject(&policy.spec.subject);
    let rules = rules_of(policy, direction);
    let is_subject = is_subject(view, policy, pod);
    let sentence = match (is_subject, rules.is_empty()) {
        (false, _) => format!("{place} does not select {endpoint}: it is about {subject}."),
        (true, true) => format!("{place} selects {endpoint}, but has no {direction} rule."),
        (true, false) => format!("{place} selects {endpoint} for {direction} ({subject})."),
    };
    let applies = is_subject && !rules.is_empty();
    let rules = rules.iter().enumerate().filter(|_| applies);
    let sight = Sight::of(view, question);
    PolicyAccount {
        policy: key.clone(),
        applies,
        sentence,
        rules: rules.map(|(index, rule)| of_rule(view, index, rule, direction, sight)).collect(),
    }
}

/// Whether a rule matches, and why.
fn of_rule<'a>(
    view: View<'_, 'a>,
    index: usize,
    rule: &'a ClusterRule,
    direction: Direction,
    sight: Sight<'a>,
) -> RuleAccount {
    let name = format!("Rule {direction}[{index}], {:?},", rule.action);
    let (_, matches) = says(view, rule, sight);
    let entries = Entries { view, rule, direction, sight };
    let (sentence, reasons) = match (Reading::of(rule), matches) {
        (Reading::Everything, _) => {
            let why = "something of it is unknown here, so it denies everything";
            (format!("{name} matches: {why}."), Vec::new())
        }
        (Reading::Nothing, _) => {
            let why = "a peer of it is unknown here, so it accepts nothing";
            (format!("{name} does not match: {why}."), Vec::new())
        }
        (Reading::AsWritten, Truth::Yes) => (format!("{name} matches: {}.", entries.why()), Vec::new()),
        (Reading::AsWritten, Truth::Either(switches)) => {
            (format!("{name} may match: {}.", open(switches)), Vec::new())
        }
        (Reading::AsWritten, Truth::No) => {
            let reasons = entries.why_not();
            match reasons.as_slice() {
                [only] => (format!("{name} does not match: {only}."), Vec::new()),
                _ => (format!("{name} does not match:"), reasons),
            }
        }
    };
    RuleAccount { rule: index, matches, sentence, reasons }
}

/// The entries of a rule, held against a packet.
struct Entries<'o, 'a> {
    view: View<'o, 'a>,
    rule: &'a ClusterRule,
    direction: Direction,
    sight: Sight<'a>,
}

impl<'a> Entries<'_, 'a> {
    /// The list of peers, and whom it is about.
    fn list(&self) -> (&'static str, &'static str) {
        match self.direction {
            Direction::Ingress => ("from", "source"),
            Direction::Egress => ("to", "destination"),
        }
    }

    fn peer(&self, index: usize) -> Result<Truth, PeerMismatch<'a>> {
        match self.rule.peers.get(index) {
            Some(entry) => names(self.view, entry, self.sight.peer),
            None => Err(PeerMismatch::Unknown),
        }
    }

    /// What an entry of `protocols` says where the peer at an index is the one that matches.
    fn port(&self, peer: usize, entry: &'a ClusterPort) -> Result<(), PortMismatch<'a>> {
        let of_pods = self.rule.peers.get(peer).is_some_and(is_of_pods);
        covers(entry, self.sight.port, self.sight.destination.filter(|_| of_pods))
    }

    /// Why the rule matches: the first peer that names the other end and has a protocol with it.
    fn why(&self) -> String {
        let (list, role) = self.list();
        for (index, entry) in self.rule.peers.iter().enumerate() {
            if self.peer(index).is_err() {
                continue;
            }
            let named = format!("{list}[{index}] ({}) names the {role}", peer(entry));
            if self.rule.protocols.is_empty() {
                return format!("{named}, and the rule is for all traffic");
            }
            let covers = self.rule.protocols.iter().position(|port| self.port(index, port).is_ok());
            if let Some(port) = covers {
                return format!("{named}, and protocols[{port}] covers {}", self.sight.port);
            }
        }
        format!("it names the {role}")
    }

    fn why_not(&self) -> Vec<String> {
        let (list, role) = self.list();
        let mut reasons = Vec::new();
        let mut named = None;
        for index in 0..self.rule.peers.len() {
            match self.peer(index) {
                Err(mismatch) => {
                    let mismatch = peer_mismatch(&mismatch, role);
                    reasons.push(match self.rule.peers.len() {
                        1 => mismatch,
                        _ => format!("{list}[{index}]: {mismatch}"),
                    });
                }
                Ok(_) => named = named.or(Some(index)),
            }
        }
        // Where one peer names the other end, it is about the protocols.
        if named.is_some() {
            reasons.clear();
        }
        for (index, entry) in self.rule.protocols.iter().enumerate() {
            if let Err(mismatch) = self.port(named.unwrap_or_default(), entry) {
                reasons.push(format!("protocols[{index}] {}", port_mismatch(&mismatch, self.sight.port)));
            }
        }
        reasons
    }
}
