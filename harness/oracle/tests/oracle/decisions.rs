//! Who decided, in the words of an enforcer's evidence; and flows that cannot be.

use crate::script::predict;
use crate::world::World;
use netproof_controlplane::Snapshot;
use netproof_model::{Decision, Direction, Family, Place, PolicyKey, PolicyKind, PolicyStage};
use netproof_oracle::{Flow, Icmp, Oracle, PortProtocol, PredictError, Profile};

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

/// Who decides about a flow, decision by decision; `-` where nothing isolates the pod, empty where nobody can be named.
fn deciders(snapshot: &Snapshot, profile: Profile, flow: &str) -> Vec<String> {
    let prediction = predict(snapshot, profile, flow);
    let word = |decision: &Decision| match decision {
        Decision::NotIsolated { .. } => "-".to_owned(),
        other => other.to_string(),
    };
    let decisions = prediction.alternatives[0].decisions();
    decisions.map(|it| it.decided_by().iter().map(word).collect::<Vec<_>>().join(", ")).collect()
}

#[test]
fn who_decided() {
    let mut world = world();
    world.change(
        "policy d {podSelector: {matchLabels: {app: other}}, policyTypes: [Ingress], ingress: [{from: [{ipBlock: {cidr: 10.0.0.0/8}}]}, {ports: [{port: 80}]}]}",
    );
    let snapshot = world.snapshot();
    for (profile, flow, expected) in [
        (
            Profile::NETPROOF,
            "pod/client -> pod/web:80",
            &["-", "networkpolicy/default/a#ingress[1], networkpolicy/default/b#ingress[0]"][..],
        ),
        (
            Profile::NETPROOF,
            "pod/client -> pod/web:81",
            &[
                "-",
                "networkpolicy/default/a#ingress[0], networkpolicy/default/a#ingress[1], networkpolicy/default/b#ingress[0]",
            ],
        ),
        (
            Profile::NETPROOF,
            "external/internet -> pod/web:80",
            &["ingress isolation of pod/default/web by networkpolicy/default/a, networkpolicy/default/b"],
        ),
        (
            Profile::NETPROOF,
            "pod/other -> external/internet:80",
            &["egress isolation of pod/default/other by networkpolicy/default/c"],
        ),
        // The node reaches its own pods, whatever policies say.
        (Profile::NETPROOF, "node/node1 -> pod/web:80", &[""]),
        (Profile::NETPROOF, "pod/client -> external/internet:80", &["-"]),
        (Profile::STRICT, "pod/client -> pod/web:icmp", &["-", ""]),
        // A hostNetwork pod has a say where something isolates it.
        (Profile::STRICT, "external/internet -> node/node1:80", &[""]),
        (Profile::STRICT, "node/node1 -> external/internet:80", &[]),
        // Of two rules one matches in some readings only: there it may be the one that decides.
        (
            Profile::STRICT,
            "pod/web -> pod/other:80",
            &["-", "networkpolicy/default/d#ingress[0], networkpolicy/default/d#ingress[1]"],
        ),
        (Profile::STRICT, "pod/web -> pod/other:81", &["-", ""]),
    ] {
        assert_eq!(deciders(&snapshot, profile, flow), expected, "{flow}");
    }
}

/// In full: an allowed flow's rule, the isolation that denies, and that nothing isolates.
#[test]
fn a_decision_has_all_that_tells_it_from_another() {
    let snapshot = world().snapshot();
    let decisions = |flow| {
        let prediction = predict(&snapshot, Profile::NETPROOF, flow);
        let way = prediction.alternatives[0].clone();
        way.decisions().map(|it| (it.stage, it.decided_by().to_vec())).collect::<Vec<_>>()
    };
    let policy = |name| PolicyKey::network_policy("default", name);
    let rule = |name, rule| Decision::Rule {
        policy: policy(name),
        tier: PolicyKind::NetworkPolicy.word().to_owned(),
        stage: PolicyStage::Local,
        direction: Direction::Ingress,
        rule,
    };
    let not_isolated =
        Decision::NotIsolated { endpoint: Place::pod("default", "client"), direction: Direction::Egress };
    assert_eq!(
        decisions("pod/client -> pod/web:80"),
        [(PolicyStage::Local, vec![not_isolated]), (PolicyStage::Local, vec![rule("a", 1), rule("b", 0)])]
    );
    let isolation = Decision::Isolation {
        endpoint: Place::pod("default", "other"),
        direction: Direction::Egress,
        policies: vec![policy("c")],
    };
    assert_eq!(decisions("pod/other -> external/internet:80"), [(PolicyStage::Local, vec![isolation])]);
}

#[test]
fn the_first_denial_decides() {
    let snapshot = world().snapshot();
    let prediction = predict(&snapshot, Profile::NETPROOF, "pod/other -> pod/web:80");
    let denied_by = prediction.alternatives[0].denied_by().unwrap();
    assert_eq!(denied_by.endpoint.to_string(), "pod/default/other");
    assert_eq!(
        prediction.alternatives[0].decisions().count(),
        2,
        "what the other end would say is there, too"
    );
    let prediction = predict(&snapshot, Profile::NETPROOF, "pod/client -> pod/web:80");
    assert_eq!(prediction.alternatives[0].denied_by(), None);
}

/// One end denies for certain, the other perhaps: whichever end is asked first, either may be the one that does.
#[test]
fn who_may_be_the_one_that_denies() {
    let mut world = World::default();
    for line in [
        "pod web node1 labels=app=web",
        "pod client node2 labels=app=client",
        "pod other node2 labels=app=other",
        "policy in {podSelector: {matchLabels: {app: web}}, ingress: [{ports: [{port: 82}]}]}",
        "policy out {podSelector: {matchLabels: {app: client}}, policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: 10.0.0.0/8}}]}]}",
        "policy none {podSelector: {matchLabels: {app: other}}, policyTypes: [Egress]}",
    ] {
        world.change(line);
    }
    let snapshot = world.snapshot();
    let deniers = |profile, flow| -> Vec<String> {
        let way = predict(&snapshot, profile, flow).alternatives.remove(0);
        way.deniers().into_iter().map(ToString::to_string).collect()
    };
    let ingress = "ingress isolation of pod/default/web by networkpolicy/default/in";
    let egress = "egress isolation of pod/default/client by networkpolicy/default/out";
    let other = "egress isolation of pod/default/other by networkpolicy/default/none";
    assert_eq!(deniers(Profile::NETPROOF, "pod/client -> pod/web:80"), [ingress]);
    assert_eq!(deniers(Profile::STRICT, "pod/client -> pod/web:80"), [ingress, egress]);
    // Open, and allowed.
    assert!(deniers(Profile::STRICT, "pod/client -> pod/web:82").is_empty());
    assert!(deniers(Profile::NETPROOF, "pod/client -> pod/web:82").is_empty());
    // The end that is asked first denies for certain.
    assert_eq!(deniers(Profile::STRICT, "pod/other -> pod/web:80"), [other]);
    // Whether it is a policy that denies ICMP is the profile's choice.
    assert!(
        deniers(Profile { icmp: Icmp::Deny, ..Profile::NETPROOF }, "pod/client -> pod/web:icmp").is_empty()
    );
    assert!(
        deniers(Profile { icmp: Icmp::Either, ..Profile::STRICT }, "pod/client -> pod/web:icmp").is_empty()
    );
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
