//! Names of addresses: which address a name stands for, and what an address is called.

use crate::plan::AddressName;
use netproof_controlplane::Snapshot;
use netproof_model::{Family, Place};
use std::net::IpAddr;

/// Whether an address is one that a name stands for.
pub fn covers(name: &AddressName, address: IpAddr, snapshot: &Snapshot) -> bool {
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
pub fn address_name(address: IpAddr, snapshot: &Snapshot) -> String {
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
    let range = snapshot.topology.ranges.nodes.get(Family::of(address));
    let first = match range.network() {
        IpAddr::V4(network) => IpAddr::from((u32::from(network).wrapping_add(1)).to_be_bytes()),
        IpAddr::V6(network) => IpAddr::from((u128::from(network).wrapping_add(1)).to_be_bytes()),
    };
    address == first
}

/// Both lists in words, unless the addresses are those of the names: each name's at least once, and no other.
pub fn other_addresses(
    wanted: &[AddressName],
    resolved: &[IpAddr],
    snapshot: &Snapshot,
) -> Option<(String, String)> {
    let covered = |name: &AddressName| resolved.iter().any(|address| covers(name, *address, snapshot));
    let expected = |address: &IpAddr| wanted.iter().any(|name| covers(name, *address, snapshot));
    if wanted.iter().all(covered) && resolved.iter().all(expected) {
        return None;
    }
    let wanted: Vec<String> = wanted.iter().map(ToString::to_string).collect();
    let resolved: Vec<String> = resolved.iter().map(|address| address_name(*address, snapshot)).collect();
    Some((wanted.join(", "), resolved.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::snapshot;

    #[test]
    fn addresses_have_names() {
        let mut snapshot = (*snapshot()).clone();
        let node = std::sync::Arc::make_mut(snapshot.nodes.get_mut("node1").unwrap());
        node.tunnel_addresses = vec!["10.244.0.1".parse().unwrap(), "fd00:10:244::1".parse().unwrap()];
        let tunnel = AddressName::Tunnel("node1".into());
        let node = AddressName::Place(Place::node("node1"));
        let router = AddressName::Place(Place::Router);
        for (address, name, covering) in [
            ("172.18.0.2", "node/node1 (172.18.0.2)", vec![&node]),
            ("10.244.0.1", "tunnel/node1 (10.244.0.1)", vec![&node, &tunnel]),
            ("fd00:10:244::1", "tunnel/node1 (fd00:10:244::1)", vec![&node, &tunnel]),
            ("172.18.0.1", "router (172.18.0.1)", vec![&router]),
            ("fd00:172:18::1", "router (fd00:172:18::1)", vec![&router]),
            ("203.0.113.9", "203.0.113.9", vec![]),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(address_name(address, &snapshot), name);
            let all = [&node, &tunnel, &router];
            let own: Vec<_> = all.into_iter().filter(|name| covers(name, address, &snapshot)).collect();
            assert_eq!(own, covering, "{address}");
        }
    }
}
