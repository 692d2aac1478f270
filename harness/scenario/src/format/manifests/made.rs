//! What the controllers of a real cluster have made already: an export has both a Deployment and its pods,
//! and nobody means them twice.

use netproof_api::manifest::Located;
use netproof_api::{Object, ObjectMeta, Service};
use netproof_controlplane::SERVICE_NAME_LABEL;
use std::collections::HashSet;

/// The label by which a Deployment tells the pods of its ReplicaSets apart.
const TEMPLATE_HASH: &str = "pod-template-hash";

/// Namespace, kind in lower case, name.
type Reference = (String, String, String);

/// Takes away workloads whose pods are there, or the workload that made them, and the EndpointSlices of
/// services that select pods: the control plane makes those anew. A sentence about it, if there is anything.
pub(super) fn take_away(objects: &mut Vec<Located>) -> Option<String> {
    let owners = owners_of_pods(objects);
    let workloads: HashSet<Reference> = objects
        .iter()
        .filter(|located| matches!(located.object, Object::Workload(_)))
        .map(|located| reference(located.object.metadata(), located.object.kind()))
        .collect();
    let selecting: HashSet<(String, String)> =
        objects.iter().filter_map(|it| selecting(&it.object)).collect();
    let (mut idle, mut slices) = (0, 0);
    objects.retain(|located| {
        let metadata = located.object.metadata();
        match &located.object {
            Object::Workload(_) => {
                let is_made = controller(metadata).is_some_and(|owner| workloads.contains(&owner));
                let has_pods = owners.contains(&reference(metadata, located.object.kind()));
                idle += usize::from(has_pods && !is_made);
                !has_pods && !is_made
            }
            Object::EndpointSlice(_) => {
                let service = metadata.labels.get(SERVICE_NAME_LABEL).cloned().unwrap_or_default();
                let made = selecting.contains(&(namespace(metadata), service));
                slices += usize::from(made);
                !made
            }
            _ => true,
        }
    });
    note(idle, slices)
}

/// How many workloads have their pods there already, and how many slices there were.
fn note(idle: usize, slices: usize) -> Option<String> {
    let idle = match idle {
        0 => None,
        1 => Some("1 workload makes no pods, as its pods are here".to_owned()),
        many => Some(format!("{many} workloads make no pods, as their pods are here")),
    };
    let slices = match slices {
        0 => None,
        1 => Some("1 EndpointSlice is made anew from its service and pods".to_owned()),
        many => Some(format!("{many} EndpointSlices are made anew from their services and pods")),
    };
    let notes: Vec<String> = idle.into_iter().chain(slices).collect();
    (!notes.is_empty()).then(|| notes.join("; "))
}

/// Whose pods are there: the controller of each, and the Deployment above a ReplicaSet.
fn owners_of_pods(objects: &[Located]) -> HashSet<Reference> {
    let mut owners = HashSet::new();
    for located in objects {
        let metadata = located.object.metadata();
        let (true, Some(owner)) = (matches!(located.object, Object::Pod(_)), controller(metadata)) else {
            continue;
        };
        // A Deployment's ReplicaSets are named `DEPLOYMENT-HASH`.
        if let ("replicaset", Some(hash)) = (owner.1.as_str(), metadata.labels.get(TEMPLATE_HASH))
            && let Some(deployment) = owner.2.strip_suffix(hash).and_then(|name| name.strip_suffix('-'))
        {
            owners.insert((owner.0.clone(), "deployment".to_owned(), deployment.to_owned()));
        }
        owners.insert(owner);
    }
    owners
}

/// The controller that made an object.
fn controller(metadata: &ObjectMeta) -> Option<Reference> {
    let owner = metadata.controller.as_ref()?;
    Some((namespace(metadata), owner.kind.to_lowercase(), owner.name.clone()))
}

fn reference(metadata: &ObjectMeta, kind: &str) -> Reference {
    (namespace(metadata), kind.to_owned(), metadata.name.clone())
}

/// Namespace and name of a service that selects pods.
fn selecting(object: &Object) -> Option<(String, String)> {
    match object {
        Object::Service(Service { metadata, selector, .. }) if !selector.is_empty() => {
            Some((namespace(metadata), metadata.name.clone()))
        }
        _ => None,
    }
}

fn namespace(metadata: &ObjectMeta) -> String {
    metadata.namespace.clone().unwrap_or_default()
}
