//! Whatever changes, a program that follows the changes is the one that is compiled anew.

#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a test says what went wrong by panicking")]

mod world;

use netproof_controlplane::Snapshot;
use netproof_enforcer::program::{Compiler, NodeProgram, Program};
use netproof_model::{Families, PolicyKind, Wiring};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::Arc;
use world::{World, cluster_policy, namespace, pod, policy};

/// One change of a small world.
#[derive(Clone, Debug)]
enum Change {
    Pod { name: usize, node: usize, app: usize, port: usize, waits: bool },
    PodLabel { name: usize, app: Option<usize> },
    NoPod(usize),
    Namespace(usize, usize),
    Policy { name: usize, selector: usize, peer: usize, port: usize, direction: usize },
    NoPolicy(usize),
    Cluster { name: usize, subject: usize, peer: usize, port: usize, place: usize },
    NoCluster(usize),
    NodeLabel(usize),
}

const PODS: [&str; 5] = ["a", "b", "c", "other/a", "other/d"];
const APPS: [&str; 3] = ["app=x", "app=v", "app=x,tier=z"];
const POLICIES: [&str; 4] = ["p", "q", "other/p", "other/r"];
const SELECTORS: [&str; 4] = [
    "{}",
    "{matchLabels: {app: x}}",
    "{matchExpressions: [{key: app, operator: NotIn, values: [x]}]}",
    "{matchExpressions: [{key: tier, operator: In, values: [z]}]}",
];
const PEERS: [&str; 6] = [
    "",
    "{podSelector: {matchLabels: {app: v}}}",
    "{namespaceSelector: {matchLabels: {team: blue}}}",
    "{namespaceSelector: {}, podSelector: {matchLabels: {tier: z}}}",
    "{ipBlock: {cidr: 10.244.0.0/16}}",
    "{podSelector: {}}, {ipBlock: {cidr: 203.0.113.0/24, except: [203.0.113.64/26]}}",
];
const PORTS: [&str; 4] = ["", "{port: 80}", "{port: web}", "{port: web}, {port: 53, protocol: UDP}"];
const CLUSTER: [&str; 3] = ["p", "q", "r"];
const SUBJECTS: [&str; 3] = [
    "{namespaces: {matchLabels: {team: blue}}}",
    "{pods: {podSelector: {matchLabels: {app: x}}}}",
    "{pods: {namespaceSelector: {matchLabels: {team: red}}, podSelector: {}}}",
];
/// And whether they are of egress.
const CLUSTER_PEERS: [(&str, bool); 6] = [
    ("{namespaces: {matchLabels: {team: blue}}}", false),
    ("{pods: {podSelector: {matchLabels: {app: x}}}}", false),
    ("{pods: {namespaceSelector: {matchLabels: {team: blue}}, podSelector: {matchLabels: {app: v}}}}", true),
    ("{nodes: {matchLabels: {zone: a}}}", true),
    ("{nodes: {}}, {networks: [10.244.0.0/16]}", true),
    ("{namespaces: {}}, {networks: [203.0.113.0/24]}", true),
];
const PROTOCOLS: [&str; 3] =
    ["", "{tcp: {destinationPort: {number: 80}}}", "{udp: {destinationPort: {range: {start: 53, end: 54}}}}"];
const OF_PODS: [&str; 3] = ["", "web:80", "web:8080,dns:53/UDP"];

fn change() -> impl Strategy<Value = Change> {
    let policy = (0..POLICIES.len(), 0..SELECTORS.len(), 0..PEERS.len(), 0..PORTS.len(), 0..4usize);
    let cluster =
        (0..CLUSTER.len(), 0..SUBJECTS.len(), 0..CLUSTER_PEERS.len(), 0..PROTOCOLS.len(), 0..4usize);
    prop_oneof![
        3 => (0..PODS.len(), 0..2usize, 0..APPS.len(), 0..OF_PODS.len(), any::<bool>())
            .prop_map(|(name, node, app, port, waits)| Change::Pod { name, node, app, port, waits }),
        2 => (0..PODS.len(), proptest::option::of(0..2usize)).prop_map(|(name, app)| Change::PodLabel { name, app }),
        1 => (0..PODS.len()).prop_map(Change::NoPod),
        2 => (0..2usize, 0..3usize).prop_map(|(name, team)| Change::Namespace(name, team)),
        4 => policy.prop_map(|(name, selector, peer, port, direction)| {
            Change::Policy { name, selector, peer, port, direction }
        }),
        1 => (0..POLICIES.len()).prop_map(Change::NoPolicy),
        4 => cluster.prop_map(|(name, subject, peer, port, place)| {
            Change::Cluster { name, subject, peer, port, place }
        }),
        1 => (0..CLUSTER.len()).prop_map(Change::NoCluster),
        1 => (0..3usize).prop_map(Change::NodeLabel),
    ]
}

/// Makes the change, if it can be made in the state that there is.
fn apply(world: &mut World, there: &mut BTreeSet<String>, change: &Change) -> Option<Arc<Snapshot>> {
    match change {
        Change::Pod { name, node, app, port, waits } => {
            let name = PODS[*name];
            // A pod's node and ports never change: it goes, and comes again.
            if there.remove(&format!("pod/{name}")) {
                world.delete("pod", name);
            }
            there.insert(format!("pod/{name}"));
            let mut manifest = pod(name, ["node1", "node2"][*node], APPS[*app], OF_PODS[*port]);
            if *waits {
                manifest += "status: {phase: Succeeded}\n";
            }
            Some(world.apply(&manifest))
        }
        Change::PodLabel { name, app } if there.contains(&format!("pod/{}", PODS[*name])) => {
            Some(world.label("pod", PODS[*name], "app", app.map(|app| ["x", "v"][app])))
        }
        Change::NoPod(name) if there.remove(&format!("pod/{}", PODS[*name])) => {
            Some(world.delete("pod", PODS[*name]))
        }
        Change::Namespace(name, team) => {
            let team = [None, Some("blue"), Some("red")][*team];
            Some(world.label("namespace", ["other", "default"][*name], "team", team))
        }
        Change::NodeLabel(zone) => {
            Some(world.label("node", "node2", "zone", [None, Some("a"), Some("b")][*zone]))
        }
        Change::Cluster { name, subject, peer, port, place } => {
            let name = CLUSTER[*name];
            there.insert(format!("cluster/{name}"));
            let (subject, (peers, is_egress)) = (SUBJECTS[*subject], CLUSTER_PEERS[*peer]);
            let protocols = match PROTOCOLS[*port] {
                "" => String::new(),
                port => format!(", protocols: [{port}]"),
            };
            let (tier, action) =
                [("Admin", "Accept"), ("Admin", "Pass"), ("Baseline", "Deny"), ("Admin", "Deny")][*place];
            let list = if is_egress { ("egress", "to") } else { ("ingress", "from") };
            let rule = format!("{{action: {action}, {}: [{peers}]{protocols}}}", list.1);
            let spec =
                format!("{{tier: {tier}, priority: {place}, subject: {subject}, {}: [{rule}]}}", list.0);
            Some(world.apply(&cluster_policy(name, &spec)))
        }
        Change::NoCluster(name) if there.remove(&format!("cluster/{}", CLUSTER[*name])) => {
            Some(world.delete(PolicyKind::ClusterNetworkPolicy.word(), CLUSTER[*name]))
        }
        Change::Policy { name, selector, peer, port, direction } => {
            let name = POLICIES[*name];
            there.insert(format!("policy/{name}"));
            let (peers, ports) = (PEERS[*peer], PORTS[*port]);
            let list = |key: &str, items: &str| match items.is_empty() {
                true => String::new(),
                false => format!("{key}: [{items}], "),
            };
            let (ports, selector) = (list("ports", ports), SELECTORS[*selector]);
            let ingress = format!("ingress: [{{{}{ports}}}]", list("from", peers));
            let egress = format!("egress: [{{{}{ports}}}]", list("to", peers));
            let rules = match direction {
                0 => ingress,
                1 => format!("policyTypes: [Egress], {egress}"),
                2 => format!("policyTypes: [Ingress, Egress], {ingress}, {egress}"),
                _ => "policyTypes: [Ingress]".to_owned(),
            };
            Some(world.apply(&policy(name, &format!("{{podSelector: {selector}, {rules}}}"))))
        }
        Change::NoPolicy(name) if there.remove(&format!("policy/{}", POLICIES[*name])) => {
            Some(world.delete(PolicyKind::NetworkPolicy.word(), POLICIES[*name]))
        }
        Change::PodLabel { .. } | Change::NoPod(_) | Change::NoPolicy(_) | Change::NoCluster(_) => None,
    }
}

/// Whether a line begins a policy.
fn is_policy(line: &str) -> bool {
    line.starts_with("networkpolicy/") || line.starts_with("clusternetworkpolicy/")
}

/// A program as text in which identifiers play no part.
fn shown(program: &Program) -> (String, BTreeSet<String>) {
    let text = program.to_string();
    let policies: Vec<&str> = text.split_inclusive('\n').collect();
    let (endpoints, rest) =
        policies.split_at(policies.iter().position(|line| is_policy(line)).unwrap_or(policies.len()));
    let mut blocks = BTreeSet::new();
    let mut block = String::new();
    for line in rest {
        if !line.starts_with(' ') && !block.is_empty() {
            blocks.insert(std::mem::take(&mut block));
        }
        block += line;
    }
    blocks.insert(block);
    (endpoints.concat(), blocks)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn following_is_compiling_anew(changes in proptest::collection::vec(change(), 1..24)) {
        let mut world = World::new(Families::Dual, Wiring::Routed);
        world.apply(&namespace("other", "team=blue"));
        let mut compiler = Compiler::new(&world.snapshot());
        let nodes = ["node1", "node2"];
        let mut programs: Vec<NodeProgram> = nodes.iter().map(|node| compiler.node(node)).collect();
        let mut there = BTreeSet::new();
        for change in &changes {
            let Some(snapshot) = apply(&mut world, &mut there, change) else { continue };
            let changed = compiler.advance(&snapshot).unwrap();
            let fresh = Compiler::new(&snapshot);
            for (node, program) in nodes.iter().zip(&mut programs) {
                compiler.update(node, &changed, program);
                prop_assert_eq!(shown(program.program()), shown(fresh.node(node).program()), "{:?}", change);
            }
        }
    }
}
