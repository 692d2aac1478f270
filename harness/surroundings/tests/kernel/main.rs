//! The rules of nodes and of the router in a real kernel, in a user and network namespace of our own, without
//! privilege.

#![allow(clippy::allow_attributes, clippy::unwrap_used, reason = "a test says what went wrong by panicking")]

#[path = "../../../../enforcer/tests/kernel_support/mod.rs"]
mod kernel_support;
#[path = "../../../../enforcer/tests/world/mod.rs"]
mod world;

use kernel_support::node::{Fate, Node, connect};
use libtest_mimic::{Arguments, Failed, Trial};
use netproof_api::Service;
use netproof_api::core::{IpMode, LoadBalancerIngress, ServiceType, TrafficPolicy};
use netproof_cluster::{Netns, sandbox};
use netproof_controlplane::Snapshot;
use netproof_model::topology::{LoadBalancer, PerFamily};
use netproof_model::{Families, NamespacedName, Topology, Wiring};
use netproof_surroundings::Surroundings;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::sync::Arc;
use world::World;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    if let Err(error) = sandbox::enter() {
        eprintln!("no namespaces of our own: {error}");
        return ExitCode::FAILURE;
    }
    let tests = vec![
        Trial::test("pods_are_masqueraded_towards_the_outside", pods_are_masqueraded),
        Trial::test("surroundings_load", surroundings_load),
    ];
    libtest_mimic::run(&arguments, tests).exit_code()
}

/// Between pods sources stay; towards other addresses the node's stands for the pod's.
fn pods_are_masqueraded() -> Result<(), Failed> {
    let mut world = World::new(Families::Ipv4, Wiring::Routed);
    for name in ["web", "client"] {
        world.apply(&world::pod(name, "node1", &format!("app={name}"), "http:80"));
    }
    world.apply(&world::pod("outside", "node1", "app=outside", ""));
    let inside: ipnet::IpNet = "10.244.1.0/24".parse()?;
    let node = Node::build(&world.snapshot())?;
    let mut surroundings = Surroundings::new([("node1", node.netns.as_fd())], None)?;
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
    let (node, router) = (Netns::new()?, Netns::new()?);
    let mut surroundings = Surroundings::new([("node1", node.as_fd())], Some(router.as_fd()))?;
    surroundings.program(&snapshot(TrafficPolicy::Cluster, &[]))?;
    let cluster = surroundings.router_rules().unwrap();
    surroundings.program(&snapshot(TrafficPolicy::Local, &["203.0.113.0/24", "2001:db8:113::/64"]))?;
    let mut readable = insta::Settings::clone_current();
    readable.set_omit_expression(true);
    readable.set_prepend_module_to_snapshot(false);
    readable.bind(|| {
        insta::assert_snapshot!("surroundings-node", surroundings.rules("node1").unwrap());
        insta::assert_snapshot!("surroundings-balancer", cluster);
        insta::assert_snapshot!("surroundings-balancer-local", surroundings.router_rules().unwrap());
    });
    Ok(())
}

fn with_topology(snapshot: &Snapshot, change: impl FnOnce(&mut Topology)) -> Arc<Snapshot> {
    let mut snapshot = snapshot.clone();
    change(Arc::make_mut(&mut snapshot.topology));
    Arc::new(snapshot)
}

/// The snapshot with a service changed in ways that no manifest is needed for.
fn with_service(snapshot: &Snapshot, name: &str, change: impl FnOnce(&mut Service)) -> Arc<Snapshot> {
    let mut snapshot = snapshot.clone();
    change(Arc::make_mut(snapshot.services.get_mut(&NamespacedName::new("default", name)).unwrap()));
    Arc::new(snapshot)
}
