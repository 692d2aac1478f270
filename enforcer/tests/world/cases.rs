//! The states of a cluster whose rulesets are shown (tests/rules.rs) and loaded (tests/kernel/).

use super::calico::{CalicoObjects, calico_policy, set, tier};
use super::{World, cluster_policy, namespace, pod, policy, service};
use netproof_controlplane::Snapshot;
use netproof_model::{Families, Wiring};
use std::sync::Arc;

/// A cluster's state, by name.
pub struct Case {
    pub name: &'static str,
    pub snapshot: Arc<Snapshot>,
}

fn case(name: &'static str, family: Families, wiring: Wiring, objects: &[String]) -> Case {
    let mut world = World::new(family, wiring);
    world.apply(&pods());
    let snapshot = world.apply(&objects.concat());
    Case { name, snapshot }
}

/// Three pods on node1, one on node2.
fn pods() -> String {
    [
        namespace("other", "team=blue"),
        pod("web", "node1", "app=web", "http:80,metrics:9090/UDP"),
        pod("api", "node1", "app=api", "http:8080"),
        pod("other/client", "node1", "app=client", ""),
        pod("other/far", "node2", "app=client,role=far", "http:8081"),
    ]
    .concat()
}

/// Calico's policies in two tiers, a NetworkPolicy among those of the second.
fn calico() -> Case {
    let own = policy("p", "{podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: http}]}]}");
    let case = case("calico", Families::Dual, Wiring::Routed, &[own]);
    let mut objects = CalicoObjects::default();
    objects.apply(&tier("security", 10.0, "Pass"));
    objects.apply(&set("partners", "kind: partner", "198.51.100.0/24, 'fd00:51::/64', 203.0.113.7/32"));
    objects.apply(&calico_policy(
        "first",
        "tier: security, selector: \"app == 'web'\", types: [Ingress, Egress],
         ingress: [{action: Log, protocol: TCP},
                   {action: Pass, source: {selector: \"kind == 'partner'\"}},
                   {action: Deny, protocol: ICMP, notICMP: {type: 8}},
                   {action: Deny, ipVersion: 6, notProtocol: TCP}],
         egress: [{action: Deny, protocol: UDP, destination: {notNets: [10.0.0.0/8], notPorts: [53, '9000:9100']}}]",
    ));
    objects.apply(&calico_policy(
        "default/after",
        "selector: \"app in {'web', 'api'}\", order: 2000, types: [Ingress],
         ingress: [{action: Allow, protocol: TCP, source: {namespaceSelector: \"team == 'blue'\", notSelector: \"role == 'far'\"},
                    destination: {ports: [metrics, 81]}}]",
    ));
    Case { snapshot: objects.beside(&case.snapshot), ..case }
}

/// One case for each thing that a policy can say.
pub fn policies() -> Vec<Case> {
    let ipv4 = |name, spec| case(name, Families::Ipv4, Wiring::Routed, &[policy("p", spec)]);
    vec![
        case("no-policy", Families::Ipv4, Wiring::Routed, &[namespace("empty", "")]),
        case("no-policy-bridge-dual", Families::Dual, Wiring::Bridge, &[namespace("empty", "")]),
        ipv4("deny-all", "{podSelector: {}, policyTypes: [Ingress, Egress]}"),
        ipv4("allow-all", "{podSelector: {matchLabels: {app: web}}, ingress: [{}], egress: [{}], policyTypes: [Ingress, Egress]}"),
        ipv4(
            "and",
            "{podSelector: {matchLabels: {app: web}}, ingress: [{from: [
              {namespaceSelector: {matchLabels: {team: blue}}, podSelector: {matchLabels: {role: far}}}]}]}",
        ),
        ipv4(
            "or",
            "{podSelector: {matchLabels: {app: web}}, ingress: [{from: [
              {namespaceSelector: {matchLabels: {team: blue}}}, {podSelector: {matchLabels: {app: api}}}]}]}",
        ),
        ipv4(
            "except",
            "{podSelector: {matchLabels: {app: web}}, ingress: [{from: [
              {ipBlock: {cidr: 172.17.0.0/16, except: [172.17.1.0/24, 172.17.0.128/25]}},
              {ipBlock: {cidr: 172.17.1.7/32}}]}]}",
        ),
        ipv4(
            "named-ports",
            "{podSelector: {}, policyTypes: [Ingress, Egress],
              ingress: [{from: [{podSelector: {}}, {ipBlock: {cidr: 0.0.0.0/0}}], ports: [{port: http}, {port: metrics, protocol: UDP}]}],
              egress: [{to: [{namespaceSelector: {}}], ports: [{port: http}, {port: 53, protocol: UDP}]}]}",
        ),
        ipv4(
            "ports",
            "{podSelector: {matchLabels: {app: web}}, ingress: [
              {ports: [{port: 8000, endPort: 8010}]},
              {ports: [{port: 80}, {port: 443}]},
              {ports: [{port: 1000, endPort: 2000}, {port: 1500, endPort: 2500}, {protocol: UDP}, {port: 7, protocol: SCTP}]},
              {ports: [{}]}]}",
        ),
        case(
            "dual-stack",
            Families::Dual,
            Wiring::Bridge,
            &[policy(
                "p",
                "{podSelector: {matchLabels: {app: web}}, policyTypes: [Ingress, Egress],
                  ingress: [{from: [{podSelector: {}}, {ipBlock: {cidr: 10.0.0.0/8}}, {ipBlock: {cidr: '2001:db8::/32'}}], ports: [{port: http}]}],
                  egress: [{to: [{ipBlock: {cidr: '::/0', except: ['fd00::/8']}}]}]}",
            )],
        ),
        case(
            "two-policies",
            Families::Ipv4,
            Wiring::Routed,
            &[
                policy("a", "{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: api}}}]}]}"),
                policy("b", "{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{namespaceSelector: {}}], ports: [{port: 80}]}]}"),
            ],
        ),
        calico(),
        case(
            "tiers-around-a-policy",
            Families::Dual,
            Wiring::Routed,
            &[
                cluster_policy(
                    "first",
                    "{tier: Admin, priority: 0, subject: {pods: {podSelector: {matchLabels: {app: web}}}},
                      ingress: [
                        {action: Pass, from: [{namespaces: {matchLabels: {team: blue}}}], protocols: [{destinationNamedPort: http}, {udp: {destinationPort: {range: {start: 9000, end: 9100}}}}]},
                        {action: Accept, from: [{pods: {podSelector: {matchLabels: {app: api}}}}]}],
                      egress: [{action: Deny, to: [{nodes: {}}, {networks: [10.0.0.0/8, 10.1.0.0/16, '::/0']}]}]}",
                ),
                cluster_policy(
                    "second",
                    "{tier: Admin, priority: 1000, subject: {namespaces: {}}, ingress: [{action: Deny, from: [{namespaces: {matchLabels: {team: blue}}}]}]}",
                ),
                cluster_policy(
                    "default",
                    "{tier: Baseline, priority: 10, subject: {namespaces: {}}, ingress: [{action: Deny, from: [{namespaces: {}}]}]}",
                ),
                policy("p", "{podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: http}]}]}"),
            ],
        ),
    ]
}

/// One case for each thing that a service can be.
pub fn services() -> Vec<Case> {
    let web = "selector: {app: web}, ports: [{name: http, port: 8001, targetPort: http}, {name: metrics, port: 9, protocol: UDP, targetPort: 9090}]";
    let cluster_ip = service("web", &format!("{{{web}, clusterIP: 10.96.0.50}}"));
    let node_port = service(
        "clients",
        "{type: NodePort, selector: {app: client}, clusterIP: 10.96.0.51, ports: [{port: 80, targetPort: 8081, nodePort: 30080}]}",
    );
    let mut cases = vec![
        case("cluster-ip", Families::Ipv4, Wiring::Routed, std::slice::from_ref(&cluster_ip)),
        case(
            "two-services",
            Families::Ipv4,
            Wiring::Routed,
            &[cluster_ip, node_port.replace("app: client", "role: far")],
        ),
        case(
            "no-endpoints",
            Families::Ipv4,
            Wiring::Routed,
            &[node_port.replace("app: client", "app: nobody")],
        ),
    ];
    let dual = "{type: NodePort, selector: {app: client}, ipFamilyPolicy: RequireDualStack, ports: [{port: 80, targetPort: 8081, nodePort: 30080}]}";
    let mut world = World::new(Families::Dual, Wiring::Routed);
    world.apply(&pods());
    world.apply(&pod("other/extra", "node2", "app=client", ""));
    cases.push(Case { name: "node-port-dual", snapshot: world.apply(&service("other/clients", dual)) });
    // The first of three endpoints goes: the numbers of the others change.
    cases.push(Case { name: "node-port-dual-fewer", snapshot: world.delete("pod", "other/client") });
    cases
}
