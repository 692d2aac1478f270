//! The named profiles.
//!
//! Of an enforcer that is not ours, only what its documentation or source says, or what was seen with packets, is
//! settled, and each such choice has its reason beside it; every other point stays open.

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
    ip_block_and_nodes: IpBlockAndNodes::Match,
    policy_and_dnat: PolicyAndDnat::After,
    policy_and_masquerade: PolicyAndMasquerade::After,
    sctp: Sctp::Supported,
    end_port: EndPort::Supported,
    endpoints_that_share_an_address: EndpointsThatShareAnAddress::ReadyFirst,
    cnp_equal_priority: CnpEqualPriority::Name,
    cnp_service_hairpin: CnpServiceHairpin::Both,
    cnp_masqueraded_source: CnpMasqueradedSource::Node,
    cnp_service_vip_in_networks: CnpServiceVipInNetworks::Never,
    cnp_networks_match_pods: CnpNetworksMatchPods::Yes,
    deny: Deny::Drop,
};

/// Calico with its manifests' defaults (DefaultEndpointToHostAction Accept, no host endpoints), and kube-proxy.
const CALICO: Profile = Profile {
    name: "calico",
    // Egress to the pod's own address and ingress from it both apply: Felix knows no exception for them.
    own_pod_through_service: OwnPodThroughService::Police,
    // RELATED and ESTABLISHED are accepted before any policy (the first rules of every endpoint chain). Seen
    // with packets.
    existing_connections: ExistingConnections::Keep,
    // The host reaches its own pods always; anybody else by address. Seen with packets.
    node_to_pod_on_another_node: NodeToPodOnAnotherNode::Police,
    // The pod's egress policy, then DefaultEndpointToHostAction (Felix configuration). Seen with packets.
    pod_to_own_node: PodToOwnNode::Police,
    // Pods in their node's network are no workload endpoints, and only host endpoints select nodes ("Protect
    // hosts").
    host_network_pods: HostNetworkPods::Ignore,
    host_network_peers: HostNetworkPeers::NeverMatch,
    // Policy of pods runs in the forward hook: after DNAT, before the node's own masquerade, and so after
    // another node's.
    policy_and_dnat: PolicyAndDnat::After,
    policy_and_masquerade: PolicyAndMasquerade::After,
    // An ipBlock becomes `nets` and `notNets`, which are held against addresses, whoever has them.
    ip_block_and_pods: IpBlockAndPods::Match,
    ip_block_and_nodes: IpBlockAndNodes::Match,
    // kube-proxy calls it undefined (addEndpoints in pkg/proxy/endpointslicecache.go).
    endpoints_that_share_an_address: EndpointsThatShareAnAddress::Either,
    // Rules for TCP, UDP and SCTP ports by number, range or name; without ports they match any protocol.
    icmp: Icmp::PortlessRules,
    sctp: Sctp::Supported,
    end_port: EndPort::Supported,
    // ClusterNetworkPolicies become policies of the tiers kube-admin and kube-baseline; of equal orders there the first
    // by name counts. They stand where all policy of pods does, and `networks` are held against addresses.
    cnp_equal_priority: CnpEqualPriority::Name,
    cnp_service_hairpin: CnpServiceHairpin::Both,
    cnp_masqueraded_source: CnpMasqueradedSource::Node,
    cnp_service_vip_in_networks: CnpServiceVipInNetworks::Never,
    cnp_networks_match_pods: CnpNetworksMatchPods::Yes,
    // `Deny` is `DROP` unless Felix's DropActionOverride or IptablesFilterDenyAction says otherwise. Seen with
    // packets.
    deny: Deny::Drop,
};

/// Cilium with its defaults: identities for pods and nodes, addresses for the world.
///
/// SCTP and endPort came with versions and are switched on or off there; they stay open.
const CILIUM: Profile = Profile {
    name: "cilium",
    // The datapath lets the flow of a pod that a service leads back to it pass without policy.
    own_pod_through_service: OwnPodThroughService::Allow,
    // "Known missing features" of its page "Network Policy": ipBlock set with a pod IP (cilium/cilium#9209).
    ip_block_and_pods: IpBlockAndPods::NeverMatch,
    // The same page: blocks select nodes with `policy-cidr-match-mode=nodes` only (cilium/cilium#28421), and by
    // default it is empty.
    ip_block_and_nodes: IpBlockAndNodes::NeverMatch,
    // Rules of one priority interleave by their position (the conversion of ClusterNetworkPolicies to its own rules).
    cnp_equal_priority: CnpEqualPriority::Index,
    // Addresses of the cluster are known by identity here, too.
    cnp_networks_match_pods: CnpNetworksMatchPods::No,
    // A balancer at the socket leads the pod to itself before any policy is asked.
    cnp_service_hairpin: CnpServiceHairpin::None,
    // `policy-deny-response` is `none` by default.
    deny: Deny::Drop,
    ..Profile::STRICT
};

/// kube-router.
const KUBE_ROUTER: Profile = Profile {
    name: "kube-router",
    // KUBE-NWPLCY-COMMON accepts RELATED and ESTABLISHED first. Seen with packets.
    existing_connections: ExistingConnections::Keep,
    // A fixed list of ICMP types, echo among them, is accepted before policy (the same chain).
    icmp: Icmp::Allow,
    // Only what a local address sends passes unpoliced (`--src-type LOCAL`). Seen with packets.
    node_to_pod_on_another_node: NodeToPodOnAnotherNode::Police,
    // The chains of a pod stand in the input hook, too. Seen with packets.
    pod_to_own_node: PodToOwnNode::Police,
    // Protocols by name and ranges of ports stand in its rules (pkg/controllers/netpol/policy.go).
    sctp: Sctp::Supported,
    end_port: EndPort::Supported,
    // The last rule of a pod's chain. Seen with packets.
    deny: Deny::Reject,
    ..Profile::STRICT
};

/// Antrea.
const ANTREA: Profile = Profile {
    name: "antrea",
    // antrea-io/antrea#5687: both directions apply to what a service leads back.
    own_pod_through_service: OwnPodThroughService::Police,
    // Established and related packets pass before the tables of policy (docs/design/ovs-pipeline.md).
    existing_connections: ExistingConnections::Keep,
    // A rule without ports is a flow that matches addresses only (the same page).
    icmp: Icmp::PortlessRules,
    // The default tables of Kubernetes policies drop; Reject is an action of Antrea's own policies
    // (docs/antrea-network-policy.md).
    deny: Deny::Drop,
    ..Profile::STRICT
};

/// The network policy agent of Amazon's VPC CNI.
const AWS: Profile = Profile {
    name: "aws",
    // Its programs stand at the pod's interface: egress sees the pod's own address after DNAT; ingress from the
    // address of the pod itself passes.
    own_pod_through_service: OwnPodThroughService::PoliceEgress,
    ..Profile::STRICT
};

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
