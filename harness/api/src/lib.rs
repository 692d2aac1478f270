//! Kubernetes objects: parsing with positions, defaulting, validation, and the syntax of selectors.
//!
//! The crate stops at the syntax tree. Whether a selector matches an object, a CIDR an address, or a port a
//! port is evaluation, which the enforcer and the oracle each do for themselves.

pub mod calico;
pub mod cluster_network_policy;
pub mod core;
pub mod ignored;
pub mod manifest;
pub mod meta;
pub mod names;
pub mod networking;
pub mod object;
mod reader;
pub mod scheduling;
pub mod selector;
pub mod workload;

pub use crate::core::{
    Container, ContainerPort, Endpoint, EndpointPort, EndpointSlice, Namespace, Node, Pod, Service,
    ServicePort,
};
pub use cluster_network_policy::{
    ClusterAction, ClusterNetworkPolicy, ClusterNetworkPolicySpec, ClusterPeer, ClusterPort, ClusterRule,
    ClusterSubject, ClusterTier, NamespacedPods,
};
pub use ignored::{Effect, Ignored};
pub use manifest::{Context, Located, Manifest, Unreadable, read_document, read_manifest, read_manifests};
pub use meta::{Labels, ObjectMeta, OwnerReference};
/// What texts are read with; readers of objects hand its types out.
pub use netproof_text::{
    Diagnostic, Diagnostics, Severity, Source, Span, Spanned, diagnostic, source, suggest, yaml,
};
pub use networking::{
    Cidr, IpBlock, NetworkPolicy, NetworkPolicyPeer, NetworkPolicyPort, NetworkPolicyRule, PolicyType,
};
pub use object::{Object, Policy};
pub use scheduling::{Taint, Toleration};
pub use selector::{LabelSelector, Operator, Requirement};
pub use workload::{Workload, WorkloadKind, WorkloadPods};
