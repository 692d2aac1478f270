//! What policy lets through, tried with packets.

use super::{handle, three_pods};
use crate::kernel_support::node::{Fate, Node, connect, received};
use crate::world;
use libtest_mimic::Failed;
use netproof_enforcer::{Backend, Enforcer, PolicyEnforcer};
use netproof_model::PolicyKind;

/// The verdict of a chain that is entered by a jump or a goto, tried with packets.
pub fn both_ends_must_allow() -> Result<(), Failed> {
    let mut world = three_pods();
    let node = Node::build(&world.snapshot())?;
    let mut enforcer = PolicyEnforcer::open(Backend::Nftables, &handle(&node))?;
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
        world.delete(PolicyKind::NetworkPolicy.word(), policy);
    }
    enforcer.program(&world.snapshot())?;
    assert_eq!(from("default/api"), saw("default/api"));
    Ok(())
}

pub fn a_spoofed_source_is_dropped() -> Result<(), Failed> {
    let world = three_pods();
    let node = Node::build(&world.snapshot())?;
    let api = node.address("default/api");
    let witness = node.udp("default/web", node.address("default/web"), 53);
    let own = node.udp("default/client", node.address("default/client"), 1000);
    let spoofed = node.udp("default/client", api, 1001);
    let arrives = |socket: &std::net::UdpSocket| -> bool {
        socket.send_to(b"hello", witness.local_addr().unwrap()).unwrap();
        received(&witness)
    };
    assert!(arrives(&own) && arrives(&spoofed), "without the check both arrive");
    PolicyEnforcer::open(Backend::Nftables, &handle(&node))?.program(&world.snapshot())?;
    assert!(arrives(&own), "its own address passes");
    assert!(!arrives(&spoofed), "another pod's does not");
    Ok(())
}
