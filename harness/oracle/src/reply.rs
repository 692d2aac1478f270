//! The way of the answer: whether it comes back over every node that changed the request.

use crate::prediction::{Hop, Server};
use crate::proxy::ServiceStep;
use crate::world::{Owner, World};
use netproof_model::Place;
use std::net::IpAddr;

/// The hop that gave the request another destination and that its answer does not pass, if there is one: what
/// the client gets then comes from an address that it never asked.
///
/// The answer goes from the server's node to that of whoever has the address that the server saw. A hop that
/// masqueraded the request has that address itself, and the answer goes on from there.
pub(crate) fn passes_by<'h>(world: &World<'_>, hops: &'h [Hop], server: &Server) -> Option<&'h Place> {
    let mut at = station_of(world, server.packet.destination);
    let mut to = server.packet.source;
    for hop in hops.iter().rev() {
        let is_on_its_way =
            at.as_ref() == Some(&hop.place) || station_of(world, to).as_ref() == Some(&hop.place);
        if hop.source.is_some() {
            at = Some(hop.place.clone());
            to = hop.seen.source;
        } else if let Some(ServiceStep::Translate { .. }) = hop.service
            && !is_on_its_way
        {
            return Some(&hop.place);
        }
    }
    None
}

/// The node that packets to an address come to: the owner's, or the owner itself. `None` where that is neither.
fn station_of(world: &World<'_>, address: IpAddr) -> Option<Place> {
    match world.owner(address)? {
        Owner::Pod(pod) => pod.node_name.clone().map(Place::Node),
        Owner::Node(node) => Some(Place::Node(node.metadata.name.clone())),
        Owner::External(_) => None,
    }
}
