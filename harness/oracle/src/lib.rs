//! What should happen to a flow, and why: predictions from the API's definition, independent of every
//! enforcer.
//!
//! [`Oracle::predict`] follows one flow through a cluster (module `walk`): what each node's service proxy
//! does with it (`proxy`, `services`), which policies decide about it (`decide`), what each of their rules
//! says (`policy`, `peers`, `ports`, `selector`), and who gets it in the end. The answer is plain data;
//! [`Oracle::explain`] makes sentences of it. [`Oracle::matrix`] answers for all pairs of many endpoints at
//! once.
//!
//! Comments name the field of the API types (networking.k8s.io/v1, meta/v1) or the page of the concepts whose
//! rule the code below them is; where these leave the answer open, a switch of the [`Profile`] has it, and
//! the three-valued [`Truth`] says so.

#![warn(clippy::indexing_slicing)]

mod decide;
mod endpoints;
mod explain;
mod flow;
mod host_ports;
mod matrix;
mod oracle;
mod peers;
mod policy;
mod ports;
mod prediction;
mod profile;
mod profiles;
mod proxy;
mod reply;
mod selector;
mod services;
mod truth;
mod walk;
mod world;

pub use flow::{Flow, Packet, PortProtocol};
pub use matrix::{Cell, Grouped, Matrix};
pub use oracle::{Oracle, PredictError};
pub use peers::PeerMismatch;
pub use policy::{Entries, PolicyTrace, Reason, RuleTrace, Selection};
pub use ports::PortMismatch;
pub use prediction::{Alternative, Denial, Hop, PolicyDecision, Prediction, Server, SourceNat, Verdict};
pub use profile::{
    Deny, EndPort, EndpointsThatShareAnAddress, ExistingConnections, HostNetworkPeers, HostNetworkPods, Icmp,
    IpBlockAndNodes, IpBlockAndPods, NodeToPodOnAnotherNode, OwnPodThroughService, PodToOwnNode,
    PolicyAndDnat, PolicyAndMasquerade, Profile, Sctp, Switch, Switches,
};
pub use profiles::PROFILES;
pub use proxy::{Masquerade, Refusal, ServiceStep};
pub use selector::Unmet;
pub use services::ServiceAddress;
pub use truth::Truth;
