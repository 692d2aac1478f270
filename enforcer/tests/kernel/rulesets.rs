//! Rulesets as the kernel takes and holds them.

use crate::kernel_support::{dump, policy_rules};
use crate::programs;
use crate::world::{self, World, cases};
use libtest_mimic::Failed;
use netproof_cluster::Netns;
use netproof_controlplane::Snapshot;
use netproof_enforcer::backend::nft::policies;
use netproof_enforcer::backend::nft::services;
use netproof_enforcer::program::Compiler;
use netproof_enforcer::proxy;
use netproof_enforcer::services::{NodeView, ServiceProgram, ServiceSite};
use netproof_enforcer::{Backend, Enforcer, NodeHandle, Numbers, PolicyEnforcer, ProxyMode};
use netproof_model::{Families, PolicyKind, Wiring};
use netproof_netfilter::nft::{Agent, Chain, DEFAULT_SEND_BUFFER, Ruleset};
use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::sync::Arc;

/// Half of what the kernel makes of it: `net.core.wmem_max` of a stock kernel.
const STOCK_SEND_BUFFER: usize = 212_992;

pub fn every_ruleset_loads() -> Result<(), Failed> {
    let all = [rulesets(&mut Numbers::odd()), proxy_rulesets(&mut Numbers::even())].concat();
    for (name, ruleset) in all {
        agent(DEFAULT_SEND_BUFFER)?.apply(ruleset).map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(())
}

/// Tiers, passes, denials, negations and every kind of match. What is not rendered is refused.
pub fn every_program_of_pods_loads() -> Result<(), Failed> {
    let topology = World::new(Families::Dual, Wiring::Routed).snapshot().topology.clone();
    let render = |program| policies::render(&program, &topology, &mut Numbers::odd());
    for program in
        [programs::of_everything(), programs::four_global_policies(), programs::cluster_network_policy()]
    {
        agent(DEFAULT_SEND_BUFFER)?.apply(render(program)?)?;
    }
    let refused = render(programs::node_ports_before_dnat()).unwrap_err();
    let stage = "policy at the stage preDNAT is not rendered with nftables: ";
    assert!(refused.to_string().starts_with(stage), "{refused}");
    Ok(())
}

/// From every ruleset to the next and back, in one namespace, against each on its own. Also with every
/// change built side by side.
pub fn a_change_equals_a_fresh_load() -> Result<(), Failed> {
    for rulesets in [rulesets(&mut Numbers::odd()), proxy_rulesets(&mut Numbers::even())] {
        changes_equal_fresh_loads(&rulesets)?;
    }
    Ok(())
}

/// Pods, policies, labels and namespaces come, change and go in one enforcer; each time another one starts from
/// nothing.
pub fn following_equals_a_fresh_load() -> Result<(), Failed> {
    for wiring in [Wiring::Routed, Wiring::Bridge] {
        let mut world = World::new(Families::Dual, wiring);
        world.apply(&world::namespace("other", "team=blue"));
        let mut states = vec![world.snapshot()];
        for (name, app) in [("web", "web"), ("api", "api"), ("other/client", "client")] {
            states.push(world.apply(&world::pod(name, "node1", &format!("app={app}"), "http:80")));
        }
        let blue = "{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{namespaceSelector: {matchLabels: {team: blue}}}], ports: [{port: http}, {port: 81}]}]}";
        let blocks = "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8, except: [10.1.0.0/16]}}], ports: [{port: http}]}]}";
        states.push(world.apply(&world::policy("a", blue)));
        states.push(world.apply(&world::policy("b", blocks)));
        states.push(
            world.apply(&world::policy("b", &blocks.replace("10.1.0.0/16", "10.1.0.0/16, 10.2.0.0/16"))),
        );
        states.push(world.label("pod", "web", "app", Some("other")));
        states.push(world.label("namespace", "other", "team", Some("red")));
        states.push(world.label("pod", "web", "app", Some("web")));
        states.push(world.label("namespace", "other", "team", Some("blue")));
        states.push(world.delete("pod", "other/client"));
        // The address of the pod that went goes to another one.
        states.push(world.apply(&world::pod("client", "node1", "app=web", "http:8080")));
        states.push(world.apply(&world::pod("other/client", "node2", "app=client", "http:80")));
        states.push(
            world.apply(&(world::policy("a", blocks) + &world::policy("other/c", "{podSelector: {}}"))),
        );
        states.push(world.delete(PolicyKind::NetworkPolicy.word(), "b"));
        states.push(world.delete(PolicyKind::NetworkPolicy.word(), "a"));
        states.push(world.delete(PolicyKind::NetworkPolicy.word(), "other/c"));
        follow(&states)?;
    }
    Ok(())
}

fn follow(states: &[Arc<Snapshot>]) -> Result<(), Failed> {
    let netns = Netns::new()?;
    let mut following = PolicyEnforcer::open(Backend::Nftables, &[handle(&netns)])?;
    for (position, snapshot) in states.iter().enumerate() {
        following.program(snapshot)?;
        assert_eq!(following.generation("node1"), Some(snapshot.generation), "state {position}");
        assert!(!following.cost("node1").unwrap().side_by_side, "state {position}");
        let fresh_netns = Netns::new()?;
        let mut fresh = PolicyEnforcer::open(Backend::Nftables, &[handle(&fresh_netns)])?;
        fresh.program(snapshot)?;
        let rules = |enforcer: &PolicyEnforcer| without_numbers(enforcer.rules("node1").unwrap());
        assert_eq!(rules(&following), rules(&fresh), "state {position}");
        let (held, expected) = (without_numbers(dump(&netns)?), without_numbers(dump(&fresh_netns)?));
        assert_eq!(held.lines().count(), expected.lines().count(), "state {position}");
    }
    Ok(())
}

fn handle(netns: &Netns) -> NodeHandle<'_> {
    NodeHandle { name: "node1".into(), netns: netns.as_fd() }
}

/// Decisions are numbered in the order in which they are needed, and rules' sets have the numbers in their names.
fn without_numbers(text: String) -> String {
    let mut parts = ["netproof:", "comment \"", "rule"].into_iter().fold(text, |text, before| {
        let pieces = text.split(before).map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
        pieces.collect::<Vec<_>>().join(before)
    });
    // Sets stand in the order of their names.
    let mut lines: Vec<&str> = parts.lines().collect();
    lines.sort_unstable();
    parts = lines.join("\n");
    parts
}

fn changes_equal_fresh_loads(rulesets: &[(String, Ruleset)]) -> Result<(), Failed> {
    let there_and_back = || rulesets.iter().chain(rulesets.iter().rev());
    for send_buffer in [DEFAULT_SEND_BUFFER, 4096] {
        let netns = Netns::new()?;
        let mut changed = Agent::open(netns.as_fd(), send_buffer)?;
        for (name, ruleset) in there_and_back() {
            changed.apply(ruleset.clone()).map_err(|error| format!("{name}: {error}"))?;
            let fresh_netns = Netns::new()?;
            Agent::open(fresh_netns.as_fd(), DEFAULT_SEND_BUFFER)?.apply(ruleset.clone())?;
            let (got, expected) = (dump(&netns)?, dump(&fresh_netns)?);
            if got != expected {
                return Err(
                    format!("{name}, send buffer {send_buffer}:\n{got}\nexpected:\n{expected}").into()
                );
            }
        }
    }
    Ok(())
}

pub fn five_thousand_rules() -> Result<(), Failed> {
    let mut world = World::new(Families::Ipv4, Wiring::Routed);
    let mut objects = String::new();
    for pod in 0..50 {
        objects += &world::pod(&format!("pod{pod}"), "node1", &format!("app=a{pod}"), "");
    }
    for policy in 0..500 {
        let rules: String = (0..10)
            .map(|rule| {
                let (pod, port) = ((policy + rule) % 50, 1000 + rule);
                format!("{{from: [{{podSelector: {{matchLabels: {{app: a{pod}}}}}}}], ports: [{{port: {port}}}]}},")
            })
            .collect();
        let spec = format!("{{podSelector: {{matchLabels: {{app: a{}}}}}, ingress: [{rules}]}}", policy % 50);
        objects += &world::policy(&format!("policy{policy}"), &spec);
    }
    world.apply(&objects);
    let mut numbers = Numbers::odd();
    let mut render = |world: &World| {
        let snapshot = world.snapshot();
        policies::render(Compiler::new(&snapshot).node("node1").program(), &snapshot.topology, &mut numbers)
            .unwrap()
    };
    let netns = Netns::new()?;
    let mut agent = Agent::open(netns.as_fd(), STOCK_SEND_BUFFER)?;
    if agent.send_limit() > 425_984 {
        return Err(format!("the socket sends {} bytes", agent.send_limit()).into());
    }
    let report = agent.apply(render(&world))?;
    assert!(report.side_by_side && report.transactions > 2, "{report:?}");

    assert_eq!(policy_rules(&netns)?, 5000);

    // Small changes afterwards are small again, under the new epoch's names.
    world.label("pod", "pod7", "app", Some("a8"));
    let report = agent.apply(render(&world))?;
    assert!(!report.side_by_side, "{report:?}");

    // Ten policies with ten rules each select no pod any more.
    assert_eq!(policy_rules(&netns)?, 4900);
    Ok(())
}

pub fn a_label_changes_elements_only() -> Result<(), Failed> {
    let mut world = World::new(Families::Ipv4, Wiring::Routed);
    world.apply(&world::pod("web", "node1", "app=web", ""));
    world.apply(&world::pod("client", "node1", "app=client", ""));
    let spec = "{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: {role: friend}}}]}]}";
    world.apply(&world::policy("p", spec));
    let mut numbers = Numbers::odd();
    let mut agent = agent(DEFAULT_SEND_BUFFER)?;
    let mut apply = |world: &World| {
        let snapshot = world.snapshot();
        agent.apply(
            policies::render(
                Compiler::new(&snapshot).node("node1").program(),
                &snapshot.topology,
                &mut numbers,
            )
            .unwrap(),
        )
    };
    apply(&world)?;
    world.label("pod", "client", "role", Some("friend"));
    let report = apply(&world)?;
    assert_eq!((report.transactions, report.messages), (1, 1), "{report:?}");
    world.label("pod", "client", "role", None);
    let report = apply(&world)?;
    assert_eq!((report.transactions, report.messages), (1, 1), "{report:?}");
    Ok(())
}

/// A chain whose name the kernel does not take comes last, after several transactions.
pub fn a_failed_side_by_side_load() -> Result<(), Failed> {
    let rulesets = proxy_rulesets(&mut Numbers::even());
    let (_, good) = rulesets.last().ok_or("no rulesets")?;
    let mut bad = good.clone();
    let table = bad.tables.values_mut().last().ok_or("no table")?;
    table.chains.insert("z".repeat(400), Chain::default());
    let netns = Netns::new()?;
    let mut agent = Agent::open(netns.as_fd(), 4096)?;
    for _ in 0..2 {
        assert!(agent.apply(bad.clone()).is_err());
    }
    let report = agent.apply(good.clone())?;
    assert!(report.side_by_side && report.transactions > 2, "{report:?}");
    // Again, beside what is in force: that stays.
    assert!(agent.apply(bad).is_err());
    let (_, other) = rulesets.first().ok_or("no rulesets")?;
    agent.apply(other.clone())?;
    agent.apply(good.clone())?;
    let fresh_netns = Netns::new()?;
    Agent::open(fresh_netns.as_fd(), DEFAULT_SEND_BUFFER)?.apply(good.clone())?;
    assert_eq!(dump(&netns)?, dump(&fresh_netns)?);
    Ok(())
}

fn agent(send_buffer: usize) -> Result<Agent, Failed> {
    Ok(Agent::open(Netns::new()?.as_fd(), send_buffer)?)
}

fn rulesets(numbers: &mut Numbers) -> Vec<(String, Ruleset)> {
    let mut rulesets = Vec::new();
    for case in cases::policies() {
        let compiler = Compiler::new(&case.snapshot);
        for node in ["node1", "node2"] {
            let ruleset =
                policies::render(compiler.node(node).program(), &case.snapshot.topology, numbers).unwrap();
            rulesets.push((format!("{} {node}", case.name), ruleset));
        }
    }
    rulesets
}

fn proxy_rulesets(numbers: &mut Numbers) -> Vec<(String, Ruleset)> {
    let mut rulesets = Vec::new();
    for case in cases::services() {
        let gathered = proxy::inputs(&case.snapshot);
        for (node, mode) in
            [("node1", ProxyMode::Nftables), ("node2", ProxyMode::Nftables), ("node1", ProxyMode::Iptables)]
        {
            let view = NodeView::new(&case.snapshot, node).unwrap();
            let site = ServiceSite {
                generation: case.snapshot.generation,
                topology: &case.snapshot.topology,
                node: &view,
                behaviour: mode.into(),
                masquerade_all: false,
            };
            let program = ServiceProgram::new(&gathered, BTreeSet::new(), site);
            let rendered = services::render(&program, site, numbers);
            rulesets.push((format!("{} {node} {}", case.name, mode.name()), rendered.ruleset));
        }
    }
    rulesets
}
