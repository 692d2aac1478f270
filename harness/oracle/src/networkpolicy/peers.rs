//! Whether an entry of `from` or `to` names the other end of a packet.

use super::ports::PodName;
use crate::policy::View;
use crate::profile::{
    HostNetworkPeers, IpBlockAndNodes, IpBlockAndPods, PolicyAndDnat, PolicyAndMasquerade, Switch,
};
use crate::selector::{Unmet, unmet};
use crate::truth::Truth;
use crate::world::{Owner, namespace_of};
use netproof_api::{Cidr, IpBlock, LabelSelector, NetworkPolicyPeer, Pod};
use netproof_model::Direction;
use std::net::IpAddr;

/// The other end of a packet, as policy sees it and as it was before a translation that policy may not
/// see: of a source, another node's masquerade; of a destination, the DNAT of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Peer {
    pub direction: Direction,
    pub address: IpAddr,
    pub before: Option<IpAddr>,
}

/// Why an entry of `from` or `to` does not name an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PeerMismatch<'a> {
    /// The entry selects pods, and no pod has the address for itself.
    NotAPod {
        /// The address.
        address: IpAddr,
    },
    /// The entry has no `namespaceSelector`, which means the policy's own namespace.
    OtherNamespace {
        /// The policy's namespace.
        own: &'a str,
        /// The pod's.
        namespace: &'a str,
    },
    /// The `namespaceSelector` does not match the labels of the pod's namespace.
    Namespace {
        /// The pod's namespace.
        namespace: &'a str,
        /// What its labels lack.
        unmet: Unmet<'a>,
    },
    /// The `podSelector` does not match the pod's labels.
    Pod {
        /// The pod.
        pod: PodName<'a>,
        /// What its labels lack.
        unmet: Unmet<'a>,
    },
    /// The address is not in the ipBlock's `cidr`.
    OutsideBlock {
        /// The address.
        address: IpAddr,
        /// The `cidr`.
        cidr: Cidr,
    },
    /// The address is in one of the ipBlock's exceptions.
    Excepted {
        /// The address.
        address: IpAddr,
        /// The exception.
        except: Cidr,
    },
    /// The address is a pod's, and in this profile ipBlocks match none.
    BlockOfPods {
        /// The address.
        address: IpAddr,
    },
    /// The address is a node's, and in this profile ipBlocks match none.
    BlockOfNodes {
        /// The address.
        address: IpAddr,
    },
}

type Answer<'a> = Result<Truth, PeerMismatch<'a>>;

/// Whether the entry names the peer; in `Ok` never [`Truth::No`].
pub(super) fn names<'a>(
    view: View<'_, 'a>,
    policy_namespace: &'a str,
    entry: &'a NetworkPolicyPeer,
    peer: Peer,
) -> Answer<'a> {
    let profile = view.profile;
    let seen = at_address(view, policy_namespace, entry, peer.address);
    let Some(before) = peer.before else {
        return seen;
    };
    match peer.direction {
        // Another node replaced the sender's address by its own.
        Direction::Ingress => match profile.policy_and_masquerade {
            PolicyAndMasquerade::After | PolicyAndMasquerade::AfterOwn => seen,
            PolicyAndMasquerade::Before => at_address(view, policy_namespace, entry, before),
            PolicyAndMasquerade::Either => {
                let unseen = at_address(view, policy_namespace, entry, before);
                either(seen, unseen, Switch::PolicyAndMasquerade)
            }
        },
        Direction::Egress => match entry {
            // A selector means the pods behind a service, whose own address is no pod's.
            NetworkPolicyPeer::Pods { .. } => seen,
            // An ipBlock may be held against the service's address or against what it is rewritten to: the
            // concepts leave it open.
            NetworkPolicyPeer::IpBlock(block) => match profile.policy_and_dnat {
                PolicyAndDnat::After => seen,
                PolicyAndDnat::Before => in_block(view, block, before),
                PolicyAndDnat::Either => {
                    let unseen = in_block(view, block, before);
                    either(seen, unseen, Switch::PolicyAndDnat)
                }
            },
        },
    }
}

fn either<'a>(seen: Answer<'a>, unseen: Answer<'a>, switch: Switch) -> Answer<'a> {
    match (seen, unseen) {
        (Err(mismatch), Err(_)) => Err(mismatch),
        (seen, unseen) => Ok(seen.unwrap_or(Truth::No).either(unseen.unwrap_or(Truth::No), switch)),
    }
}

fn at_address<'a>(
    view: View<'_, 'a>,
    policy_namespace: &'a str,
    entry: &'a NetworkPolicyPeer,
    address: IpAddr,
) -> Answer<'a> {
    let View { world, profile } = view;
    match entry {
        NetworkPolicyPeer::IpBlock(block) => in_block(view, block, address),
        NetworkPolicyPeer::Pods { namespace_selector, pod_selector } => {
            let selected = |pod: &'a Pod| {
                selects(view, policy_namespace, namespace_selector.as_ref(), pod_selector.as_ref(), pod)
            };
            match world.owner(address) {
                Some(Owner::Pod(pod)) => selected(pod).map(|()| Truth::Yes),
                // The node's address is that of its hostNetwork pods, too: a selector that matched it would
                // open the whole node.
                Some(Owner::Node(node)) if profile.host_network_peers != HostNetworkPeers::NeverMatch => {
                    let pods = world.host_pods(&node.metadata.name);
                    match (pods.iter().any(|pod| selected(pod).is_ok()), profile.host_network_peers) {
                        (false, _) => Err(PeerMismatch::NotAPod { address }),
                        (true, HostNetworkPeers::MatchNode) => Ok(Truth::Yes),
                        (true, _) => Ok(Truth::open(Switch::HostNetworkPeers)),
                    }
                }
                _ => Err(PeerMismatch::NotAPod { address }),
            }
        }
    }
}

/// Whether selectors of a peer match a pod.
fn selects<'a>(
    view: View<'_, 'a>,
    policy_namespace: &'a str,
    namespace_selector: Option<&'a LabelSelector>,
    pod_selector: Option<&'a LabelSelector>,
    pod: &'a Pod,
) -> Result<(), PeerMismatch<'a>> {
    let namespace = namespace_of(pod);
    match namespace_selector {
        // `namespaceSelector` absent: the pods of the policy's own namespace.
        None if namespace != policy_namespace => {
            return Err(PeerMismatch::OtherNamespace { own: policy_namespace, namespace });
        }
        None => {}
        // `namespaceSelector` present: it is held against the labels of the pod's namespace, and an empty one
        // means all namespaces.
        Some(selector) => {
            if let Some(unmet) = unmet(selector, view.world.namespace_labels(namespace)) {
                return Err(PeerMismatch::Namespace { namespace, unmet });
            }
        }
    }
    // `podSelector` in the same entry: both must match. Absent, the namespace is enough.
    match pod_selector.and_then(|selector| unmet(selector, &pod.metadata.labels)) {
        Some(unmet) => Err(PeerMismatch::Pod { pod: PodName::of(pod), unmet }),
        None => Ok(()),
    }
}

fn in_block<'a>(view: View<'_, 'a>, block: &IpBlock, address: IpAddr) -> Answer<'a> {
    let View { world, profile } = view;
    // An IPv4 range contains no IPv6 address and the other way round.
    if !block.cidr.net().contains(&address) {
        return Err(PeerMismatch::OutsideBlock { address, cidr: block.cidr });
    }
    // `except`: holes in this block, and no more than that; another entry may have the address.
    if let Some(except) = block.except.iter().find(|except| except.net().contains(&address)) {
        return Err(PeerMismatch::Excepted { address, except: *except });
    }
    // "These should be cluster-external IPs" (concepts, "Behavior of to and from selectors"): what a block says of
    // the cluster's own addresses is open.
    match world.owner(address) {
        Some(Owner::Pod(_)) => match profile.ip_block_and_pods {
            IpBlockAndPods::Match => Ok(Truth::Yes),
            IpBlockAndPods::NeverMatch => Err(PeerMismatch::BlockOfPods { address }),
            IpBlockAndPods::Either => Ok(Truth::open(Switch::IpBlockAndPods)),
        },
        Some(Owner::Node(_)) => match profile.ip_block_and_nodes {
            IpBlockAndNodes::Match => Ok(Truth::Yes),
            IpBlockAndNodes::NeverMatch => Err(PeerMismatch::BlockOfNodes { address }),
            IpBlockAndNodes::Either => Ok(Truth::open(Switch::IpBlockAndNodes)),
        },
        Some(Owner::External(_)) | None => Ok(Truth::Yes),
    }
}
