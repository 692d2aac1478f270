//! Any object that netproof keeps.

use crate::core::{EndpointSlice, Namespace, Node, Pod, Service};
use crate::meta::ObjectMeta;
use crate::networking::NetworkPolicy;
use crate::workload::Workload;

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
    /// networking.k8s.io/v1 NetworkPolicy.
    NetworkPolicy(NetworkPolicy),
    /// A Deployment or another kind whose controller makes pods.
    Workload(Workload),
}

/// The kinds that are policy, as references write them ([`Object::is_policy`]).
pub const POLICY_KINDS: [&str; 1] = ["networkpolicy"];

impl Object {
    /// The kind in lower case, as references and messages write it: `pod`, `networkpolicy`, ...
    pub fn kind(&self) -> &str {
        match self {
            Object::Namespace(_) => "namespace",
            Object::Node(_) => "node",
            Object::Pod(_) => "pod",
            Object::Service(_) => "service",
            Object::EndpointSlice(_) => "endpointslice",
            Object::NetworkPolicy(_) => "networkpolicy",
            Object::Workload(workload) => workload.kind.word(),
        }
    }

    /// Whether it is policy: what a rehearsal goes without.
    pub fn is_policy(&self) -> bool {
        match self {
            Object::NetworkPolicy(_) => true,
            Object::Namespace(_)
            | Object::Node(_)
            | Object::Pod(_)
            | Object::Service(_)
            | Object::EndpointSlice(_)
            | Object::Workload(_) => false,
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
            Object::NetworkPolicy(object) => &object.metadata,
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
            Object::NetworkPolicy(object) => &mut object.metadata,
            Object::Workload(object) => &mut object.metadata,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Context, read_manifests};

    #[test]
    fn the_kinds_of_policy_are_those_of_the_objects_that_are_policy() {
        let text = "{apiVersion: networking.k8s.io/v1, kind: NetworkPolicy, metadata: {name: a}, spec: {podSelector: {}}}\n\
                    ---\n{apiVersion: v1, kind: Namespace, metadata: {name: b}}\n";
        let read = read_manifests(&crate::Source::new("objects", text), &Context::default()).unwrap();
        let are_policy: Vec<bool> = read.objects.iter().map(|it| it.object.is_policy()).collect();
        assert_eq!(are_policy, [true, false]);
        for object in read.objects.iter().map(|it| &it.object) {
            assert_eq!(object.is_policy(), POLICY_KINDS.contains(&object.kind()), "{}", object.kind());
        }
    }
}
