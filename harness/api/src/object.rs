//! Any object that netproof keeps.

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
}

impl Policy {
    /// Its kind.
    pub fn kind(&self) -> PolicyKind {
        match self {
            Policy::NetworkPolicy(_) => PolicyKind::NetworkPolicy,
        }
    }

    /// Its metadata.
    pub fn metadata(&self) -> &ObjectMeta {
        match self {
            Policy::NetworkPolicy(policy) => &policy.metadata,
        }
    }

    /// Its metadata, to change it.
    pub fn metadata_mut(&mut self) -> &mut ObjectMeta {
        match self {
            Policy::NetworkPolicy(policy) => &mut Arc::make_mut(policy).metadata,
        }
    }

    /// Whether both are the same object in memory.
    pub fn is_same(&self, other: &Policy) -> bool {
        match (self, other) {
            (Policy::NetworkPolicy(a), Policy::NetworkPolicy(b)) => Arc::ptr_eq(a, b),
        }
    }
}

impl From<NetworkPolicy> for Policy {
    fn from(policy: NetworkPolicy) -> Policy {
        Policy::NetworkPolicy(Arc::new(policy))
    }
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
