//! Calico's policies on pods, as programs and followed from change to change.

#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a test says what went wrong by panicking")]

mod world;

use netproof_controlplane::Snapshot;
use netproof_enforcer::program::{Compiler, NodeProgram, Program};
use netproof_model::{Families, PolicyKey, PolicyKind, Wiring};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;
use world::calico::{CalicoObjects, calico_policy, set, tier};
use world::{World, namespace, pod, policy, service, slice};

/// Two namespaces with pods, sets of each scope, and a service.
fn shop(families: Families) -> (World, CalicoObjects) {
    let mut world = World::new(families, Wiring::Routed);
    let namespaces = namespace("shop", "team=blue") + &namespace("other", "team=red");
    let mut pods = pod("shop/web", "node1", "app=web", "http:80,dns:53/UDP");
    pods += &pod("shop/api", "node2", "app=api", "http:8080");
    pods += &pod("other/web", "node1", "app=web", "http:81");
    pods += &pod("other/bot", "node2", "app=bot", "").replace("spec: {", "spec: {serviceAccountName: bot, ");
    let services = service("shop/api", "{selector: {app: api}, ports: [{port: 80, targetPort: http}]}");
    world.apply(&(namespaces + &pods + &services + &slice("outside-1", "outside", "203.0.113.9")));
    let mut objects = CalicoObjects::default();
    objects.apply(&set("shop/partners", "app: partner", "198.51.100.0/24, 198.51.100.7/32, 'fd00:51::/64'"));
    objects.apply(&set("other/partners", "app: partner", "198.51.101.0/24"));
    objects.apply(&set("world", "app: partner, scope: world", "203.0.113.0/25"));
    (world, objects)
}

/// The lines of a program about one policy.
fn rules_of(program: &Program, policy: &str) -> String {
    let text = program.to_string();
    let lines = text.lines().skip_while(|line| !line.starts_with(policy));
    lines.skip(1).take_while(|line| line.starts_with(' ')).map(|line| format!("{}\n", line.trim())).collect()
}

/// Rules of a policy of the namespace `shop` and of one of none, and which packets they match.
#[test]
fn every_field_of_a_rule() {
    let ingress = [
        "action: Allow",
        "action: Deny, source: {selector: all()}",
        "action: Pass, source: {selector: \"app == 'partner'\"}",
        "action: Log, source: {notSelector: \"app == 'web'\"}",
        "action: Allow, source: {selector: has(app), notSelector: \"app == 'web'\"}",
        "action: Allow, source: {namespaceSelector: \"team == 'red'\"}",
        "action: Allow, source: {namespaceSelector: \"team != 'red'\", selector: \"app == 'partner'\"}",
        "action: Allow, source: {namespaceSelector: all()}",
        "action: Allow, source: {namespaceSelector: global()}",
        "action: Allow, source: {namespaceSelector: all(), serviceAccounts: {names: [bot]}}",
        "action: Allow, source: {namespaceSelector: all(), serviceAccounts: {selector: \"projectcalico.org/name == 'bot'\"}}",
        "action: Allow, source: {selector: \"app == 'nobody'\"}",
        "action: Allow, source: {nets: [10.0.0.0/8, 10.1.0.0/16], notNets: [10.2.0.0/16]}",
        "action: Allow, source: {notNets: ['fd00::/8']}",
        "action: Allow, source: {nets: [10.0.0.0/8]}, destination: {nets: ['fd00::/8']}",
        "action: Allow, ipVersion: 6",
        "action: Allow, protocol: 47, notProtocol: UDP",
        "action: Allow, protocol: ICMP, icmp: {type: 8, code: 0}",
        "action: Allow, protocol: ICMPv6, notICMP: {type: 128}",
        "action: Allow, notICMP: {type: 8}",
        "action: Allow, protocol: TCP, destination: {ports: [80, '81:90', http]}",
        "action: Allow, protocol: UDP, destination: {notPorts: [53, dns]}",
        "action: Allow, protocol: SCTP, source: {ports: ['1:65535']}",
        "action: Allow, source: {ports: [http]}",
        "action: Allow, protocol: TCP, source: {selector: \"app == 'web'\", notPorts: [http]}",
        "action: Allow, source: {services: {name: api, namespace: shop}}",
    ];
    let egress = [
        "action: Allow, destination: {services: {name: api, namespace: shop}}",
        "action: Allow, destination: {services: {name: outside, namespace: default}}",
        "action: Allow, destination: {services: {name: api}}",
        "action: Allow, protocol: TCP, destination: {ports: [http]}",
        "action: Allow, protocol: TCP, destination: {namespaceSelector: \"team == 'red'\", ports: [http]}",
    ];
    let (world, mut objects) = shop(Families::Dual);
    let mut shown = String::new();
    for (direction, rules) in [("ingress", ingress.as_slice()), ("egress", &egress)] {
        for rule in rules {
            writeln!(shown, "{rule}").unwrap();
            for name in ["shop/p", "p"] {
                let types = if direction == "ingress" { "Ingress" } else { "Egress" };
                let keys = objects.apply(&calico_policy(
                    name,
                    &format!("selector: \"app == 'web'\", types: [{types}], {direction}: [{{{rule}}}]"),
                ));
                let compiler = Compiler::new(&objects.beside(&world.snapshot()));
                let matches = rules_of(compiler.node("node1").program(), &keys[0].to_string());
                write!(shown, "    {:<6}  {matches}", name).unwrap();
                objects.delete(&keys[0]);
            }
        }
    }
    insta::assert_snapshot!(shown);
}

/// Tiers by order and name, policies by order and name, NetworkPolicies among them, and what has no part.
#[test]
fn tiers_and_policies_stand_in_order() {
    let (mut world, mut objects) = shop(Families::Ipv4);
    let all = "types: [Ingress], ingress: [{action: Pass}]";
    for (name, order, end) in
        [("late", 2e6, "Deny"), ("a0", 1e6, "Pass"), ("zz", 1e6, "Deny"), ("first", -5.0, "Pass")]
    {
        objects.apply(&tier(name, order, end));
        objects.apply(&calico_policy(&format!("in-{name}"), &format!("tier: {name}, {all}")));
    }
    for (name, spec) in [
        ("missing", "tier: no-such, types: [Ingress]"),
        ("baseline", "tier: kube-baseline, types: [Ingress]"),
        ("admin", "tier: kube-admin, types: [Ingress]"),
        ("egress-only", "tier: first, types: [Egress], ingress: [{action: Deny}]"),
        ("not-this-pod", "selector: \"app == 'api'\", types: [Ingress]"),
        ("untracked", "types: [Ingress], doNotTrack: true, applyOnForward: true"),
        ("before-dnat", "types: [Ingress], preDNAT: true, applyOnForward: true"),
        ("forwarded", "types: [Ingress], applyOnForward: true, order: 3"),
        ("last", "types: [Ingress]"),
        ("zero", "types: [Ingress], order: 0"),
        ("below", "types: [Ingress], order: -1.5"),
        ("a10", "types: [Ingress], order: 7"),
        ("a2", "types: [Ingress], order: 7"),
        ("a", "types: [Ingress], order: 7"),
        ("a-b", "types: [Ingress], order: 7"),
        ("shop/a", "types: [Ingress], order: 7"),
        ("b", "types: [Ingress], order: 1000"),
        ("shop/n", "types: [Ingress], order: 1000"),
        ("before", "types: [Ingress], order: 999.5"),
    ] {
        objects.apply(&calico_policy(name, spec));
    }
    let staged =
        "---\nkind: policy\nmetadata: {name: staged}\nstaged: Set\nspec: {tier: first, types: [Ingress]}\n";
    objects.apply(staged);
    world.apply(&(policy("shop/n", "{podSelector: {}}") + &policy("shop/n-1", "{podSelector: {}}")));
    let compiler = Compiler::new(&objects.beside(&world.snapshot()));
    let program = compiler.node("node1").program().to_string();
    let web = program.split("pod/").find(|it| it.starts_with("shop/web")).unwrap();
    let web = web.split("\nglobalnetworkpolicy").next().unwrap();
    insta::assert_snapshot!(web);
}

/// NetworkPolicies alone are the tier that they always were.
#[test]
fn network_policies_alone_isolate() {
    let (mut world, mut objects) = shop(Families::Ipv4);
    world.apply(&policy("shop/n", "{podSelector: {}}"));
    objects.apply(&calico_policy("p", "selector: \"app == 'api'\", types: [Ingress]"));
    let compiler = Compiler::new(&objects.beside(&world.snapshot()));
    let shown = |node: &str, pod: &str| {
        let program = compiler.node(node).program().to_string();
        let own = program.split("pod/").find(|it| it.starts_with(pod)).unwrap().to_owned();
        own.lines().find(|line| line.contains("tier")).unwrap().trim().to_owned()
    };
    assert_eq!(shown("node1", "shop/web"), "tier networkpolicy, else isolation");
    assert_eq!(shown("node2", "shop/api"), "tier default, else drop");
}

/// One change of a small world.
#[derive(Clone, Debug)]
enum Change {
    Pod { name: usize, node: usize, labels: usize, account: usize, ports: usize },
    PodLabel { name: usize, key: usize, value: Option<usize> },
    NoPod(usize),
    Namespace { name: usize, value: Option<usize> },
    Slice { service: usize, address: usize },
    NoSlice(usize),
    Set { name: usize, label: usize, nets: usize },
    NoSet(usize),
    Tier { name: usize, order: usize, end: usize },
    NoTier(usize),
    Policy { name: usize, subject: usize, tier: usize, order: usize, rules: Vec<(usize, usize)> },
    NoPolicy(usize),
}

const PODS: [&str; 4] = ["shop/a", "shop/b", "other/a", "other/c"];
const LABELS: [&str; 3] = ["app=x", "app=v", "app=x,tier=z"];
const KEYS: [&str; 2] = ["app", "tier"];
const VALUES: [&str; 3] = ["x", "v", "z"];
const NAMESPACES: [&str; 2] = ["shop", "other"];
const TEAMS: [&str; 2] = ["blue", "red"];
const OF_PODS: [&str; 3] = ["", "web:80", "web:8080,dns:53/UDP"];
const ACCOUNTS: [&str; 2] = ["default", "bot"];
const SETS: [&str; 3] = ["shop/s", "other/s", "s"];
const NETS: [&str; 3] = ["", "10.244.0.0/16", "203.0.113.0/24, 'fd00::/8'"];
const TIERS: [&str; 3] = ["one", "two", "default"];
const POLICIES: [&str; 4] = ["p", "q", "shop/p", "other/p"];
const ORDERS: [&str; 3] = ["", ", order: 5", ", order: 2000"];
const SUBJECTS: [&str; 6] = [
    "",
    ", selector: \"app == 'x'\"",
    ", selector: \"!has(tier) || app in {'v'}\"",
    ", namespaceSelector: \"team == 'blue'\"",
    ", namespaceSelector: \"team != 'blue'\", selector: has(app)",
    ", serviceAccountSelector: \"projectcalico.org/name == 'bot'\"",
];
const ENDS: [&str; 10] = [
    "",
    "selector: all()",
    "selector: \"app == 'v'\"",
    "notSelector: \"app == 'x'\"",
    "namespaceSelector: \"team == 'red'\", selector: \"app != 'x'\"",
    "namespaceSelector: global()",
    "nets: [10.0.0.0/8]",
    "ports: [web]",
    "selector: has(tier), ports: [web]",
    "serviceAccounts: {names: [bot]}",
];
const OTHER_RULES: [&str; 3] = [
    "ingress: [{action: Allow, source: {services: {name: api, namespace: default}}}]",
    "egress: [{action: Deny, destination: {services: {name: db, namespace: default}}}]",
    "egress: [{action: Log}, {action: Allow, protocol: TCP, source: {ports: [web]}}]",
];
const SERVICES: [&str; 2] = ["api", "db"];

fn change() -> impl Strategy<Value = Change> {
    let rules = proptest::collection::vec((0..2usize, 0..ENDS.len() + OTHER_RULES.len()), 1..3);
    prop_oneof![
        4 => (0..PODS.len(), 0..2usize, 0..LABELS.len(), 0..2usize, 0..OF_PODS.len())
            .prop_map(|(name, node, labels, account, ports)| Change::Pod { name, node, labels, account, ports }),
        2 => (0..PODS.len(), 0..2usize, proptest::option::of(0..VALUES.len()))
            .prop_map(|(name, key, value)| Change::PodLabel { name, key, value }),
        1 => (0..PODS.len()).prop_map(Change::NoPod),
        2 => (0..2usize, proptest::option::of(0..2usize)).prop_map(|(name, value)| Change::Namespace { name, value }),
        1 => (0..2usize, 1..4usize).prop_map(|(service, address)| Change::Slice { service, address }),
        1 => (0..2usize).prop_map(Change::NoSlice),
        2 => (0..SETS.len(), 0..VALUES.len(), 0..NETS.len()).prop_map(|(name, label, nets)| Change::Set { name, label, nets }),
        1 => (0..SETS.len()).prop_map(Change::NoSet),
        1 => (0..TIERS.len(), 0..3usize, 0..2usize).prop_map(|(name, order, end)| Change::Tier { name, order, end }),
        1 => (0..TIERS.len()).prop_map(Change::NoTier),
        5 => (0..POLICIES.len(), 0..SUBJECTS.len(), 0..TIERS.len(), 0..ORDERS.len(), rules).prop_map(
            |(name, subject, tier, order, rules)| Change::Policy { name, subject, tier, order, rules }
        ),
        1 => (0..POLICIES.len()).prop_map(Change::NoPolicy),
    ]
}

/// A world that changes.
struct Changing {
    world: World,
    objects: CalicoObjects,
    there: BTreeSet<String>,
}

impl Changing {
    fn key(kinds: [PolicyKind; 2], name: &str) -> PolicyKey {
        match name.split_once('/') {
            Some((namespace, name)) => PolicyKey::namespaced(kinds[0], namespace, name),
            None => PolicyKey::cluster(kinds[1], name),
        }
    }

    /// Makes the change, if it can be made in the state that there is.
    fn apply(&mut self, change: &Change) -> Option<Arc<Snapshot>> {
        match change {
            Change::Pod { name, node, labels, account, ports } => {
                let name = PODS[*name];
                // A pod's node and ports never change: it goes, and comes again.
                if self.there.remove(&format!("pod/{name}")) {
                    self.world.delete("pod", name);
                }
                self.there.insert(format!("pod/{name}"));
                let manifest = pod(name, ["node1", "node2"][*node], LABELS[*labels], OF_PODS[*ports]);
                let account = format!("spec: {{serviceAccountName: {}, ", ACCOUNTS[*account]);
                self.world.apply(&manifest.replace("spec: {", &account));
            }
            Change::PodLabel { name, key, value } if self.there.contains(&format!("pod/{}", PODS[*name])) => {
                self.world.label("pod", PODS[*name], KEYS[*key], value.map(|value| VALUES[value]));
            }
            Change::NoPod(name) if self.there.remove(&format!("pod/{}", PODS[*name])) => {
                self.world.delete("pod", PODS[*name]);
            }
            Change::Namespace { name, value } => {
                self.world.label("namespace", NAMESPACES[*name], "team", value.map(|value| TEAMS[value]));
            }
            Change::Slice { service, address } => {
                let service = SERVICES[*service];
                self.there.insert(format!("slice/{service}"));
                self.world.apply(&slice(&format!("{service}-1"), service, &format!("203.0.113.{address}")));
            }
            Change::NoSlice(service) if self.there.remove(&format!("slice/{}", SERVICES[*service])) => {
                self.world.delete("endpointslice", &format!("{}-1", SERVICES[*service]));
            }
            Change::Set { name, label, nets } => {
                self.objects.apply(&set(SETS[*name], &format!("app: {}", VALUES[*label]), NETS[*nets]));
            }
            Change::NoSet(name) => {
                let key = Self::key([PolicyKind::NetworkSet, PolicyKind::GlobalNetworkSet], SETS[*name]);
                self.objects.delete(&key).then_some(())?;
            }
            Change::Tier { name, order, end } => {
                let order = [10.0, 20.0, 3e6][*order];
                self.objects.apply(&tier(TIERS[*name], order, ["Deny", "Pass"][*end]));
            }
            Change::NoTier(name) => {
                self.objects.delete(&PolicyKey::cluster(PolicyKind::Tier, TIERS[*name])).then_some(())?;
            }
            Change::Policy { name, subject, tier, order, rules } => {
                let mut spec = format!("types: [Ingress, Egress], tier: {}", TIERS[*tier]);
                spec += ORDERS[*order];
                // A policy of a namespace has no `namespaceSelector`.
                let is_namespaced = POLICIES[*name].contains('/');
                if !(is_namespaced && SUBJECTS[*subject].contains("namespaceSelector")) {
                    spec += SUBJECTS[*subject];
                }
                let mut lists = [String::new(), String::new()];
                for (direction, end) in rules {
                    match ENDS.get(*end) {
                        Some(end) => {
                            let which = ["source", "destination"][*direction];
                            write!(lists[*direction], "{{action: Allow, {which}: {{{end}}}}}, ").unwrap();
                        }
                        None => {
                            let (list, rule) = OTHER_RULES[*end - ENDS.len()].split_once(": [").unwrap();
                            let rule = rule.strip_suffix(']').unwrap();
                            write!(lists[usize::from(list == "egress")], "{rule}, ").unwrap();
                        }
                    }
                }
                write!(spec, ", ingress: [{}], egress: [{}]", lists[0], lists[1]).unwrap();
                self.objects.apply(&calico_policy(POLICIES[*name], &spec));
            }
            Change::NoPolicy(name) => {
                let kinds = [PolicyKind::CalicoNetworkPolicy, PolicyKind::GlobalNetworkPolicy];
                self.objects.delete(&Self::key(kinds, POLICIES[*name])).then_some(())?;
            }
            Change::PodLabel { .. } | Change::NoPod(_) | Change::NoSlice(_) => return None,
        }
        Some(self.objects.beside(&self.world.snapshot()))
    }
}

/// A program as text in which identifiers play no part: endpoints, and each policy.
fn shown(program: &Program) -> BTreeSet<String> {
    let mut blocks = BTreeSet::new();
    let mut block = String::new();
    for line in program.to_string().split_inclusive('\n') {
        if !line.starts_with(' ') {
            blocks.insert(std::mem::take(&mut block));
        }
        block += line;
    }
    blocks.insert(block);
    blocks
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn following_is_compiling_anew(changes in proptest::collection::vec(change(), 1..24)) {
        let mut world = World::new(Families::Dual, Wiring::Routed);
        world.apply(&(namespace("shop", "team=blue") + &namespace("other", "")));
        world.apply(&policy("shop/n", "{podSelector: {matchLabels: {app: x}}}"));
        let mut compiler = Compiler::new(&world.snapshot());
        let nodes = ["node1", "node2"];
        let mut programs: Vec<NodeProgram> = nodes.iter().map(|node| compiler.node(node)).collect();
        let mut changing = Changing { world, objects: CalicoObjects::default(), there: BTreeSet::new() };
        for change in &changes {
            let Some(snapshot) = changing.apply(change) else { continue };
            let changed = compiler.advance(&snapshot).unwrap();
            let fresh = Compiler::new(&snapshot);
            for (node, program) in nodes.iter().zip(&mut programs) {
                compiler.update(node, &changed, program);
                prop_assert_eq!(shown(program.program()), shown(fresh.node(node).program()), "{:?}", change);
            }
        }
    }
}
