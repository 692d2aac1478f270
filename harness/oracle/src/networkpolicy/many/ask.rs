//! Whom the NetworkPolicies of a selection let in or out at one port.

use super::super::ports::covers;
use super::ManyPolicies;
use super::rules::Rule;
use crate::flow::PortProtocol;
use crate::order::{Matching, RuleAction, SetWalk};
use crate::policy::many::{At, Ends};
use crate::profile::Icmp;
use crate::truth::Truth;
use netproof_api::Pod;
use netproof_model::Direction;
use std::borrow::Cow;
use std::collections::HashMap;

/// The policies at one port, in one direction.
pub(crate) struct Asked<'p, 'a> {
    one: One<'p, 'a>,
    /// Whom each policy allows, where it names ports by what these are called at the destination.
    policies: HashMap<(usize, Option<usize>), Matching>,
}

/// Which port and direction it is.
struct One<'p, 'a> {
    many: &'p ManyPolicies<'a>,
    direction: Direction,
    port: PortProtocol,
    ends: &'p Ends<'p>,
    everybody: Matching,
}

impl<'p, 'a> Asked<'p, 'a> {
    pub(super) fn new(
        many: &'p ManyPolicies<'a>,
        direction: Direction,
        port: PortProtocol,
        ends: &'p Ends<'p>,
    ) -> Self {
        let everybody = Matching::all(ends.bound);
        Asked { one: One { many, direction, port, ends, everybody }, policies: HashMap::new() }
    }

    /// Whom the rules of one policy allow at pods with these port names; by its position.
    pub(crate) fn allowed_by(&mut self, index: usize, names: Option<usize>) -> Cow<'_, Matching> {
        let Asked { one, policies } = self;
        match one.many.rules.policies[index].of(one.direction) {
            Some(rules) => {
                let names = named(rules, names);
                Cow::Borrowed(policies.entry((index, names)).or_insert_with(|| one.allowed(rules, names)))
            }
            None => Cow::Owned(Matching::none(one.ends.bound)),
        }
    }
}

/// The names of ports, where rules ask for some.
fn named(rules: &[Rule<'_>], names: Option<usize>) -> Option<usize> {
    names.filter(|_| rules.iter().any(Rule::has_named_ports))
}

impl At for Asked<'_, '_> {
    fn ask(&mut self, selection: usize, names: Option<usize>, tiers: &mut SetWalk) {
        let Asked { one, policies } = self;
        let mut isolating = one.many.selections[selection]
            .iter()
            .filter_map(|index| Some((*index, one.many.rules.policies[*index].of(one.direction)?)))
            .peekable();
        if isolating.peek().is_none() {
            return;
        }
        let mut allowed = Matching::none(one.ends.bound);
        match (one.port, one.many.view.profile.icmp) {
            (PortProtocol::Echo, Icmp::Allow) => allowed = one.everybody.clone(),
            (PortProtocol::Echo, Icmp::Deny) => {}
            (PortProtocol::Echo, Icmp::Either) => allowed.possible = one.everybody.possible.clone(),
            (PortProtocol::Echo, Icmp::PortlessRules) | (PortProtocol::Port { .. }, _) => {
                for (index, rules) in isolating {
                    let names = named(rules, names);
                    allowed.add(policies.entry((index, names)).or_insert_with(|| one.allowed(rules, names)));
                }
            }
        }
        tiers.rule(RuleAction::Allow, &allowed);
        tiers.end_of_tier(Truth::Yes);
    }
}

impl<'a> One<'_, 'a> {
    /// Whom rules allow at pods with these port names.
    fn allowed(&self, rules: &[Rule<'a>], names: Option<usize>) -> Matching {
        match self.direction {
            Direction::Ingress => self.sources(rules, names),
            Direction::Egress => self.destinations(rules),
        }
    }

    /// Whom ingress rules let in at pods with these port names.
    fn sources(&self, rules: &[Rule<'a>], names: Option<usize>) -> Matching {
        let destination = names.and_then(|names| self.ends.port_names[names].0);
        let mut sources = Matching::none(self.ends.bound);
        for rule in rules {
            let peers = self.peers(rule);
            match self.covers(rule, destination) {
                Truth::No => {}
                Truth::Yes => sources.add(&peers),
                Truth::Either(_) => sources.possible.add(&peers.possible),
            }
        }
        sources
    }

    /// Whom egress rules let out to, whose ports may have names there.
    fn destinations(&self, rules: &[Rule<'a>]) -> Matching {
        let mut destinations = Matching::none(self.ends.bound);
        for rule in rules {
            let (peers, covered) = (self.peers(rule), self.covered(rule));
            destinations.certain.add_common(&peers.certain, &covered.certain);
            destinations.possible.add_common(&peers.possible, &covered.possible);
        }
        destinations
    }

    /// The classes that a rule's peers name.
    fn peers(&self, rule: &Rule<'a>) -> Cow<'_, Matching> {
        match rule.peers.as_slice() {
            [] => Cow::Borrowed(&self.everybody),
            [only] => Cow::Borrowed(&self.many.peers[*only]),
            [first, rest @ ..] => {
                let mut union = self.many.peers[*first].clone();
                rest.iter().for_each(|peer| union.add(&self.many.peers[*peer]));
                Cow::Owned(union)
            }
        }
    }

    /// Whether a rule's ports cover the port of a destination.
    fn covers(&self, rule: &Rule<'a>, destination: Option<&'a Pod>) -> Truth {
        if rule.ports.is_empty() {
            return Truth::Yes;
        }
        rule.ports.iter().fold(Truth::No, |truth, entry| {
            let covered = covers(self.many.view.profile, entry, self.port, destination);
            truth.or(covered.unwrap_or(Truth::No))
        })
    }

    /// The classes of destinations at which a rule's ports cover the port.
    fn covered(&self, rule: &Rule<'a>) -> Matching {
        let mut covered = Matching::none(self.ends.bound);
        if rule.has_named_ports() {
            for (destination, classes) in &self.ends.port_names {
                covered.add_where(self.covers(rule, *destination), classes);
            }
        } else {
            covered.add_where(self.covers(rule, None), &self.ends.everybody);
        }
        covered
    }
}
