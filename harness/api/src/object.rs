//! Any object that netproof keeps.

use crate::calico::{CalicoPolicy, IpPool, NetworkSet, Profile, StagedKubernetesNetworkPolicy, Tier};
use crate::cluster_network_policy::ClusterNetworkPolicy;
use crate::core::{EndpointSlice, Namespace, Node, Pod, Service};
use crate::meta::ObjectMeta;
use crate::networking::NetworkPolicy;
use crate::workload::Workload;
use netproof_model::PolicyKind;
use std::sync::Arc;

/// An object of a kind that netproof keeps, defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// v1 Namespace.
    Namespace(Namespace),
    /// v1 Node.
    Node(Node),
    /// v1 Pod.
    Pod(Pod),
    /// v1 Service.
    Service(Service),
    /// discovery.k8s.io/v1 EndpointSlice.
    EndpointSlice(EndpointSlice),
    /// A policy object of any kind; a rehearsal leaves it out.
    Policy(Policy),
    /// A Deployment or another kind whose controller makes pods.
    Workload(Workload),
}

/// A policy object, shared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Policy {
    /// networking.k8s.io/v1 NetworkPolicy.
    NetworkPolicy(Arc<NetworkPolicy>),
    /// projectcalico.org/v3 NetworkPolicy, GlobalNetworkPolicy, StagedNetworkPolicy or StagedGlobalNetworkPolicy.
    CalicoPolicy(Arc<CalicoPolicy>),
    /// projectcalico.org/v3 StagedKubernetesNetworkPolicy.
    StagedKubernetesNetworkPolicy(Arc<StagedKubernetesNetworkPolicy>),
    /// projectcalico.org/v3 Tier.
    Tier(Arc<Tier>),
    /// projectcalico.org/v3 NetworkSet or GlobalNetworkSet.
    NetworkSet(Arc<NetworkSet>),
    /// projectcalico.org/v3 Profile.
    Profile(Arc<Profile>),
    /// projectcalico.org/v3 IPPool.
    IpPool(Arc<IpPool>),
    /// policy.networking.k8s.io/v1alpha2 ClusterNetworkPolicy, or a kind of v1alpha1 as such.
    ClusterNetworkPolicy(Arc<ClusterNetworkPolicy>),
}

impl Policy {
    /// Its kind.
    pub fn kind(&self) -> PolicyKind {
        match self {
            Policy::NetworkPolicy(_) => PolicyKind::NetworkPolicy,
            Policy::CalicoPolicy(policy) => policy.kind(),
            Policy::StagedKubernetesNetworkPolicy(_) => PolicyKind::StagedKubernetesNetworkPolicy,
            Policy::Tier(_) => PolicyKind::Tier,
            Policy::NetworkSet(set) => set.kind(),
            Policy::Profile(_) => PolicyKind::Profile,
            Policy::IpPool(_) => PolicyKind::IpPool,
            Policy::ClusterNetworkPolicy(policy) => policy.written_as,
        }
    }

    /// Its metadata.
    pub fn metadata(&self) -> &ObjectMeta {
        match self {
            Policy::NetworkPolicy(policy) => &policy.metadata,
            Policy::CalicoPolicy(object) => &object.metadata,
            Policy::StagedKubernetesNetworkPolicy(object) => &object.metadata,
            Policy::Tier(object) => &object.metadata,
            Policy::NetworkSet(object) => &object.metadata,
            Policy::Profile(object) => &object.metadata,
            Policy::IpPool(object) => &object.metadata,
            Policy::ClusterNetworkPolicy(policy) => &policy.metadata,
        }
    }

    /// Its metadata, to change it.
    pub fn metadata_mut(&mut self) -> &mut ObjectMeta {
        match self {
            Policy::NetworkPolicy(policy) => &mut Arc::make_mut(policy).metadata,
            Policy::CalicoPolicy(object) => &mut Arc::make_mut(object).metadata,
            Policy::StagedKubernetesNetworkPolicy(object) => &mut Arc::make_mut(object).metadata,
            Policy::Tier(object) => &mut Arc::make_mut(object).metadata,
            Policy::NetworkSet(object) => &mut Arc::make_mut(object).metadata,
            Policy::Profile(object) => &mut Arc::make_mut(object).metadata,
            Policy::IpPool(object) => &mut Arc::make_mut(object).metadata,
            Policy::ClusterNetworkPolicy(policy) => &mut Arc::make_mut(policy).metadata,
        }
    }

    /// Whether both are the same object in memory.
    pub fn is_same(&self, other: &Policy) -> bool {
        match (self, other) {
            (Policy::NetworkPolicy(a), Policy::NetworkPolicy(b)) => Arc::ptr_eq(a, b),
            (Policy::CalicoPolicy(a), Policy::CalicoPolicy(b)) => Arc::ptr_eq(a, b),
            (Policy::StagedKubernetesNetworkPolicy(a), Policy::StagedKubernetesNetworkPolicy(b)) => {
                Arc::ptr_eq(a, b)
            }
            (Policy::Tier(a), Policy::Tier(b)) => Arc::ptr_eq(a, b),
            (Policy::NetworkSet(a), Policy::NetworkSet(b)) => Arc::ptr_eq(a, b),
            (Policy::Profile(a), Policy::Profile(b)) => Arc::ptr_eq(a, b),
            (Policy::IpPool(a), Policy::IpPool(b)) => Arc::ptr_eq(a, b),
            (Policy::ClusterNetworkPolicy(a), Policy::ClusterNetworkPolicy(b)) => Arc::ptr_eq(a, b),
            _ => false,
        }
    }
}

/// A policy object of its own type becomes the variant of that name.
macro_rules! from_objects {
    ($($kind:ident)*) => {
        $(impl From<$kind> for Policy {
            fn from(object: $kind) -> Policy {
                Policy::$kind(Arc::new(object))
            }
        })*
    };
}

from_objects! {
    NetworkPolicy ClusterNetworkPolicy CalicoPolicy StagedKubernetesNetworkPolicy Tier NetworkSet Profile IpPool
}

impl Object {
    /// The kind in lower case, as references and messages write it: `pod`, `networkpolicy`, ...
    pub fn kind(&self) -> &str {
        match self {
            Object::Namespace(_) => "namespace",
            Object::Node(_) => "node",
            Object::Pod(_) => "pod",
            Object::Service(_) => "service",
            Object::EndpointSlice(_) => "endpointslice",
            Object::Policy(policy) => policy.kind().word(),
            Object::Workload(workload) => workload.kind.word(),
        }
    }

    /// The object's metadata.
    pub fn metadata(&self) -> &ObjectMeta {
        match self {
            Object::Namespace(object) => &object.metadata,
            Object::Node(object) => &object.metadata,
            Object::Pod(object) => &object.metadata,
            Object::Service(object) => &object.metadata,
            Object::EndpointSlice(object) => &object.metadata,
            Object::Policy(object) => object.metadata(),
            Object::Workload(object) => &object.metadata,
        }
    }

    /// The object's metadata, to change its labels.
    pub fn metadata_mut(&mut self) -> &mut ObjectMeta {
        match self {
            Object::Namespace(object) => &mut object.metadata,
            Object::Node(object) => &mut object.metadata,
            Object::Pod(object) => &mut object.metadata,
            Object::Service(object) => &mut object.metadata,
            Object::EndpointSlice(object) => &mut object.metadata,
            Object::Policy(object) => object.metadata_mut(),
            Object::Workload(object) => &mut object.metadata,
        }
    }
}
