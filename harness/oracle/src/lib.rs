//! What should happen to a flow, and why: predictions from the API's definition, independent of every
//! enforcer.
//!
//! [`Oracle::predict`] follows one flow through a cluster (module `walk`): what each node's service proxy
//! does with it (`proxy`, `services`), which endpoints' policies decide about it, at which stages (`decide`), and who
//! gets it in the end. Policies are asked in one way (`policy`): each API has evaluators (`networkpolicy`,
//! `clusternetworkpolicy`, `calico`), which tell tiers of rules and whether they match, and the order of tiers and rules
//! decides (`order`). The answer is
//! plain data, the verdict and who decides; [`Oracle::explain`] finds out why, and makes sentences of it.
//! [`Oracle::matrix`] answers for all pairs of many endpoints at once.
//!
//! Comments name the field of the API types (networking.k8s.io/v1, meta/v1) or the page of the concepts whose
//! rule the code below them is; where these leave the answer open, a switch of the [`Profile`] has it, and
//! the three-valued [`Truth`] says so.

#![warn(clippy::indexing_slicing)]

mod calico;
mod clusternetworkpolicy;
mod decide;
mod endpoints;
#[cfg(test)]
mod example_apis;
mod explain;
mod flow;
mod host_ports;
mod matrix;
mod networkpolicy;
mod oracle;
mod policy;
mod prediction;
mod proxy;
mod reply;
mod selector;
mod services;
mod walk;
mod world;

use netproof_readings::{order, profile, truth};

pub use flow::{Flow, Packet, PortProtocol};
pub use matrix::{Cell, Grouped, Matrix};
pub use netproof_readings::PROFILES;
pub use netproof_readings::Truth;
pub use netproof_readings::profile::{
    CnpEqualPriority, CnpMasqueradedSource, CnpNetworksMatchPods, CnpServiceHairpin, CnpServiceVipInNetworks,
    Deny, EndPort, EndpointsThatShareAnAddress, ExistingConnections, HostNetworkPeers, HostNetworkPods, Icmp,
    IpBlockAndNodes, IpBlockAndPods, NodeToPodOnAnotherNode, OwnPodThroughService, PodToOwnNode,
    PolicyAndDnat, PolicyAndMasquerade, Profile, Sctp, Switch, Switches,
};
pub use oracle::{Oracle, PredictError};
pub use policy::{PolicyAccount, RuleAccount};
pub use prediction::{
    Alternative, Hop, PolicyDecision, PredictedDenial, Prediction, Reason, Server, SourceNat, Verdict,
};
pub use proxy::{Masquerade, Refusal, ServiceStep};
pub use services::ServiceAddress;
