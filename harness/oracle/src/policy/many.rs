//! The policies of one API, asked about all pairs of many endpoints at once.
//!
//! Endpoints that no policy tells apart are one class, and what one end says is a set of the classes of other ends
//! ([`Matching`](crate::order::Matching)). Here packets are as they were sent, and only policy of pods decides.
//! Whatever else there is on the way of some endpoint, that endpoint is asked for itself, flow by flow.

use crate::flow::PortProtocol;
use crate::order::{Bits, SetWalk};
use netproof_api::Pod;
use netproof_api::core::TransportProtocol;
use netproof_model::Direction;
use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::net::IpAddr;

/// An endpoint, as far as policy can see it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Member<'a> {
    pub address: IpAddr,
    /// The pod that it is; `None` for a node or a host outside the cluster.
    pub pod: Option<&'a Pod>,
    /// Policy alone does not say what happens to it: it is a class of its own.
    pub is_single: bool,
}

/// What the policies of an API know of a member. Two that have the same are alike for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct MemberKey {
    /// Which policies select it. Number 0 is none, as for everything that is not a pod.
    pub selection: usize,
    /// Which of the ends that rules match it is.
    pub matched: usize,
}

/// The name and the protocol of a port.
pub(crate) type PortName<'a> = (&'a str, TransportProtocol);

/// The classes of some members, as far as rules may ask.
#[derive(Debug)]
pub(crate) struct Ends<'a> {
    /// How many classes there are.
    pub bound: usize,
    /// Every class.
    pub everybody: Bits,
    /// One pod for each way in which the ports that policies name are called, and the classes that call them so. `None`
    /// is not a pod.
    pub port_names: Vec<(Option<&'a Pod>, Bits)>,
}

/// The policies of an API and some members.
pub(crate) trait Many {
    /// What they know of each member, in their order.
    fn keys(&self) -> &[MemberKey];

    /// The ports that any rule names.
    fn port_names(&self) -> BTreeSet<PortName<'_>>;

    /// The classes are known: `members` has one member of each.
    fn set_classes(&mut self, members: &[usize]);

    /// Who answers at one port, in one direction.
    fn at<'p>(&'p self, direction: Direction, port: PortProtocol, ends: &'p Ends<'p>) -> Box<dyn At + 'p>;
}

/// The policies of an API at one port, in one direction.
pub(crate) trait At {
    /// Tells the tiers of the endpoints that have a selection, as [`ask`](super::Evaluator::ask) does. `names`: what
    /// they call their ports, by position in [`Ends::port_names`], where they are the destination.
    fn ask(&mut self, selection: usize, names: Option<usize>, tiers: &mut SetWalk);
}

/// Gives equal things equal numbers, in the order in which they first come.
pub(crate) struct Numbering<K>(HashMap<K, usize>);

impl<K: Hash + Eq> Numbering<K> {
    pub(crate) fn new() -> Self {
        Numbering(HashMap::new())
    }

    /// The number of `key`, and whether it is a new one.
    pub(crate) fn of(&mut self, key: K) -> (usize, bool) {
        let next = self.0.len();
        let number = *self.0.entry(key).or_insert(next);
        (number, number == next)
    }
}
