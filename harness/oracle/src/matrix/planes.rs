//! The relation between classes at one port: who reaches whom.

use super::bits::{Bits, transposed};
use super::classes::{Class, Classes, Matching};
use super::rules::{Rule, Rules};
use crate::flow::PortProtocol;
use crate::networkpolicy::ports::covers;
use crate::profile::{Icmp, Profile};
use crate::truth::Truth;
use netproof_api::Pod;
use netproof_model::Direction;
use std::borrow::Cow;
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
        let mut policies = HashMap::new();
        let mut cache = HashMap::new();
        let mut ingress: Vec<Rc<Matching>> = Vec::with_capacity(self.classes.list.len());
        for Class { selection, port_names, .. } in &self.classes.list {
            let sources = cache.entry((*selection, *port_names)).or_insert_with(|| {
                let destination = Some(*port_names);
                Rc::new(self.allowed(*selection, Direction::Ingress, destination, port, &mut policies))
            });
            ingress.push(sources.clone());
        }
        let rows = |part: fn(&Matching) -> &Bits| {
            transposed(&ingress.iter().map(|matching| part(matching)).collect::<Vec<_>>())
        };
        let mut plane = Plane {
            certain: rows(|matching| &matching.certain),
            possible: rows(|matching| &matching.possible),
        };
        let (mut policies, mut cache) = (HashMap::new(), HashMap::new());
        for (source, class) in self.classes.list.iter().enumerate() {
            let egress = cache.entry(class.selection).or_insert_with(|| {
                self.allowed(class.selection, Direction::Egress, None, port, &mut policies)
            });
            plane.certain[source].keep(&egress.certain);
            plane.possible[source].keep(&egress.possible);
        }
        plane
    }

    /// Whom the policies of a selection allow: the union over those that isolate; everybody if none does.
    /// `destination` is the port names of the pods that they select, where those are the destination.
    /// `policies` keeps what each policy adds.
    fn allowed(
        &self,
        selection: usize,
        direction: Direction,
        destination: Option<usize>,
        port: PortProtocol,
        policies: &mut HashMap<(usize, Option<usize>), Matching>,
    ) -> Matching {
        let selection = self.classes.selections[selection].iter();
        let mut isolating = selection
            .filter_map(|index| Some((*index, self.rules.policies[*index].of(direction)?)))
            .peekable();
        if isolating.peek().is_none() {
            return self.everybody.clone();
        }
        let mut allowed = Matching::none(self.classes.list.len());
        match (port, self.profile.icmp) {
            (PortProtocol::Echo, Icmp::Allow) => return self.everybody.clone(),
            (PortProtocol::Echo, Icmp::Deny) => {}
            (PortProtocol::Echo, Icmp::Either) => allowed.possible = self.everybody.possible.clone(),
            (PortProtocol::Echo, Icmp::PortlessRules) | (PortProtocol::Port { .. }, _) => {
                for (index, rules) in isolating {
                    let names = destination.filter(|_| rules.iter().any(Rule::has_named_ports));
                    let policy = policies.entry((index, names));
                    allowed.add(policy.or_insert_with(|| match direction {
                        Direction::Ingress => self.sources(rules, names, port),
                        Direction::Egress => self.destinations(rules, port),
                    }));
                }
            }
        }
        allowed
    }

    /// Whom ingress rules let in at a port of pods with these port names.
    fn sources(&self, rules: &[Rule<'a>], port_names: Option<usize>, port: PortProtocol) -> Matching {
        let destination = port_names.and_then(|names| self.classes.port_names[names]);
        let mut sources = Matching::none(self.classes.list.len());
        for rule in rules {
            let peers = self.peers(rule);
            match self.covers(rule, port, destination) {
                Truth::No => {}
                Truth::Yes => sources.add(&peers),
                Truth::Either(_) => sources.possible.add(&peers.possible),
            }
        }
        sources
    }

    /// Whom egress rules let out to at a port, which may have a name there.
    fn destinations(&self, rules: &[Rule<'a>], port: PortProtocol) -> Matching {
        let mut destinations = Matching::none(self.classes.list.len());
        for rule in rules {
            let (peers, covered) = (self.peers(rule), self.covered(rule, port));
            destinations.certain.add_common(&peers.certain, &covered.certain);
            destinations.possible.add_common(&peers.possible, &covered.possible);
        }
        destinations
    }

    /// The classes that a rule's peers name.
    fn peers(&self, rule: &Rule<'a>) -> Cow<'_, Matching> {
        match rule.peers.as_slice() {
            [] => Cow::Borrowed(&self.everybody),
            [only] => Cow::Borrowed(&self.classes.peers[*only]),
            [first, rest @ ..] => {
                let mut union = self.classes.peers[*first].clone();
                rest.iter().for_each(|peer| union.add(&self.classes.peers[*peer]));
                Cow::Owned(union)
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
