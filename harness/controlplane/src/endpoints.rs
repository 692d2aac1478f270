//! EndpointSlices: what the controller makes of services' selectors and pods' readiness, and those that
//! are given.
//!
//! A service's selector is a map of labels that must all be there: no policy is evaluated here.

use crate::change::ChangeError;
use crate::cluster_ips::{address_type, family_of};
use crate::namespaces::in_namespace;
use crate::snapshot::Snapshot;
use netproof_api::core::{EndpointHints, IntOrString, PodPhase, TrafficDistribution};
use netproof_api::{Endpoint, EndpointPort, EndpointSlice, Labels, ObjectMeta, Pod, Service};
use netproof_model::{Family, NamespacedName};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

/// The label that says whose endpoints a slice has.
pub const SERVICE_NAME_LABEL: &str = "kubernetes.io/service-name";
/// The label that says which zone a node is in.
pub const ZONE_LABEL: &str = "topology.kubernetes.io/zone";
/// The label that says who keeps a slice.
pub const MANAGED_BY_LABEL: &str = "endpointslice.kubernetes.io/managed-by";
/// The value of [`MANAGED_BY_LABEL`] of slices that are made of a service's selector.
pub const ENDPOINT_SLICE_CONTROLLER: &str = "endpointslice-controller.k8s.io";
const HEADLESS_LABEL: &str = "service.kubernetes.io/headless";

/// What changed since the slices were made.
#[derive(Default)]
pub(crate) struct Touched {
    /// Labels that a changed pod had or has, with its namespace.
    pods: BTreeSet<(String, Labels)>,
    services: BTreeSet<NamespacedName>,
    nodes: BTreeSet<String>,
}

impl Touched {
    /// A pod with these labels came, went or changed.
    pub(crate) fn pod(&mut self, namespace: &str, labels: &Labels) {
        self.pods.insert((namespace.to_owned(), labels.clone()));
    }

    /// A node's labels changed, and with them perhaps its zone.
    pub(crate) fn node(&mut self, name: &str) {
        self.nodes.insert(name.to_owned());
    }

    /// A service came, went or changed.
    pub(crate) fn service(&mut self, name: &NamespacedName) {
        self.services.insert(name.clone());
    }
}

/// Services by the first label of their selector, so that a pod finds those that may select it without
/// asking every service of the cluster.
struct Selectors<'a>(BTreeMap<Label<'a>, Vec<(&'a NamespacedName, &'a Service)>>);

/// Namespace, key and value.
type Label<'a> = (&'a str, &'a str, &'a str);

impl<'a> Selectors<'a> {
    fn new(services: impl Iterator<Item = (&'a NamespacedName, &'a Arc<Service>)>) -> Self {
        let mut by_label: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (name, service) in services {
            if let Some((key, value)) = service.selector.first_key_value() {
                let label = (name.namespace.as_str(), key.as_str(), value.as_str());
                by_label.entry(label).or_default().push((name, service.as_ref()));
            }
        }
        Selectors(by_label)
    }

    /// The services that select a pod with these labels.
    fn selecting<'b>(
        &'b self,
        namespace: &'b str,
        labels: &'b Labels,
    ) -> impl Iterator<Item = &'b NamespacedName> + use<'a, 'b> {
        labels
            .iter()
            .filter_map(move |(key, value)| self.0.get(&(namespace, key.as_str(), value.as_str())))
            .flatten()
            .filter(|(_, service)| service.selector.iter().all(|(key, value)| labels.get(key) == Some(value)))
            .map(|(name, _)| *name)
    }
}

/// That a slice which is given in the place of another does not change what cannot be changed.
pub(crate) fn check_unchanged(
    name: &NamespacedName,
    old: &EndpointSlice,
    new: &EndpointSlice,
) -> Result<(), ChangeError> {
    if old.address_type == new.address_type {
        return Ok(());
    }
    Err(ChangeError::new(
        format!(
            "the addressType of endpointslice/{name} cannot change from {:?} to {:?}",
            old.address_type, new.address_type
        ),
        "delete the slice first, then apply it",
    ))
}

/// The controller of EndpointSlices: which of them it has made, by service.
#[derive(Clone, Debug, Default)]
pub(crate) struct EndpointController(BTreeMap<NamespacedName, Vec<NamespacedName>>);

impl EndpointController {
    /// What the controller made is changed through its service and pods only.
    pub(crate) fn refuse_own(&self, cluster: &Snapshot, name: &NamespacedName) -> Result<(), ChangeError> {
        let slice = cluster.endpoint_slices.get(name);
        let service = slice.and_then(|slice| slice.metadata.labels.get(SERVICE_NAME_LABEL));
        let service = service.map(|service| NamespacedName::new(name.namespace.as_str(), service.as_str()));
        let made = service.and_then(|service| self.0.get(&service));
        if !made.is_some_and(|made| made.contains(name)) {
            return Ok(());
        }
        Err(ChangeError::new(
            format!("endpointslice/{name} is made from a service's selector and would be made again"),
            "change the service or its pods, or give your slice another name",
        ))
    }

    /// Makes the slices of every service that the changes touched.
    pub(crate) fn update(&mut self, mut touched: Touched, cluster: &mut Snapshot) {
        if !touched.nodes.is_empty() {
            let on_them =
                |pod: &&Arc<Pod>| pod.node_name.as_ref().is_some_and(|node| touched.nodes.contains(node));
            let pods: Vec<&Arc<Pod>> = cluster.pods.values().filter(on_them).collect();
            for pod in pods {
                touched.pod(pod.metadata.namespace.as_deref().unwrap_or_default(), &pod.metadata.labels);
            }
        }
        let mut dirty = touched.services;
        if !touched.pods.is_empty() {
            let selectors = Selectors::new(cluster.services.iter());
            for (namespace, labels) in &touched.pods {
                dirty.extend(selectors.selecting(namespace, labels).cloned());
            }
        }
        let members = members(cluster, &dirty);
        for name in &dirty {
            let service = cluster.services.get(name).cloned();
            let pods = members.get(name).map(Vec::as_slice).unwrap_or_default();
            let slices = match service {
                Some(service) if !service.selector.is_empty() => slices_of(cluster, &service, pods),
                _ => Vec::new(),
            };
            self.replace(cluster, name, slices);
        }
    }

    /// Puts the slices in the place of the service's former ones, keeping those that are as they were.
    fn replace(&mut self, snapshot: &mut Snapshot, service: &NamespacedName, slices: Vec<EndpointSlice>) {
        let former = self.0.remove(service).unwrap_or_default();
        let former: BTreeMap<NamespacedName, Arc<EndpointSlice>> = former
            .into_iter()
            .filter_map(|name| snapshot.endpoint_slices.remove(&name).map(|slice| (name, slice)))
            .collect();
        let mut names = Vec::new();
        for mut slice in slices {
            let family = family_of(slice.address_type);
            let mut name =
                NamespacedName::new(service.namespace.as_str(), format!("{}-{family}", service.name));
            let mut count = 1;
            while snapshot.endpoint_slices.contains_key(&name) {
                count += 1;
                name.name = format!("{}-{family}-{count}", service.name);
            }
            slice.metadata.name.clone_from(&name.name);
            let slice = match former.get(&name) {
                Some(same) if **same == slice => same.clone(),
                _ => Arc::new(slice),
            };
            snapshot.endpoint_slices.insert(name.clone(), slice);
            names.push(name);
        }
        if !names.is_empty() {
            self.0.insert(service.clone(), names);
        }
    }
}

/// The running pods of each of these services.
fn members(
    cluster: &Snapshot,
    services: &BTreeSet<NamespacedName>,
) -> BTreeMap<NamespacedName, Vec<Arc<Pod>>> {
    let selectors = Selectors::new(services.iter().filter_map(|name| cluster.services.get_key_value(name)));
    let namespaces: BTreeSet<&str> = services.iter().map(|name| name.namespace.as_str()).collect();
    let mut members: BTreeMap<NamespacedName, Vec<Arc<Pod>>> = BTreeMap::new();
    for namespace in namespaces {
        for (_, pod) in in_namespace(&cluster.pods, namespace) {
            if pod.phase == PodPhase::Running {
                for service in selectors.selecting(namespace, &pod.metadata.labels) {
                    members.entry(service.clone()).or_default().push(pod.clone());
                }
            }
        }
    }
    members
}

/// One slice for each family of the service and for each way in which the pods resolve the target ports; an empty
/// one for a family without endpoints.
fn slices_of(cluster: &Snapshot, service: &Service, pods: &[Arc<Pod>]) -> Vec<EndpointSlice> {
    let mut slices = Vec::new();
    for family in service.ip_families.iter().map(|family| family_of(*family)) {
        let mut by_ports: BTreeMap<Vec<Option<u16>>, Vec<Endpoint>> = BTreeMap::new();
        for pod in pods {
            let Some(address) = pod.pod_ips.iter().find(|address| Family::of(**address) == family) else {
                continue;
            };
            let endpoint = endpoint(cluster, service, pod, *address);
            by_ports.entry(target_ports(service, pod)).or_default().push(endpoint);
        }
        if by_ports.is_empty() {
            by_ports.insert(vec![None; service.ports.len()], Vec::new());
        }
        for (numbers, endpoints) in by_ports {
            let ports = service.ports.iter().zip(numbers).filter_map(|(port, number)| {
                Some(EndpointPort { name: port.name.clone(), port: number?, protocol: port.protocol })
            });
            slices.push(EndpointSlice {
                metadata: slice_metadata(service),
                address_type: address_type(family),
                endpoints,
                ports: ports.collect(),
            });
        }
    }
    slices
}

/// A pod as an endpoint of a service.
fn endpoint(cluster: &Snapshot, service: &Service, pod: &Pod, address: IpAddr) -> Endpoint {
    let ready = service.publish_not_ready_addresses || (pod.ready && !pod.terminating);
    let node = pod.node_name.as_ref().and_then(|node| cluster.nodes.get(node));
    let zone = node.and_then(|node| node.metadata.labels.get(ZONE_LABEL)).filter(|zone| !zone.is_empty());
    Endpoint {
        addresses: vec![address],
        ready,
        serving: pod.ready,
        terminating: pod.terminating,
        zone: zone.cloned(),
        hints: service
            .traffic_distribution
            .filter(|_| ready)
            .and_then(|wish| hints(wish, zone, pod.node_name.as_ref())),
        hostname: pod.hostname.clone().filter(|_| pod.subdomain.as_ref() == Some(&service.metadata.name)),
        node_name: pod.node_name.clone(),
        pod: Some(pod.metadata.name.clone()),
    }
}

/// For whom a ready endpoint is meant: the clients of its zone and, before them, those of its node. A zone
/// that is not known is left out, so that a proxy, which heeds hints only where every ready endpoint has
/// one, looks at no zone.
fn hints(wish: TrafficDistribution, zone: Option<&String>, node: Option<&String>) -> Option<EndpointHints> {
    let node = node.filter(|_| wish == TrafficDistribution::PreferSameNode);
    (zone.is_some() || node.is_some()).then(|| EndpointHints {
        for_zones: zone.into_iter().cloned().collect(),
        for_nodes: node.into_iter().cloned().collect(),
    })
}

/// The number on this pod of each port of the service; `None` where the pod has no port of that name
/// and protocol.
fn target_ports(service: &Service, pod: &Pod) -> Vec<Option<u16>> {
    let number = |port: &netproof_api::ServicePort| match &port.target_port {
        IntOrString::Int(number) => Some(*number),
        IntOrString::String(name) => pod
            .ports()
            .find(|own| own.name.as_ref() == Some(name) && own.protocol == port.protocol)
            .map(|own| own.container_port),
    };
    service.ports.iter().map(number).collect()
}

fn slice_metadata(service: &Service) -> ObjectMeta {
    let mut labels = service.metadata.labels.clone();
    labels.insert(SERVICE_NAME_LABEL.to_owned(), service.metadata.name.clone());
    labels.insert(MANAGED_BY_LABEL.to_owned(), ENDPOINT_SLICE_CONTROLLER.to_owned());
    if service.headless {
        labels.insert(HEADLESS_LABEL.to_owned(), String::new());
    }
    ObjectMeta { namespace: service.metadata.namespace.clone(), labels, ..ObjectMeta::default() }
}
