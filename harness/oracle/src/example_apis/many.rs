//! The thin evaluator and many endpoints at once.

use super::thin::{Policy, Rule, Tiers};
use crate::flow::PortProtocol;
use crate::order::{Bits, Matching, SetWalk};
use crate::policy::many::{At, Ends, Many, Member, MemberKey, Numbering, PortName};
use crate::policy::{Endpoint, View};
use crate::truth::Truth;
use netproof_model::{Direction, PolicyStage};
use std::collections::BTreeSet;

/// Tiers, and some members.
pub(super) struct ManyTiers<'a> {
    tiers: &'a Tiers,
    keys: Vec<MemberKey>,
    /// Of each selection, whether each policy selects it, and whether each rule names it as source and as destination.
    selections: Vec<(Vec<bool>, Vec<[Truth; 2]>)>,
    /// Likewise of each member, as another end.
    named: Vec<Vec<[Truth; 2]>>,
    /// Whether each rule names each class, as source and as destination.
    classes: Vec<[Matching; 2]>,
}

impl<'a> ManyTiers<'a> {
    pub(super) fn new(tiers: &'a Tiers, view: View<'a, 'a>, members: &[Member<'a>]) -> Self {
        let (mut selections, mut named) = (vec![(Vec::new(), Vec::new())], Vec::new());
        let (mut selections_numbering, mut numbering) = (Numbering::new(), Numbering::new());
        selections_numbering.of((Vec::new(), Vec::new()));
        let keys = members.iter().map(|member| {
            let of_rule =
                |rule: &Rule| [&rule.source, &rule.destination].map(|it| it.has(view, member.address));
            let ends: Vec<[Truth; 2]> = tiers.rules().map(|(.., rule)| of_rule(rule)).collect();
            let selection = match member.pod {
                None => 0,
                Some(pod) => {
                    let is_asked = |it: &Policy| it.is_asked(view, Endpoint::Pod(pod), PolicyStage::Local);
                    let selected: Vec<bool> = tiers.policies().map(is_asked).collect();
                    let key = (selected, ends.clone());
                    let (selection, is_new) = selections_numbering.of(key.clone());
                    if is_new {
                        selections.push(key);
                    }
                    selection
                }
            };
            let (matched, is_new) = numbering.of(ends.clone());
            if is_new {
                named.push(ends);
            }
            MemberKey { selection, matched }
        });
        let keys = keys.collect();
        ManyTiers { tiers, keys, selections, named, classes: Vec::new() }
    }
}

impl Tiers {
    fn policies(&self) -> impl Iterator<Item = &Policy> {
        self.0.iter().flat_map(|tier| &tier.policies)
    }

    /// Every rule, with its policy's position and its direction.
    fn rules(&self) -> impl Iterator<Item = (usize, Direction, &Rule)> {
        self.policies().enumerate().flat_map(|(policy, it)| {
            it.rules
                .iter()
                .flat_map(move |(direction, rules)| rules.iter().map(move |rule| (policy, *direction, rule)))
        })
    }
}

impl Many for ManyTiers<'_> {
    fn keys(&self) -> &[MemberKey] {
        &self.keys
    }

    fn port_names(&self) -> BTreeSet<PortName<'_>> {
        BTreeSet::new()
    }

    fn set_classes(&mut self, members: &[usize]) {
        let truth = |rule: usize, end: usize| {
            let mut matching = Matching::none(members.len());
            for (class, member) in members.iter().enumerate() {
                let mut only = Bits::none(members.len());
                only.set(class, true);
                matching.add_where(self.named[self.keys[*member].matched][rule][end], &only);
            }
            matching
        };
        self.classes = (0..self.tiers.rules().count()).map(|rule| [truth(rule, 0), truth(rule, 1)]).collect();
    }

    fn at<'p>(&'p self, direction: Direction, port: PortProtocol, ends: &'p Ends<'p>) -> Box<dyn At + 'p> {
        Box::new(TiersAt { many: self, direction, port, ends })
    }
}

struct TiersAt<'p, 'a> {
    many: &'p ManyTiers<'a>,
    direction: Direction,
    port: PortProtocol,
    ends: &'p Ends<'p>,
}

impl At for TiersAt<'_, '_> {
    fn ask(&mut self, selection: usize, _: Option<usize>, sets: &mut SetWalk) {
        let (selected, own) = &self.many.selections[selection];
        if selected.is_empty() {
            return;
        }
        let (this, other) = match self.direction {
            Direction::Ingress => (1, 0),
            Direction::Egress => (0, 1),
        };
        let mut position = 0;
        for tier in &self.many.tiers.0 {
            let policies = position..position + tier.policies.len();
            position = policies.end;
            let is_asked = |policy: &usize| {
                let rules = self.many.tiers.policies().nth(*policy).unwrap().rules(self.direction);
                selected[*policy] && rules.is_some()
            };
            let asked: Vec<usize> = policies.filter(is_asked).collect();
            if asked.is_empty() {
                continue;
            }
            for (index, (policy, direction, rule)) in self.many.tiers.rules().enumerate() {
                if direction != self.direction || !asked.contains(&policy) || !rule.covers(self.port) {
                    continue;
                }
                let others = &self.many.classes[index][other];
                let mut matches = Matching::none(self.ends.bound);
                match own[index][this] {
                    Truth::No => {}
                    Truth::Yes => matches.add(others),
                    Truth::Either(_) => matches.possible.add(&others.possible),
                }
                sets.rule(rule.action, &matches);
            }
            sets.end_of_tier(Truth::from(tier.denies));
        }
    }
}
