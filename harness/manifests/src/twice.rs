//! An object that is written more than once: the last one counts, as it does for `kubectl apply`.
//!
//! What an API server had filled in of an earlier one, and the later one does not say (addresses, node ports,
//! the node of a pod, its status), stays. So an export and, after it, a changed manifest of one of its objects
//! answer what the change does. Two that say the same are nothing to speak of.

use crate::lineage::{Reference, reference};
use netproof_api::core::{PodPhase, ServiceType};
use netproof_api::manifest::Located;
use netproof_api::source::Span;
use netproof_api::{Diagnostic, Node, Object, ObjectMeta, Pod, Service, Workload};
use netproof_documents::document::{self, Problems};
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// The labels that a kubelet gives its node.
const OF_A_KUBELET: [&str; 3] = ["kubernetes.io/arch", "kubernetes.io/hostname", "kubernetes.io/os"];

/// The taints that the API server lets every pod tolerate for a while.
const OF_EVERY_POD: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];

/// Workloads whose last writing differs in its pods from the one before it, with that one.
pub(super) type Changed = HashMap<Reference, Workload>;

/// Keeps the last of several that are written of one object, at the place of the first, and warns of each
/// that differs from the one that it replaces.
pub(super) fn keep_last(objects: &mut Vec<Located>, problems: &mut Problems) -> Changed {
    let mut positions: HashMap<Reference, usize> = HashMap::new();
    let mut kept: Vec<Located> = Vec::with_capacity(objects.len());
    let mut changed = Changed::new();
    for mut later in std::mem::take(objects) {
        let reference = reference(later.object.metadata(), later.object.kind());
        let position = match positions.entry(reference.clone()) {
            Entry::Occupied(position) => *position.get(),
            Entry::Vacant(vacant) => {
                vacant.insert(kept.len());
                kept.push(later);
                continue;
            }
        };
        let Some(earlier) = kept.get_mut(position) else { continue };
        complete(&mut later.object, &earlier.object);
        if differs(&earlier.object, &later.object) {
            problems.push(warning(earlier, &later));
            if let (Object::Workload(before), Object::Workload(now)) = (&earlier.object, &later.object)
                && (bare(&before.template), &before.pods) != (bare(&now.template), &now.pods)
            {
                changed.entry(reference).or_insert_with(|| before.clone());
            }
        }
        *earlier = later;
    }
    *objects = kept;
    changed
}

/// The warning of two that differ.
fn warning(earlier: &Located, later: &Located) -> Diagnostic {
    let metadata = later.object.metadata();
    let namespace = metadata.namespace.iter().map(|namespace| format!("{namespace}/")).collect::<String>();
    let place = document::location(&earlier.source, earlier.span);
    let message = format!(
        "{}/{namespace}{} replaces the one at {place}, and differs from it",
        later.object.kind(),
        metadata.name
    );
    let help = "the later one counts, as with `kubectl apply`; if that is not meant, remove one of the two";
    Diagnostic::warning(message).help(help).at(&later.source, Span::new(later.span.start, later.span.start))
}

/// Whether two of one object say different things. What only one of them says because an API server filled
/// it in makes no difference.
fn differs(earlier: &Object, later: &Object) -> bool {
    let mut earlier = earlier.clone();
    complete(&mut earlier, later);
    let mut later = later.clone();
    for object in [&mut earlier, &mut later] {
        let metadata = object.metadata_mut();
        metadata.annotations.clear();
        match object {
            Object::Workload(workload) => *workload.template = bare(&workload.template),
            Object::Pod(pod) => pod.tolerations.retain(|it| !OF_EVERY_POD.contains(&it.key.as_str())),
            _ => {}
        }
    }
    earlier != later
}

/// A template without its annotations, which mean nothing to the network.
fn bare(template: &Pod) -> Pod {
    let mut template = template.clone();
    template.metadata.annotations.clear();
    template
}

/// Fills in what the object does not say, and the other one of the same name has from an API server.
fn complete(object: &mut Object, other: &Object) {
    let controller = other.metadata().controller.clone();
    let metadata = object.metadata_mut();
    metadata.controller = metadata.controller.take().or(controller);
    match (object, other) {
        (Object::Pod(pod), Object::Pod(other)) => complete_pod(pod, other),
        (Object::Service(service), Object::Service(other)) => complete_service(service, other),
        (Object::Node(node), Object::Node(other)) => complete_node(node, other),
        _ => {}
    }
}

/// The node and the status of a pod that was written by hand.
fn complete_pod(pod: &mut Pod, other: &Pod) {
    let written = pod.node_name.as_ref().is_none_or(|node| other.node_name.as_ref() == Some(node))
        && pod.host_network == other.host_network
        && pod.pod_ips.is_empty()
        && pod.host_ips.is_empty()
        && pod.ready
        && !pod.terminating
        && pod.phase == PodPhase::Running;
    if written {
        pod.node_name.clone_from(&other.node_name);
        pod.pod_ips.clone_from(&other.pod_ips);
        pod.host_ips.clone_from(&other.host_ips);
        (pod.phase, pod.ready, pod.terminating) = (other.phase, other.ready, other.terminating);
    }
}

/// The addresses and the ports of a service, as far as one of this type has them.
fn complete_service(service: &mut Service, other: &Service) {
    let in_cluster = |service: &Service| service.service_type != ServiceType::ExternalName;
    if !in_cluster(service) || !in_cluster(other) {
        return;
    }
    let families = &mut service.ip_families;
    if families.is_empty() || *families == other.ip_families {
        families.clone_from(&other.ip_families);
        service.ip_family_policy = service.ip_family_policy.or(other.ip_family_policy);
        if service.cluster_ips.is_empty() && !service.headless {
            service.cluster_ips.clone_from(&other.cluster_ips);
        }
    }
    if service.service_type == ServiceType::ClusterIP {
        return;
    }
    for port in &mut service.ports {
        let same = other.ports.iter().find(|it| (it.port, it.protocol) == (port.port, port.protocol));
        port.node_port = port.node_port.or(same.and_then(|port| port.node_port));
    }
    if service.service_type == ServiceType::LoadBalancer {
        if service.external_traffic_policy == other.external_traffic_policy {
            service.health_check_node_port = service.health_check_node_port.or(other.health_check_node_port);
        }
        if service.load_balancer_ingress.is_empty() {
            service.load_balancer_ingress.clone_from(&other.load_balancer_ingress);
        }
    }
}

/// The addresses of a node and what its kubelet labels it with.
fn complete_node(node: &mut Node, other: &Node) {
    if node.addresses.is_empty() {
        node.addresses.clone_from(&other.addresses);
    }
    if node.pod_cidrs.is_empty() {
        node.pod_cidrs.clone_from(&other.pod_cidrs);
    }
    let ObjectMeta { labels, .. } = &other.metadata;
    for (key, value) in labels.iter().filter(|(key, _)| OF_A_KUBELET.contains(&key.as_str())) {
        node.metadata.labels.entry(key.clone()).or_insert_with(|| value.clone());
    }
}
