//! The completed objects of a cluster at one generation.

use crate::well_known;
use netproof_api::core::TransportProtocol;
use netproof_api::{
    ClusterNetworkPolicy, EndpointSlice, Namespace, NetworkPolicy, Node, Pod, Policy, Service,
};
use netproof_model::topology::{ExternalHost, ListenPort};
use netproof_model::{Family, InterfacePrefix, NamespacedName, Place, PolicyKey, Topology};
use sha1_smol::Sha1;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

/// Completed objects: every address, label and EndpointSlice is filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// Counts the change sets; the first snapshot is generation 1.
    pub generation: u64,
    /// What the cluster is built on.
    pub topology: Arc<Topology>,
    /// Namespaces by name.
    pub namespaces: BTreeMap<String, Arc<Namespace>>,
    /// Nodes by name: those of the topology, with addresses, pod ranges and their ends of the overlay.
    pub nodes: BTreeMap<String, Arc<Node>>,
    /// Pods, with node and addresses; one that no node takes is Pending and has neither.
    pub pods: BTreeMap<NamespacedName, Arc<Pod>>,
    /// Services, with families, cluster IPs, node ports and load balancer addresses.
    pub services: BTreeMap<NamespacedName, Arc<Service>>,
    /// EndpointSlices, made by the controller or given.
    pub endpoint_slices: BTreeMap<NamespacedName, Arc<EndpointSlice>>,
    /// Policy objects of every kind. A namespaced one has its namespace in its metadata, too.
    pub policies: BTreeMap<PolicyKey, Policy>,
    /// External hosts by name: the topology's and the scenario's.
    pub externals: BTreeMap<String, Arc<ExternalHost>>,
    /// On which ports a pod listens where that is not its declared container ports.
    pub listens: BTreeMap<NamespacedName, Vec<ListenPort>>,
}

/// A port that two services have at one address outside the cluster. The first of them by name has it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Contested {
    /// The service that has nothing of it.
    pub service: NamespacedName,
    /// The one that has it.
    pub by: NamespacedName,
    /// The address.
    pub address: IpAddr,
    /// The protocol.
    pub protocol: TransportProtocol,
    /// The port.
    pub port: u16,
}

/// Whether a pod is not the one of the same name that was there before: it has another node, or other addresses than
/// those that it had. (One that gets its addresses when it starts is the same.)
pub fn is_another_pod(before: &Pod, now: &Pod) -> bool {
    (before.node_name.is_some() && before.node_name != now.node_name)
        || (!before.pod_ips.is_empty() && before.pod_ips != now.pod_ips)
}

impl Snapshot {
    /// The same without the policy objects: what it is like in a rehearsal.
    pub fn without_policies(&self) -> Snapshot {
        // Field by field, so that what is policy in a new one has to be thought of here.
        let Snapshot {
            generation,
            topology,
            namespaces,
            nodes,
            pods,
            services,
            endpoint_slices,
            policies: _,
            externals,
            listens,
        } = self;
        Snapshot {
            generation: *generation,
            topology: Arc::clone(topology),
            namespaces: namespaces.clone(),
            nodes: nodes.clone(),
            pods: pods.clone(),
            services: services.clone(),
            endpoint_slices: endpoint_slices.clone(),
            policies: BTreeMap::new(),
            externals: externals.clone(),
            listens: listens.clone(),
        }
    }

    /// Whether the objects are the same, however often they were changed.
    pub fn has_same_objects(&self, other: &Snapshot) -> bool {
        // Field by field, so that a new one has to be thought of here.
        let Snapshot {
            generation: _,
            topology,
            namespaces,
            nodes,
            pods,
            services,
            endpoint_slices,
            policies,
            externals,
            listens,
        } = self;
        *pods == other.pods
            && *services == other.services
            && *endpoint_slices == other.endpoint_slices
            && *policies == other.policies
            && *namespaces == other.namespaces
            && *externals == other.externals
            && *listens == other.listens
            && *nodes == other.nodes
            && *topology == other.topology
    }

    /// The NetworkPolicies by namespace and name, in that order.
    pub fn network_policies(&self) -> impl Iterator<Item = (NamespacedName, &Arc<NetworkPolicy>)> {
        self.policies.iter().filter_map(|(key, policy)| match (policy, &key.namespace) {
            (Policy::NetworkPolicy(policy), Some(namespace)) => {
                Some((NamespacedName::new(namespace.as_str(), key.name.as_str()), policy))
            }
            _ => None,
        })
    }

    /// The ClusterNetworkPolicies, and what of v1alpha1 is read as such, by kind and name.
    pub fn cluster_network_policies(&self) -> impl Iterator<Item = (&PolicyKey, &Arc<ClusterNetworkPolicy>)> {
        self.policies.iter().filter_map(|(key, policy)| match policy {
            Policy::ClusterNetworkPolicy(policy) => Some((key, policy)),
            _ => None,
        })
    }

    /// The NetworkPolicy of that name.
    pub fn network_policy(&self, name: &NamespacedName) -> Option<&Arc<NetworkPolicy>> {
        let key = PolicyKey::network_policy(name.namespace.as_str(), name.name.as_str());
        match self.policies.get(&key)? {
            Policy::NetworkPolicy(policy) => Some(policy),
            _ => None,
        }
    }

    /// Where a pod's packets start: a network of its own, or its node's.
    pub fn place_of_pod(&self, name: &NamespacedName) -> Option<Place> {
        let pod = self.pods.get(name)?;
        match (&pod.node_name, pod.host_network) {
            (Some(node), true) => Some(Place::Node(node.clone())),
            _ => Some(Place::Pod(name.clone())),
        }
    }

    /// The node that a place is on; none for what is outside the cluster.
    pub fn node_of<'a>(&'a self, place: &'a Place) -> Option<&'a str> {
        match place {
            Place::Pod(name) => self.pods.get(name)?.node_name.as_deref(),
            Place::Node(name) => Some(name),
            Place::External(_) | Place::Router => None,
        }
    }

    /// Whose address it is, where exactly one place has it: a node's end of the overlay is the node's. Linear in the
    /// number of objects.
    pub fn place_of_address(&self, address: IpAddr) -> Option<Place> {
        if let Some(node) = self.nodes.values().find(|node| node.has_address(address)) {
            return Some(Place::Node(node.metadata.name.clone()));
        }
        if let Some((name, _)) = self.pods.iter().find(|(_, pod)| has_address(pod, address)) {
            return Some(Place::Pod(name.clone()));
        }
        let external = self.externals.values().find(|host| host.addresses.contains(&address))?;
        Some(Place::External(external.name.clone()))
    }

    /// Where names are asked: the cluster IP of the cluster DNS in one family.
    pub fn cluster_dns(&self, family: Family) -> Option<IpAddr> {
        let name = NamespacedName::new(well_known::DNS_NAMESPACE, well_known::DNS_SERVICE);
        of_family(&self.services.get(&name)?.cluster_ips, family)
    }

    /// The service that has an address, as a cluster IP, from its load balancer or as an external IP. Of
    /// several that share an external IP it is the first by name. Linear in the number of services.
    pub fn service_of_address(&self, address: IpAddr) -> Option<(&NamespacedName, &Arc<Service>)> {
        self.services.iter().find(|(_, service)| {
            service.cluster_ips.contains(&address)
                || service.external_ips.contains(&address)
                || service.load_balancer_ingress.iter().any(|entry| entry.ip == address)
        })
    }

    /// The ports that a service has at an external IP or a load balancer's address, and an earlier one as well.
    pub fn contested(&self) -> Vec<Contested> {
        let mut owners: HashMap<(IpAddr, TransportProtocol, u16), &NamespacedName> = HashMap::new();
        let mut contested = Vec::new();
        for (name, service) in &self.services {
            let balanced = service.load_balancer_ingress.iter().map(|entry| entry.ip);
            let addresses: BTreeSet<IpAddr> = service.external_ips.iter().copied().chain(balanced).collect();
            for (address, port) in
                addresses.iter().flat_map(|it| service.ports.iter().map(move |port| (it, port)))
            {
                let (address, protocol, port) = (*address, port.protocol, port.port);
                let by = *owners.entry((address, protocol, port)).or_insert(name);
                if by != name {
                    let (service, by) = (name.clone(), by.clone());
                    contested.push(Contested { service, by, address, protocol, port });
                }
            }
        }
        contested
    }

    /// The address of a place in one family, the one that others use first.
    pub fn address_of(&self, place: &Place, family: Family) -> Option<IpAddr> {
        let addresses = match place {
            Place::Pod(name) => &self.pods.get(name)?.pod_ips,
            Place::Node(name) => &self.nodes.get(name)?.addresses,
            Place::External(name) => &self.externals.get(name)?.addresses,
            Place::Router => return None,
        };
        of_family(addresses, family)
    }
}

/// The first address of a family.
fn of_family(addresses: &[IpAddr], family: Family) -> Option<IpAddr> {
    addresses.iter().copied().find(|address| Family::of(*address) == family)
}

/// The addresses of a pod that has ended may be another's.
fn has_address(pod: &Pod, address: IpAddr) -> bool {
    !pod.host_network && !pod.phase.has_ended() && pod.pod_ips.contains(&address)
}

/// The name of the router's end of a node's veth: the cluster makes it, and rules match it.
pub fn router_interface(topology: &Topology, node: &str) -> String {
    format!("node{}", topology.node_index(node).unwrap_or_default())
}

/// The name of the node's end of a pod's veth: the topology's prefix and the first eleven hexadecimal digits of the
/// SHA-1 of `NAMESPACE.NAME`, as Calico has it. So the cluster, which makes it, and an enforcer, which matches it, agree
/// without talking.
///
/// Two of a thousand pods have one name with a probability of 3 in 100 million. On one node the cluster refuses them.
pub fn host_interface(prefix: &InterfacePrefix, pod: &NamespacedName) -> String {
    let digest = Sha1::from(format!("{}.{}", pod.namespace, pod.name)).digest().to_string();
    format!("{prefix}{digest:.11}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Calico calls the interface of the pod `nginx` in the namespace `default`: `cali` and the beginning of what
    /// `printf default.nginx | sha1sum` prints.
    #[test]
    fn interfaces_are_named_as_calico_names_them() {
        let name =
            |prefix: &InterfacePrefix| host_interface(prefix, &NamespacedName::new("default", "nginx"));
        assert_eq!(name(&"cali".parse().unwrap()), "calic440f455693");
        assert_eq!(name(&InterfacePrefix::default()), "npc440f455693");
    }
}
