//! From a change to the generation that is programmed: on two nodes with 500 pods, for 1, 100 and 1,000
//! policies; on one node, for 1,000 services with ten endpoints each. `cargo bench -p netproof-enforcer`.
//! Needs no privilege.

#[path = "../tests/world/mod.rs"]
mod world;

use netproof_cluster::{Netns, sandbox};
use netproof_enforcer::program::Compiler;
use netproof_enforcer::{Backend, Enforcer, NodeHandle, PolicyEnforcer, Proxy, ProxyOptions, ServiceProxy};
use netproof_model::{Families, Wiring};
use std::error::Error;
use std::fmt::Write;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};
use world::World;

const PODS: usize = 500;
const SERVICES: usize = 1000;
/// Applications that the services share; each has ten pods.
const SERVED: usize = 48;
const APPS: usize = 100;
const ROUNDS: usize = 11;

fn main() -> Result<(), Box<dyn Error>> {
    sandbox::enter()?;
    println!("{PODS} pods on two nodes; median of {ROUNDS}, in ms");
    println!("policies  compile  first load  label  new rule  new policy");
    for policies in [1, 100, 1000] {
        measure(policies)?;
    }
    measure_services()
}

/// One endpoint of one of many services is replaced, and one comes or goes.
fn measure_services() -> Result<(), Box<dyn Error>> {
    let mut world = World::new(Families::Ipv4, Wiring::Routed);
    let mut objects = String::new();
    for pod in 0..10 * SERVED {
        // Ten pods an application, on both nodes.
        let node = if pod % 2 == 0 { "node1" } else { "node2" };
        objects += &world::pod(&format!("pod{pod}"), node, &format!("app=a{}", pod / 10), "http:80");
    }
    for service in 0..SERVICES {
        let spec =
            format!("{{selector: {{app: a{}}}, ports: [{{port: 80, targetPort: http}}]}}", service % SERVED);
        objects += &world::service(&format!("service{service}"), &spec);
    }
    // A pod of its own, which only the service `one` may have.
    objects += &world::pod("single", "node1", "app=nothing", "http:80");
    for pod in 0..9 {
        objects +=
            &world::pod(&format!("one{pod}"), if pod < 3 { "node1" } else { "node2" }, "app=one", "http:80");
    }
    objects += &world::service(
        "one",
        "{clusterIP: 10.96.200.1, selector: {app: one}, ports: [{port: 80, targetPort: http}]}",
    );
    world.apply(&objects);
    let netns = Netns::new()?;
    let handle = NodeHandle { name: "node1".into(), netns: netns.as_fd() };
    let mut proxy = ServiceProxy::open(Backend::Nftables, &[handle], ProxyOptions::default())?;
    let mut program = |world: &World| {
        let snapshot = world.snapshot();
        time(|| Ok(proxy.program(&snapshot)?))
    };
    let first = program(&world)?;
    let serve = |world: &mut World, pod: &str, yes: bool| {
        world.label("pod", pod, "app", Some(if yes { "one" } else { "nothing" }));
    };
    let replaced = median((0..ROUNDS).map(|round| {
        serve(&mut world, "one0", round % 2 == 1);
        serve(&mut world, "single", round % 2 == 0);
        program(&world)
    }))?;
    let more = median((0..ROUNDS).map(|round| {
        serve(&mut world, "one0", round % 2 == 0);
        program(&world)
    }))?;
    println!(
        "{SERVICES} services with 10 endpoints: first load {first:.2?}, one endpoint replaced {replaced:.2?}, \
         one more or less {more:.2?}; {:?}",
        proxy.cost("node1")
    );
    Ok(())
}

fn measure(policies: usize) -> Result<(), Box<dyn Error>> {
    let mut world = World::new(Families::Ipv4, Wiring::Routed);
    let mut objects = String::new();
    for pod in 0..PODS {
        let node = if pod % 2 == 0 { "node1" } else { "node2" };
        objects += &world::pod(&format!("pod{pod}"), node, &format!("app=a{}", pod % APPS), "http:80");
    }
    for number in 0..policies {
        objects += &policy(number, 2);
    }
    world.apply(&objects);

    let compile = median((0..ROUNDS).map(|_| {
        let snapshot = world.snapshot();
        time(|| {
            let compiler = Compiler::new(&snapshot);
            std::hint::black_box(["node1", "node2"].map(|node| compiler.node(node)));
            Ok(())
        })
    }))?;

    let netns = [Netns::new()?, Netns::new()?];
    let handles = ["node1", "node2"].into_iter().zip(&netns);
    let handles: Vec<_> =
        handles.map(|(name, netns)| NodeHandle { name: name.into(), netns: netns.as_fd() }).collect();
    let mut enforcer = PolicyEnforcer::open(Backend::Nftables, &handles)?;
    let mut program = |world: &World| {
        let snapshot = world.snapshot();
        time(|| Ok(enforcer.program(&snapshot)?))
    };
    let first = program(&world)?;
    let label = median((0..ROUNDS).map(|round| {
        world.label("pod", "pod7", "app", Some(if round % 2 == 0 { "a8" } else { "a7" }));
        program(&world)
    }))?;
    let rule = median((0..ROUNDS).map(|round| {
        world.apply(&policy(0, 3 + round % 2));
        program(&world)
    }))?;
    let added = median((0..ROUNDS).map(|round| {
        world.apply(&policy(policies + round, 2));
        program(&world)
    }))?;
    let ms = |duration: Duration| format!("{:.2}", duration.as_secs_f64() * 1000.0);
    println!(
        "{policies:>8}  {:>7}  {:>10}  {:>5}  {:>8}  {:>10}",
        ms(compile),
        ms(first),
        ms(label),
        ms(rule),
        ms(added)
    );
    Ok(())
}

fn policy(number: usize, rules: usize) -> String {
    let mut list = String::new();
    for rule in 0..rules {
        let peer = (number + rule + 1) % APPS;
        let _ = write!(
            list,
            "{{from: [{{podSelector: {{matchLabels: {{app: a{peer}}}}}}}], ports: [{{port: {}}}]}},",
            80 + rule
        );
    }
    let spec = format!("{{podSelector: {{matchLabels: {{app: a{}}}}}, ingress: [{list}]}}", number % APPS);
    world::policy(&format!("policy{number}"), &spec)
}

fn time(work: impl FnOnce() -> Result<(), Box<dyn Error>>) -> Result<Duration, Box<dyn Error>> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed())
}

fn median(
    durations: impl Iterator<Item = Result<Duration, Box<dyn Error>>>,
) -> Result<Duration, Box<dyn Error>> {
    let mut durations = durations.collect::<Result<Vec<_>, _>>()?;
    durations.sort_unstable();
    durations.get(durations.len() / 2).copied().ok_or_else(|| "no rounds".into())
}
