//! Hosts outside the cluster that are named by their address: `external/198.51.100.7`.

use netproof_controlplane::{Change, Snapshot, is_outside};
use netproof_model::topology::ExternalHost;
use netproof_model::{Family, Place};
use std::net::IpAddr;

/// Why an address is not that of a host outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Whose it is, or why nobody outside can have it.
    pub message: String,
    /// What may have been meant.
    pub help: String,
}

/// The host outside that has an address: its name, and the change that makes it if nobody has the address yet.
/// It listens where the others do.
pub fn with_host(snapshot: &Snapshot, address: IpAddr) -> Result<(String, Option<Change>), Refused> {
    let family = Family::of(address);
    let topology = &snapshot.topology;
    if let Some(host) = snapshot.externals.values().find(|host| host.addresses.contains(&address)) {
        return Ok((host.name.clone(), None));
    }
    let refuse = |message: String, help: String| Err(Refused { message, help });
    let elsewhere =
        || "give the address of a host outside the cluster, as in external/198.51.100.7".to_owned();
    if !topology.family.contains(family) {
        let message = format!("{address} is of {family}, and the cluster has {} only", topology.family);
        return refuse(message, "--family dual gives the cluster both".to_owned());
    }
    if let Some(place) = snapshot.place_of_address(address) {
        let what = match &place {
            Place::Node(_) => format!("{place}, which is no host outside the cluster"),
            _ => format!("{place}, which is inside the cluster"),
        };
        return refuse(format!("{address} is the address of {what}"), format!("write {place}"));
    }
    if let Some((name, service)) = snapshot.service_of_address(address) {
        let (what, help) = match service.cluster_ips.contains(&address) {
            true => ("the cluster IP", format!("write service/{name}")),
            false if service.external_ips.contains(&address) => {
                ("an external IP", format!("write ip/{address}"))
            }
            false => ("the load balancer's address", format!("write loadbalancer/{name}")),
        };
        return refuse(format!("{address} is {what} of service/{name}, and no host outside"), help);
    }
    let ranges = topology.pod_ranges(family).map(|range| ("pods", range));
    let others = [("services", topology.ranges.services), ("nodes", topology.ranges.nodes)];
    let others = others.map(|(what, ranges)| (what, *ranges.get(family)));
    let balancer = topology.load_balancer.iter().map(|it| ("load balancer addresses", *it.range.get(family)));
    if let Some((what, range)) =
        ranges.chain(others).chain(balancer).find(|(_, range)| range.contains(&address))
    {
        let message =
            format!("{address} is in the cluster's own range of {what}, {range}, and nobody has it");
        return refuse(message, elsewhere());
    }
    if !is_outside(address) {
        return refuse(format!("no host outside the cluster can have the address {address}"), elsewhere());
    }
    if !topology.networks.is_empty() && topology.network_of(address).is_none() {
        let message = format!("{address} is in none of the networks of the topology {}", topology.name);
        return refuse(
            message,
            "give an address of one of its networks, or name another topology".to_owned(),
        );
    }
    let ports = snapshot.externals.values().flat_map(|host| host.ports.iter().copied());
    let host = ExternalHost {
        name: address.to_string(),
        addresses: vec![address],
        ports: ports.collect::<std::collections::BTreeSet<_>>().into_iter().collect(),
        dns: Vec::new(),
    };
    Ok((host.name.clone(), Some(Change::ApplyExternal(host))))
}
