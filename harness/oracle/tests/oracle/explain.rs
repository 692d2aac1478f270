//! The reasons as sentences: every kind of mismatch, and what services and profiles add.

use crate::script::resolve;
use crate::world::World;
use netproof_oracle::{Oracle, Profile};

/// The explanations of flows in a cluster that the lines make; a flow may name its profile.
pub fn explanations(topology: &str, lines: &str, flows: &str) -> String {
    let mut world = World::on(topology);
    lines.lines().map(str::trim).filter(|line| !line.is_empty()).for_each(|line| world.change(line));
    let snapshot = world.snapshot();
    let explain = |line: &str| {
        let (profile, flow) = line.split_once(": ").unwrap_or(("netproof", line));
        let oracle = Oracle::new(&snapshot, Profile::named(profile).unwrap());
        let prediction = oracle.predict(&resolve(&snapshot, flow)).unwrap();
        format!("{line}\n{}", oracle.explain(&prediction))
    };
    let flows = flows.lines().map(str::trim).filter(|line| !line.is_empty());
    flows.map(explain).collect::<Vec<_>>().join("\n")
}

/// Holds what a person reads against the snapshot of the test.
macro_rules! read {
    ($text:expr) => {
        insta::with_settings!({omit_expression => true}, { insta::assert_snapshot!($text) })
    };
}

#[test]
fn every_kind_of_mismatch() {
    read!(explanations(
        "",
        "namespace dev tier=
         pod web node1 labels=app=web ports=http:8080,dns:53/udp
         pod client node2 labels=app=client,role=x ip=10.244.2.9
         pod dev/client node2
         policy a {podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [client]}]}}, {podSelector: {matchExpressions: [{key: role, operator: DoesNotExist}]}}, {podSelector: {matchExpressions: [{key: none, operator: Exists}]}}, {podSelector: {matchExpressions: [{key: app, operator: In, values: [a, b]}]}}, {podSelector: {matchExpressions: [{key: none, operator: In, values: [a, b]}]}}, {namespaceSelector: {matchExpressions: [{key: tier, operator: Exists}]}}, {ipBlock: {cidr: 10.244.2.0/24, except: [10.244.2.8/29]}}, {ipBlock: {cidr: 192.0.2.0/24}}, {podSelector: {matchLabels: {app: ''}}}, {podSelector: {matchExpressions: [{key: none, operator: In, values: ['', a]}]}}]}]}
         policy b {podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: 81}, {port: 82, endPort: 90}, {protocol: UDP}, {port: dns}, {port: http}, {port: 80, protocol: SCTP}]}]}
         policy c {podSelector: {matchLabels: {app: other}}}
         policy d {podSelector: {}, policyTypes: [Egress], egress: [{}]}
         policy e {podSelector: {matchLabels: {app: web}}, ingress: []}",
        "pod/client -> pod/web:80
         pod/client -> pod/web:icmp
         external/internet -> pod/web:80
         pod/client -> pod/web:8080",
    ));
}

#[test]
fn open_points_and_profiles() {
    read!(explanations(
        "",
        "pod web node1 labels=app=web ports=80
         pod client node2 labels=app=client
         service web selector=app=web ports=80
         policy p {podSelector: {}, policyTypes: [Ingress, Egress], ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}}], ports: [{port: 79, endPort: 81}]}]}
         policy c {podSelector: {matchLabels: {app: client}}, policyTypes: [Egress], egress: [{}]}",
        "strict: pod/client -> pod/web:80
         strict: pod/web -> service/web:80
         netproof: pod/web -> service/web:80
         kube-router: pod/client -> pod/web:icmp
         cilium: pod/client -> pod/web:80
         strict: node/node2 -> pod/web:82",
    ));
}

#[test]
fn services_and_ways() {
    read!(explanations(
        "nodes=3 nat-outgoing balancer=node2 wiring=vxlan",
        "pod client node1
         pod w1 node1 labels=app=web,open=yes ports=8080
         pod w2 node2 labels=app=web ports=8080
         service web selector=app=web ports=80:8080@30080
         service proxied selector=open=yes ports=80:8080@30081 lb-proxy=192.0.2.1
         service vip selector=open=yes ports=80:8080 lb=192.0.2.2 ranges=192.0.2.128/25
         service local selector=open=yes ports=80:8080@30082 external=Local
         service inside selector=none=here ports=80:8080 internal=Local
         policy deny {podSelector: {matchExpressions: [{key: open, operator: DoesNotExist}, {key: app, operator: Exists}]}}",
        "pod/client -> service/web:80
         pod/w1 -> service/proxied:80
         external/internet -> loadbalancer/proxied:80
         external/internet -> loadbalancer/vip:80
         external/internet -> nodeport/local@node2
         pod/client -> service/inside:80
         pod/client -> service/inside:81
         pod/client -> ip/10.96.99.99:80
         pod/client -> external/internet:80
         pod/client -> ip/198.51.100.1:80
         node/node3 -> nodeport/local@node3",
    ));
}
