//! Connections that are kept from one probe to the next, while rules come and go.

use crate::world::{World, client, name, pod, request, tcp, udp, web};
use crate::{trial, trial_with_rules};
use libtest_mimic::Trial;
use netproof_api::Object;
use netproof_controlplane::{Change, ObjectRef};
use netproof_model::request::RequestPort;
use netproof_model::topology::ListenPort;
use netproof_model::{Family, Observation, Outcome, Place, ProbeStage, Protocol, Rejection, Wiring};
use netproof_probe::Probe;
use std::net::IpAddr;
use std::time::Duration;

fn keep(address: IpAddr, port: RequestPort) -> Probe {
    Probe { keep: true, ..request(address, port) }
}

/// No new connection may come in: one that works was there before.
const NOTHING_NEW: &str = "ct state new drop";

fn over_and_over(family: Family, port: RequestPort) {
    let mut world = World::new(Wiring::Routed);
    let (target, source) = (world.address(&web(), family), world.address(&client(), family));
    let kept = keep(target, port);
    world.track("node1");
    let check = |seen: &Observation| {
        assert_eq!(seen.outcome, Outcome::Connected, "{seen:#?}");
        assert_eq!((seen.served_by.as_ref(), seen.seen_source), (Some(&web()), Some(source)), "{seen:#?}");
        assert_eq!((seen.sightings.len(), seen.waited), (1, Duration::ZERO), "{seen:#?}");
        assert_eq!(seen.destination, Some(target));
    };
    let first = world.probe(kept.clone());
    check(&first);
    world.rules("node1", "forward", NOTHING_NEW);
    let mut tokens = vec![first.token];
    // Several in one batch follow each other on the one connection.
    for seen in world.prober.probe(&vec![kept.clone(); 5]).unwrap() {
        check(&seen);
        assert_eq!(seen.stage, ProbeStage::Connect);
        assert!(!tokens.contains(&seen.token), "each message has its own token");
        tokens.push(seen.token);
    }
    assert_eq!(world.probe(request(target, port)).outcome, Outcome::Dropped, "a new flow is dropped");
    let other = Place::pod("default", "neighbour");
    let mut of_another = kept.clone();
    of_another.request.source = other;
    let seen = world.probe(of_another);
    assert_eq!(seen.outcome, Outcome::Dropped, "another source has a connection of its own");
    // What is released is opened anew.
    world.prober.release();
    assert_eq!(world.probe(kept.clone()).outcome, Outcome::Dropped);
    world.no_rules("node1");
    check(&world.probe(kept));
}

/// A drop that comes after the connection, and goes again.
fn dropped_for_a_while(family: Family, port: RequestPort) {
    let mut world = World::new(Wiring::Routed);
    world.track("node1");
    let kept = keep(world.address(&web(), family), port);
    for (rule, logs, delivered, outcome) in [
        ("th dport 80 log prefix \"netproof:7\" group 4790 drop", 1, 0, Outcome::Dropped),
        ("th dport 80 drop", 0, 0, Outcome::Dropped),
        ("th sport 80 log prefix \"netproof:7\" group 4790 drop", 1, 1, Outcome::ReplyLost),
        ("th sport 80 drop", 0, 1, Outcome::ReplyLost),
    ] {
        world.prober.release();
        assert_eq!(world.probe(kept.clone()).outcome, Outcome::Connected, "{rule}");
        world.rules("node1", "forward", rule);
        let seen = world.probe(kept.clone());
        assert_eq!(
            (seen.outcome, seen.logs.len(), seen.sightings.len()),
            (outcome, logs, delivered),
            "{rule}: {seen:#?}"
        );
        assert!(seen.logs.iter().all(|log| log.token == Some(seen.token)), "{rule}: {seen:#?}");
        world.no_rules("node1");
        // The TCP connection was closed, so that the message is not retransmitted later: the next one is
        // new, and denied. The UDP flow still exists.
        world.rules("node1", "forward", NOTHING_NEW);
        let seen = world.probe(kept.clone());
        let still = if port == udp(80) { Outcome::Connected } else { Outcome::Dropped };
        assert_eq!(seen.outcome, still, "{rule}: {seen:#?}");
        world.no_rules("node1");
        assert_eq!(world.probe(kept.clone()).outcome, Outcome::Connected, "{rule}");
    }
}

/// A lost message or answer is not retransmitted when the rule is gone.
fn nothing_is_sent_again(family: Family) {
    let mut world = World::new(Wiring::Routed);
    let target = world.address(&web(), family);
    let nobody = world.address(&Place::pod("default", "neighbour"), family);
    for (rule, outcome) in [
        ("tcp dport 80 drop", Outcome::Dropped),
        // The server does not learn that its client has gone.
        ("tcp sport 80 drop\ntcp flags & rst == rst drop", Outcome::ReplyLost),
    ] {
        let kept = keep(target, tcp(80));
        assert_eq!(world.probe(kept.clone()).outcome, Outcome::Connected);
        world.rules("node1", "forward", rule);
        assert_eq!(world.probe(kept).outcome, outcome);
        world.no_rules("node1");
        world.rules("node1", "forward", "tcp flags & psh == psh counter\nudp dport 99 drop");
        // A retransmission comes 200 ms after the message. (A late arrival would be an error here.)
        for _ in 0..8 {
            let seen = world.probe(request(nobody, udp(99)));
            assert!(seen.waited >= Duration::from_millis(50), "{seen:#?}");
        }
        let list = || std::process::Command::new("nft").args(["list", "table", "inet", "test"]).output();
        let listed = world.cluster.netns(&Place::node("node1")).unwrap().enter(list).unwrap().unwrap();
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        assert!(listed.contains("counter packets 0 bytes 0"), "{rule}: {listed}");
        world.no_rules("node1");
    }
}

fn rejected(family: Family) {
    let mut world = World::new(Wiring::Routed);
    let target = world.address(&web(), family);
    let reset = "tcp dport 80 log prefix \"netproof:7\" group 4790 reject with tcp reset";
    let prohibited = "th dport 80 reject with icmpx type admin-prohibited";
    for (port, rule, how, logs) in [
        (tcp(80), reset, Rejection::TcpReset, 1),
        (tcp(80), "tcp dport 80 reject with tcp reset", Rejection::TcpReset, 0),
        (tcp(80), prohibited, Rejection::AdminProhibited, 0),
        (udp(80), prohibited, Rejection::AdminProhibited, 0),
    ] {
        let kept = keep(target, port);
        assert_eq!(world.probe(kept.clone()).outcome, Outcome::Connected, "{rule}");
        world.rules("node2", "forward", rule);
        let seen = world.probe(kept.clone());
        assert_eq!((seen.outcome, seen.logs.len()), (Outcome::Rejected(how), logs), "{rule}: {seen:#?}");
        world.no_rules("node2");
        let seen = world.probe(kept);
        assert_eq!((seen.outcome, seen.waited), (Outcome::Connected, Duration::ZERO), "{rule}: {seen:#?}");
        world.prober.release();
    }
}

/// The handshake passes and the first message does not: that is not a policy's verdict on a connection.
fn no_answer(family: Family) {
    let mut world = World::new(Wiring::Routed);
    world.rules("node1", "forward", "tcp dport 80 tcp flags & psh == psh drop");
    let kept = keep(world.address(&web(), family), tcp(80));
    for _ in 0..2 {
        let seen = world.probe(kept.clone());
        assert_eq!((seen.outcome, seen.stage), (Outcome::NoAnswer, ProbeStage::Answer), "{seen:#?}");
    }
    assert_eq!(world.probe(keep(kept_address(&kept), tcp(81))).outcome, Outcome::Refused);
}

fn kept_address(request: &Probe) -> IpAddr {
    match &request.request.target {
        netproof_model::request::RequestTarget::Address(address) => *address,
        netproof_model::request::RequestTarget::Name { .. } => panic!("not by name"),
    }
}

/// Connections live on while their port is closed to others, and end with their source or their server.
fn come_and_go() {
    let mut world = World::new(Wiring::Routed);
    let kept = keep(world.address(&web(), Family::Ipv4), tcp(80));
    assert_eq!(world.probe(kept.clone()).outcome, Outcome::Connected);
    let ports = vec![ListenPort { port: 81, protocol: Protocol::Tcp }];
    world.change(Change::Listen { pod: name("web"), ports });
    assert_eq!(world.probe(kept.clone()).outcome, Outcome::Connected, "it was open before");
    assert_eq!(world.probe(request(kept_address(&kept), tcp(80))).outcome, Outcome::Refused);
    // The source goes, and comes again under the same name and address.
    world.change(Change::Delete(ObjectRef::new("pod", Some("default"), "client")));
    world.change(Change::Apply(Object::Pod(pod("client", "node1", &[]))));
    assert_eq!(world.probe(kept.clone()).outcome, Outcome::Refused, "a new client has no connection");
    // The server goes.
    let kept = keep(kept_address(&kept), tcp(81));
    assert_eq!(world.probe(kept.clone()).outcome, Outcome::Connected);
    world.change(Change::Delete(ObjectRef::new("pod", Some("default"), "web")));
    assert_ne!(world.probe(kept).outcome, Outcome::Connected);
}

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![trial("kept connections come and go", come_and_go)];
    for family in Family::ALL {
        for (protocol, port) in [("tcp", tcp(80)), ("udp", udp(80))] {
            let named = |what: &str| format!("{what}, {protocol} over {family}");
            trials.push(trial_with_rules(named("messages on a kept connection"), move || {
                over_and_over(family, port);
            }));
            trials.push(trial_with_rules(named("a kept connection is dropped for a while"), move || {
                dropped_for_a_while(family, port);
            }));
        }
        trials.push(trial_with_rules(format!("kept and rejected over {family}"), move || rejected(family)));
        trials.push(trial_with_rules(format!("nothing is sent again over {family}"), move || {
            nothing_is_sent_again(family);
        }));
        trials.push(trial_with_rules(format!("kept and not answered over {family}"), move || {
            no_answer(family);
        }));
    }
    trials
}
