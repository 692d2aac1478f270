//! Rulesets in a real kernel, in a user and network namespace of our own, without privilege.

#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a test says what went wrong by panicking")]

mod kernel_support;
mod world;

use kernel_support::node::{Fate, Node, connect};
use kernel_support::{dump, in_namespace_of_our_own, new_netns, policy_rules};
use libtest_mimic::{Arguments, Failed, Trial};
use netproof_enforcer::nft::{Agent, DEFAULT_SEND_BUFFER, Ruleset};
use netproof_enforcer::program::Compiler;
use netproof_enforcer::proxy::{NodeView, Site};
use netproof_enforcer::{
    Enforcer, NodeHandle, Numbers, Proxy, ProxyBehaviour, ProxyOptions, nftables, nftables_proxy, policy,
    proxy,
};
use netproof_model::{Families, Wiring};
use std::os::fd::AsFd;
use std::process::ExitCode;
use world::{World, cases};

/// Half of what the kernel makes of it: `net.core.wmem_max` of a stock kernel.
const STOCK_SEND_BUFFER: usize = 212_992;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    if let Err(error) = in_namespace_of_our_own() {
        eprintln!("no user and network namespace of our own: {error}");
        return ExitCode::FAILURE;
    }
    let tests = vec![
        Trial::test("every_ruleset_loads", every_ruleset_loads),
        Trial::test("a_change_equals_a_fresh_load", a_change_equals_a_fresh_load),
        Trial::test("five_thousand_rules_load_with_a_stock_send_buffer", five_thousand_rules),
        Trial::test("a_label_changes_elements_only", a_label_changes_elements_only),
        Trial::test("both_ends_must_allow", both_ends_must_allow),
        Trial::test("a_spoofed_source_is_dropped", a_spoofed_source_is_dropped),
        Trial::test("services_lead_to_endpoints", services_lead_to_endpoints),
    ];
    libtest_mimic::run(&arguments, tests).exit_code()
}

fn agent(send_buffer: usize) -> Result<Agent, Failed> {
    Ok(Agent::open(new_netns()?.as_fd(), send_buffer)?)
}

fn rulesets(numbers: &mut Numbers) -> Vec<(String, Ruleset)> {
    let mut rulesets = Vec::new();
    for case in cases::policies() {
        let compiler = Compiler::new(&case.snapshot);
        for node in ["node1", "node2"] {
            let ruleset = policy::render(&compiler.node(node), &case.snapshot.topology, numbers);
            rulesets.push((format!("{} {node}", case.name), ruleset));
        }
    }
    rulesets
}

fn proxy_rulesets(numbers: &mut Numbers) -> Vec<(String, Ruleset)> {
    let mut rulesets = Vec::new();
    for case in cases::services() {
        let services = proxy::inputs(&case.snapshot);
        for (node, behaviour) in [
            ("node1", ProxyBehaviour::Nftables),
            ("node2", ProxyBehaviour::Nftables),
            ("node1", ProxyBehaviour::Iptables),
        ] {
            let options = ProxyOptions { behaviour, ..ProxyOptions::default() };
            let view = NodeView::new(&case.snapshot, node);
            let site = Site { topology: &case.snapshot.topology, node: &view, options };
            let rendered = proxy::render(&services, site, numbers);
            rulesets.push((format!("{} {node} {}", case.name, behaviour.name()), rendered.ruleset));
        }
    }
    rulesets
}

fn every_ruleset_loads() -> Result<(), Failed> {
    let all = [rulesets(&mut Numbers::odd()), proxy_rulesets(&mut Numbers::even())].concat();
    for (name, ruleset) in all {
        agent(DEFAULT_SEND_BUFFER)?.apply(ruleset).map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(())
}

/// From every ruleset to the next and back, in one namespace, against each on its own. Also with every
/// change built side by side.
fn a_change_equals_a_fresh_load() -> Result<(), Failed> {
    for rulesets in [rulesets(&mut Numbers::odd()), proxy_rulesets(&mut Numbers::even())] {
        changes_equal_fresh_loads(&rulesets)?;
    }
    Ok(())
}

fn changes_equal_fresh_loads(rulesets: &[(String, Ruleset)]) -> Result<(), Failed> {
    let there_and_back = || rulesets.iter().chain(rulesets.iter().rev());
    for send_buffer in [DEFAULT_SEND_BUFFER, 4096] {
        let netns = new_netns()?;
        let mut changed = Agent::open(netns.as_fd(), send_buffer)?;
        for (name, ruleset) in there_and_back() {
            changed.apply(ruleset.clone()).map_err(|error| format!("{name}: {error}"))?;
            let fresh_netns = new_netns()?;
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

fn five_thousand_rules() -> Result<(), Failed> {
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
        policy::render(&Compiler::new(&snapshot).node("node1"), &snapshot.topology, &mut numbers)
    };
    let netns = new_netns()?;
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

fn a_label_changes_elements_only() -> Result<(), Failed> {
    let mut world = World::new(Families::Ipv4, Wiring::Routed);
    world.apply(&world::pod("web", "node1", "app=web", ""));
    world.apply(&world::pod("client", "node1", "app=client", ""));
    let spec = "{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: {role: friend}}}]}]}";
    world.apply(&world::policy("p", spec));
    let mut numbers = Numbers::odd();
    let mut agent = agent(DEFAULT_SEND_BUFFER)?;
    let mut apply = |world: &World| {
        let snapshot = world.snapshot();
        agent.apply(policy::render(&Compiler::new(&snapshot).node("node1"), &snapshot.topology, &mut numbers))
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

fn three_pods() -> World {
    let mut world = World::new(Families::Ipv4, Wiring::Routed);
    for name in ["web", "api", "client"] {
        world.apply(&world::pod(name, "node1", &format!("app={name}"), "http:80"));
    }
    world
}

fn handle(node: &Node) -> Vec<NodeHandle<'_>> {
    vec![NodeHandle { name: "node1".into(), netns: node.netns.as_fd() }]
}

/// The verdict of a chain that is entered by a jump or a goto, tried with packets.
fn both_ends_must_allow() -> Result<(), Failed> {
    let mut world = three_pods();
    let node = Node::build(&world.snapshot())?;
    let mut enforcer = nftables(&handle(&node))?;
    let web = node.listen("default/web", 80);
    let from = |name: &str| connect(node.pod(name), (node.address("default/web"), 80), &web);
    let saw = |name: &str| Fate::Connected(node.address(name).into());
    enforcer.program(&world.snapshot())?;
    assert_eq!(from("default/client"), saw("default/client"));

    // Two policies select the client: the first allows nothing of this, the second does. Each end asks
    // its own policies.
    world.apply(&world::policy(
        "a",
        "{podSelector: {matchLabels: {app: client}}, policyTypes: [Egress], egress: [{ports: [{port: 81}]}]}",
    ));
    enforcer.program(&world.snapshot())?;
    assert_eq!(from("default/client"), Fate::Dropped);
    assert_eq!(from("default/api"), saw("default/api"));
    world.apply(&world::policy("b", "{podSelector: {matchLabels: {app: client}}, policyTypes: [Egress], egress: [{to: [{podSelector: {matchLabels: {app: web}}}]}]}"));
    enforcer.program(&world.snapshot())?;
    assert_eq!(from("default/client"), saw("default/client"));
    world.apply(&world::policy("c", "{podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: {role: friend}}}], ports: [{port: http}]}]}"));
    enforcer.program(&world.snapshot())?;
    assert_eq!(from("default/client"), Fate::Dropped);
    enforcer.program(&world.label("pod", "client", "role", Some("friend")))?;
    assert_eq!(from("default/client"), saw("default/client"));
    assert_eq!(from("default/api"), Fate::Dropped);

    // The node reaches its own pods whatever they say; towards it a pod's egress policies hold.
    assert!(matches!(connect(&node.netns, (node.address("default/web"), 80), &web), Fate::Connected(_)));
    let address = "172.18.0.2".parse()?;
    assert_eq!(connect(node.pod("default/client"), (address, 9), &web), Fate::Dropped);
    assert_eq!(connect(node.pod("default/api"), (address, 9), &web), Fate::Refused);

    for policy in ["a", "b", "c"] {
        world.delete("networkpolicy", policy);
    }
    enforcer.program(&world.snapshot())?;
    assert_eq!(from("default/api"), saw("default/api"));
    Ok(())
}

fn a_spoofed_source_is_dropped() -> Result<(), Failed> {
    let world = three_pods();
    let node = Node::build(&world.snapshot())?;
    let api = node.address("default/api");
    node.claim("default/client", api)?;
    let witness = node.udp("default/web", node.address("default/web"), 53);
    let own = node.udp("default/client", node.address("default/client"), 1000);
    let spoofed = node.udp("default/client", api, 1001);
    let mut seen = [0; 8];
    let mut arrives = |socket: &std::net::UdpSocket| -> bool {
        socket.send_to(b"hello", witness.local_addr().unwrap()).unwrap();
        witness.recv(&mut seen).is_ok()
    };
    assert!(arrives(&own) && arrives(&spoofed), "without the check both arrive");
    nftables(&handle(&node))?.program(&world.snapshot())?;
    assert!(arrives(&own), "its own address passes");
    assert!(!arrives(&spoofed), "another pod's does not");
    Ok(())
}

fn services_lead_to_endpoints() -> Result<(), Failed> {
    let mut world = three_pods();
    world.apply(&world::service(
        "web",
        "{type: NodePort, clusterIP: 10.96.0.50, selector: {app: web}, ports: [{port: 8001, targetPort: http, nodePort: 30080}]}",
    ));
    world.apply(&world::service(
        "nobody",
        "{clusterIP: 10.96.0.51, selector: {app: nobody}, ports: [{port: 80}]}",
    ));
    let node = Node::build(&world.snapshot())?;
    let mut proxy = nftables_proxy(&handle(&node), ProxyOptions::default())?;
    let mut enforcer = nftables(&handle(&node))?;
    proxy.program(&world.snapshot())?;
    enforcer.program(&world.snapshot())?;
    let web = node.listen("default/web", 80);
    let to =
        |from: &str, address: &str, port| connect(node.pod(from), (address.parse().unwrap(), port), &web);
    let saw = |address: std::net::Ipv4Addr| Fate::Connected(address.into());
    let client = node.address("default/client");
    assert_eq!(to("default/client", "10.96.0.50", 8001), saw(client));
    assert_eq!(to("default/client", "10.96.0.50", 8002), Fate::Refused);
    assert_eq!(to("default/client", "10.96.0.51", 80), Fate::Refused);
    assert_eq!(to("default/client", "10.96.0.52", 80), Fate::Dropped);
    // A node port hides the client behind the node.
    let seen = to("default/client", "172.18.0.2", 30080);
    assert!(matches!(seen, Fate::Connected(source) if source != client), "{seen:?}");

    // A pod cannot block itself, not by its own service either.
    world.apply(&world::policy("deny", "{podSelector: {}, policyTypes: [Ingress, Egress]}"));
    enforcer.program(&world.snapshot())?;
    assert!(matches!(to("default/web", "10.96.0.50", 8001), Fate::Connected(_)));
    assert_eq!(to("default/client", "10.96.0.50", 8001), Fate::Dropped);

    // The endpoint goes, and the service refuses; policy has no say in it.
    proxy.program(&world.label("pod", "web", "app", Some("other")))?;
    enforcer.program(&world.snapshot())?;
    assert_eq!(to("default/client", "10.96.0.50", 8001), Fate::Refused);
    Ok(())
}
