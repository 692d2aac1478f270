//! Ports of services that are confused with those of the pods behind them.

use super::rewrite;
use netproof_api::core::IntOrString;
use netproof_api::{NetworkPolicyPort, Service};
use netproof_controlplane::Snapshot;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A number that is some service's port stands for the ports that the service leads to.
pub(super) fn ports_are_of_services(snapshot: &mut Snapshot) {
    let services: Vec<Arc<Service>> = snapshot.services.values().cloned().collect();
    rewrite::ports(snapshot, |port| {
        let Some(IntOrString::Int(number)) = port.port else { return vec![port] };
        let entries = services.iter().flat_map(|service| &service.ports);
        let targets: BTreeSet<&IntOrString> = entries
            .filter(|entry| entry.port == number && entry.protocol == port.protocol)
            .map(|entry| &entry.target_port)
            .collect();
        if targets.is_empty() {
            return vec![port];
        }
        let led = |target: &IntOrString| NetworkPolicyPort { port: Some(target.clone()), ..port.clone() };
        targets.into_iter().map(led).collect()
    });
}
