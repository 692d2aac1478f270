//! What plain manifests leave to whoever asks about them: where pods listen, and who is outside.

use ipnet::IpNet;
use netproof_api::core::ServiceType;
use netproof_api::manifest::Located;
use netproof_api::{Object, Policy, Service};
use netproof_controlplane::{Change, Snapshot};
use netproof_model::topology::{LoadBalancer, PerFamily};
use netproof_model::{Family, Topology};
use netproof_plan::inferred;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

/// The topology, with a load balancer in front of its nodes if a service wants one and it has none.
pub(super) fn with_load_balancer(topology: Arc<Topology>, objects: &[Located]) -> Arc<Topology> {
    let wants = |object: &Object| matches!(object, Object::Service(service) if service.service_type == ServiceType::LoadBalancer);
    if topology.load_balancer.is_some() || !objects.iter().any(|located| wants(&located.object)) {
        return topology;
    }
    let taken = taken(&topology, objects);
    let is_free = |range: &IpNet| !taken.iter().any(|it| it.contains(range) || range.contains(it));
    let mut free = (19..=31u8).filter_map(|number| {
        let ipv4: IpNet = format!("172.{number}.0.0/24").parse().ok()?;
        let ipv6: IpNet = format!("fd00:172:{number}::/112").parse().ok()?;
        (is_free(&ipv4) && is_free(&ipv6)).then_some(PerFamily { ipv4, ipv6 })
    });
    match free.next() {
        Some(range) => {
            let load_balancer = Some(LoadBalancer { range, nodes: Vec::new() });
            Arc::new(Topology { load_balancer, ..Topology::clone(&topology) })
        }
        None => topology,
    }
}

/// The ranges and addresses that somebody has.
fn taken(topology: &Topology, objects: &[Located]) -> Vec<IpNet> {
    let ranges = &topology.ranges;
    let mut taken: Vec<IpNet> = ranges.other_pods.clone();
    for family in Family::ALL {
        taken.extend([&ranges.pods, &ranges.services, &ranges.nodes].map(|range| *range.get(family)));
    }
    let nodes = topology.nodes.iter().flat_map(|node| &node.addresses);
    let hosts = topology.externals.iter().flat_map(|host| &host.addresses);
    taken.extend(nodes.chain(hosts).copied().map(IpNet::from));
    for located in objects {
        match &located.object {
            Object::Pod(pod) => {
                taken.extend(pod.pod_ips.iter().chain(&pod.host_ips).copied().map(IpNet::from))
            }
            Object::Service(service) => {
                let balancer = service.load_balancer_ingress.iter().map(|entry| entry.ip);
                taken.extend(service.external_ips.iter().copied().chain(balancer).map(IpNet::from));
            }
            _ => {}
        }
    }
    taken
}

/// The topology with a host for each class of outside addresses that the manifests tell apart, and the names of
/// those hosts.
pub(super) fn with_stand_ins(
    topology: Arc<Topology>,
    objects: &[Located],
) -> (Arc<Topology>, BTreeSet<String>) {
    let mut policies: Vec<&Policy> = Vec::new();
    let mut services: Vec<&Service> = Vec::new();
    let mut in_use: Vec<IpAddr> = Vec::new();
    for located in objects {
        match &located.object {
            Object::Policy(policy) => policies.push(policy),
            Object::Service(service) => services.push(service),
            Object::Pod(pod) => in_use.extend(pod.pod_ips.iter().chain(&pod.host_ips)),
            Object::Node(node) => in_use.extend(&node.addresses),
            Object::Namespace(_) | Object::EndpointSlice(_) | Object::Workload(_) => {}
        }
    }
    let (hosts, ports) = inferred::stand_ins(&topology, &policies, &services, in_use.into_iter());
    if hosts.is_empty()
        && topology.externals.iter().all(|host| ports.iter().all(|it| host.ports.contains(it)))
    {
        return (topology, BTreeSet::new());
    }
    let names = hosts.iter().map(|host| host.name.clone()).collect();
    let mut topology = Topology::clone(&topology);
    for host in &mut topology.externals {
        host.ports =
            host.ports.iter().copied().chain(ports.clone()).collect::<BTreeSet<_>>().into_iter().collect();
    }
    topology.externals.extend(hosts);
    (Arc::new(topology), names)
}

/// The changes by which pods listen wherever they are asked: nobody says where they do, and a denial counts only
/// where somebody answers without policy.
pub(super) fn listens(snapshot: &Snapshot) -> Vec<Change> {
    inferred::listening(snapshot, inferred::of_pods(snapshot))
}
