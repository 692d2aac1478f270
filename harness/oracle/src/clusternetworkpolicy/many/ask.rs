//! What the policies of a selection say at one port, in one direction.

use super::super::{Reading, covered};
use super::{ManyPolicies, Rule};
use crate::flow::PortProtocol;
use crate::order::{Matching, RuleAction, SetWalk, interleaved};
use crate::policy::many::{At, Ends};
use crate::profile::CnpEqualPriority;
use crate::truth::Truth;
use netproof_model::Direction;
use std::collections::HashMap;

/// What the rules of a policy do, and whom each matches.
type Told = Vec<(RuleAction, Matching)>;

/// The policies at one port, in one direction.
pub(super) struct Asked<'p, 'a> {
    one: One<'p, 'a>,
    /// What each policy says, where it names ports by what these are called at the destination.
    policies: HashMap<(usize, Option<usize>), Told>,
}

/// Which port and direction it is.
struct One<'p, 'a> {
    many: &'p ManyPolicies<'a>,
    direction: Direction,
    port: PortProtocol,
    ends: &'p Ends<'p>,
}

impl<'p, 'a> Asked<'p, 'a> {
    pub(super) fn new(
        many: &'p ManyPolicies<'a>,
        direction: Direction,
        port: PortProtocol,
        ends: &'p Ends<'p>,
    ) -> Self {
        Asked { one: One { many, direction, port, ends }, policies: HashMap::new() }
    }

    /// Where what a policy says is kept.
    fn place(&self, policy: usize, names: Option<usize>) -> (usize, Option<usize>) {
        let rules = self.one.many.policies[policy].of(self.one.direction);
        (policy, names.filter(|_| rules.iter().any(Rule::has_named_ports)))
    }
}

impl At for Asked<'_, '_> {
    fn ask(&mut self, selection: usize, names: Option<usize>, tiers: &mut SetWalk) {
        let many = self.one.many;
        let direction = self.one.direction;
        let has_rules = |policy: &&usize| !many.policies[**policy].of(direction).is_empty();
        let applying: Vec<usize> = many.selections[selection].iter().filter(has_rules).copied().collect();
        if applying.is_empty() {
            return;
        }
        for policy in &applying {
            let place = self.place(*policy, names);
            let one = &self.one;
            self.policies.entry(place).or_insert_with(|| one.rules(*policy, place.1));
        }
        let priority = |policy: &usize| many.policies[*policy].named.policy.spec.priority;
        for group in applying.chunk_by(|a, b| priority(a) == priority(b)) {
            let rules: Vec<&[(RuleAction, Matching)]> =
                group.iter().map(|policy| self.policies[&self.place(*policy, names)].as_slice()).collect();
            match many.view.profile.cnp_equal_priority {
                CnpEqualPriority::Either if rules.len() > 1 => tiers.policies_in_any_order(&rules),
                CnpEqualPriority::Either | CnpEqualPriority::Name => {
                    rules.into_iter().flatten().for_each(|(action, matches)| tiers.rule(*action, matches));
                }
                CnpEqualPriority::Index => {
                    let rules = rules.into_iter().map(|rules| rules.iter().collect()).collect();
                    interleaved(rules).into_iter().for_each(|(action, it)| tiers.rule(*action, it));
                }
            }
        }
        tiers.end_of_tier(Truth::No);
    }
}

impl One<'_, '_> {
    /// What the rules of a policy say; of ingress rules at pods with these port names.
    fn rules(&self, policy: usize, names: Option<usize>) -> Told {
        let rules = self.many.policies[policy].of(self.direction).iter();
        rules.map(|rule| (rule.action, self.matching(rule, names))).collect()
    }

    fn matching(&self, rule: &Rule<'_>, names: Option<usize>) -> Matching {
        match rule.reading {
            Reading::Everything => return Matching::all(self.ends.bound),
            Reading::Nothing => return Matching::none(self.ends.bound),
            Reading::AsWritten => {}
        }
        let mut matching = Matching::none(self.ends.bound);
        if covered(rule.protocols, self.port, None) == Truth::Yes {
            matching.add(&self.union(&rule.pods));
            matching.add(&self.union(&rule.addresses));
        } else if rule.has_named_ports() {
            let pods = self.union(&rule.pods);
            match self.direction {
                Direction::Ingress => {
                    let destination = names.and_then(|names| self.ends.port_names[names].0);
                    if covered(rule.protocols, self.port, destination) == Truth::Yes {
                        matching.add(&pods);
                    }
                }
                Direction::Egress => {
                    for (destination, classes) in &self.ends.port_names {
                        if covered(rule.protocols, self.port, *destination) == Truth::Yes {
                            matching.certain.add_common(&pods.certain, classes);
                            matching.possible.add_common(&pods.possible, classes);
                        }
                    }
                }
            }
        }
        matching
    }

    /// The classes that some peers name.
    fn union(&self, peers: &[usize]) -> Matching {
        let mut union = Matching::none(self.ends.bound);
        peers.iter().for_each(|peer| union.add(&self.many.peers[*peer]));
        union
    }
}
