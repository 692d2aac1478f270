//! Every choice at every switch, on a flow for which it matters.

use crate::script::predict;
use crate::world::World;
use netproof_oracle::*;

/// The profile `netproof` with one choice of its own.
fn with(change: impl FnOnce(&mut Profile)) -> Profile {
    let mut profile = Profile::NETPROOF;
    change(&mut profile);
    profile
}

#[test]
fn every_choice_matters() {
    let mut world = World::on("nodes=3");
    for line in [
        "pod web node1 labels=app=web,role=x ip=10.244.1.9 ports=80",
        "pod open node1 labels=app=open ports=80",
        "pod client node2 labels=app=client ip=10.244.2.9",
        "pod agent node3 host labels=app=agent",
        "pod probe node2 labels=app=probe",
        "policy probe {podSelector: {matchLabels: {app: probe}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 0.0.0.0/0}}]}]}",
        "service web selector=role=x ports=80@30080 cluster-ip=10.96.5.5",
        "policy web {podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress], ingress: [{from: [{ipBlock: {cidr: 10.244.2.9/32}}], ports: [{port: 79, endPort: 81}, {protocol: SCTP, port: 80}]}, {from: [{podSelector: {matchLabels: {app: agent}}}, {ipBlock: {cidr: 203.0.113.0/24}}]}]}",
        "policy client {podSelector: {matchLabels: {app: client}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 10.96.5.5/32}}]}, {to: [{ipBlock: {cidr: 10.244.1.9/32}}], ports: [{port: 80}, {port: 81}, {protocol: SCTP}]}]}",
        "policy agent {podSelector: {matchLabels: {app: agent}}, policyTypes: [Ingress]}",
        "policy open {podSelector: {matchLabels: {app: open}}, policyTypes: [Egress]}",
    ] {
        world.change(line);
    }
    let snapshot = world.snapshot();
    let is_allowed = |profile: Profile, flow: &str| {
        let prediction = predict(&snapshot, profile, flow);
        match prediction.verdict() {
            Some(Verdict::Allow) => true,
            Some(Verdict::Deny(PredictedDenial::Policy { .. })) => false,
            other => panic!("{flow}: {other:?}"),
        }
    };
    for (flow, profile, expected) in [
        (
            "pod/web -> service/web:80",
            with(|p| p.own_pod_through_service = OwnPodThroughService::Allow),
            true,
        ),
        (
            "pod/web -> service/web:80",
            with(|p| p.own_pod_through_service = OwnPodThroughService::Police),
            false,
        ),
        (
            "pod/web -> service/web:80",
            with(|p| p.own_pod_through_service = OwnPodThroughService::PoliceEgress),
            true,
        ),
        ("pod/client -> pod/web:icmp", with(|p| p.icmp = Icmp::PortlessRules), false),
        ("pod/client -> pod/web:icmp", with(|p| p.icmp = Icmp::Allow), true),
        ("external/internet -> pod/web:icmp", with(|p| p.icmp = Icmp::PortlessRules), true),
        ("external/internet -> pod/web:icmp", with(|p| p.icmp = Icmp::Deny), false),
        (
            "node/node2 -> pod/web:80",
            with(|p| p.node_to_pod_on_another_node = NodeToPodOnAnotherNode::Police),
            false,
        ),
        (
            "node/node2 -> pod/web:80",
            with(|p| p.node_to_pod_on_another_node = NodeToPodOnAnotherNode::Allow),
            true,
        ),
        ("pod/open -> node/node1:22", with(|p| p.pod_to_own_node = PodToOwnNode::Police), false),
        ("pod/open -> node/node1:22", with(|p| p.pod_to_own_node = PodToOwnNode::Allow), true),
        ("pod/web -> node/node1:22", with(|p| p.pod_to_own_node = PodToOwnNode::Police), true),
        ("pod/web -> node/node1:22", with(|p| p.pod_to_own_node = PodToOwnNode::Drop), false),
        ("pod/web -> node/node3:22", with(|p| p.pod_to_own_node = PodToOwnNode::Drop), true),
        ("pod/web -> node/node3:22", with(|p| p.host_network_pods = HostNetworkPods::PoliceNode), false),
        ("node/node3 -> pod/web:80", with(|p| p.host_network_peers = HostNetworkPeers::NeverMatch), false),
        ("node/node3 -> pod/web:80", with(|p| p.host_network_peers = HostNetworkPeers::MatchNode), true),
        ("pod/client -> pod/web:80", with(|p| p.ip_block_and_pods = IpBlockAndPods::Match), true),
        ("pod/client -> pod/web:80", with(|p| p.ip_block_and_pods = IpBlockAndPods::NeverMatch), false),
        ("pod/probe -> node/node3:22", with(|p| p.ip_block_and_nodes = IpBlockAndNodes::Match), true),
        ("pod/probe -> node/node3:22", with(|p| p.ip_block_and_nodes = IpBlockAndNodes::NeverMatch), false),
        (
            "pod/probe -> external/internet:22",
            with(|p| p.ip_block_and_nodes = IpBlockAndNodes::NeverMatch),
            true,
        ),
        ("pod/client -> pod/web:81", with(|p| p.end_port = EndPort::Supported), true),
        ("pod/client -> pod/web:81", with(|p| p.end_port = EndPort::Unsupported), false),
        ("pod/client -> pod/web:80/sctp", with(|p| p.sctp = Sctp::Supported), true),
        ("pod/client -> pod/web:80/sctp", with(|p| p.sctp = Sctp::Unsupported), false),
        ("pod/client -> service/web:80", with(|p| p.policy_and_dnat = PolicyAndDnat::After), true),
        (
            "external/internet -> nodeport/web@node2",
            with(|p| p.policy_and_masquerade = PolicyAndMasquerade::After),
            false,
        ),
        (
            "external/internet -> nodeport/web@node2",
            with(|p| p.policy_and_masquerade = PolicyAndMasquerade::AfterOwn),
            false,
        ),
        (
            "external/internet -> nodeport/web@node2",
            with(|p| p.policy_and_masquerade = PolicyAndMasquerade::Before),
            true,
        ),
        (
            "node/node2 -> nodeport/web@node1",
            with(|p| p.policy_and_masquerade = PolicyAndMasquerade::After),
            false,
        ),
        (
            "node/node2 -> nodeport/web@node1",
            with(|p| p.policy_and_masquerade = PolicyAndMasquerade::AfterOwn),
            true,
        ),
    ] {
        assert_eq!(is_allowed(profile, flow), expected, "{flow}: {profile:?}");
    }
    // Before DNAT the rule for the service's address matches, and the one for the pod's does not.
    let before = with(|profile| profile.policy_and_dnat = PolicyAndDnat::Before);
    world.change("policy client {podSelector: {matchLabels: {app: client}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 10.96.5.5/32}}]}]}");
    let snapshot = world.snapshot();
    let verdict = |profile| predict(&snapshot, profile, "pod/client -> service/web:80").verdict().cloned();
    assert_eq!(verdict(before), Some(Verdict::Allow));
    assert!(matches!(verdict(Profile::NETPROOF), Some(Verdict::Deny(_))));
}

#[test]
fn existing_connections_are_kept_or_cut() {
    let denied = Verdict::Deny(PredictedDenial::Policy { action: None });
    let refused = Verdict::Deny(PredictedDenial::Service { service: None, refusal: Refusal::NoEndpoints });
    let keep = with(|profile| profile.existing_connections = ExistingConnections::Keep);
    let cut = with(|profile| profile.existing_connections = ExistingConnections::Cut);
    for (verdict, profile, expected) in [
        (&denied, keep, &Verdict::Allow),
        (&denied, cut, &denied),
        (&refused, cut, &Verdict::Allow),
        (&Verdict::Allow, cut, &Verdict::Allow),
        (&Verdict::Unreachable, keep, &Verdict::Unreachable),
    ] {
        assert_eq!(&verdict.on_existing(&profile), expected);
    }
    let either = Verdict::Either(Switches::of(Switch::Icmp));
    assert_eq!(either.on_existing(&keep), Verdict::Allow);
    assert_eq!(either.on_existing(&cut), either);
    let both = Verdict::Either(Switches::of(Switch::Icmp).union(Switches::of(Switch::ExistingConnections)));
    assert_eq!(either.on_existing(&Profile::STRICT), both);
}
