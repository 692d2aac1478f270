//! ClusterNetworkPolicies of a tier and many endpoints at once.

#![expect(
    clippy::indexing_slicing,
    reason = "every policy, peer and selection is named by a number that the same list gave it"
)]

mod ask;

use super::peers::{Peer, names};
use super::{ClusterNetworkPolicies, Named, Reading, action_of, is_of_pods, is_subject, rules_of};
use crate::flow::PortProtocol;
use crate::order::{Bits, Matching, RuleAction};
use crate::policy::View;
use crate::policy::many::{At, Ends, Many, Member, MemberKey, Numbering, PortName};
use crate::truth::Truth;
use crate::world::namespace_of;
use ask::Asked;
use netproof_api::core::TransportProtocol;
use netproof_api::{ClusterPeer, ClusterPort, Labels, Pod};
use netproof_model::Direction;
use std::collections::{BTreeSet, HashMap};

/// The policies of a tier, and some members.
pub(super) struct ManyPolicies<'a> {
    view: View<'a, 'a>,
    /// In the order of their priorities.
    policies: Vec<PolicyRules<'a>>,
    /// The distinct peers that their rules name.
    entries: Vec<&'a ClusterPeer>,
    keys: Vec<MemberKey>,
    /// Distinct sets of policies (by position in `policies`, in order).
    selections: Vec<Vec<usize>>,
    /// Distinct sets of peers (by position in `entries`) that name a member, for certain and in some reading.
    named: Vec<(Bits, Bits)>,
    /// The classes that each of `entries` names.
    peers: Vec<Matching>,
}

/// A policy, taken apart.
struct PolicyRules<'a> {
    named: Named<'a>,
    ingress: Vec<Rule<'a>>,
    egress: Vec<Rule<'a>>,
}

/// A rule.
struct Rule<'a> {
    action: RuleAction,
    reading: Reading,
    /// Its peers that are pods, by position among the entries, and the others.
    pods: Vec<usize>,
    addresses: Vec<usize>,
    protocols: &'a [ClusterPort],
}

impl PolicyRules<'_> {
    fn of(&self, direction: Direction) -> &[Rule<'_>] {
        match direction {
            Direction::Ingress => &self.ingress,
            Direction::Egress => &self.egress,
        }
    }
}

impl Rule<'_> {
    /// Whether what it covers depends on the destination.
    fn has_named_ports(&self) -> bool {
        self.protocols.iter().any(|port| matches!(port, ClusterPort::Named(_)))
    }
}

impl<'a> ManyPolicies<'a> {
    pub(super) fn new(view: View<'a, 'a>, all: &ClusterNetworkPolicies<'a>, members: &[Member<'a>]) -> Self {
        let mut entries = Entries::default();
        let named_policies = all.by_priority.values().flatten();
        let policies: Vec<PolicyRules<'_>> = named_policies
            .map(|named| PolicyRules {
                named: *named,
                ingress: entries.rules(*named, Direction::Ingress),
                egress: entries.rules(*named, Direction::Egress),
            })
            .collect();
        let entries = entries.list;
        // Number 0 is what no policy selects, as everything that is not a pod.
        let mut selections = vec![Vec::new()];
        let mut numbering = Numbering::new();
        numbering.of(Vec::new());
        let mut of_labels: HashMap<(&str, &Labels), usize> = HashMap::new();
        let mut selection = |pod: &'a Pod| {
            *of_labels.entry((namespace_of(pod), &pod.metadata.labels)).or_insert_with(|| {
                let selects = |it: &(usize, &PolicyRules<'_>)| is_subject(view, it.1.named.policy, pod);
                let selecting: Vec<usize> =
                    policies.iter().enumerate().filter(selects).map(|(index, _)| index).collect();
                let (number, is_new) = numbering.of(selecting.clone());
                if is_new {
                    selections.push(selecting);
                }
                number
            })
        };
        let (mut by_peers, mut named) = (Numbering::new(), Vec::new());
        let mut matched_by_labels: HashMap<(&str, &Labels), Bits> = HashMap::new();
        let keys = members.iter().map(|member| {
            let mut certain = match member.pod {
                None => Bits::none(entries.len()),
                Some(pod) => matched_by_labels
                    .entry((namespace_of(pod), &pod.metadata.labels))
                    .or_insert_with(|| named_by(view, &entries, member.address, true).0)
                    .clone(),
            };
            let mut possible = certain.clone();
            let (surely, perhaps) = named_by(view, &entries, member.address, false);
            certain.add(&surely);
            possible.add(&perhaps);
            let (matched, is_new) = by_peers.of((certain.clone(), possible.clone()));
            if is_new {
                named.push((certain, possible));
            }
            MemberKey { selection: member.pod.map_or(0, &mut selection), matched }
        });
        let keys = keys.collect();
        ManyPolicies { view, policies, entries, keys, selections, named, peers: Vec::new() }
    }
}

/// Which of the entries that mean pods, or of the others, name an address, for certain and in some reading.
fn named_by<'a>(
    view: View<'_, 'a>,
    entries: &[&'a ClusterPeer],
    address: std::net::IpAddr,
    pods: bool,
) -> (Bits, Bits) {
    let (mut certain, mut possible) = (Bits::none(entries.len()), Bits::none(entries.len()));
    // Nothing here is translated on its way, so the direction does not matter.
    let peer = Peer { direction: Direction::Egress, address, before: None, masquerades: false };
    for (index, entry) in entries.iter().enumerate().filter(|(_, entry)| is_of_pods(entry) == pods) {
        let truth = names(view, entry, peer).unwrap_or(Truth::No);
        certain.set(index, truth == Truth::Yes);
        possible.set(index, truth != Truth::No);
    }
    (certain, possible)
}

/// Distinct peers.
#[derive(Default)]
struct Entries<'a> {
    list: Vec<&'a ClusterPeer>,
    known: HashMap<&'a ClusterPeer, usize>,
}

impl<'a> Entries<'a> {
    fn rules(&mut self, named: Named<'a>, direction: Direction) -> Vec<Rule<'a>> {
        let rules = rules_of(named.policy, direction).iter().map(|rule| {
            let mut positions = |pods: bool| -> Vec<usize> {
                let entries = rule.peers.iter().filter(|entry| is_of_pods(entry) == pods);
                entries.map(|entry| self.position(entry)).collect()
            };
            let reading = Reading::of(rule);
            let action = action_of(rule.action, reading);
            let (pods, addresses) = (positions(true), positions(false));
            Rule { action, reading, pods, addresses, protocols: &rule.protocols }
        });
        rules.collect()
    }

    fn position(&mut self, entry: &'a ClusterPeer) -> usize {
        *self.known.entry(entry).or_insert_with(|| {
            self.list.push(entry);
            self.list.len() - 1
        })
    }
}

impl Many for ManyPolicies<'_> {
    fn keys(&self) -> &[MemberKey] {
        &self.keys
    }

    fn port_names(&self) -> BTreeSet<PortName<'_>> {
        let rules = self.policies.iter().flat_map(|policy| policy.ingress.iter().chain(&policy.egress));
        let names = rules.flat_map(|rule| rule.protocols).filter_map(|port| match port {
            ClusterPort::Named(name) => Some(name.as_str()),
            _ => None,
        });
        // A name has the protocol of the container port.
        let protocols = [TransportProtocol::Tcp, TransportProtocol::Udp, TransportProtocol::Sctp];
        names.flat_map(|name| protocols.map(|protocol| (name, protocol))).collect()
    }

    fn set_classes(&mut self, members: &[usize]) {
        self.peers = vec![Matching::none(members.len()); self.entries.len()];
        for (class, member) in members.iter().enumerate() {
            let (certain, possible) = &self.named[self.keys[*member].matched];
            certain.iter().for_each(|peer| self.peers[peer].certain.set(class, true));
            possible.iter().for_each(|peer| self.peers[peer].possible.set(class, true));
        }
    }

    fn at<'p>(&'p self, direction: Direction, port: PortProtocol, ends: &'p Ends<'p>) -> Box<dyn At + 'p> {
        Box::new(Asked::new(self, direction, port, ends))
    }
}
