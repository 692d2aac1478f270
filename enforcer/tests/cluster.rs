//! What the compiler makes of ClusterNetworkPolicies: who is subject, in which order they are asked, and whom each rule
//! is for.

#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a test says what went wrong by panicking")]

mod world;

use netproof_enforcer::program::{AddressTest, Compiler, PortTest, Program, RuleAction};
use netproof_model::{Direction, Families, PolicyStage, Wiring};
use world::{World, cluster_policy, namespace, pod, policy};

/// In `default` (no labels): web, and host, which is in its node's network. In `other` (team=blue): web and far, the
/// latter on node2.
fn cluster() -> World {
    let mut world = World::new(Families::Ipv4, Wiring::Routed);
    world.apply(
        &[
            namespace("other", "team=blue"),
            pod("web", "node1", "app=web", "http:80,dns:53/UDP"),
            pod("other/web", "node1", "app=web", "http:8080"),
            pod("other/far", "node2", "app=far", "http:80"),
            pod("host", "node1", "app=web", "http:80").replace("spec: {", "spec: {hostNetwork: true, "),
        ]
        .concat(),
    );
    world.label("node", "node2", "zone", Some("b"));
    world
}

fn compile(spec: &str) -> (World, Program) {
    let mut world = cluster();
    let snapshot = world.apply(&cluster_policy("p", spec));
    let program = Compiler::new(&snapshot).node("node1").program().clone();
    (world, program)
}

/// The addresses of the other end as the names of their owners, and ranges.
fn peers(world: &World, program: &Program, direction: Direction) -> String {
    let snapshot = world.snapshot();
    let (_, policy) = program.policies().find(|(_, policy)| policy.direction == direction).unwrap();
    let [AddressTest { negated: false, members, blocks }] = policy.rules[0].matches.peers(direction) else {
        return "any".into();
    };
    let name = |address: &std::net::IpAddr| {
        let place = snapshot.place_of_address(*address).unwrap().to_string();
        place.trim_start_matches("pod/").to_owned()
    };
    let mut names: Vec<String> = members.iter().flatten().map(name).collect();
    names.sort();
    names.extend(blocks.iter().map(|block| format!("{}-{}", block.first, block.last)));
    names.join(" ")
}

fn ports(program: &Program, direction: Direction) -> String {
    let (_, policy) = program.policies().find(|(_, policy)| policy.direction == direction).unwrap();
    let [PortTest { negated: false, numbers, names }] = policy.rules[0].matches.destination_ports.as_slice()
    else {
        return "any".into();
    };
    let numbers = numbers.iter().map(|range| format!("{}-{}/{}", range.first, range.last, range.protocol));
    let names = names.iter().flatten().map(|it| format!("{}:{}/{}", it.address, it.port, it.protocol));
    numbers.chain(names).collect::<Vec<_>>().join(" ")
}

#[test]
fn subjects() {
    for (subject, expected) in [
        ("{namespaces: {}}", "default/web kube-system/coredns other/web"),
        ("{namespaces: {matchLabels: {team: blue}}}", "other/web"),
        // No selector of namespaces: all of them, not one.
        ("{pods: {podSelector: {matchLabels: {app: web}}}}", "default/web other/web"),
        ("{pods: {namespaceSelector: {matchLabels: {team: blue}}, podSelector: {}}}", "other/web"),
        ("{namespaces: {matchLabels: {team: red}}}", ""),
    ] {
        let rules = "ingress: [{action: Deny, from: [{namespaces: {}}]}]";
        let (_, program) = compile(&format!("{{tier: Admin, priority: 1, subject: {subject}, {rules}}}"));
        let asked = program.endpoints.iter().filter(|endpoint| !endpoint.tiers.is_empty());
        let names: Vec<String> = asked.map(|endpoint| endpoint.pod_name().unwrap().to_string()).collect();
        assert_eq!(names.join(" "), expected, "{subject}");
    }
}

#[test]
fn peers_of_each_kind() {
    for (peer, expected) in [
        // Pods of the host network are nobody here, and nodes no pods.
        ("{namespaces: {}}", "default/web kube-system/coredns other/far other/web"),
        ("{namespaces: {matchLabels: {team: blue}}}", "other/far other/web"),
        ("{pods: {podSelector: {matchLabels: {app: web}}}}", "default/web other/web"),
        ("{pods: {podSelector: {matchLabels: {app: nobody}}}}", ""),
        ("{nodes: {}}", "node/node1 node/node2"),
        ("{nodes: {matchLabels: {zone: b}}}", "node/node2"),
        ("{networks: [10.0.0.0/8, 10.1.0.0/16, '::/0']}", "10.0.0.0-10.255.255.255"),
        ("{networks: ['::/0']}", ""),
        ("{nodes: {matchLabels: {zone: b}}}, {networks: [192.0.2.0/30]}", "node/node2 192.0.2.0-192.0.2.3"),
    ] {
        let rules = format!("egress: [{{action: Deny, to: [{peer}]}}]");
        let (world, program) =
            compile(&format!("{{tier: Admin, priority: 1, subject: {{namespaces: {{}}}}, {rules}}}"));
        assert_eq!(peers(&world, &program, Direction::Egress), expected, "{peer}");
    }
}

#[test]
fn ports_of_each_kind() {
    for (protocols, expected) in [
        ("{tcp: {destinationPort: {number: 80}}}, {tcp: {destinationPort: {number: 81}}}", "80-81/tcp"),
        ("{sctp: {destinationPort: {range: {start: 1, end: 65535}}}}", "1-65535/sctp"),
        // The name's number and protocol are those of each destination that the peers select.
        ("{destinationNamedPort: http}", "10.244.0.2:80/tcp 10.244.0.3:8080/tcp"),
        ("{destinationNamedPort: dns}", "10.244.0.2:53/udp"),
        ("{destinationNamedPort: unknown}", ""),
    ] {
        let to = "{pods: {podSelector: {matchLabels: {app: web}}}}, {networks: [0.0.0.0/0]}";
        let rules = format!("egress: [{{action: Deny, to: [{to}], protocols: [{protocols}]}}]");
        let (world, program) =
            compile(&format!("{{tier: Admin, priority: 1, subject: {{namespaces: {{}}}}, {rules}}}"));
        let of = |name: &str| {
            let pod =
                world.snapshot().pods.iter().find(|(it, _)| it.to_string() == name).unwrap().1.pod_ips[0];
            pod.to_string()
        };
        let shown = ports(&program, Direction::Egress);
        let shown = shown.replace(&of("default/web"), "10.244.0.2").replace(&of("other/web"), "10.244.0.3");
        assert_eq!(shown, expected, "{protocols}");
    }
}

/// What is unknown denies everything, or accepts nothing.
#[test]
fn what_is_unknown_fails_closed() {
    for (action, expected_action, expected) in [
        ("Accept", RuleAction::Allow, ""),
        ("Deny", RuleAction::Deny(netproof_enforcer::program::Denial::Drop), "any"),
        ("Pass", RuleAction::Deny(netproof_enforcer::program::Denial::Drop), "any"),
    ] {
        let mut world = cluster();
        // A cluster of a newer version has taken it.
        let text = cluster_policy(
            "p",
            &format!(
                "{{tier: Admin, priority: 1, subject: {{namespaces: {{}}}}, egress: [{{action: {action}, \
                 to: [{{namespaces: {{}}}}, {{serviceAccounts: {{}}}}], protocols: [{{tcp: {{destinationPort: {{number: 80}}}}}}]}}]}}"
            ),
        );
        let snapshot = world.apply(&text.replace("{name: p}", "{name: p, resourceVersion: '1'}"));
        let program = Compiler::new(&snapshot).node("node1").program().clone();
        let (_, policy) = program.policies().next().unwrap();
        assert_eq!(policy.rules[0].action, expected_action, "{action}");
        assert_eq!(peers(&world, &program, Direction::Egress), expected, "{action}");
    }
}

#[test]
fn tiers_and_policies_stand_in_order() {
    let mut world = cluster();
    let rules = "ingress: [{action: Deny, from: [{namespaces: {}}]}]";
    let of = |name: &str, tier: &str, priority: usize| {
        let spec = format!("{{tier: {tier}, priority: {priority}, subject: {{namespaces: {{}}}}, {rules}}}");
        cluster_policy(name, &spec)
    };
    let egress_only = "{tier: Admin, priority: 0, subject: {namespaces: {}}, egress: [{action: Deny, to: [{namespaces: {}}]}]}";
    let old = "apiVersion: policy.networking.k8s.io/v1alpha1\nkind: AdminNetworkPolicy\nmetadata: {name: a}\n\
               spec: {priority: 7, subject: {namespaces: {}}, ingress: [{action: Allow, from: [{namespaces: {}}]}]}\n";
    let snapshot = world.apply(
        &[
            of("b", "Admin", 7),
            of("a", "Admin", 1000),
            of("z", "Admin", 0),
            of("a-b", "Baseline", 0),
            of("a.b", "Baseline", 0),
            cluster_policy("egress", egress_only),
            policy("own", "{podSelector: {}}"),
            "---\n".to_owned() + old,
        ]
        .concat(),
    );
    let program = Compiler::new(&snapshot).node("node1").program().clone();
    let web =
        program.endpoints.iter().find(|it| it.pod_name().unwrap().to_string() == "default/web").unwrap();
    let tiers = web.tiers[&(PolicyStage::Local, Direction::Ingress)].iter().map(|tier| {
        let policies = tier.policies.iter().map(|id| program.policy(*id).unwrap().policy.to_string());
        format!("{}: {}", tier.name, policies.collect::<Vec<_>>().join(" "))
    });
    assert_eq!(
        tiers.collect::<Vec<_>>(),
        [
            "kube-admin: clusternetworkpolicy/z clusternetworkpolicy/b adminnetworkpolicy/a clusternetworkpolicy/a",
            "networkpolicy: networkpolicy/default/own",
            "kube-baseline: clusternetworkpolicy/a-b clusternetworkpolicy/a.b",
        ]
    );
}
