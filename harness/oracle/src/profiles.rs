//! The named profiles.
//!
//! Of an enforcer that is not ours, only what is documented is settled; every other point stays open.

use crate::profile::*;

/// What our own enforcer does.
const NETPROOF: Profile = Profile {
    name: "netproof",
    own_pod_through_service: OwnPodThroughService::Allow,
    existing_connections: ExistingConnections::Keep,
    icmp: Icmp::PortlessRules,
    node_to_pod_on_another_node: NodeToPodOnAnotherNode::Police,
    pod_to_own_node: PodToOwnNode::Police,
    host_network_pods: HostNetworkPods::Ignore,
    host_network_peers: HostNetworkPeers::NeverMatch,
    ip_block_and_pods: IpBlockAndPods::Match,
    policy_and_dnat: PolicyAndDnat::After,
    policy_and_masquerade: PolicyAndMasquerade::After,
    sctp: Sctp::Supported,
    end_port: EndPort::Supported,
    deny: Deny::Drop,
};

/// Calico with its manifests' defaults (DefaultEndpointToHostAction Accept, no host endpoints).
const CALICO: Profile = Profile {
    name: "calico",
    // Egress to the pod's own address and ingress from it both apply.
    own_pod_through_service: OwnPodThroughService::Police,
    // RELATED and ESTABLISHED are accepted before any policy.
    existing_connections: ExistingConnections::Keep,
    // The host reaches its own pods always; anybody else by address.
    node_to_pod_on_another_node: NodeToPodOnAnotherNode::Police,
    // The pod's egress policy, then DefaultEndpointToHostAction.
    pod_to_own_node: PodToOwnNode::Police,
    host_network_pods: HostNetworkPods::Ignore,
    // Policy of pods runs in the forward hook: after DNAT, before the node's own masquerade, and so after
    // another node's.
    policy_and_dnat: PolicyAndDnat::After,
    policy_and_masquerade: PolicyAndMasquerade::After,
    // Rules become address sets; pods are addresses there like others.
    ip_block_and_pods: IpBlockAndPods::Match,
    host_network_peers: HostNetworkPeers::NeverMatch,
    // Rules for TCP, UDP and SCTP ports by number, range or name; without ports they match any protocol.
    icmp: Icmp::PortlessRules,
    sctp: Sctp::Supported,
    end_port: EndPort::Supported,
    deny: Deny::Drop,
};

/// Cilium: identities for pods, addresses for the world.
const CILIUM: Profile = Profile {
    name: "cilium",
    own_pod_through_service: OwnPodThroughService::Allow,
    ip_block_and_pods: IpBlockAndPods::NeverMatch,
    deny: Deny::Drop,
    ..Profile::STRICT
};

/// kube-router.
const KUBE_ROUTER: Profile = Profile {
    name: "kube-router",
    existing_connections: ExistingConnections::Keep,
    // A fixed list of ICMP types, echo among them, is accepted before policy.
    icmp: Icmp::Allow,
    // Only what a local address sends passes unpoliced.
    node_to_pod_on_another_node: NodeToPodOnAnotherNode::Police,
    // The chains of a pod stand in the input hook, too.
    pod_to_own_node: PodToOwnNode::Police,
    sctp: Sctp::Supported,
    end_port: EndPort::Supported,
    deny: Deny::Reject,
    ..Profile::STRICT
};

/// Antrea.
const ANTREA: Profile = Profile {
    name: "antrea",
    own_pod_through_service: OwnPodThroughService::Police,
    existing_connections: ExistingConnections::Keep,
    icmp: Icmp::PortlessRules,
    deny: Deny::Drop,
    ..Profile::STRICT
};

/// The network policy agent of Amazon's VPC CNI.
const AWS: Profile =
    Profile { name: "aws", own_pod_through_service: OwnPodThroughService::PoliceEgress, ..Profile::STRICT };

/// Every named profile, the default first.
pub const PROFILES: [Profile; 7] = [NETPROOF, Profile::STRICT, CALICO, CILIUM, KUBE_ROUTER, ANTREA, AWS];

impl Profile {
    /// What our own enforcer does, and the default with it.
    pub const NETPROOF: Profile = NETPROOF;

    /// The profile of a name.
    pub fn named(name: &str) -> Option<Profile> {
        PROFILES.into_iter().find(|profile| profile.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of the documentation is this one.
    #[test]
    fn the_documentation_has_every_choice() {
        let line = |cells: Vec<&str>| format!("| {} |", cells.join(" | "));
        let mut header = vec!["switch: whether ..."];
        header.extend(PROFILES.iter().map(|profile| profile.name));
        let mut table = vec![line(header), line(vec!["---"; PROFILES.len() + 1])];
        for switch in Switch::ALL {
            let about = format!("`{switch}`: {}", switch.about());
            let mut cells = vec![about.as_str()];
            cells.extend(PROFILES.iter().map(|profile| profile.choice(*switch)));
            table.push(line(cells));
        }
        let table = table.join("\n");
        let documentation = include_str!("../../../docs/profile.md");
        assert!(documentation.contains(&table), "docs/profile.md lacks this table:\n{table}");
    }

    #[test]
    fn names_are_unique_and_found() {
        for profile in PROFILES {
            assert_eq!(Profile::named(profile.name), Some(profile));
        }
        assert_eq!(Profile::named("romana"), None);
        let names: std::collections::BTreeSet<_> = Switch::ALL.iter().map(|switch| switch.name()).collect();
        assert_eq!(names.len(), Switch::ALL.len());
    }
}
