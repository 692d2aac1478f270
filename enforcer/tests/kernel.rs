//! Rulesets in a real kernel, in a user and network namespace of our own, without privilege.

#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a test says what went wrong by panicking")]

mod kernel_support;
mod world;

use kernel_support::node::{Fate, Node, PATIENCE, connect, received, within};
use kernel_support::{dump, in_namespace_of_our_own, new_netns, policy_rules};
use libtest_mimic::{Arguments, Failed, Trial};
use netproof_api::Service;
use netproof_api::core::{IpMode, LoadBalancerIngress, ServiceType, TrafficPolicy};
use netproof_controlplane::Snapshot;
use netproof_enforcer::nft::{Agent, Chain, DEFAULT_SEND_BUFFER, Ruleset};
use netproof_enforcer::program::Compiler;
use netproof_enforcer::proxy::{NodeView, Site};
use netproof_enforcer::{
    Enforcer, NftablesProxy, NodeHandle, Numbers, Options, Proxy, ProxyMode, ProxyOptions, Surroundings,
    nftables, nftables_proxy, policy, proxy,
};
use netproof_model::topology::{LoadBalancer, PerFamily};
use netproof_model::{Families, NamespacedName, Topology, Wiring};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::sync::Arc;
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
        Trial::test("a_patch_equals_a_fresh_load", a_patch_equals_a_fresh_load),
        Trial::test("a_failed_side_by_side_load_can_be_repeated", a_failed_side_by_side_load),
        Trial::test("a_client_keeps_its_endpoint", a_client_keeps_its_endpoint),
        Trial::test("datagrams_follow_the_endpoints", datagrams_follow_the_endpoints),
        Trial::test("health_checks_are_answered", health_checks_are_answered),
        Trial::test("pods_are_masqueraded_towards_the_outside", pods_are_masqueraded),
        Trial::test("surroundings_load", surroundings_load),
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
        for (node, behaviour) in
            [("node1", ProxyMode::Nftables), ("node2", ProxyMode::Nftables), ("node1", ProxyMode::Iptables)]
        {
            let options = ProxyOptions { mode: behaviour, ..ProxyOptions::default() };
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
    let arrives = |socket: &std::net::UdpSocket| -> bool {
        socket.send_to(b"hello", witness.local_addr().unwrap()).unwrap();
        received(&witness)
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

fn proxy_in(netns: &File) -> Result<NftablesProxy, Failed> {
    let handle = NodeHandle { name: "node1".into(), netns: netns.as_fd() };
    Ok(nftables_proxy(&[handle], ProxyOptions::default())?)
}

/// Services come, change and go in one proxy; each time another one starts from nothing.
fn a_patch_equals_a_fresh_load() -> Result<(), Failed> {
    let mut world = World::new(Families::Dual, Wiring::Routed);
    for pod in 0..4 {
        world.apply(&world::pod(&format!("pod{pod}"), "node1", &format!("app=a{}", pod % 2), "http:80"));
    }
    let spec = |app: &str| {
        format!("{{type: NodePort, selector: {{app: {app}}}, ports: [{{port: 80, targetPort: http}}]}}")
    };
    let states = [
        world.apply(&world::service("first", &spec("a0"))),
        world.apply(&world::service("second", &spec("a1"))),
        // Endpoints that two services have, and one of the services changes or goes.
        world.apply(&world::service("again", &spec("a0"))),
        world.apply(&world::service(
            "again",
            &spec("a0").replace("{type", "{sessionAffinity: ClientIP, type"),
        )),
        world.label("pod", "pod2", "app", Some("a2")),
        world.apply(&world::service("again", &spec("a2"))),
        world.label("pod", "pod2", "app", Some("a0")),
        world.apply(&world::service("again", &spec("a0"))),
        world.delete("service", "again"),
        // A slice that comes before its service, goes to another one, and goes.
        world.apply(&world::slice("given", "later", "10.244.1.77")),
        world.apply(&world::service("later", "{ports: [{port: 80}]}")),
        world.apply(&world::slice("given", "first", "10.244.1.77")),
        world.apply(&world::slice("given", "later", "10.244.1.78")),
        world.delete("service", "later"),
        world.apply(&world::service("later", "{clusterIP: None, ports: [{port: 80}]}")),
        world.delete("endpointslice", "given"),
        world.label("pod", "pod3", "app", Some("a0")),
        world.label("pod", "pod1", "app", Some("a0")),
        world.delete("service", "first"),
        world.label("pod", "pod1", "app", Some("a1")),
        {
            // Two services claim the same address: the first in the order of names has it.
            world.apply(&world::service("third", &spec("a0")));
            with_service(&world.snapshot(), "third", |service| {
                service.external_ips = world.snapshot().services[&object("second")].cluster_ips.clone();
            })
        },
        world.snapshot(),
        world.delete("service", "second"),
    ];
    let netns = new_netns()?;
    let mut patched = proxy_in(&netns)?;
    for (position, snapshot) in states.iter().enumerate() {
        patched.program(snapshot)?;
        let fresh_netns = new_netns()?;
        let mut fresh = proxy_in(&fresh_netns)?;
        fresh.program(snapshot)?;
        // Decisions are numbered in the order in which they are needed, which differs.
        let plain = |text: String| {
            ["netproof:", "comment \""].into_iter().fold(text, |text, before| {
                let pieces =
                    text.split(before).map(|rest| rest.trim_start_matches(|c: char| c.is_ascii_digit()));
                pieces.collect::<Vec<_>>().join(before)
            })
        };
        let (got, expected) = (plain(patched.rules("node1").unwrap()), plain(fresh.rules("node1").unwrap()));
        assert_eq!(got, expected, "state {position}");
        let count = |netns| -> Result<usize, Failed> { Ok(dump(netns)?.lines().count()) };
        assert_eq!(count(&netns)?, count(&fresh_netns)?, "state {position}");
    }
    Ok(())
}

fn object(name: &str) -> NamespacedName {
    NamespacedName::new("default", name)
}

/// The snapshot with a service changed in ways that no manifest is needed for.
fn with_service(snapshot: &Snapshot, name: &str, change: impl FnOnce(&mut Service)) -> Arc<Snapshot> {
    let mut snapshot = snapshot.clone();
    change(Arc::make_mut(snapshot.services.get_mut(&object(name)).unwrap()));
    Arc::new(snapshot)
}

/// A chain whose name the kernel does not take comes last, after several transactions.
fn a_failed_side_by_side_load() -> Result<(), Failed> {
    let rulesets = proxy_rulesets(&mut Numbers::even());
    let (_, good) = rulesets.last().ok_or("no rulesets")?;
    let mut bad = good.clone();
    let table = bad.tables.values_mut().last().ok_or("no table")?;
    table.chains.insert("z".repeat(400), Chain::default());
    let netns = new_netns()?;
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
    let fresh_netns = new_netns()?;
    Agent::open(fresh_netns.as_fd(), DEFAULT_SEND_BUFFER)?.apply(good.clone())?;
    assert_eq!(dump(&netns)?, dump(&fresh_netns)?);
    Ok(())
}

fn a_client_keeps_its_endpoint() -> Result<(), Failed> {
    let mut world = World::new(Families::Ipv4, Wiring::Routed);
    for name in ["web", "api", "client"] {
        let app = if name == "client" { "client" } else { "web" };
        world.apply(&world::pod(name, "node1", &format!("app={app}"), "http:80"));
    }
    let spec = "{clusterIP: 10.96.0.50, selector: {app: web}, ports: [{port: 80, targetPort: http}]}";
    world.apply(&world::service("web", spec));
    let node = Node::build(&world.snapshot())?;
    let mut proxy = nftables_proxy(&handle(&node), ProxyOptions::default())?;
    let listeners = ["default/web", "default/api"].map(|name| {
        let listener = node.listen(name, 80);
        listener.set_nonblocking(true).unwrap();
        listener
    });
    let address = SocketAddr::from(([10, 96, 0, 50], 80));
    // Which of the two pods answered.
    let chosen = || -> Result<usize, Failed> {
        let stream = within(node.pod("default/client"), || TcpStream::connect_timeout(&address, PATIENCE))??;
        // The client's last packet may still be under way.
        let mut sockets = listeners.each_ref().map(|it| PollFd::new(it.as_fd(), PollFlags::POLLIN));
        poll(&mut sockets, PollTimeout::try_from(PATIENCE)?)?;
        let accepted = listeners.iter().position(|listener| listener.accept().is_ok());
        drop(stream);
        Ok(accepted.ok_or("nobody accepted")?)
    };
    let both = |tries: usize| (0..tries).map(|_| chosen()).collect::<Result<BTreeSet<_>, _>>();
    proxy.program(&world.snapshot())?;
    assert_eq!(both(40)?.len(), 2, "without affinity both serve");
    let snapshot = with_service(&world.snapshot(), "web", |service| service.session_affinity = Some(60));
    proxy.program(&snapshot)?;
    let first = chosen()?;
    assert_eq!(both(12)?, BTreeSet::from([first]));
    // Other services come: what is remembered stays.
    let mut more = (*snapshot).clone();
    world.apply(&world::service("other", "{selector: {app: client}, ports: [{port: 80}]}"));
    for number in 0..20 {
        let mut other = Service::clone(&world.snapshot().services[&object("other")]);
        other.cluster_ips = vec![IpAddr::from([10, 96, 1, number])];
        more.services.insert(object(&format!("other{number}")), Arc::new(other));
    }
    let more = Arc::new(more);
    proxy.program(&more)?;
    assert!(!proxy.reports()["node1"].side_by_side);
    assert_eq!(both(12)?, BTreeSet::from([first]));

    // So it does where rules are built anew beside the old ones.
    let options = Options { send_buffer: 4096 };
    let mut proxy = NftablesProxy::new(&handle(&node), &options, ProxyOptions::default())?;
    proxy.program(&snapshot)?;
    let first = chosen()?;
    proxy.program(&more)?;
    assert!(proxy.reports()["node1"].side_by_side);
    assert_eq!(both(12)?, BTreeSet::from([first]));
    let lines = dump(&node.netns)?;
    let remembered =
        lines.lines().filter(|line| line.starts_with("element") && line.contains(" affinity-60s/"));
    assert_eq!(remembered.count(), 1);
    Ok(())
}

fn datagrams_follow_the_endpoints() -> Result<(), Failed> {
    let mut world = World::new(Families::Ipv4, Wiring::Routed);
    for (name, app) in [("web", "dns"), ("api", "other"), ("client", "client")] {
        world.apply(&world::pod(name, "node1", &format!("app={app}"), "dns:53/UDP"));
    }
    let spec =
        "{clusterIP: 10.96.0.50, selector: {app: dns}, ports: [{port: 53, targetPort: 53, protocol: UDP}]}";
    world.apply(&world::service("dns", spec));
    let node = Node::build(&world.snapshot())?;
    let mut proxy = nftables_proxy(&handle(&node), ProxyOptions::default())?;
    proxy.program(&world.snapshot())?;
    let [web, api] = ["default/web", "default/api"].map(|name| node.udp(name, node.address(name), 53));
    let client = node.udp("default/client", node.address("default/client"), 1000);
    let send = || {
        client.send_to(b"hello", "10.96.0.50:53").unwrap();
        [&web, &api].map(received)
    };
    assert_eq!(send(), [true, false]);
    // A second endpoint changes nothing for a flow that has the first.
    proxy.program(&world.label("pod", "api", "app", Some("dns")))?;
    for _ in 0..8 {
        assert_eq!(send(), [true, false]);
    }
    proxy.program(&world.label("pod", "web", "app", Some("other")))?;
    assert_eq!(send(), [false, true]);
    Ok(())
}

fn health_checks_are_answered() -> Result<(), Failed> {
    let mut world = three_pods();
    world.apply(&world::service("web", "{selector: {app: web}, ports: [{port: 80, targetPort: http}]}"));
    let balanced = |world: &World| {
        with_service(&world.snapshot(), "web", |service| {
            service.service_type = ServiceType::LoadBalancer;
            service.external_traffic_policy = TrafficPolicy::Local;
            service.health_check_node_port = Some(32000);
        })
    };
    let node = Node::build(&world.snapshot())?;
    let ask = || -> std::io::Result<String> {
        let address = SocketAddr::from(([172, 18, 0, 2], 32000));
        let mut stream =
            within(node.pod("default/client"), || TcpStream::connect_timeout(&address, PATIENCE))??;
        stream.set_read_timeout(Some(std::time::Duration::from_secs(5)))?;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")?;
        let (mut answer, mut buffer) = (Vec::new(), [0; 1024]);
        while !answer.ends_with(b"}\n") {
            match stream.read(&mut buffer)? {
                0 => break,
                length => answer.extend_from_slice(&buffer[..length]),
            }
        }
        Ok(String::from_utf8_lossy(&answer).replace('\r', ""))
    };
    let mut proxy = nftables_proxy(&handle(&node), ProxyOptions::default())?;
    proxy.program(&balanced(&world))?;
    let answer = ask()?;
    readable().bind(|| insta::assert_snapshot!("health-check", answer));
    world.label("pod", "web", "app", Some("other"));
    proxy.program(&balanced(&world))?;
    let answer = ask()?;
    assert!(answer.starts_with("HTTP/1.1 503 ") && answer.contains("\"localEndpoints\":0"), "{answer}");
    // Nobody asks any more: the port is closed when this returns, and so it is without the proxy.
    proxy.program(&world.snapshot())?;
    assert_eq!(ask().unwrap_err().kind(), ErrorKind::ConnectionRefused);
    proxy.program(&balanced(&world))?;
    assert!(ask().is_ok());
    drop(proxy);
    assert_eq!(ask().unwrap_err().kind(), ErrorKind::ConnectionRefused);

    // A port that is taken is an error that names it.
    let taken = within(&node.netns, || TcpListener::bind(("0.0.0.0", 32000)))??;
    let mut proxy = nftables_proxy(&handle(&node), ProxyOptions::default())?;
    let error = proxy.program(&balanced(&world)).unwrap_err().to_string();
    assert!(
        error.starts_with("node node1: cannot serve healthCheckNodePort 32000 of service/default/web"),
        "{error}"
    );
    drop(taken);
    proxy.program(&balanced(&world))?;
    assert!(ask().is_ok());
    Ok(())
}

fn readable() -> insta::Settings {
    let mut settings = insta::Settings::clone_current();
    settings.set_omit_expression(true);
    settings.set_prepend_module_to_snapshot(false);
    settings
}

fn with_topology(snapshot: &Snapshot, change: impl FnOnce(&mut Topology)) -> Arc<Snapshot> {
    let mut snapshot = snapshot.clone();
    change(Arc::make_mut(&mut snapshot.topology));
    Arc::new(snapshot)
}

/// Between pods sources stay; towards other addresses the node's stands for the pod's.
fn pods_are_masqueraded() -> Result<(), Failed> {
    let mut world = three_pods();
    world.apply(&world::pod("outside", "node1", "app=outside", ""));
    let inside: ipnet::IpNet = "10.244.1.0/24".parse()?;
    let node = Node::build(&world.snapshot())?;
    let mut surroundings = Surroundings::new(&handle(&node), None, &Options::default())?;
    let mut seen = |nat_outgoing, pods: &str| -> Result<Fate, Failed> {
        let pods = pods.parse()?;
        let snapshot = with_topology(&world.snapshot(), |topology| {
            topology.nat_outgoing = nat_outgoing;
            topology.ranges.pods.ipv4 = pods;
        });
        surroundings.program(&snapshot)?;
        let web = node.listen("default/web", 80);
        Ok(connect(node.pod("default/client"), (node.address("default/web"), 80), &web))
    };
    let client = node.address("default/client");
    let own = Fate::Connected(client.into());
    assert_eq!(seen(true, &inside.to_string())?, own);
    // The same, to an address that is not a pod's.
    let only_the_client = format!("{client}/32");
    assert_eq!(seen(false, &only_the_client)?, own);
    let masqueraded = seen(true, &only_the_client)?;
    assert!(
        matches!(masqueraded, Fate::Connected(source) if source != IpAddr::from(client)),
        "{masqueraded:?}"
    );
    Ok(())
}

fn surroundings_load() -> Result<(), Failed> {
    let mut world = World::new(Families::Dual, Wiring::Routed);
    world.apply(&world::pod("web", "node1", "app=web", "http:80"));
    world.apply(&world::service(
        "web",
        "{type: NodePort, ipFamilyPolicy: RequireDualStack, selector: {app: web}, ports: [{port: 80, targetPort: http, nodePort: 30080}]}",
    ));
    let snapshot = |policy, ranges: &[&str]| {
        let snapshot = with_service(&world.snapshot(), "web", |service| {
            service.service_type = ServiceType::LoadBalancer;
            service.external_traffic_policy = policy;
            service.load_balancer_source_ranges = ranges.iter().map(|range| range.parse().unwrap()).collect();
            let ingress = |ip: &str| LoadBalancerIngress { ip: ip.parse().unwrap(), ip_mode: IpMode::Proxy };
            service.load_balancer_ingress = vec![ingress("198.51.100.7"), ingress("2001:db8:100::7")];
        });
        with_topology(&snapshot, |topology| {
            topology.nat_outgoing = true;
            let range = PerFamily {
                ipv4: "198.51.100.0/24".parse().unwrap(),
                ipv6: "2001:db8:100::/64".parse().unwrap(),
            };
            topology.load_balancer = Some(LoadBalancer { range, nodes: Vec::new() });
        })
    };
    let (node, router) = (new_netns()?, new_netns()?);
    let handle = NodeHandle { name: "node1".into(), netns: node.as_fd() };
    let mut surroundings = Surroundings::new(&[handle], Some(router.as_fd()), &Options::default())?;
    surroundings.program(&snapshot(TrafficPolicy::Cluster, &[]))?;
    let cluster = surroundings.router_rules().unwrap();
    surroundings.program(&snapshot(TrafficPolicy::Local, &["203.0.113.0/24", "2001:db8:113::/64"]))?;
    readable().bind(|| {
        insta::assert_snapshot!("surroundings-node", surroundings.rules("node1").unwrap());
        insta::assert_snapshot!("surroundings-balancer", cluster);
        insta::assert_snapshot!("surroundings-balancer-local", surroundings.router_rules().unwrap());
    });
    Ok(())
}
