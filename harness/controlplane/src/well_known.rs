//! What every cluster has before anybody applies anything: namespaces and the cluster DNS.

use crate::addresses::nth;
use crate::change::{Change, ChangeError};
use netproof_api::core::{Container, ContainerPort, IntOrString, TransportProtocol};
use netproof_api::{Labels, Namespace, Object, ObjectMeta, Pod, Service, ServicePort};
use netproof_model::Topology;
use std::net::IpAddr;

/// The namespaces that exist from the start.
pub const NAMESPACES: [&str; 4] = ["default", "kube-node-lease", "kube-public", "kube-system"];

/// Where the cluster DNS is.
pub const DNS_NAMESPACE: &str = "kube-system";
/// The pod that answers, on the first node.
pub const DNS_POD: &str = "coredns";
/// The service that names are asked at.
pub const DNS_SERVICE: &str = "kube-dns";
/// The cluster IP of [`DNS_SERVICE`] within the service range: 10.96.0.10, fd00:10:96::a.
pub const DNS_OFFSET: u128 = 10;

/// What creates all of it.
pub(crate) fn changes(topology: &Topology) -> Result<Vec<Change>, ChangeError> {
    let mut changes: Vec<Change> = NAMESPACES
        .iter()
        .map(|name| {
            let metadata = ObjectMeta { name: (*name).to_owned(), ..ObjectMeta::default() };
            Change::Apply(Object::Namespace(Namespace { metadata }))
        })
        .collect();
    changes.push(Change::Apply(Object::Pod(dns_pod())));
    changes.push(Change::Apply(Object::Service(dns_service(topology)?)));
    Ok(changes)
}

const DNS_PORTS: [(&str, TransportProtocol); 2] =
    [("dns", TransportProtocol::Udp), ("dns-tcp", TransportProtocol::Tcp)];

fn metadata(name: &str) -> ObjectMeta {
    ObjectMeta {
        name: name.to_owned(),
        namespace: Some(DNS_NAMESPACE.to_owned()),
        labels: dns_labels(),
        ..ObjectMeta::default()
    }
}

fn dns_labels() -> Labels {
    [("k8s-app".to_owned(), "kube-dns".to_owned())].into()
}

fn dns_pod() -> Pod {
    let ports = DNS_PORTS
        .iter()
        .map(|(name, protocol)| ContainerPort {
            name: Some((*name).to_owned()),
            container_port: 53,
            protocol: *protocol,
            host_port: None,
        })
        .collect();
    Pod {
        metadata: metadata(DNS_POD),
        service_account: DNS_POD.to_owned(),
        containers: vec![Container { name: DNS_POD.to_owned(), ports }],
        ready: true,
        ..Pod::default()
    }
}

fn dns_service(topology: &Topology) -> Result<Service, ChangeError> {
    let ports = DNS_PORTS
        .iter()
        .map(|(name, protocol)| ServicePort {
            name: Some((*name).to_owned()),
            protocol: *protocol,
            port: 53,
            target_port: IntOrString::Int(53),
            node_port: None,
        })
        .collect();
    Ok(Service {
        metadata: metadata(DNS_SERVICE),
        selector: dns_labels(),
        ports,
        cluster_ips: dns_addresses(topology)?,
        ..Service::default()
    })
}

/// The cluster IPs of the cluster DNS, the primary family first.
fn dns_addresses(topology: &Topology) -> Result<Vec<IpAddr>, ChangeError> {
    let mut addresses = Vec::new();
    for family in topology.family.list() {
        let range = *topology.ranges.services.get(*family);
        addresses.push(nth(range, DNS_OFFSET).ok_or_else(|| {
            ChangeError::new(
                format!("the range of services, {range}, is too small for the cluster DNS"),
                "write a larger range, a /24 at least",
            )
        })?);
    }
    Ok(addresses)
}
