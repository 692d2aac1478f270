//! What stands around policy and the proxy: masquerade towards the outside, the router.

use super::{handle, readable, three_pods, with_service};
use crate::kernel_support::node::{Fate, Node, connect};
use crate::world::{self, World};
use libtest_mimic::Failed;
use netproof_api::core::{IpMode, LoadBalancerIngress, ServiceType, TrafficPolicy};
use netproof_cluster::Netns;
use netproof_controlplane::Snapshot;
use netproof_enforcer::{NodeHandle, Options, Surroundings};
use netproof_model::topology::{LoadBalancer, PerFamily};
use netproof_model::{Families, Topology, Wiring};
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::sync::Arc;

/// Between pods sources stay; towards other addresses the node's stands for the pod's.
pub fn pods_are_masqueraded() -> Result<(), Failed> {
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

pub fn surroundings_load() -> Result<(), Failed> {
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

fn with_topology(snapshot: &Snapshot, change: impl FnOnce(&mut Topology)) -> Arc<Snapshot> {
    let mut snapshot = snapshot.clone();
    change(Arc::make_mut(&mut snapshot.topology));
    Arc::new(snapshot)
}
