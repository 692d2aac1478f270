//! The table of kinds: those that agents are known to ask for.

use super::{Kind, Writes};

/// One group and version.
struct Group(&'static str, &'static str);

const CORE: Group = Group("", "v1");
const EVENTS: Group = Group("events.k8s.io", "v1");
const COORDINATION: Group = Group("coordination.k8s.io", "v1");
const DISCOVERY: Group = Group("discovery.k8s.io", "v1");
const NETWORKING: Group = Group("networking.k8s.io", "v1");
const POLICY: Group = Group("policy.networking.k8s.io", "v1alpha2");
const ADMIN_POLICY: Group = Group("policy.networking.k8s.io", "v1alpha1");
const CALICO: Group = Group("projectcalico.org", "v3");

/// Groups together, a group's preferred version first.
pub(super) const KINDS: &[Kind] = &[
    CORE.kind("events", "event", "Event", true).short(&["ev"]).writes(Writes::CreateAndUpdate),
    CORE.kind("namespaces", "namespace", "Namespace", false).short(&["ns"]).status(),
    CORE.kind("nodes", "node", "Node", false).short(&["no"]).status().writes(Writes::Update),
    CORE.kind("pods", "pod", "Pod", true).short(&["po"]).status().writes(Writes::Subresources),
    CORE.kind("serviceaccounts", "serviceaccount", "ServiceAccount", true).short(&["sa"]),
    CORE.kind("services", "service", "Service", true).short(&["svc"]).status(),
    COORDINATION.kind("leases", "lease", "Lease", true).writes(Writes::CreateAndUpdate),
    DISCOVERY.kind("endpointslices", "endpointslice", "EndpointSlice", true),
    EVENTS.kind("events", "event", "Event", true).short(&["ev"]).writes(Writes::CreateAndUpdate),
    NETWORKING.kind("ipaddresses", "ipaddress", "IPAddress", false).short(&["ip"]),
    NETWORKING.kind("networkpolicies", "networkpolicy", "NetworkPolicy", true).short(&["netpol"]),
    NETWORKING.kind("servicecidrs", "servicecidr", "ServiceCIDR", false).status(),
    POLICY
        .kind("clusternetworkpolicies", "clusternetworkpolicy", "ClusterNetworkPolicy", false)
        .short(&["cnp"]),
    ADMIN_POLICY
        .kind("adminnetworkpolicies", "adminnetworkpolicy", "AdminNetworkPolicy", false)
        .short(&["anp"]),
    ADMIN_POLICY
        .kind(
            "baselineadminnetworkpolicies",
            "baselineadminnetworkpolicy",
            "BaselineAdminNetworkPolicy",
            false,
        )
        .short(&["banp"]),
    CALICO.kind("bgpconfigurations", "bgpconfiguration", "BGPConfiguration", false),
    CALICO.kind("bgpfilters", "bgpfilter", "BGPFilter", false),
    CALICO.kind("bgppeers", "bgppeer", "BGPPeer", false),
    CALICO
        .kind("clusterinformations", "clusterinformation", "ClusterInformation", false)
        .writes(Writes::CreateAndUpdate),
    CALICO
        .kind("felixconfigurations", "felixconfiguration", "FelixConfiguration", false)
        .writes(Writes::CreateAndUpdate),
    CALICO.kind("globalnetworkpolicies", "globalnetworkpolicy", "GlobalNetworkPolicy", false),
    CALICO.kind("globalnetworksets", "globalnetworkset", "GlobalNetworkSet", false),
    CALICO.kind("hostendpoints", "hostendpoint", "HostEndpoint", false),
    CALICO.kind("ippools", "ippool", "IPPool", false),
    CALICO.kind("networkpolicies", "networkpolicy", "NetworkPolicy", true),
    CALICO.kind("networksets", "networkset", "NetworkSet", true),
    CALICO.kind("profiles", "profile", "Profile", false),
    CALICO.kind(
        "stagedglobalnetworkpolicies",
        "stagedglobalnetworkpolicy",
        "StagedGlobalNetworkPolicy",
        false,
    ),
    CALICO.kind(
        "stagedkubernetesnetworkpolicies",
        "stagedkubernetesnetworkpolicy",
        "StagedKubernetesNetworkPolicy",
        true,
    ),
    CALICO.kind("stagednetworkpolicies", "stagednetworkpolicy", "StagedNetworkPolicy", true),
    CALICO.kind("tiers", "tier", "Tier", false),
];

impl Group {
    const fn kind(
        self,
        plural: &'static str,
        singular: &'static str,
        kind: &'static str,
        namespaced: bool,
    ) -> Kind {
        let Group(group, version) = self;
        let (short_names, subresources): (&[&str], &[&str]) = (&[], &[]);
        let writes = Writes::Nothing;
        Kind { group, version, plural, singular, kind, namespaced, short_names, writes, subresources }
    }
}

impl Kind {
    const fn short(mut self, names: &'static [&'static str]) -> Kind {
        self.short_names = names;
        self
    }

    const fn status(mut self) -> Kind {
        self.subresources = &["status"];
        self
    }

    const fn writes(mut self, writes: Writes) -> Kind {
        self.writes = writes;
        self
    }
}
