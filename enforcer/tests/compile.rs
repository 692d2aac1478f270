//! What the compiler makes of policies: who is isolated, and whom each rule lets in.

#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a test says what went wrong by panicking")]

mod world;

use netproof_enforcer::program::{AddressTest, Compiler, PortTest, Program};
use netproof_model::{Direction, Families, PolicyStage, Wiring};
use world::{World, namespace, pod, policy};

/// In `default`: web (app=web), db (app=db, tier empty), bare (no labels). In `other` (team=blue): web
/// and far, the latter on node2. `done` has ended.
fn cluster() -> World {
    let mut world = World::new(Families::Dual, Wiring::Routed);
    world.apply(
        &[
            namespace("other", "team=blue"),
            pod("web", "node1", "app=web", "http:80,dns:53/UDP"),
            pod("db", "node1", "app=db,tier=", "http:5432"),
            pod("bare", "node1", "", ""),
            pod("other/web", "node1", "app=web", "http:8080"),
            pod("other/far", "node2", "app=far", "http:80,dns:53"),
            pod("done", "node1", "app=web", "http:80") + "status: {phase: Succeeded}\n",
            pod("host", "node1", "app=web", "http:80").replace("spec: {", "spec: {hostNetwork: true, "),
        ]
        .concat(),
    );
    world
}

fn compile(spec: &str) -> (World, Program) {
    let mut world = cluster();
    let snapshot = world.apply(&policy("p", spec));
    let program = Compiler::new(&snapshot).node("node1").program().clone();
    (world, program)
}

/// The IPv4 addresses as the names of their pods.
fn names(world: &World, program: &Program, direction: Direction, rule: usize) -> String {
    let snapshot = world.snapshot();
    let (_, policy) = program.policies().find(|(_, policy)| policy.direction == direction).unwrap();
    let [AddressTest { negated: false, members, blocks }] = policy.rules[rule].matches.peers(direction)
    else {
        return "any".into();
    };
    let members = members.iter().flatten().filter(|address| address.is_ipv4());
    let mut names: Vec<String> = members
        .map(|address| match snapshot.place_of_address(*address) {
            Some(netproof_model::Place::Pod(pod)) => pod.to_string(),
            place => format!("{place:?}"),
        })
        .collect();
    names.sort();
    names.extend(blocks.iter().map(|block| format!("{}-{}", block.first, block.last)));
    names.join(" ")
}

#[test]
fn peers() {
    let table = [
        ("absent", "{}", "any"),
        ("empty", "{from: []}", "any"),
        // A podSelector alone means the policy's own namespace.
        ("own namespace", "{from: [{podSelector: {matchLabels: {app: web}}}]}", "default/web"),
        ("every pod of its own", "{from: [{podSelector: {}}]}", "default/bare default/db default/web"),
        ("a namespace", "{from: [{namespaceSelector: {matchLabels: {team: blue}}}]}", "other/far other/web"),
        (
            "a namespace by its name",
            "{from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: other}}, podSelector: {matchLabels: {app: far}}}]}",
            "other/far",
        ),
        (
            "and",
            "{from: [{namespaceSelector: {matchLabels: {team: blue}}, podSelector: {matchLabels: {app: web}}}]}",
            "other/web",
        ),
        (
            "or",
            "{from: [{namespaceSelector: {matchLabels: {team: blue}}}, {podSelector: {matchLabels: {app: web}}}]}",
            "default/web other/far other/web",
        ),
        (
            "every namespace",
            "{from: [{namespaceSelector: {}, podSelector: {matchLabels: {app: web}}}]}",
            "default/web other/web",
        ),
        ("nobody", "{from: [{podSelector: {matchLabels: {app: nobody}}}]}", ""),
        (
            "not in, also without the key",
            "{from: [{podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [web]}]}}]}",
            "default/bare default/db",
        ),
        (
            "in two",
            "{from: [{podSelector: {matchExpressions: [{key: app, operator: In, values: [db, web]}, {key: tier, operator: DoesNotExist}]}}]}",
            "default/web",
        ),
        ("empty value", "{from: [{podSelector: {matchLabels: {tier: ''}}}]}", "default/db"),
        (
            "exceptions belong to their own block",
            "{from: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}, {ipBlock: {cidr: 10.1.2.0/24}}]}",
            "10.0.0.0-10.0.255.255 10.1.2.0-10.1.2.255 10.2.0.0-10.255.255.255",
        ),
        (
            "overlapping blocks",
            "{from: [{ipBlock: {cidr: 10.1.0.0/16}}, {ipBlock: {cidr: 10.0.0.0/8}}, {ipBlock: {cidr: '::/0'}}]}",
            "10.0.0.0-10.255.255.255 ::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        ),
    ];
    for (name, rule, expected) in table {
        let spec = format!("{{podSelector: {{}}, ingress: [{rule}]}}");
        let (world, program) = compile(&spec);
        assert_eq!(names(&world, &program, Direction::Ingress, 0), expected, "{name}");
    }
}

#[test]
fn isolation() {
    let both = "default/bare default/db default/web";
    let table = [
        ("ingress by default", "{podSelector: {}}", both, ""),
        ("egress if it has a rule", "{podSelector: {}, egress: [{}]}", both, both),
        ("no egress rule, no egress", "{podSelector: {}, egress: []}", both, ""),
        ("egress only", "{podSelector: {}, policyTypes: [Egress], ingress: [{}]}", "", both),
        ("both", "{podSelector: {}, policyTypes: [Ingress, Egress]}", both, both),
        ("some", "{podSelector: {matchLabels: {app: web}}}", "default/web", ""),
        ("none", "{podSelector: {matchLabels: {app: nobody}}}", "", ""),
    ];
    for (name, spec, ingress, egress) in table {
        let (_, program) = compile(spec);
        let isolated = |direction| {
            let isolated =
                program.endpoints.iter().filter(|it| it.tiers.contains_key(&(PolicyStage::Local, direction)));
            let names = isolated.filter_map(|endpoint| endpoint.pod_name()).map(ToString::to_string);
            names.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(isolated(Direction::Ingress), ingress, "{name}");
        assert_eq!(isolated(Direction::Egress), egress, "{name}");
    }
}

/// Numbered ports, then named ones by IPv4 address.
fn ports(world: &World, program: &Program, direction: Direction) -> String {
    let (_, policy) = program.policies().find(|(_, policy)| policy.direction == direction).unwrap();
    let [PortTest { negated: false, numbers, names }] = policy.rules[0].matches.destination_ports.as_slice()
    else {
        return "any".into();
    };
    let snapshot = world.snapshot();
    let mut all: Vec<String> = numbers
        .iter()
        .map(|port| {
            format!(
                "{}/{}",
                if port.first == port.last {
                    port.first.to_string()
                } else {
                    format!("{}-{}", port.first, port.last)
                },
                port.protocol
            )
        })
        .collect();
    let named = names.iter().flatten().filter(|port| port.address.is_ipv4());
    all.extend(named.map(|port| {
        let place = snapshot.place_of_address(port.address).map(|place| place.to_string());
        format!("{}:{}/{}", place.unwrap_or_default(), port.port, port.protocol)
    }));
    all.join(" ")
}

#[test]
fn ports_of_both_directions() {
    let ingress = Direction::Ingress;
    let egress = Direction::Egress;
    let table = [
        ("absent", ingress, "{}", "any"),
        ("an empty entry is all of TCP", ingress, "{ports: [{}]}", "0-65535/tcp"),
        ("TCP by default", ingress, "{ports: [{port: 80}]}", "80/tcp"),
        ("a union", ingress, "{ports: [{protocol: UDP}, {port: 80}]}", "80/tcp 0-65535/udp"),
        ("the end is included", ingress, "{ports: [{port: 80, endPort: 90}]}", "80-90/tcp"),
        (
            "overlaps",
            ingress,
            "{ports: [{port: 80, endPort: 90}, {port: 85, endPort: 99}, {port: 100}]}",
            "80-100/tcp",
        ),
        (
            "one number, two protocols",
            ingress,
            "{ports: [{port: 53}, {port: 53, protocol: UDP}]}",
            "53/tcp 53/udp",
        ),
        // The destination of an ingress rule is whom the policy selects, on this node.
        ("named", ingress, "{ports: [{port: http}]}", "pod/default/web:80/tcp pod/default/db:5432/tcp"),
        ("named, other protocol", ingress, "{ports: [{port: dns}]}", ""),
        ("named, UDP", ingress, "{ports: [{port: dns, protocol: UDP}]}", "pod/default/web:53/udp"),
        // That of an egress rule is any pod that is a peer.
        (
            "named, to everybody",
            egress,
            "{ports: [{port: http}]}",
            "pod/default/web:80/tcp pod/default/db:5432/tcp pod/other/web:8080/tcp pod/other/far:80/tcp",
        ),
        (
            "named, to some",
            egress,
            "{to: [{namespaceSelector: {matchLabels: {team: blue}}}], ports: [{port: http}]}",
            "pod/other/web:8080/tcp pod/other/far:80/tcp",
        ),
        (
            "named, to a block with pods in it",
            egress,
            "{to: [{ipBlock: {cidr: 10.244.2.0/24}}], ports: [{port: http}]}",
            "pod/other/far:80/tcp",
        ),
    ];
    for (name, direction, rule, expected) in table {
        let spec = match direction {
            Direction::Ingress => format!("{{podSelector: {{}}, ingress: [{rule}]}}"),
            Direction::Egress => format!("{{podSelector: {{}}, policyTypes: [Egress], egress: [{rule}]}}"),
        };
        let (world, program) = compile(&spec);
        let mut expected: Vec<&str> = expected.split(' ').collect();
        let found = ports(&world, &program, direction);
        let mut found: Vec<&str> = found.split(' ').collect();
        expected.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, expected, "{name}");
    }
}

#[test]
fn endpoints_of_a_node() {
    let snapshot = cluster().snapshot();
    let names = |node: &str| -> Vec<String> {
        Compiler::new(&snapshot)
            .node(node)
            .program()
            .endpoints
            .iter()
            .filter_map(|endpoint| endpoint.pod_name())
            .map(ToString::to_string)
            .collect()
    };
    // Neither the pod that has ended nor the one in the host's network.
    let of_node1 = ["default/bare", "default/db", "default/web", "kube-system/coredns", "other/web"];
    assert_eq!(names("node1"), of_node1);
    assert_eq!(names("node2"), ["other/far"]);
    assert_eq!(names("node3"), [""; 0]);
}
