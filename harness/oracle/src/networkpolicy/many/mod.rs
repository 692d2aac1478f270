//! NetworkPolicies and many endpoints at once.

#![expect(
    clippy::indexing_slicing,
    reason = "every policy, peer and selection is named by a number that the same list gave it"
)]

mod ask;
mod rules;

use super::Named;
use super::peers::{Peer, names};
use crate::flow::PortProtocol;
use crate::order::{Bits, Matching};
use crate::policy::View;
use crate::policy::many::{At, Ends, Many, Member, MemberKey, Numbering, PortName};
use crate::selector::matches;
use crate::truth::Truth;
use crate::world::{World, namespace_of};
pub(crate) use ask::Asked;
use netproof_api::core::IntOrString;
use netproof_api::{LabelSelector, Labels, NetworkPolicy, NetworkPolicyPeer};
use netproof_model::Direction;
use rules::Rules;
use std::collections::{BTreeSet, HashMap};

/// Some NetworkPolicies, and some members.
pub(crate) struct ManyPolicies<'a> {
    view: View<'a, 'a>,
    rules: Rules<'a>,
    keys: Vec<MemberKey>,
    /// Distinct sets of policies (by position in [`Rules::policies`]).
    selections: Vec<Vec<usize>>,
    /// Distinct sets of peers (by position in [`Rules::peers`]) that name a member, for certain and in some reading.
    named: Vec<(Bits, Bits)>,
    /// The classes that each of [`Rules::peers`] names.
    peers: Vec<Matching>,
}

/// What the labels of a pod and its namespace amount to.
struct Labelled {
    selection: usize,
    /// The peers that select it.
    peers: Bits,
}

/// By namespace and labels.
type OfLabels<'a> = HashMap<(&'a str, &'a Labels), Labelled>;

impl<'a> ManyPolicies<'a> {
    pub(super) fn new(
        view: View<'a, 'a>,
        policies: impl Iterator<Item = Named<'a>>,
        members: &[Member<'a>],
    ) -> Self {
        let rules = Rules::of(policies);
        let (labelled, selections) = labelled(view.world, &rules, members);
        let mut numbering = Numbering::new();
        let mut named = Vec::new();
        let keys = members.iter().map(|member| {
            let labels = member.pod.and_then(|pod| labelled.get(&(namespace_of(pod), &pod.metadata.labels)));
            let peers = peers_of(view, &rules, member, labels);
            let (matched, is_new) = numbering.of(peers.clone());
            if is_new {
                named.push(peers);
            }
            MemberKey { selection: labels.map_or(0, |labelled| labelled.selection), matched }
        });
        let keys = keys.collect();
        ManyPolicies { view, rules, keys, selections, named, peers: Vec::new() }
    }
}

impl Many for ManyPolicies<'_> {
    fn keys(&self) -> &[MemberKey] {
        &self.keys
    }

    fn port_names(&self) -> BTreeSet<PortName<'_>> {
        let all = self.rules.policies.iter().flat_map(|policy| {
            let of = |direction| policy.of(direction).unwrap_or(&[]);
            of(Direction::Ingress).iter().chain(of(Direction::Egress))
        });
        all.flat_map(|rule| rule.ports)
            .filter_map(|port| match &port.port {
                Some(IntOrString::String(name)) => Some((name.as_str(), port.protocol)),
                _ => None,
            })
            .collect()
    }

    fn set_classes(&mut self, members: &[usize]) {
        self.peers = vec![Matching::none(members.len()); self.rules.peers.len()];
        for (class, member) in members.iter().enumerate() {
            let (certain, possible) = &self.named[self.keys[*member].matched];
            certain.iter().for_each(|peer| self.peers[peer].certain.set(class, true));
            possible.iter().for_each(|peer| self.peers[peer].possible.set(class, true));
        }
    }

    fn at<'p>(&'p self, direction: Direction, port: PortProtocol, ends: &'p Ends<'p>) -> Box<dyn At + 'p> {
        Box::new(self.asked_at(direction, port, ends))
    }
}

impl<'a> ManyPolicies<'a> {
    /// The position of a policy.
    pub(crate) fn position(&self, policy: &NetworkPolicy) -> Option<usize> {
        self.rules.policies.iter().position(|it| std::ptr::eq(it.policy, policy))
    }

    /// Who answers at one port, in one direction.
    pub(crate) fn asked_at<'p>(
        &'p self,
        direction: Direction,
        port: PortProtocol,
        ends: &'p Ends<'p>,
    ) -> Asked<'p, 'a> {
        Asked::new(self, direction, port, ends)
    }
}

/// What selectors say about each distinct pair of a namespace and labels, and the distinct sets of policies that
/// select them.
fn labelled<'a>(
    world: &World<'a>,
    rules: &Rules<'a>,
    members: &[Member<'a>],
) -> (OfLabels<'a>, Vec<Vec<usize>>) {
    let pods = members.iter().filter_map(|member| member.pod);
    let keys: BTreeSet<(&str, &Labels)> = pods.map(|pod| (namespace_of(pod), &pod.metadata.labels)).collect();
    // Number 0 is what no policy selects, as everything that is not a pod.
    let mut numbering = Numbering::new();
    numbering.of(Vec::new());
    let mut selections = vec![Vec::new()];
    let mut labelled = HashMap::new();
    let mut selectors = None;
    for (namespace, labels) in keys {
        // Pods come namespace by namespace.
        let selectors = match &selectors {
            Some((same, selectors)) if *same == namespace => selectors,
            _ => &selectors.insert((namespace, Selectors::of(world, rules, namespace))).1,
        };
        let selecting: Vec<usize> = indexes(&selectors.policies, labels).collect();
        let (selection, is_new) = numbering.of(selecting.clone());
        if is_new {
            selections.push(selecting);
        }
        let mut peers = Bits::none(rules.peers.len());
        indexes(&selectors.peers, labels).for_each(|peer| peers.set(peer, true));
        labelled.insert((namespace, labels), Labelled { selection, peers });
    }
    (labelled, selections)
}

/// The selectors of pods that may match in one namespace, with the positions of what they belong to.
struct Selectors<'a> {
    policies: Vec<(usize, Option<&'a LabelSelector>)>,
    peers: Vec<(usize, Option<&'a LabelSelector>)>,
}

impl<'a> Selectors<'a> {
    fn of(world: &World<'_>, rules: &Rules<'a>, namespace: &str) -> Self {
        let own = |policy: &NetworkPolicy| policy.metadata.namespace.as_deref() == Some(namespace);
        let policies = rules.policies.iter().enumerate().filter(|(_, rules)| own(rules.policy));
        let labels = world.namespace_labels(namespace);
        let peers = rules.peers.iter().enumerate().filter_map(|(index, peer)| match peer.entry {
            NetworkPolicyPeer::Pods { namespace_selector, pod_selector } => {
                let selects = match namespace_selector {
                    None => peer.namespace == namespace,
                    Some(selector) => matches(selector, labels),
                };
                selects.then_some((index, pod_selector.as_ref()))
            }
            NetworkPolicyPeer::IpBlock(_) => None,
        });
        Selectors {
            policies: policies.map(|(index, rules)| (index, Some(&rules.policy.spec.pod_selector))).collect(),
            peers: peers.collect(),
        }
    }
}

/// The positions of the selectors that match; an absent one matches everything.
fn indexes<'a>(
    selectors: &'a [(usize, Option<&LabelSelector>)],
    labels: &'a Labels,
) -> impl Iterator<Item = usize> + 'a {
    let fits = |selector: &LabelSelector| matches(selector, labels);
    selectors.iter().filter(move |(_, selector)| selector.is_none_or(fits)).map(|(index, _)| *index)
}

/// The peers that name a member, for certain and in some reading.
fn peers_of<'a>(
    view: View<'_, 'a>,
    rules: &Rules<'a>,
    member: &Member<'_>,
    labels: Option<&Labelled>,
) -> (Bits, Bits) {
    let bound = rules.peers.len();
    let mut certain = labels.map_or_else(|| Bits::none(bound), |labelled| labelled.peers.clone());
    let mut possible = certain.clone();
    // Nothing here is translated on its way, so the direction does not matter.
    let peer = Peer { direction: Direction::Ingress, address: member.address, before: None };
    for (index, entry) in rules.peers.iter().enumerate() {
        if matches!(entry.entry, NetworkPolicyPeer::IpBlock(_)) {
            let truth = names(view, entry.namespace, entry.entry, peer).unwrap_or(Truth::No);
            certain.set(index, truth == Truth::Yes);
            possible.set(index, truth != Truth::No);
        }
    }
    (certain, possible)
}
