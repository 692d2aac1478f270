//! Whether an entry of `from` or `to` names the other end of a packet.

use crate::policy::View;
use crate::profile::{CnpMasqueradedSource, CnpNetworksMatchPods, CnpServiceVipInNetworks, Switch};
use crate::selector::{Unmet, unmet};
use crate::truth::Truth;
use crate::world::{Owner, namespace_of};
use netproof_api::{Cidr, ClusterPeer, LabelSelector, NamespacedPods, Pod};
use netproof_model::Direction;
use std::net::IpAddr;

/// The other end of a packet, as policy sees it and as it was before a translation: of a source, another node's
/// masquerade; of a destination, the DNAT of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    pub direction: Direction,
    pub address: IpAddr,
    pub before: Option<IpAddr>,
    /// The node of the pod that gets it masquerades it, too.
    pub masquerades: bool,
}

/// Why an entry does not name an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PeerMismatch<'a> {
    /// The entry selects pods, and no pod has the address for itself.
    NotAPod { address: IpAddr },
    /// The labels of the pod's namespace do not match.
    Namespace { namespace: &'a str, unmet: Unmet<'a> },
    /// The labels of the pod do not match.
    Pod { pod: &'a Pod, unmet: Unmet<'a> },
    /// The entry selects nodes, and the address is none of a node's status.
    NotANode { address: IpAddr },
    /// The labels of the node do not match.
    Node { node: &'a str, unmet: Unmet<'a> },
    /// The address is in none of the ranges.
    OutsideNetworks { address: IpAddr, networks: &'a [Cidr] },
    /// The address is a pod's, and in this profile ranges match none.
    NetworkOfPods { address: IpAddr },
    /// Nothing is known of the entry.
    Unknown,
}

type Answer<'a> = Result<Truth, PeerMismatch<'a>>;

/// Whether the entry names the peer; in `Ok` never [`Truth::No`].
pub(super) fn names<'a>(view: View<'_, 'a>, entry: &'a ClusterPeer, peer: Peer) -> Answer<'a> {
    match peer.direction {
        Direction::Ingress => source(view, entry, peer),
        Direction::Egress => destination(view, entry, peer),
    }
}

/// What was masqueraded on its way is no longer a pod's, unless policy knows the sender all the same.
fn source<'a>(view: View<'_, 'a>, entry: &'a ClusterPeer, peer: Peer) -> Answer<'a> {
    let seen = at_address(view, entry, peer.address);
    match (peer.before, view.profile.cnp_masqueraded_source) {
        (None, CnpMasqueradedSource::Either) if peer.masquerades => {
            let hidden = PeerMismatch::NotAPod { address: peer.address };
            either(seen, Err(hidden), Switch::CnpMasqueradedSource)
        }
        (None, _) | (Some(_), CnpMasqueradedSource::Node) => seen,
        (Some(before), CnpMasqueradedSource::Pod) => at_address(view, entry, before),
        (Some(before), CnpMasqueradedSource::Either) => {
            either(seen, at_address(view, entry, before), Switch::CnpMasqueradedSource)
        }
    }
}

/// Policy sees the endpoint that was chosen; whether ranges and nodes may mean a service's address is not said alike
/// everywhere.
fn destination<'a>(view: View<'_, 'a>, entry: &'a ClusterPeer, peer: Peer) -> Answer<'a> {
    let seen = at_address(view, entry, peer.address);
    let by_address = matches!(entry, ClusterPeer::Networks(_) | ClusterPeer::Nodes(_));
    match (peer.before.filter(|_| by_address), view.profile.cnp_service_vip_in_networks) {
        (None, _) | (_, CnpServiceVipInNetworks::Never) => seen,
        (Some(before), CnpServiceVipInNetworks::BeforeTranslation) => at_address(view, entry, before),
        (Some(before), CnpServiceVipInNetworks::Either) => {
            either(seen, at_address(view, entry, before), Switch::CnpServiceVipInNetworks)
        }
    }
}

fn either<'a>(seen: Answer<'a>, unseen: Answer<'a>, switch: Switch) -> Answer<'a> {
    match (seen, unseen) {
        (Err(mismatch), Err(_)) => Err(mismatch),
        (seen, unseen) => Ok(seen.unwrap_or(Truth::No).either(unseen.unwrap_or(Truth::No), switch)),
    }
}

fn at_address<'a>(view: View<'_, 'a>, entry: &'a ClusterPeer, address: IpAddr) -> Answer<'a> {
    // Only pods with a network of their own are meant: the address of a hostNetwork pod is its node's.
    let pod = || view.world.pod_at(address).ok_or(PeerMismatch::NotAPod { address });
    match entry {
        ClusterPeer::Namespaces(selector) => in_namespace(view, selector, pod()?),
        ClusterPeer::Pods(pods) => of_pods(view, pods, pod()?),
        ClusterPeer::Nodes(selector) => of_nodes(view, selector, address),
        ClusterPeer::Networks(networks) => in_networks(view, networks, address),
        ClusterPeer::Unknown => Err(PeerMismatch::Unknown),
    }
}

fn in_namespace<'a>(view: View<'_, 'a>, selector: &'a LabelSelector, pod: &'a Pod) -> Answer<'a> {
    let namespace = namespace_of(pod);
    match unmet(selector, view.world.namespace_labels(namespace)) {
        Some(unmet) => Err(PeerMismatch::Namespace { namespace, unmet }),
        None => Ok(Truth::Yes),
    }
}

fn of_pods<'a>(view: View<'_, 'a>, pods: &'a NamespacedPods, pod: &'a Pod) -> Answer<'a> {
    // `namespaceSelector` absent: all namespaces, not the policy's own, which it does not have.
    if let Some(selector) = &pods.namespace_selector {
        in_namespace(view, selector, pod)?;
    }
    match unmet(&pods.pod_selector, &pod.metadata.labels) {
        Some(unmet) => Err(PeerMismatch::Pod { pod, unmet }),
        None => Ok(Truth::Yes),
    }
}

/// `nodes`: "the IP addresses in the status of the nodes". Further addresses that the node has are not among them.
fn of_nodes<'a>(view: View<'_, 'a>, selector: &'a LabelSelector, address: IpAddr) -> Answer<'a> {
    let node = view.world.node_at(address).filter(|node| node.addresses.contains(&address));
    let node = node.ok_or(PeerMismatch::NotANode { address })?;
    match unmet(selector, &node.metadata.labels) {
        Some(unmet) => Err(PeerMismatch::Node { node: &node.metadata.name, unmet }),
        None => Ok(Truth::Yes),
    }
}

/// `networks`: whoever has the address, pods as well ("a rule may select pods, too": the type says it).
fn in_networks<'a>(view: View<'_, 'a>, networks: &'a [Cidr], address: IpAddr) -> Answer<'a> {
    if !networks.iter().any(|network| network.net().contains(&address)) {
        return Err(PeerMismatch::OutsideNetworks { address, networks });
    }
    match (view.world.owner(address), view.profile.cnp_networks_match_pods) {
        (Some(Owner::Pod(_)), CnpNetworksMatchPods::No) => Err(PeerMismatch::NetworkOfPods { address }),
        (Some(Owner::Pod(_)), CnpNetworksMatchPods::Either) => Ok(Truth::open(Switch::CnpNetworksMatchPods)),
        _ => Ok(Truth::Yes),
    }
}
