//! Hosts outside the cluster: the addresses that they may have.

use crate::addresses::{check, is_outside};
use crate::change::ChangeError;
use crate::nodes;
use crate::snapshot::Snapshot;
use netproof_model::Family;
use netproof_model::topology::ExternalHost;

/// An external host may have any address that is not the cluster's and not another host's.
/// Addresses of a family that the topology lacks are left away.
pub(crate) fn complete(cluster: &Snapshot, host: &ExternalHost) -> Result<ExternalHost, ChangeError> {
    let mut host = host.clone();
    let topology = &cluster.topology;
    host.addresses.retain(|address| topology.family.contains(Family::of(*address)));
    // The primary family first, as everywhere.
    host.addresses.sort_by_key(|address| Family::of(*address));
    for address in &host.addresses {
        check(is_outside(*address), &format!("external/{}", host.name), *address)?;
        for (what, range) in nodes::all_ranges(topology, Family::of(*address)) {
            if range.contains(address) {
                return Err(ChangeError::new(
                    format!(
                        "{address} of external/{} is in the cluster's range of {what}, {range}",
                        host.name
                    ),
                    "give it an address outside the cluster's ranges",
                ));
            }
        }
        let taken = cluster
            .externals
            .values()
            .find(|other| other.name != host.name && other.addresses.contains(address));
        if let Some(other) = taken {
            return Err(ChangeError::new(
                format!("external/{} and external/{} both have {address}", other.name, host.name),
                "give each an address of its own",
            ));
        }
    }
    for address in &host.addresses {
        if let Some((service, _)) = cluster.service_of_address(*address) {
            return Err(ChangeError::new(
                format!("service/{service} and external/{} both have {address}", host.name),
                "give each an address of its own",
            ));
        }
    }
    Ok(host)
}
