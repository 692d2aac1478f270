//! Who decided, in the words of an enforcer's evidence; and flows that cannot be.

use crate::script::predict;
use crate::world::World;
use netproof_model::{Family, Place};
use netproof_oracle::{Flow, Oracle, PortProtocol, PredictError, Profile};

fn world() -> World {
    let mut world = World::default();
    for line in [
        "pod web node1 labels=app=web ports=80",
        "pod client node2 labels=app=client",
        "pod other node2 labels=app=other",
        "pod agent node1 host",
        "pod gone node1 failed",
        "policy a {podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: 81}]}, {from: [{podSelector: {matchLabels: {app: client}}}]}]}",
        "policy b {podSelector: {}, policyTypes: [Ingress], ingress: [{from: [{podSelector: {matchLabels: {app: client}}}]}]}",
        "policy c {podSelector: {matchLabels: {app: other}}, policyTypes: [Egress]}",
    ] {
        world.change(line);
    }
    world
}

#[test]
fn who_decided() {
    let snapshot = world().snapshot();
    for (profile, flow, expected) in [
        (
            Profile::NETPROOF,
            "pod/client -> pod/web:80",
            "networkpolicy/default/a#ingress[1], networkpolicy/default/b#ingress[0]",
        ),
        (
            Profile::NETPROOF,
            "pod/client -> pod/web:81",
            "networkpolicy/default/a#ingress[0], networkpolicy/default/a#ingress[1], networkpolicy/default/b#ingress[0]",
        ),
        (
            Profile::NETPROOF,
            "external/internet -> pod/web:80",
            "ingress isolation of pod/default/web by networkpolicy/default/a, networkpolicy/default/b",
        ),
        (
            Profile::NETPROOF,
            "pod/other -> external/internet:80",
            "egress isolation of pod/default/other by networkpolicy/default/c",
        ),
        (Profile::NETPROOF, "node/node1 -> pod/web:80", ""),
        (Profile::NETPROOF, "pod/client -> external/internet:80", ""),
        (Profile::STRICT, "pod/client -> pod/web:icmp", ""),
    ] {
        let prediction = predict(&snapshot, profile, flow);
        let decided = prediction.alternatives[0].decisions().flat_map(|decision| decision.decided_by());
        let decided: Vec<String> = decided.map(|decision| decision.to_string()).collect();
        assert_eq!(decided.join(", "), expected, "{flow}");
    }
}

#[test]
fn the_first_denial_decides() {
    let snapshot = world().snapshot();
    let prediction = predict(&snapshot, Profile::NETPROOF, "pod/other -> pod/web:80");
    let denied_by = prediction.alternatives[0].denied_by().unwrap();
    assert_eq!(denied_by.pod.to_string(), "default/other");
    assert_eq!(
        prediction.alternatives[0].decisions().count(),
        2,
        "what the other end would say is there, too"
    );
    let prediction = predict(&snapshot, Profile::NETPROOF, "pod/client -> pod/web:80");
    assert_eq!(prediction.alternatives[0].denied_by(), None);
}

#[test]
fn flows_that_cannot_be() {
    let snapshot = world().snapshot();
    let oracle = Oracle::new(&snapshot, Profile::NETPROOF);
    let no_source = PredictError::NoSource;
    for (from, to, expected) in [
        (Place::pod("default", "nobody"), "10.244.1.1", no_source(Place::pod("default", "nobody"))),
        (Place::pod("default", "agent"), "10.244.1.1", no_source(Place::pod("default", "agent"))),
        (Place::pod("default", "gone"), "10.244.1.1", no_source(Place::pod("default", "gone"))),
        (Place::node("node9"), "10.244.1.1", no_source(Place::node("node9"))),
        (Place::external("nowhere"), "10.244.1.1", no_source(Place::external("nowhere"))),
        (Place::Router, "10.244.1.1", no_source(Place::Router)),
        (
            Place::pod("default", "web"),
            "fd00::1",
            PredictError::NoAddress { place: Place::pod("default", "web"), family: Family::Ipv6 },
        ),
        (
            Place::node("node1"),
            "fd00::1",
            PredictError::NoAddress { place: Place::node("node1"), family: Family::Ipv6 },
        ),
    ] {
        let flow = Flow { from: from.clone(), to: to.parse().unwrap(), port: PortProtocol::Echo };
        assert_eq!(oracle.predict(&flow), Err(expected.clone()));
        if !to.contains(':') {
            assert_eq!(oracle.matrix(&[from], Family::Ipv4, &[]).err(), Some(expected));
        }
    }
}
