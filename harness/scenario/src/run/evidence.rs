//! What packets left behind on the nodes, put into words: which node chose the backend, and which addresses
//! policy saw.

use crate::plan::AddressName;
use netproof_controlplane::Snapshot;
use netproof_model::event::{Denial, PolicySees};
use netproof_model::observation::PacketAddresses;
use netproof_model::{Hook, Observation, Outcome, Passage, Place};
use std::net::IpAddr;

/// The node that chose the backend, if one did and was observed.
pub(super) fn via(observation: &Observation) -> Option<&str> {
    observation.passages.iter().find(|passage| passage.translated).map(|passage| passage.node.as_str())
}

/// A request where policy decided about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decided<'o> {
    pub(super) node: &'o str,
    pub(super) hook: Hook,
    pub(super) packet: PacketAddresses,
}

/// Where policy decided: at the first denial, else on the node of the destination, else (the destination
/// is outside the cluster, or was never reached) at the last hook that the request passed.
pub(super) fn decided<'o>(
    observation: &'o Observation,
    denials: &'o [Denial],
    snapshot: &Snapshot,
) -> Option<Decided<'o>> {
    if let Some(Denial { node, hook, packet, .. }) = denials.first()
        && observation.outcome != Outcome::Connected
    {
        return Some(Decided { node, hook: *hook, packet: *packet });
    }
    let at_home = |passage: &&Passage| {
        let place = snapshot.place_of_address(passage.packet.destination);
        let answers = observation.served_by.is_none() || observation.served_by == place;
        answers && place.is_some_and(|place| node_of(&place, snapshot) == Some(passage.node.as_str()))
    };
    let passages = &observation.passages;
    let passage = passages.iter().rev().filter(at_home);
    // What a node sends to itself passes its output hook first.
    let input = passage.clone().find(|passage| passage.hook == Hook::Input);
    let passage = input.or_else(|| passage.clone().next()).or(passages.last())?;
    Some(Decided { node: &passage.node, hook: passage.hook, packet: passage.packet })
}

/// The node that a place is on.
fn node_of<'a>(place: &'a Place, snapshot: &'a Snapshot) -> Option<&'a str> {
    match place {
        Place::Pod(name) => snapshot.pods.get(name)?.node_name.as_deref(),
        Place::Node(name) => Some(name),
        Place::External(_) | Place::Router => None,
    }
}

/// The same with names, as reports show it.
pub(super) fn policy_sees(decided: Decided<'_>, snapshot: &Snapshot) -> PolicySees {
    PolicySees {
        node: decided.node.to_owned(),
        hook: decided.hook,
        source: address_name(decided.packet.source, snapshot),
        destination: address_name(decided.packet.destination, snapshot),
    }
}

/// Whether an address is one that a name stands for.
pub(super) fn covers(name: &AddressName, address: IpAddr, snapshot: &Snapshot) -> bool {
    match name {
        AddressName::Address(own) => *own == address,
        AddressName::Place(Place::Router) => is_router(address, snapshot),
        AddressName::Place(place) => snapshot.place_of_address(address).as_ref() == Some(place),
        AddressName::Tunnel(node) => {
            snapshot.nodes.get(node).is_some_and(|node| node.tunnel_addresses.contains(&address))
        }
    }
}

/// An address with the name of what has it.
pub(super) fn address_name(address: IpAddr, snapshot: &Snapshot) -> String {
    if let Some(node) = snapshot.nodes.values().find(|node| node.tunnel_addresses.contains(&address)) {
        return format!("{} ({address})", AddressName::Tunnel(node.metadata.name.clone()));
    }
    match snapshot.place_of_address(address) {
        Some(place) => format!("{place} ({address})"),
        None if is_router(address, snapshot) => format!("{} ({address})", Place::Router),
        None => address.to_string(),
    }
}

/// The router has the first address of the nodes' range.
fn is_router(address: IpAddr, snapshot: &Snapshot) -> bool {
    let range = snapshot.topology.ranges.nodes.get(netproof_model::Family::of(address));
    let first = match range.network() {
        IpAddr::V4(network) => IpAddr::from((u32::from(network).wrapping_add(1)).to_be_bytes()),
        IpAddr::V6(network) => IpAddr::from((u128::from(network).wrapping_add(1)).to_be_bytes()),
    };
    address == first
}
