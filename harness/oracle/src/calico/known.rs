//! Whom Calico knows by address: pods and sets, with the labels that selectors see.
//!
//! A pod has its own labels, its namespace, its orchestrator and its service account, and those of its namespace and
//! service account behind the prefixes `pcns.` and `pcsa.`. A set of a namespace has the namespace's, too.
//! (libcalico-go: backend/syncersv1/updateprocessors, backend/k8s/conversion.)

use crate::world::namespace_of;
use netproof_api::calico::NetworkSet;
use netproof_api::{Labels, Pod, Policy};
use netproof_controlplane::Snapshot;
use netproof_model::NamespacedName;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

pub(super) const NAMESPACE: &str = "projectcalico.org/namespace";
pub(super) const SERVICE_ACCOUNT: &str = "projectcalico.org/serviceaccount";
const ORCHESTRATOR: &str = "projectcalico.org/orchestrator";
/// Before the labels of namespaces, and of service accounts.
pub(super) const OF_NAMESPACE: &str = "pcns.";
pub(super) const OF_SERVICE_ACCOUNT: &str = "pcsa.";
const NAME: &str = "projectcalico.org/name";

/// The longest value of a label. A service account with a longer name has no profile that is valid, so that its
/// labels are missing.
const MAX_LABEL: usize = 63;

/// Somebody whom selectors may match.
#[derive(Debug)]
pub(super) struct Member<'a> {
    pub who: Who<'a>,
    pub labels: Labels,
}

/// Who that is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Who<'a> {
    /// A pod with a network of its own, which has not ended.
    Pod(&'a Pod),
    /// A NetworkSet or GlobalNetworkSet.
    Set(&'a NetworkSet),
}

/// Everybody whom Calico knows.
#[derive(Debug)]
pub(super) struct Known<'a> {
    members: Vec<Member<'a>>,
    by_name: HashMap<NamespacedName, usize>,
    by_address: HashMap<IpAddr, Vec<usize>>,
    sets: Vec<usize>,
    /// Of each service the addresses and the ports of its slices, whether or not endpoints are ready.
    services: BTreeMap<NamespacedName, Vec<&'a netproof_api::EndpointSlice>>,
}

impl<'a> Known<'a> {
    pub(super) fn new(snapshot: &'a Snapshot) -> Self {
        let mut known = Known {
            members: Vec::new(),
            by_name: HashMap::new(),
            by_address: HashMap::new(),
            sets: Vec::new(),
            services: BTreeMap::new(),
        };
        for (name, pod) in &snapshot.pods {
            // One in its node's network is no endpoint, and one that has ended has lost its addresses.
            if pod.host_network || pod.phase.has_ended() {
                continue;
            }
            let index = known.members.len();
            known.members.push(Member { who: Who::Pod(pod), labels: labels_of_pod(snapshot, pod) });
            known.by_name.insert(name.clone(), index);
            for address in &pod.pod_ips {
                known.by_address.entry(*address).or_default().push(index);
            }
        }
        for policy in snapshot.policies.values() {
            if let Policy::NetworkSet(set) = policy {
                known.sets.push(known.members.len());
                known.members.push(Member { who: Who::Set(set), labels: labels_of_set(snapshot, set) });
            }
        }
        for slice in snapshot.endpoint_slices.values().map(Arc::as_ref) {
            let service = slice.metadata.labels.get(netproof_controlplane::SERVICE_NAME_LABEL);
            if let (Some(service), Some(namespace)) = (service, &slice.metadata.namespace) {
                let name = NamespacedName::new(namespace.as_str(), service.as_str());
                known.services.entry(name).or_default().push(slice);
            }
        }
        known
    }

    /// Everybody who has the address.
    pub(super) fn at(&self, address: IpAddr) -> impl Iterator<Item = &Member<'a>> {
        let pods = self.by_address.get(&address).into_iter().flatten();
        let sets = self.sets.iter().filter(move |index| match self.members.get(**index).map(|it| it.who) {
            Some(Who::Set(set)) => set.nets.iter().any(|range| range.net().contains(&address)),
            _ => false,
        });
        pods.chain(sets).filter_map(|index| self.members.get(*index))
    }

    /// A pod that is an endpoint.
    pub(super) fn pod(&self, name: &NamespacedName) -> Option<&Member<'a>> {
        self.by_name.get(name).and_then(|index| self.members.get(*index))
    }

    /// The slices of a service.
    pub(super) fn slices(&self, service: &NamespacedName) -> &[&'a netproof_api::EndpointSlice] {
        self.services.get(service).map_or(&[], Vec::as_slice)
    }
}

fn labels_of_pod(snapshot: &Snapshot, pod: &Pod) -> Labels {
    let namespace = namespace_of(pod);
    // What a pod inherits it cannot claim.
    let is_inherited = |key: &str| key.starts_with(OF_NAMESPACE) || key.starts_with(OF_SERVICE_ACCOUNT);
    let own = pod.metadata.labels.iter().filter(|(key, _)| !is_inherited(key));
    let mut labels: Labels = own.map(|(key, value)| (key.clone(), value.clone())).collect();
    labels.extend(inherited(snapshot, namespace));
    if pod.service_account.len() <= MAX_LABEL {
        labels.insert(format!("{OF_SERVICE_ACCOUNT}{NAME}"), pod.service_account.clone());
    }
    labels.insert(NAMESPACE.to_owned(), namespace.to_owned());
    labels.insert(ORCHESTRATOR.to_owned(), "k8s".to_owned());
    labels.insert(SERVICE_ACCOUNT.to_owned(), pod.service_account.clone());
    labels
}

fn labels_of_set(snapshot: &Snapshot, set: &NetworkSet) -> Labels {
    let Some(namespace) = &set.metadata.namespace else { return set.metadata.labels.clone() };
    let mut labels: Labels = inherited(snapshot, namespace).collect();
    // Its own win over those that it inherits.
    labels.extend(set.metadata.labels.clone());
    labels.insert(NAMESPACE.to_owned(), namespace.clone());
    labels
}

/// The labels of a namespace as those have them that are in it.
fn inherited(snapshot: &Snapshot, namespace: &str) -> impl Iterator<Item = (String, String)> {
    let object = snapshot.namespaces.get(namespace);
    let labels = object.into_iter().flat_map(|object| &object.metadata.labels);
    let name = (format!("{OF_NAMESPACE}{NAME}"), namespace.to_owned());
    labels.map(|(key, value)| (format!("{OF_NAMESPACE}{key}"), value.clone())).chain([name])
}
