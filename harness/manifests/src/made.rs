//! What the controllers of a real cluster have made already: an export has both a Deployment and its pods,
//! and nobody means them twice.

use crate::lineage::{Lineage, Reference, namespace, reference, reference_of};
use crate::twice::Changed;
use netproof_api::manifest::Located;
use netproof_api::{Effect, Ignored, Object, Pod, Service, Workload, WorkloadPods};
use netproof_controlplane::SERVICE_NAME_LABEL;
use std::collections::{BTreeSet, HashMap, HashSet};

/// Takes away workloads whose pods are there, or the workload that made them, and the EndpointSlices of
/// services that select pods: the control plane makes those anew. The pods of a workload that is written again
/// with other pods go, if they are not those. Sentences about it.
pub(super) fn take_away(
    objects: &mut Vec<Located>,
    ignored: &mut Vec<Ignored>,
    changed: &Changed,
) -> Vec<String> {
    let lineage = Lineage::of(objects, ignored);
    let outdated = take_away_outdated(objects, changed, &lineage);
    let mut owners: HashSet<Reference> = HashSet::new();
    for located in objects.iter().filter(|located| matches!(located.object, Object::Pod(_))) {
        owners.extend(lineage.above(&located.object));
    }
    let of_others = take_away_those_with_pods(objects, ignored, &lineage, &owners);
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
                let is_made = lineage.above(&located.object).iter().any(|owner| workloads.contains(owner));
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
    outdated.into_iter().chain(note(idle + of_others, slices)).collect()
}

/// Takes away objects that make pods, or bring what does, and have them here. How many.
fn take_away_those_with_pods(
    objects: &[Located],
    ignored: &mut Vec<Ignored>,
    lineage: &Lineage,
    owners: &HashSet<Reference>,
) -> usize {
    let makes = |effect| matches!(effect, Effect::Pods | Effect::PerhapsPods | Effect::Objects);
    if !ignored.iter().any(|object| makes(object.effect)) {
        return 0;
    }
    let mut owners = owners.clone();
    for located in objects.iter().filter(|located| matches!(located.object, Object::Workload(_))) {
        owners.extend(lineage.above(&located.object));
    }
    // What no namespace holds may own what one holds.
    let names: HashSet<(&str, &str)> = owners.iter().map(|(_, kind, name)| (&**kind, &**name)).collect();
    let before = ignored.len();
    ignored.retain(|object| {
        let reference = reference_of(object, "");
        let owns = match &object.namespace {
            Some(_) => owners.contains(&reference),
            None => names.contains(&(&*reference.1, &*reference.2)),
        };
        !(makes(object.effect) && (owns || (object.exported && has_exported_pods(objects, object))))
    });
    before - ignored.len()
}

/// Whether pods that a cluster wrote are those of an object that it wrote, too: by their names, or a label that
/// has its name. What brings other objects has brought them there already.
fn has_exported_pods(objects: &[Located], of: &Ignored) -> bool {
    let pods = objects.iter().filter_map(|located| match &located.object {
        Object::Pod(pod) if !pod.pod_ips.is_empty() || pod.metadata.controller.is_some() => Some(pod),
        _ => None,
    });
    let prefix = format!("{}-", of.name);
    pods.into_iter().any(|Pod { metadata, .. }| {
        of.effect == Effect::Objects
            || (metadata.namespace == of.namespace
                && (metadata.name.starts_with(&prefix)
                    || metadata.labels.values().any(|value| *value == of.name)))
    })
}

/// Takes away the pods of changed workloads, unless they are as the last writing of their workload has them.
/// A sentence about it, if there are any.
fn take_away_outdated(objects: &mut Vec<Located>, changed: &Changed, lineage: &Lineage) -> Option<String> {
    let mut pods: HashMap<Reference, Vec<(bool, String)>> = HashMap::new();
    let workloads: HashMap<Reference, &Workload> = objects
        .iter()
        .filter_map(|located| match &located.object {
            Object::Workload(workload) => {
                Some((reference(&workload.metadata, workload.kind.word()), workload))
            }
            _ => None,
        })
        .filter(|(reference, _)| changed.contains_key(reference))
        .collect();
    for located in &*objects {
        let Object::Pod(pod) = &located.object else { continue };
        for owner in lineage.above(&located.object) {
            if let (Some(before), Some(now)) = (changed.get(&owner), workloads.get(&owner)) {
                let fits = fits(pod, &before.template, &now.template);
                pods.entry(owner).or_default().push((fits, pod.metadata.name.clone()));
            }
        }
    }
    let mut outdated: HashSet<(String, String)> = HashSet::new();
    let mut owners = BTreeSet::new();
    for (owner, pods) in pods {
        let fitting = pods.iter().filter(|(fits, _)| *fits).count();
        let enough = match workloads.get(&owner).map(|workload| &workload.pods) {
            Some(WorkloadPods::Ordinals(ordinals)) => fitting == ordinals.len(),
            Some(now @ WorkloadPods::Nodes(_)) => {
                fitting > 0 && changed.get(&owner).is_some_and(|before| before.pods == *now)
            }
            None => true,
        };
        let before = outdated.len();
        let gone = pods.into_iter().filter(|(fits, _)| !(enough && *fits));
        outdated.extend(gone.map(|(_, pod)| (owner.0.clone(), pod)));
        if outdated.len() > before {
            let (namespace, kind, name) = owner;
            owners.insert(format!("{kind}/{namespace}/{name}"));
        }
    }
    objects.retain(|located| match &located.object {
        Object::Pod(Pod { metadata, .. }) => {
            !outdated.contains(&(namespace(metadata), metadata.name.clone()))
        }
        _ => true,
    });
    let owners = owners.into_iter().collect::<Vec<_>>().join(", ");
    match outdated.len() {
        0 => None,
        1 => Some(format!("1 pod is left out, as {owners} is written again and makes other pods")),
        many => Some(format!(
            "{many} pods are left out, as their workloads are written again and make other pods: {owners}"
        )),
    }
}

/// Whether a pod is of the later template and not of the earlier one: in labels, ports, network and account
/// it is as the later one says, wherever one of the two says something.
fn fits(pod: &Pod, before: &Pod, now: &Pod) -> bool {
    let labels = || before.metadata.labels.keys().chain(now.metadata.labels.keys());
    let ports = |of: &Pod, name: &str| -> HashSet<_> {
        let containers = of.containers.iter().filter(|container| container.name == name);
        containers.flat_map(|container| container.ports.clone()).collect()
    };
    let mut containers = before.containers.iter().chain(&now.containers).map(|it| it.name.as_str());
    labels().all(|key| pod.metadata.labels.get(key) == now.metadata.labels.get(key))
        && containers.all(|name| ports(pod, name) == ports(now, name))
        && (pod.host_network, &pod.service_account) == (now.host_network, &now.service_account)
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

/// Namespace and name of a service that selects pods.
fn selecting(object: &Object) -> Option<(String, String)> {
    match object {
        Object::Service(Service { metadata, selector, .. }) if !selector.is_empty() => {
            Some((namespace(metadata), metadata.name.clone()))
        }
        _ => None,
    }
}
