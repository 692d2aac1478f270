//! Random clusters: pods, policies and services that meet often.

use crate::world::World;
use netproof_controlplane::Snapshot;
use netproof_model::Protocol;
use netproof_oracle::*;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

/// The lines that make a cluster, before and after `topology`.
#[derive(Clone, Debug)]
pub struct Case {
    pub topology: String,
    pub lines: Vec<String>,
    pub profile: Profile,
}

impl Case {
    /// The cluster.
    pub fn snapshot(&self) -> Snapshot {
        let mut world = World::on(&self.topology);
        self.lines.iter().for_each(|line| world.change(line));
        world.snapshot()
    }
}

const LABELS: [&str; 5] = ["app=a", "app=b", "role=x", "role=y", "tier="];
const PORTS: [&str; 5] = ["http:80", "http:8080", "dns:53/udp", "http:53/udp", "sig:80/sctp"];
const SELECTORS: [&str; 9] = [
    "{}",
    "{matchLabels: {app: a}}",
    "{matchLabels: {app: b, role: x}}",
    "{matchLabels: {tier: \"\"}}",
    "{matchExpressions: [{key: app, operator: In, values: [a, c]}]}",
    "{matchExpressions: [{key: role, operator: NotIn, values: [x]}]}",
    "{matchExpressions: [{key: role, operator: Exists}]}",
    "{matchExpressions: [{key: app, operator: DoesNotExist}]}",
    "{matchLabels: {app: a}, matchExpressions: [{key: role, operator: DoesNotExist}]}",
];
const BLOCKS: [&str; 8] = [
    "{cidr: 0.0.0.0/0}",
    "{cidr: \"::/0\"}",
    "{cidr: 10.244.0.0/16, except: [10.244.1.0/24]}",
    "{cidr: 10.244.1.0/24, except: [10.244.1.3/32, 10.244.1.4/31]}",
    "{cidr: 10.244.1.0/24}",
    "{cidr: 172.18.0.0/24}",
    "{cidr: 203.0.113.0/24, except: [203.0.113.8/29]}",
    "{cidr: \"fd00:10:244:1::/64\", except: [\"fd00:10:244:1::3/128\"]}",
];
const PORT_ENTRIES: [&str; 10] = [
    "{}",
    "{port: 80}",
    "{port: http}",
    "{port: 79, endPort: 81}",
    "{protocol: UDP}",
    "{protocol: UDP, port: http}",
    "{protocol: UDP, port: dns}",
    "{protocol: SCTP, port: 80}",
    "{protocol: SCTP, port: sig}",
    "{port: 30000, endPort: 30100}",
];

fn some(from: &'static [&'static str], at_most: usize) -> impl Strategy<Value = String> {
    subsequence(from, 0..=at_most).prop_map(|words| words.join(","))
}

fn peer() -> impl Strategy<Value = String> {
    prop_oneof![
        select(&SELECTORS[..]).prop_map(|pods| format!("{{podSelector: {pods}}}")),
        select(&SELECTORS[..]).prop_map(|namespaces| format!("{{namespaceSelector: {namespaces}}}")),
        (select(&SELECTORS[..]), select(&SELECTORS[..]))
            .prop_map(|(n, p)| format!("{{namespaceSelector: {n}, podSelector: {p}}}")),
        select(&BLOCKS[..]).prop_map(|block| format!("{{ipBlock: {block}}}")),
    ]
}

fn rules(peers: &'static str) -> impl Strategy<Value = String> {
    let rule = (proptest::collection::vec(peer(), 0..3), some(&PORT_ENTRIES, 3))
        .prop_map(move |(entries, ports)| format!("{{{peers}: [{}], ports: [{ports}]}}", entries.join(", ")));
    proptest::collection::vec(rule, 0..3).prop_map(|rules| format!("[{}]", rules.join(", ")))
}

fn policy() -> impl Strategy<Value = String> {
    let types = select(&["Ingress", "Egress", "Ingress, Egress"][..]);
    (select(&["default", "dev"][..]), select(&SELECTORS[..]), types, rules("from"), rules("to")).prop_map(
        |(namespace, selector, types, ingress, egress)| {
            format!("{namespace} {{podSelector: {selector}, policyTypes: [{types}], ingress: {ingress}, egress: {egress}}}")
        },
    )
}

const NETWORKS: [&str; 5] = [
    "[0.0.0.0/0]",
    "[\"::/0\", 203.0.113.0/24]",
    "[10.244.1.0/24]",
    "[172.18.0.2/32, 10.244.1.3/32, 10.96.0.0/16]",
    "[\"fd00:10:244:1::/64\"]",
];
const PROTOCOLS: [&str; 6] = [
    "{tcp: {destinationPort: {number: 80}}}",
    "{tcp: {destinationPort: {range: {start: 80, end: 8080}}}}",
    "{udp: {destinationPort: {number: 53}}}",
    "{sctp: {destinationPort: {range: {start: 1, end: 65535}}}}",
    "{destinationNamedPort: http}",
    "{destinationNamedPort: \"\"}",
];

/// `namespaces`, or `pods` with or without a selector of namespaces.
fn cluster_pods() -> impl Strategy<Value = String> {
    prop_oneof![
        select(&SELECTORS[..]).prop_map(|namespaces| format!("{{namespaces: {namespaces}}}")),
        select(&SELECTORS[..]).prop_map(|pods| format!("{{pods: {{podSelector: {pods}}}}}")),
        (select(&SELECTORS[..]), select(&SELECTORS[..]))
            .prop_map(|(n, p)| format!("{{pods: {{namespaceSelector: {n}, podSelector: {p}}}}}")),
    ]
}

fn cluster_rules(list: &'static str) -> impl Strategy<Value = String> {
    let nodes = select(&["{nodes: {}}", "{nodes: {matchLabels: {topology.kubernetes.io/zone: zone2}}}"][..]);
    let others = prop_oneof![
        select(&NETWORKS[..]).prop_map(|networks| format!("{{networks: {networks}}}")),
        nodes.prop_map(str::to_owned),
    ];
    let peers = (proptest::collection::vec(cluster_pods(), 1..3), proptest::collection::vec(others, 0..2));
    let action = select(&["Accept", "Deny", "Deny", "Pass"][..]);
    let rule =
        (action, peers, some(&PROTOCOLS, 2)).prop_map(move |(action, (mut peers, others), protocols)| {
            let is_named = protocols.contains("Named");
            peers.extend(others.into_iter().filter(|it| list == "to" && !(is_named && it.contains("nodes"))));
            let protocols = match protocols.as_str() {
                "" => String::new(),
                some => format!(", protocols: [{some}]"),
            };
            format!("{{action: {action}, {list}: [{}]{protocols}}}", peers.join(", "))
        });
    proptest::collection::vec(rule, 0..3).prop_map(|rules| format!("[{}]", rules.join(", ")))
}

fn cluster_policy() -> impl Strategy<Value = String> {
    let place = (select(&["Admin", "Baseline"][..]), 0..3);
    (place, cluster_pods(), cluster_rules("from"), cluster_rules("to")).prop_map(
        |((tier, priority), subject, ingress, egress)| {
            format!("{{tier: {tier}, priority: {priority}, subject: {subject}, ingress: {ingress}, egress: {egress}}}")
        },
    )
}

fn pod() -> impl Strategy<Value = (&'static str, &'static str, String)> {
    let words = (some(&LABELS[..], 3), some(&PORTS[..], 2)).prop_map(|(labels, ports)| {
        // A key stands once, a port name once for a protocol: the first of each counts.
        format!("labels={labels} ports={}", ports.replacen(",http:8080", ",other:8080", 1))
    });
    (select(&["default", "dev"][..]), select(&["node1", "node2"][..]), words)
}

/// A cluster and a named profile.
pub fn case() -> impl Strategy<Value = Case> {
    let topology = (select(&["routed", "bridge"][..]), select(&["", " nat-outgoing"][..]))
        .prop_map(|(wiring, nat)| format!("family=dual wiring={wiring}{nat}"));
    let extras = subsequence(
        vec![
            "pod agent node1 host labels=app=a ports=http:9100",
            "service web selector=app=a ports=80@30080",
            "service local selector=app=b ports=80@30081 external=Local",
            "service taken selector=app=a ports=80 external-ip=203.0.113.10",
        ],
        0..=4,
    );
    (
        topology,
        some(&LABELS, 2),
        proptest::collection::vec(pod(), 1..7),
        (proptest::collection::vec(policy(), 0..6), proptest::collection::vec(cluster_policy(), 0..4)),
        extras,
        select(&PROFILES[..]),
    )
        .prop_map(|(topology, labels, pods, (policies, cluster_policies), extras, profile)| {
            let mut lines = vec![format!("namespace dev {labels}")];
            for (index, (namespace, node, words)) in pods.iter().enumerate() {
                lines.push(format!("pod {namespace}/pod-{index} {node} {words}"));
            }
            for (index, policy) in policies.iter().enumerate() {
                let (namespace, spec) = policy.split_once(' ').unwrap();
                lines.push(format!("policy {namespace}/policy-{index} {spec}"));
            }
            let numbered = cluster_policies.iter().enumerate();
            lines.extend(numbered.map(|(index, spec)| format!("cluster-policy policy-{index} {spec}")));
            lines.extend(extras.into_iter().map(Into::into));
            Case { topology, lines, profile }
        })
}

/// A profile that leaves nothing open.
pub fn settled() -> impl Strategy<Value = Profile> {
    let services = (
        select(
            &[OwnPodThroughService::Allow, OwnPodThroughService::Police, OwnPodThroughService::PoliceEgress]
                [..],
        ),
        select(&[PolicyAndDnat::After, PolicyAndDnat::Before][..]),
        select(&[PolicyAndMasquerade::After, PolicyAndMasquerade::AfterOwn, PolicyAndMasquerade::Before][..]),
    );
    let nodes = (
        select(&[NodeToPodOnAnotherNode::Police, NodeToPodOnAnotherNode::Allow][..]),
        // A drop is not among the readings of the API: it denies what no policy isolates.
        select(&[PodToOwnNode::Police, PodToOwnNode::Allow][..]),
        select(&[HostNetworkPods::Ignore, HostNetworkPods::PoliceNode][..]),
        select(&[HostNetworkPeers::NeverMatch, HostNetworkPeers::MatchNode][..]),
    );
    let rules = (
        select(&[Icmp::PortlessRules, Icmp::Allow, Icmp::Deny][..]),
        select(&[IpBlockAndPods::Match, IpBlockAndPods::NeverMatch][..]),
        select(&[IpBlockAndNodes::Match, IpBlockAndNodes::NeverMatch][..]),
        select(&[Sctp::Supported, Sctp::Unsupported][..]),
        select(&[EndPort::Supported, EndPort::Unsupported][..]),
    );
    let cluster = (
        select(&[CnpEqualPriority::Name, CnpEqualPriority::Index][..]),
        select(&[CnpMasqueradedSource::Node, CnpMasqueradedSource::Pod][..]),
    );
    (services, nodes, rules, cluster).prop_map(|(services, nodes, rules, cluster)| Profile {
        name: "settled",
        own_pod_through_service: services.0,
        policy_and_dnat: services.1,
        policy_and_masquerade: services.2,
        node_to_pod_on_another_node: nodes.0,
        pod_to_own_node: nodes.1,
        host_network_pods: nodes.2,
        host_network_peers: nodes.3,
        icmp: rules.0,
        ip_block_and_pods: rules.1,
        ip_block_and_nodes: rules.2,
        sctp: rules.3,
        end_port: rules.4,
        endpoints_that_share_an_address: EndpointsThatShareAnAddress::ReadyFirst,
        cnp_equal_priority: cluster.0,
        cnp_masqueraded_source: cluster.1,
        // The API says these, and only readings of the API are wanted.
        cnp_service_hairpin: CnpServiceHairpin::Both,
        cnp_service_vip_in_networks: CnpServiceVipInNetworks::Never,
        cnp_networks_match_pods: CnpNetworksMatchPods::Yes,
        existing_connections: ExistingConnections::Keep,
        deny: Deny::Drop,
    })
}

/// A few ports of every protocol.
pub fn ports() -> Vec<PortProtocol> {
    let numbers = [(80, Protocol::Tcp), (8080, Protocol::Tcp), (53, Protocol::Udp), (80, Protocol::Sctp)];
    let mut ports: Vec<PortProtocol> =
        numbers.into_iter().map(|(number, protocol)| PortProtocol::new(number, protocol)).collect();
    ports.push(PortProtocol::Echo);
    ports
}
