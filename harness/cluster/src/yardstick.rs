//! The yardstick of the benchmark: the kernel's own time for namespaces and veth pairs.

use crate::netlink::{self, ETHERNET_MTU, End, Netlink};
use crate::{ClusterError, Netns};
use netproof_model::Place;

/// Makes `count` namespaces and one more, joins each to that one by a veth pair, and drops all of it:
/// no address, no route, no sysctl, no link brought up.
///
/// # Errors
/// What the kernel refused.
pub fn namespaces_and_veths(count: usize) -> Result<(), ClusterError> {
    let place = Place::Router;
    let io = |error| ClusterError::io(&place, "make a namespace", &error);
    let hub = Netns::new().map_err(io)?;
    let mut netlink =
        hub.enter(Netlink::open).map_err(io)?.map_err(|error| ClusterError::netlink(&place, error))?;
    let mut namespaces = Vec::with_capacity(count);
    for (index, name) in (100..).zip((0..count).map(|n| format!("y{n}"))) {
        let namespace = Netns::new().map_err(io)?;
        let end = |name, last| End {
            name,
            index,
            mac: [2, 0, 0, (index >> 8) as u8, index as u8, last],
            mtu: ETHERNET_MTU,
        };
        let request = netlink::new_veth(end(&name, 1), None, end("eth0", 2), namespace.fd());
        netlink.queue(request, || format!("make the link {name}"));
        namespaces.push(namespace);
    }
    netlink.flush().map_err(|error| ClusterError::netlink(&place, error))
}
