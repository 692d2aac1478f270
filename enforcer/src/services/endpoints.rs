//! The endpoints of a service port: which a node leads to.
//!
//! That is decided as kube-proxy does: ready ones, else those that still serve
//! while they end; for the policies Cluster and Local independently; of those of the whole cluster only
//! the ones whose hints name this node, else its zone, if every ready endpoint has such hints and one
//! names it.

use super::NodeView;
use netproof_api::core::{AddressType, EndpointHints};
use netproof_api::{EndpointSlice, ServicePort as ApiPort};
use netproof_model::Family;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// Where a packet to a service may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    /// The address of a pod, or whatever an EndpointSlice says.
    pub address: IpAddr,
    /// The port there.
    pub port: u16,
}

/// An endpoint's conditions and place.
#[derive(Clone, Copy)]
pub(super) struct State<'a> {
    pub(super) ready: bool,
    pub(super) serving: bool,
    terminating: bool,
    node: Option<&'a str>,
    hints: Option<&'a EndpointHints>,
}

pub(super) type Known<'a> = BTreeMap<Endpoint, State<'a>>;

/// The endpoints of the family's slices on the port of the same name and protocol.
pub(super) fn known_endpoints<'a>(
    slices: &'a [Arc<EndpointSlice>],
    family: Family,
    service_port: &ApiPort,
) -> Known<'a> {
    let mut known = Known::new();
    for slice in slices.iter().filter(|slice| is_of_family(slice, family)) {
        let same = |port: &&netproof_api::EndpointPort| {
            port.name == service_port.name && port.protocol == service_port.protocol
        };
        for port in slice.ports.iter().filter(same) {
            for endpoint in &slice.endpoints {
                // Several addresses of one endpoint are the same endpoint: the first stands for it.
                let Some(address) = endpoint.addresses.first().copied() else { continue };
                let state = State {
                    ready: endpoint.ready,
                    serving: endpoint.serving,
                    terminating: endpoint.terminating,
                    node: endpoint.node_name.as_deref(),
                    hints: endpoint.hints.as_ref(),
                };
                // One that moves between slices may be in two of them for a while, and pods in their node's
                // network share its address. As in kube-proxy, one that is not terminating takes the place of
                // one that is. Of several that are not, its result is undefined; here one that is ready counts.
                let entry = known.entry(Endpoint { address, port: port.port }).or_insert(state);
                let rank =
                    |state: &State<'_>| (!state.terminating, state.ready, state.serves_while_it_ends());
                if rank(&state) > rank(entry) {
                    *entry = state;
                }
            }
        }
    }
    known
}

pub(crate) fn is_of_family(slice: &EndpointSlice, family: Family) -> bool {
    matches!(
        (slice.address_type, family),
        (AddressType::IPv4, Family::Ipv4) | (AddressType::IPv6, Family::Ipv6)
    )
}

fn chosen(known: &Known<'_>, choose: impl Fn(&State<'_>) -> bool) -> BTreeSet<Endpoint> {
    known.iter().filter(|(_, state)| choose(state)).map(|(endpoint, _)| *endpoint).collect()
}

pub(super) fn for_cluster(known: &Known<'_>, node: &NodeView) -> BTreeSet<Endpoint> {
    let topology = preference(known, node);
    let ready = chosen(known, |state| state.ready && topology.suits(state, node));
    if ready.is_empty() { chosen(known, |state| state.serves_while_it_ends()) } else { ready }
}

pub(super) fn for_local(known: &Known<'_>, node: &NodeView) -> BTreeSet<Endpoint> {
    let here = |state: &State<'_>| state.node == Some(&node.name);
    let ready = chosen(known, |state| state.ready && here(state));
    match ready.is_empty() {
        true => chosen(known, |state| state.serves_while_it_ends() && here(state)),
        false => ready,
    }
}

/// Whose endpoints a node's clients use.
#[derive(Clone, Copy)]
enum Preference {
    Anyone,
    SameNode,
    SameZone,
}

impl Preference {
    fn suits(self, state: &State<'_>, node: &NodeView) -> bool {
        match self {
            Preference::Anyone => true,
            Preference::SameNode => state.is_for_node(node),
            Preference::SameZone => state.is_for_zone(node),
        }
    }
}

impl State<'_> {
    fn serves_while_it_ends(&self) -> bool {
        self.serving && self.terminating
    }

    fn is_for_node(&self, node: &NodeView) -> bool {
        self.hints.is_some_and(|hints| hints.for_nodes.contains(&node.name))
    }

    fn is_for_zone(&self, node: &NodeView) -> bool {
        let Some(zone) = &node.zone else { return false };
        self.hints.is_some_and(|hints| hints.for_zones.contains(zone))
    }
}

/// Hints count only if every ready endpoint has them: otherwise they are not complete yet.
fn preference(known: &Known<'_>, node: &NodeView) -> Preference {
    let ready = || known.values().filter(|state| state.ready);
    let all = |has: fn(&EndpointHints) -> bool| ready().all(|state| state.hints.is_some_and(has));
    if all(|hints| !hints.for_nodes.is_empty()) && ready().any(|state| state.is_for_node(node)) {
        Preference::SameNode
    } else if all(|hints| !hints.for_zones.is_empty()) && ready().any(|state| state.is_for_zone(node)) {
        Preference::SameZone
    } else {
        Preference::Anyone
    }
}
