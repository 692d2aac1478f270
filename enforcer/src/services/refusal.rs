//! Why a service's packets are refused, and how.

use netproof_model::{Action, Decision, Identity, NamespacedName};

/// Why a packet to a service is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Nobody in the cluster serves it.
    NoEndpoints,
    /// `internalTrafficPolicy` is Local, and nobody on the node serves it.
    NoLocalEndpointsInternal,
    /// `externalTrafficPolicy` is Local, and nobody on the node serves it.
    NoLocalEndpointsExternal,
    /// The service has the address, and no such port.
    NoSuchPort,
    /// The source is not in `loadBalancerSourceRanges`.
    SourceRanges,
}

impl Refusal {
    /// What becomes of the packet.
    pub fn action(self) -> Action {
        match self {
            Refusal::NoEndpoints | Refusal::NoSuchPort => Action::Reject,
            Refusal::NoLocalEndpointsInternal | Refusal::NoLocalEndpointsExternal | Refusal::SourceRanges => {
                Action::Drop
            }
        }
    }

    /// The decision, of a service.
    pub fn of(self, service: &NamespacedName) -> Identity {
        let reason = match self {
            Refusal::NoEndpoints => "it has no ready endpoints",
            Refusal::NoLocalEndpointsInternal => {
                "internalTrafficPolicy is Local, and no endpoint is on this node"
            }
            Refusal::NoLocalEndpointsExternal => {
                "externalTrafficPolicy is Local, and no endpoint is on this node"
            }
            Refusal::NoSuchPort => "the service has no such port",
            Refusal::SourceRanges => "the source is not in loadBalancerSourceRanges",
        };
        let decision = Decision::Service { service: service.clone(), reason: reason.to_owned() };
        Identity { decision, action: self.action() }
    }
}

/// A destination in the range of services that no service has: it is dropped.
pub fn unknown_service() -> Identity {
    Identity { decision: Decision::UnknownService, action: Action::Drop }
}
