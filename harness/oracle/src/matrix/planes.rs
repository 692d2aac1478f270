//! The relation between classes at one port: who reaches whom.

use super::bits::{Bits, transposed};
use super::classes::{Classes, Matching};
use super::rules::{Rule, Rules};
use crate::flow::PortProtocol;
use crate::ports::covers;
use crate::profile::{Icmp, Profile};
use crate::truth::Truth;
use netproof_api::Pod;
use netproof_model::Direction;
use std::collections::HashMap;
use std::rc::Rc;

/// Who reaches whom at one port: a row for each class of sources, of the classes of destinations.
#[derive(Clone, Debug)]
pub(super) struct Plane {
    /// In every reading of the API.
    pub certain: Vec<Bits>,
    /// In some reading.
    pub possible: Vec<Bits>,
}

/// What is known while the planes are made.
pub(super) struct Planes<'c, 'a> {
    profile: &'c Profile,
    rules: &'c Rules<'a>,
    classes: &'c Classes<'a>,
    everybody: Matching,
    /// The classes of each of [`Classes::port_names`].
    by_names: Vec<Bits>,
}

impl<'c, 'a> Planes<'c, 'a> {
    pub(super) fn new(profile: &'c Profile, rules: &'c Rules<'a>, classes: &'c Classes<'a>) -> Self {
        let bound = classes.list.len();
        let mut by_names = vec![Bits::none(bound); classes.port_names.len()];
        for (index, class) in classes.list.iter().enumerate() {
            by_names[class.port_names].set(index, true);
        }
        Planes { profile, rules, classes, everybody: Matching::all(bound), by_names }
    }

    /// The relation at one port: egress of the source and ingress of the destination.
    pub(super) fn at(&self, port: PortProtocol) -> Plane {
        let mut cache = HashMap::new();
        let ingress: Vec<Rc<Matching>> = self
            .classes
            .list
            .iter()
            .map(|class| {
                let make = || Rc::new(self.sources(class.selection, class.port_names, port));
                cache.entry((class.selection, class.port_names)).or_insert_with(make).clone()
            })
            .collect();
        let rows = |part: fn(&Matching) -> &Bits| {
            transposed(&ingress.iter().map(|matching| part(matching)).collect::<Vec<_>>())
        };
        let mut plane = Plane {
            certain: rows(|matching| &matching.certain),
            possible: rows(|matching| &matching.possible),
        };
        let mut cache = HashMap::new();
        for (source, class) in self.classes.list.iter().enumerate() {
            let egress =
                cache.entry(class.selection).or_insert_with(|| self.destinations(class.selection, port));
            plane.certain[source].keep(&egress.certain);
            plane.possible[source].keep(&egress.possible);
        }
        plane
    }

    /// Whom the ingress policies of a selection let in at a port of a destination.
    fn sources(&self, selection: usize, port_names: usize, port: PortProtocol) -> Matching {
        let destination = self.classes.port_names[port_names];
        self.allowed(selection, Direction::Ingress, port, |rule, allowed| {
            let peers = self.peers(rule);
            match self.covers(rule, port, destination) {
                Truth::No => {}
                Truth::Yes => allowed.add(&peers),
                Truth::Either(_) => allowed.possible.add(&peers.possible),
            }
        })
    }

    /// Whom the egress policies of a selection let out to at a port, which may have a name there.
    fn destinations(&self, selection: usize, port: PortProtocol) -> Matching {
        self.allowed(selection, Direction::Egress, port, |rule, allowed| {
            let peers = self.peers(rule);
            let covered = self.covered(rule, port);
            allowed.certain.add_common(&peers.certain, &covered.certain);
            allowed.possible.add_common(&peers.possible, &covered.possible);
        })
    }

    /// The union over the rules of the policies that isolate; everybody if none does.
    fn allowed(
        &self,
        selection: usize,
        direction: Direction,
        port: PortProtocol,
        add: impl Fn(&Rule<'a>, &mut Matching),
    ) -> Matching {
        let policies = &self.classes.selections[selection];
        let isolating: Vec<&[Rule<'a>]> =
            policies.iter().filter_map(|index| self.rules.policies[*index].of(direction)).collect();
        if isolating.is_empty() {
            return self.everybody.clone();
        }
        let mut allowed = Matching::none(self.classes.list.len());
        match (port, self.profile.icmp) {
            (PortProtocol::Echo, Icmp::Allow) => return self.everybody.clone(),
            (PortProtocol::Echo, Icmp::Deny) => {}
            (PortProtocol::Echo, Icmp::Either) => allowed.possible = self.everybody.possible.clone(),
            (PortProtocol::Echo, Icmp::PortlessRules) | (PortProtocol::Port { .. }, _) => {
                isolating.into_iter().flatten().for_each(|rule| add(rule, &mut allowed));
            }
        }
        allowed
    }

    /// The classes that a rule's peers name.
    fn peers(&self, rule: &Rule<'a>) -> std::borrow::Cow<'_, Matching> {
        match rule.peers.as_slice() {
            [] => std::borrow::Cow::Borrowed(&self.everybody),
            [only] => std::borrow::Cow::Borrowed(&self.classes.peers[*only]),
            [first, rest @ ..] => {
                let mut union = self.classes.peers[*first].clone();
                rest.iter().for_each(|peer| union.add(&self.classes.peers[*peer]));
                std::borrow::Cow::Owned(union)
            }
        }
    }

    /// Whether a rule's ports cover a port of a destination.
    fn covers(&self, rule: &Rule<'a>, port: PortProtocol, destination: Option<&Pod>) -> Truth {
        if rule.ports.is_empty() {
            return Truth::Yes;
        }
        rule.ports.iter().fold(Truth::No, |truth, entry| {
            truth.or(covers(self.profile, entry, port, destination).unwrap_or(Truth::No))
        })
    }

    /// The classes of destinations at which a rule's ports cover a port.
    fn covered(&self, rule: &Rule<'a>, port: PortProtocol) -> Matching {
        let bound = self.classes.list.len();
        let mut covered = Matching::none(bound);
        let mut add = |truth, classes: &Bits| match truth {
            Truth::No => {}
            Truth::Either(_) => covered.possible.add(classes),
            Truth::Yes => {
                covered.certain.add(classes);
                covered.possible.add(classes);
            }
        };
        if rule.has_named_ports() {
            for (destination, classes) in self.classes.port_names.iter().zip(&self.by_names) {
                add(self.covers(rule, port, *destination), classes);
            }
        } else {
            add(self.covers(rule, port, None), &self.everybody.certain);
        }
        covered
    }
}
