//! Classes of equal endpoints: those that no policy of the snapshot can tell apart.

use super::bits::Bits;
use super::rules::Rules;
use crate::networkpolicy::peers::{Peer, names};
use crate::policy::View;
use crate::selector::matches;
use crate::truth::Truth;
use crate::world::{World, namespace_of};
use netproof_api::core::{IntOrString, TransportProtocol};
use netproof_api::{LabelSelector, Labels, NetworkPolicy, NetworkPolicyPeer, Pod};
use netproof_model::Direction;
use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::net::IpAddr;

/// An endpoint, as far as policy can see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member<'a> {
    pub address: IpAddr,
    /// The pod that it is; `None` for a node or a host outside the cluster.
    pub pod: Option<&'a Pod>,
    /// Policy alone does not say what happens to it: it is a class of its own.
    pub is_single: bool,
}

/// Endpoints that policy cannot tell apart.
#[derive(Clone, Debug)]
pub(super) struct Class<'a> {
    /// One of them.
    pub endpoint: usize,
    pub member: Member<'a>,
    /// The policies that select it, by position in [`Classes::selections`].
    pub selection: usize,
    /// What its ports are called, by position in [`Classes::port_names`].
    pub port_names: usize,
}

/// Sets of classes that something matches: for certain, and in some reading.
#[derive(Clone, Debug)]
pub(super) struct Matching {
    pub certain: Bits,
    pub possible: Bits,
}

impl Matching {
    pub(super) fn none(bound: usize) -> Self {
        Matching { certain: Bits::none(bound), possible: Bits::none(bound) }
    }

    pub(super) fn all(bound: usize) -> Self {
        Matching { certain: Bits::all(bound), possible: Bits::all(bound) }
    }

    pub(super) fn add(&mut self, other: &Matching) {
        self.certain.add(&other.certain);
        self.possible.add(&other.possible);
    }
}

/// The classes of some endpoints.
pub(super) struct Classes<'a> {
    /// The class of each endpoint.
    pub of: Vec<usize>,
    pub list: Vec<Class<'a>>,
    /// Distinct sets of policies (by position in [`Rules::policies`]).
    pub selections: Vec<Vec<usize>>,
    /// One pod for each way in which the ports that policies name are called; `None` is not a pod.
    pub port_names: Vec<Option<&'a Pod>>,
    /// Whom each of [`Rules::peers`] names.
    pub peers: Vec<Matching>,
}

/// Gives equal things equal numbers, in the order in which they first come.
struct Numbering<K>(HashMap<K, usize>);

impl<K: Hash + Eq> Numbering<K> {
    fn new() -> Self {
        Numbering(HashMap::new())
    }

    /// The number of `key`, and whether it is a new one.
    fn of(&mut self, key: K) -> (usize, bool) {
        let next = self.0.len();
        let number = *self.0.entry(key).or_insert(next);
        (number, number == next)
    }
}

/// What the labels of a pod and its namespace amount to.
struct Labelled {
    selection: usize,
    /// The peers that select it.
    peers: Bits,
}

impl<'a> Classes<'a> {
    /// Of members that are alike, only those on the same node are equal if `by_node`, and none if
    /// `each_alone`.
    pub(super) fn new(
        view: View<'_, 'a>,
        rules: &Rules<'a>,
        members: &[Member<'a>],
        (by_node, each_alone): (bool, bool),
    ) -> Self {
        let mut classes = Classes {
            of: Vec::with_capacity(members.len()),
            list: Vec::new(),
            selections: Vec::new(),
            port_names: Vec::new(),
            peers: Vec::new(),
        };
        let labelled = classes.labelled(view.world, rules, members);
        let used_names = used_names(rules);
        let mut names_numbering = Numbering::new();
        let mut numbering = Numbering::new();
        let mut sets: Vec<(Bits, Bits)> = Vec::new();
        for (endpoint, member) in members.iter().enumerate() {
            let (port_names, is_new) = names_numbering.of(names_of(member.pod, &used_names));
            if is_new {
                classes.port_names.push(member.pod);
            }
            let labels = member.pod.and_then(|pod| labelled.get(&(namespace_of(pod), &pod.metadata.labels)));
            let sets_of_peers = peers_of(view, rules, member, labels);
            let selection = labels.map_or(0, |labelled| labelled.selection);
            let node = member.pod.filter(|_| by_node).and_then(|pod| pod.node_name.as_deref());
            let alone = (member.is_single || each_alone).then_some(endpoint);
            let key = (selection, port_names, sets_of_peers, node, alone);
            let (class, is_new) = numbering.of(key.clone());
            if is_new {
                sets.push(key.2);
                classes.list.push(Class { endpoint, member: *member, selection, port_names });
            }
            classes.of.push(class);
        }
        let bound = classes.list.len();
        classes.peers = vec![Matching::none(bound); rules.peers.len()];
        for (class, (certain, possible)) in sets.iter().enumerate() {
            certain.iter().for_each(|peer| classes.peers[peer].certain.set(class, true));
            possible.iter().for_each(|peer| classes.peers[peer].possible.set(class, true));
        }
        classes
    }

    /// What selectors say about each distinct pair of a namespace and labels.
    fn labelled(
        &mut self,
        world: &World<'a>,
        rules: &Rules<'a>,
        members: &[Member<'a>],
    ) -> HashMap<(&'a str, &'a Labels), Labelled> {
        let pods = members.iter().filter_map(|member| member.pod);
        let keys: BTreeSet<(&str, &Labels)> =
            pods.map(|pod| (namespace_of(pod), &pod.metadata.labels)).collect();
        // Number 0 is what no policy selects, as everything that is not a pod.
        let mut numbering = Numbering::new();
        numbering.of(Vec::new());
        self.selections.push(Vec::new());
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
                self.selections.push(selecting);
            }
            let mut peers = Bits::none(rules.peers.len());
            indexes(&selectors.peers, labels).for_each(|peer| peers.set(peer, true));
            labelled.insert((namespace, labels), Labelled { selection, peers });
        }
        labelled
    }
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

type PortName<'a> = (&'a str, TransportProtocol);

/// The ports that any rule names.
fn used_names<'a>(rules: &Rules<'a>) -> BTreeSet<PortName<'a>> {
    let all = rules.policies.iter().flat_map(|policy| {
        let of = |direction| policy.of(direction).unwrap_or_default();
        of(Direction::Ingress).iter().chain(of(Direction::Egress))
    });
    all.flat_map(|rule| rule.ports)
        .filter_map(|port| match &port.port {
            Some(IntOrString::String(name)) => Some((name.as_str(), port.protocol)),
            _ => None,
        })
        .collect()
}

/// What a pod calls its ports, as far as any rule asks; `None` for what is not a pod.
fn names_of<'a>(
    pod: Option<&'a Pod>,
    used: &BTreeSet<PortName<'_>>,
) -> Option<BTreeSet<(PortName<'a>, u16)>> {
    let named = |port: &'a netproof_api::ContainerPort| {
        let name = (port.name.as_deref()?, port.protocol);
        used.contains(&name).then_some((name, port.container_port))
    };
    pod.map(|pod| pod.ports().filter_map(named).collect())
}
