//! Every outcome, with real packets, over each protocol and family.

use crate::world::{World, client, dns, http, request, sctp, tcp, udp, web};
use crate::{trial, trial_with_rules};
use libtest_mimic::Trial;
use netproof_model::request::RequestPort;
use netproof_model::{DataPath, Family, Hook, Outcome, Place, ProbeStage, Rejection, Wiring};
use netproof_probe::{Grace, Patience, Probe};
use std::sync::Arc;
use std::time::Duration;

const ICMP: RequestPort = RequestPort::Icmp;

/// The place and text of a case's rule. `TARGET` is the case's destination, `CLIENT` the source, each with
/// `ip` or `ip6` before it.
type Rule = (&'static str, &'static str, &'static str);

struct Case {
    name: &'static str,
    rule: Option<Rule>,
    ports: Vec<RequestPort>,
    expected: Outcome,
    /// The hook of the log that must be there.
    logged: Option<Hook>,
    /// Whether the request must have been delivered.
    delivered: bool,
}

fn case(
    name: &'static str,
    rule: Option<Rule>,
    ports: &[RequestPort],
    expected: Outcome,
    logged: Option<Hook>,
    delivered: bool,
) -> Case {
    Case { name, rule, ports: ports.to_vec(), expected, logged, delivered }
}

fn cases() -> Vec<Case> {
    let every = [tcp(80), udp(80), sctp(80), http(80), dns(53), ICMP];
    let forward = |rule| Some(("node1", "forward", rule));
    vec![
        case("connected", None, &every, Outcome::Connected, None, true),
        case("refused", None, &[tcp(81), udp(81), sctp(81), http(81)], Outcome::Refused, None, true),
        case("dropped silently", forward("TARGET drop"), &every, Outcome::Dropped, None, false),
        case(
            "dropped with a log",
            forward("TARGET log prefix \"netproof:7\" group 4790 drop"),
            &every,
            Outcome::Dropped,
            Some(Hook::Forward),
            false,
        ),
        case(
            "reply lost silently",
            Some(("node2", "forward", "CLIENT drop")),
            &every,
            Outcome::ReplyLost,
            None,
            true,
        ),
        case(
            "reply lost with a log",
            Some(("node2", "forward", "CLIENT log prefix \"netproof:7\" group 4790 drop")),
            &every,
            Outcome::ReplyLost,
            Some(Hook::Forward),
            true,
        ),
        case(
            "reply rejected",
            Some(("node2", "forward", "CLIENT reject with icmpx type port-unreachable")),
            &every,
            Outcome::ReplyLost,
            None,
            true,
        ),
        case(
            "rejected by reset",
            forward("TARGET log prefix \"netproof:7\" group 4790 meta l4proto tcp reject with tcp reset"),
            &[tcp(80), http(80)],
            Outcome::Rejected(Rejection::TcpReset),
            Some(Hook::Forward),
            false,
        ),
        case(
            "rejected by reset without a log",
            forward("TARGET meta l4proto tcp reject with tcp reset"),
            &[tcp(80), http(80)],
            Outcome::Rejected(Rejection::TcpReset),
            None,
            false,
        ),
        case(
            "rejected as port unreachable",
            forward("TARGET log prefix \"netproof:7\" group 4790 reject with icmpx type port-unreachable"),
            &every,
            Outcome::Rejected(Rejection::PortUnreachable),
            Some(Hook::Forward),
            false,
        ),
        case(
            "rejected as port unreachable without a log",
            forward("TARGET reject with icmpx type port-unreachable"),
            &every,
            Outcome::Rejected(Rejection::PortUnreachable),
            None,
            false,
        ),
        case(
            "rejected as prohibited",
            forward("TARGET reject with icmpx type admin-prohibited"),
            &every,
            Outcome::Rejected(Rejection::AdminProhibited),
            None,
            false,
        ),
        case(
            "rejected as unreachable, with a log",
            forward("TARGET log prefix \"netproof:7\" group 4790 reject with icmpx type no-route"),
            &every,
            Outcome::Rejected(Rejection::Unreachable),
            Some(Hook::Forward),
            false,
        ),
        case(
            "unreachable",
            forward("TARGET reject with icmpx type host-unreachable"),
            &every,
            Outcome::Unreachable,
            None,
            false,
        ),
    ]
}

fn spell(port: RequestPort) -> String {
    match port {
        RequestPort::Icmp => "icmp".into(),
        RequestPort::Port { port, protocol } => format!("{port}/{protocol}"),
    }
}

fn check(case: &Case, family: Family) {
    let mut world = World::new(Wiring::Routed);
    let target = world.address(&web(), family);
    let source = world.address(&client(), family);
    if let Some((node, hook, rule)) = case.rule {
        let ip = if family == Family::Ipv4 { "ip" } else { "ip6" };
        let rule = rule
            .replace("TARGET", &format!("{ip} daddr {target}"))
            .replace("CLIENT", &format!("{ip} daddr {source}"));
        world.rules(node, hook, &rule);
    }
    for port in &case.ports {
        let seen = world.probe(request(target, *port));
        let what = format!("{} {family} {}: {seen:#?}", case.name, spell(*port));
        assert_eq!(seen.outcome, case.expected, "{what}");
        assert_eq!(seen.destination, Some(target), "{what}");
        let hooks: Vec<Hook> = seen.logs.iter().map(|log| log.hook).collect();
        assert_eq!(hooks, case.logged.into_iter().collect::<Vec<_>>(), "{what}");
        assert!(seen.logs.iter().all(|log| log.number == 7 && log.token == Some(seen.token)), "{what}");
        if case.delivered {
            assert_eq!((seen.served_by.as_ref(), seen.seen_source), (Some(&web()), Some(source)), "{what}");
            assert_eq!(seen.sightings.len(), 1, "{what}");
            assert_eq!(seen.sightings[0].interface, "eth0", "{what}");
        } else {
            assert_eq!((seen.served_by.as_ref(), seen.sightings.len()), (None, 0), "{what}");
        }
        let stage = if *port == http(80) && case.expected == Outcome::Connected {
            ProbeStage::Answer
        } else {
            ProbeStage::Connect
        };
        assert_eq!(seen.stage, stage, "{what}");
        // Only silence is waited for.
        let silent = matches!(case.expected, Outcome::Dropped | Outcome::ReplyLost) && case.logged.is_none();
        if silent {
            assert!(seen.waited >= Duration::from_millis(50), "{what}");
            assert!(seen.waited < Duration::from_secs(2), "{what}");
        } else {
            assert_eq!(seen.waited, Duration::ZERO, "{what}");
        }
    }
}

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![trial_with_rules("patience ends", patience_ends)];
    for family in Family::ALL {
        for case in cases() {
            let name = format!("{} over {family}", case.name);
            if case.rule.is_some() {
                trials.push(trial_with_rules(name, move || check(&case, family)));
            } else {
                trials.push(trial(name, move || check(&case, family)));
            }
        }
        trials.push(trial_with_rules(format!("a reject wins over patience over {family}"), move || {
            known_drops_do_not_wait(family);
        }));
        trials.push(trial_with_rules(format!("not permitted by its own node over {family}"), move || {
            not_permitted(family)
        }));
        trials.push(trial(format!("no route over {family}"), move || no_route(family)));
        trials.push(trial(format!("a node and its hostNetwork pod over {family}"), move || node(family)));
        trials.push(trial_with_rules(format!("a node that refuses to hear over {family}"), move || {
            node_input(family)
        }));
        trials.push(trial_with_rules(format!("no answer over {family}"), move || no_answer(family)));
        trials
            .push(trial_with_rules(format!("an answer that takes a second try over {family}"), move || {
                second_try(family)
            }));
        trials
            .push(trial_with_rules(format!("address translation over {family}"), move || translated(family)));
        trials.push(trial_with_rules(format!("a trace over {family}"), move || trace(family)));
    }
    trials
}

/// If an answer is expected and a rule has logged a drop, nothing waits.
fn known_drops_do_not_wait(family: Family) {
    let mut world = World::new(Wiring::Routed);
    world.rules("node1", "forward", "log prefix \"netproof:9\" group 4790 drop");
    let target = world.address(&web(), family);
    for port in [tcp(80), udp(80), sctp(80), ICMP] {
        let mut request = request(target, port);
        request.patience = Patience::ForAnswer;
        let seen = world.probe(request);
        assert_eq!((seen.outcome, seen.waited), (Outcome::Dropped, Duration::ZERO), "{seen:#?}");
    }
}

/// If answers are lost again and again, waits become brief; every moment of waiting is counted once.
fn patience_ends() {
    let grace = Arc::new(Grace::default());
    let wait = || {
        let mut world = World::with_grace(Wiring::Routed, Arc::clone(&grace));
        world.rules("node1", "forward", "drop");
        let brief = request(world.address(&web(), Family::Ipv4), tcp(80));
        let patient = Probe { patience: Patience::ForAnswer, ..brief.clone() };
        let seen = world.prober.probe(&[patient, brief]).unwrap();
        assert!(seen.iter().all(|seen| seen.outcome == Outcome::Dropped), "{seen:#?}");
        seen.iter().map(|seen| seen.waited).sum::<Duration>()
    };
    std::thread::scope(|scope| {
        let waits: Vec<_> = (0..8).map(|_| scope.spawn(wait)).collect();
        for waited in waits.into_iter().map(|thread| thread.join().unwrap()) {
            assert!(waited >= Duration::from_secs(3), "{waited:?}");
        }
    });
    assert_eq!(grace.notice(DataPath::Kernel), None);
    let waited = wait();
    assert!(waited >= Duration::from_millis(50) && waited < Duration::from_secs(2), "{waited:?}");
    assert!(grace.notice(DataPath::Kernel).is_some());
}

/// A node's own OUTPUT rules: datagrams and echoes are refused by the system call.
fn not_permitted(family: Family) {
    let mut world = World::new(Wiring::Routed);
    world.rules("node1", "output", "log prefix \"netproof:9\" group 4790 drop");
    let target = world.address(&web(), family);
    for (port, expected) in [
        (udp(80), Outcome::NotPermitted),
        (sctp(80), Outcome::NotPermitted),
        (ICMP, Outcome::NotPermitted),
        (tcp(80), Outcome::Dropped),
    ] {
        let mut request = request(target, port);
        request.request.source = Place::node("node1");
        let seen = world.probe(request);
        assert_eq!(seen.outcome, expected, "{seen:#?}");
        assert_eq!(seen.logs.len(), 1, "{seen:#?}");
        assert_eq!(seen.logs[0].hook, Hook::Output);
    }
}

/// A route that says so, in the source itself.
fn no_route(family: Family) {
    let mut world = World::new(Wiring::Routed);
    let (target, option) = match family {
        Family::Ipv4 => ("198.51.100.1", "-4"),
        Family::Ipv6 => ("2001:db8:51::1", "-6"),
    };
    world.run(&client(), &["ip", option, "route", "add", "unreachable", target], "");
    for port in [tcp(80), udp(80), sctp(80), http(80), ICMP] {
        let seen = world.probe(request(target.parse().unwrap(), port));
        assert_eq!((seen.outcome, seen.waited), (Outcome::Unreachable, Duration::ZERO), "{seen:#?}");
    }
}

fn node(family: Family) {
    let mut world = World::new(Wiring::Routed);
    let target = world.address(&Place::node("node2"), family);
    for port in [tcp(9000), udp(9000), sctp(9000), http(9000), ICMP] {
        let seen = world.probe(request(target, port));
        assert_eq!(seen.outcome, Outcome::Connected, "{seen:#?}");
        assert_eq!(seen.served_by, Some(Place::node("node2")), "{seen:#?}");
    }
    for port in [tcp(9001), sctp(9001)] {
        let seen = world.probe(request(target, port));
        assert_eq!(seen.outcome, Outcome::Refused, "{seen:#?}");
    }
    // A node's witness does not see packets that the node only forwards.
    let mut other = request(world.address(&web(), family), tcp(80));
    other.request.source = Place::node("node1");
    let seen = world.probe(other);
    assert_eq!((seen.outcome, seen.sightings.len()), (Outcome::Connected, 1), "{seen:#?}");
}

/// A packet that a node's INPUT rules drop was not accepted by the node, logged or not.
fn node_input(family: Family) {
    let mut world = World::new(Wiring::Routed);
    let target = world.address(&Place::node("node2"), family);
    world.rules("node2", "input", "th dport 9000 drop\ntcp dport 9001 reject with tcp reset");
    for (port, expected) in [
        (tcp(9000), Outcome::Dropped),
        (udp(9000), Outcome::Dropped),
        (sctp(9000), Outcome::Dropped),
        (tcp(9001), Outcome::Rejected(Rejection::TcpReset)),
        (tcp(9002), Outcome::Refused),
    ] {
        let seen = world.probe(request(target, port));
        assert_eq!(seen.outcome, expected, "{seen:#?}");
    }
}

/// The handshake passes and data does not.
fn no_answer(family: Family) {
    let mut world = World::new(Wiring::Routed);
    world.rules("node1", "forward", "tcp dport 80 tcp flags & psh == psh drop");
    let seen = world.probe(request(world.address(&web(), family), http(80)));
    assert_eq!((seen.outcome, seen.stage), (Outcome::NoAnswer, ProbeStage::Answer), "{seen:#?}");
    assert_eq!(seen.served_by, Some(web()));
}

/// The first request is lost; if an answer is expected it is sent again.
fn second_try(family: Family) {
    let mut world = World::new(Wiring::Routed);
    let target = world.address(&web(), family);
    for port in [tcp(80), udp(80), sctp(80), ICMP] {
        world.run(&Place::node("node1"), &["nft", "flush", "ruleset"], "");
        world.rules("node1", "forward", "limit rate 1/day burst 1 packets drop");
        let mut request = request(target, port);
        request.patience = Patience::ForAnswer;
        let seen = world.probe(request);
        assert_eq!((seen.outcome, seen.waited), (Outcome::Connected, Duration::ZERO), "{seen:#?}");
        assert!(seen.elapsed >= Duration::from_millis(900), "{seen:#?}");
    }
}

/// The token finds the server behind a translated destination, and the source that it saw.
fn translated(family: Family) {
    let mut world = World::new(Wiring::Routed);
    let target = world.address(&web(), family);
    let node = world.address(&Place::node("node1"), family);
    let (service, ip) = match family {
        Family::Ipv4 => ("10.96.77.77", "ip"),
        Family::Ipv6 => ("fd00:10:96::7777", "ip6"),
    };
    let to = if family == Family::Ipv4 { target.to_string() } else { format!("[{target}]") };
    let text = format!(
        "table {ip} nat {{\n\
         chain pre {{ type nat hook prerouting priority -100;\n\
         {ip} daddr {service} meta l4proto {{ tcp, udp, sctp }} dnat to {to}:80\n\
         {ip} daddr {service} dnat to {target}\n}}\n\
         chain post {{ type nat hook postrouting priority 100; {ip} daddr {target} masquerade\n}}\n}}\n"
    );
    world.run(&Place::node("node1"), &["nft", "-f", "-"], &text);
    for port in [tcp(8080), udp(8080), sctp(8080), http(8080), ICMP] {
        let seen = world.probe(request(service.parse().unwrap(), port));
        assert_eq!(seen.outcome, Outcome::Connected, "{seen:#?}");
        assert_eq!((seen.served_by.as_ref(), seen.seen_source), (Some(&web()), Some(node)), "{seen:#?}");
    }
}

/// The path of a probe, and of one that is dropped on the way.
fn trace(family: Family) {
    let mut world = World::new(Wiring::Routed);
    let target = world.address(&web(), family);
    let path = |seen: &netproof_model::Observation| {
        let hops = seen.sightings.iter().map(|seen| format!("{} {}", seen.place, seen.interface));
        // The node's end of a pod's veth has a name made of a hash.
        hops.map(|hop| hop.split_once(" np").map_or(hop.clone(), |(place, _)| format!("{place} pod")))
            .collect::<Vec<_>>()
    };
    let (cluster, prober) = (&world.cluster, &mut world.prober);
    for port in [tcp(80), udp(80), sctp(80), http(80), ICMP] {
        let probed = prober.trace(cluster, |prober| prober.probe(&[request(target, port)]));
        let seen = probed.unwrap().remove(0);
        assert_eq!(seen.outcome, Outcome::Connected);
        let path = path(&seen);
        assert_eq!(path.first().unwrap(), "node/node1 pod", "{seen:#?}");
        assert_eq!(path[1].split(' ').next(), Some("router"), "{seen:#?}");
        assert_eq!(path[2..], ["node/node2 eth0", "pod/default/web eth0"], "{seen:#?}");
    }
    // Untraced again.
    assert_eq!(world.probe(request(target, tcp(80))).sightings.len(), 1);
    world.rules("node2", "forward", "log prefix \"netproof:3\" group 4790 drop");
    let probed = world.prober.trace(&world.cluster, |prober| prober.probe(&[request(target, tcp(80))]));
    let seen = probed.unwrap().remove(0);
    assert_eq!(seen.outcome, Outcome::Dropped);
    assert_eq!((path(&seen).len(), seen.served_by.as_ref()), (3, None), "{seen:#?}");
    assert_eq!(path(&seen)[2], "node/node2 eth0");
}
