//! What nodes log: passages by the observer's words, and the error if the kernel lost messages.

use crate::trial_with_rules;
use crate::world::{World, client, request, sctp, tcp, udp, web};
use libtest_mimic::Trial;
use netproof_model::request::RequestPort;
use netproof_model::{Family, Hook, Outcome, Passage, Place, RuleTrace, TraceStep, Wiring};
use netproof_probe::{Patience, Probe};
use std::net::{IpAddr, SocketAddr, UdpSocket};

/// An observer as every node has it, with a service on node1 that `web` serves.
fn observe(world: &World, family: Family) -> IpAddr {
    let (service, ip) = match family {
        Family::Ipv4 => ("10.96.77.77", "ip"),
        Family::Ipv6 => ("fd00:10:96::7777", "ip6"),
    };
    let target = world.address(&web(), family);
    let to = if family == Family::Ipv4 { target.to_string() } else { format!("[{target}]") };
    let nat = format!(
        "table {ip} nat {{ chain pre {{ type nat hook prerouting priority -100;\n\
         {ip} daddr {service} meta l4proto {{ tcp, udp, sctp }} dnat to {to}:80\n\
         {ip} daddr {service} dnat to {target}\n}}\n}}\n"
    );
    world.run(&Place::node("node1"), &["nft", "-f", "-"], &nat);
    let log = |hook| {
        format!(
            "chain {hook} {{ type filter hook {hook} priority -1; policy accept;\n\
             meta l4proto icmpv6 icmpv6 type != echo-request accept\n\
             ct state != {{ new, untracked }} accept\n\
             ct status dnat log prefix \"netproof:led\" group 4790 accept\n\
             log prefix \"netproof:passed\" group 4790\n}}\n"
        )
    };
    let hooks = ["input", "forward", "output"].map(log).concat();
    for node in ["node1", "node2"] {
        let text = format!("table inet observer {{\n{hooks}}}\n");
        world.run(&Place::node(node), &["nft", "-f", "-"], &text);
    }
    service.parse().unwrap()
}

/// Node, hook, whether it translated, destination.
fn told(passages: &[Passage]) -> Vec<(&str, Hook, bool, IpAddr)> {
    let tell = |it: &'_ Passage| (it.hook, it.translated, it.packet.destination);
    passages
        .iter()
        .map(|passage| {
            let (hook, translated, destination) = tell(passage);
            (passage.node.as_str(), hook, translated, destination)
        })
        .collect()
}

fn passages(family: Family) {
    let mut world = World::new(Wiring::Routed);
    let service = observe(&world, family);
    let target = world.address(&web(), family);
    let node2 = world.address(&Place::node("node2"), family);
    let (forward, input, output) = (Hook::Forward, Hook::Input, Hook::Output);
    for port in [tcp(80), udp(80), sctp(80), RequestPort::Icmp] {
        let by_service = world.probe(request(service, port));
        assert_eq!(by_service.outcome, Outcome::Connected, "{by_service:#?}");
        assert_eq!(
            told(&by_service.passages),
            [("node1", forward, true, target), ("node2", forward, false, target)],
            "{by_service:#?}"
        );
        assert!(by_service.passages.iter().all(|it| it.token == by_service.token), "{by_service:#?}");
        assert!(by_service.passages.iter().all(|it| it.packet.source == world.address(&client(), family)));
        assert!(by_service.logs.is_empty(), "no denial: {by_service:#?}");

        let mut from_node = request(node2, port);
        from_node.request.source = Place::node("node1");
        let seen = world.probe(from_node);
        assert_eq!(
            told(&seen.passages),
            [("node1", output, false, node2), ("node2", input, false, node2)],
            "{seen:#?}"
        );
    }
    // The denial on node2 comes after both; on node1 there are only passages.
    world.rules("node2", "forward", "log prefix \"netproof:4\" group 4790 drop");
    let seen = world.probe(request(service, tcp(80)));
    assert_eq!((seen.outcome, seen.passages.len(), seen.logs.len()), (Outcome::Dropped, 2, 1), "{seen:#?}");
    world.rules("node1", "forward", "log prefix \"netproof:5\" group 4790 drop");
    let seen = world.probe(request(service, tcp(80)));
    assert_eq!(told(&seen.passages), [("node1", forward, true, target)], "{seen:#?}");
}

/// The request is sent twice, and passes once.
fn a_second_try_passes_once() {
    let mut world = World::new(Wiring::Routed);
    observe(&world, Family::Ipv4);
    world.rules("node2", "forward", "limit rate 1/day burst 1 packets drop");
    let mut patient = request(world.address(&web(), Family::Ipv4), udp(80));
    patient.patience = Patience::ForAnswer;
    let seen = world.probe(patient);
    assert_eq!((seen.outcome, seen.passages.len()), (Outcome::Connected, 2), "{seen:#?}");
}

/// The rules that a request meets on both nodes, across a service, in order; and nothing is left behind.
fn rules_are_traced(family: Family) {
    let mut world = World::new(Wiring::Routed);
    let service = observe(&world, family);
    world.rules("node2", "forward", "th dport 80 accept comment \"13 by number\"");
    for port in [tcp(80), udp(80), sctp(80), RequestPort::Icmp] {
        let before = rulesets(&world);
        let mut traced = world.prober.trace_rules(&world.cluster, &[request(service, port)]).unwrap();
        let (seen, trace) = traced.pop().unwrap();
        assert_eq!((seen.outcome, trace.is_cut), (Outcome::Connected, false), "{seen:#?}");
        let target = world.address(&web(), family);
        let end =
            if port == RequestPort::Icmp { "forward policy Accept" } else { "forward 13 by number Accept" };
        let expected = format!(
            "node1 nat {service}: pre rule Accept\n\
             node1 observer {target}: forward rule Accept\n\
             node2 observer {target}: forward rule Continue, forward policy Accept\n\
             node2 test {target}: {end}\n"
        );
        assert_eq!(met(&trace), expected, "{trace:#?}");
        assert_eq!(rulesets(&world), before);
    }
}

/// A request meets more rules than any buffer holds messages: the trace says that it is incomplete; the
/// probe and the next trace are not affected.
fn a_trace_is_cut() {
    let mut world = World::new(Wiring::Routed);
    let jumps = |to: &str| format!("jump {to}\n").repeat(150);
    let text = format!(
        "table inet long {{\nchain nothing {{\n}}\nchain many {{\n{}}}\n\
         chain forward {{ type filter hook forward priority 0; policy accept;\n{}}}\n}}\n",
        jumps("nothing"),
        jumps("many")
    );
    world.run(&Place::node("node1"), &["nft", "-f", "-"], &text);
    let requests = [request(world.address(&web(), Family::Ipv4), tcp(80))];
    let (seen, trace) = world.prober.trace_rules(&world.cluster, &requests).unwrap().pop().unwrap();
    assert_eq!((seen.outcome, trace.is_cut), (Outcome::Connected, true), "{seen:#?}");
    world.run(&Place::node("node1"), &["nft", "delete", "table", "inet", "long"], "");
    let (seen, trace) = world.prober.trace_rules(&world.cluster, &requests).unwrap().pop().unwrap();
    assert_eq!((seen.outcome, trace.is_cut), (Outcome::Connected, false), "{seen:#?}");
}

/// The tables of both nodes.
fn rulesets(world: &World) -> Vec<String> {
    let list = |node| world.output(&Place::node(node), &["nft", "list", "tables"]);
    ["node1", "node2"].map(list).into()
}

/// A line for each base chain that a request passed: node, table, destination, and what each step said.
fn met(trace: &RuleTrace) -> String {
    let step = |step: &TraceStep| {
        let who = match &step.rule {
            Some(rule) => rule.comment.as_deref().unwrap_or("rule"),
            None => "policy",
        };
        format!("{} {who} {:?}", step.chain, step.verdict)
    };
    let lines = trace.passes.iter().map(|pass| {
        let steps: Vec<String> = pass.steps.iter().map(step).collect();
        format!("{} {} {}: {}\n", pass.node, pass.table, pass.packet.destination, steps.join(", "))
    });
    lines.collect()
}

/// More log messages than any buffer holds: an error, and the next probe is not affected.
fn lost_logs() {
    let mut world = World::new(Wiring::Routed);
    world.rules("node1", "forward", "udp dport 80 log prefix \"netproof:6\" group 4790 drop");
    let target = world.address(&web(), Family::Ipv4);
    let flood = || {
        let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
        for _ in 0..20_000 {
            let _ = socket.send_to(b"a flood", SocketAddr::new(target, 80));
        }
    };
    world.cluster.netns(&client()).unwrap().enter(flood).unwrap();
    let again: Probe = request(target, udp(80));
    let error = world.prober.probe(std::slice::from_ref(&again)).unwrap_err();
    insta::assert_snapshot!(
        error,
        @"node/node1 lost log messages: its receive buffer was full; run fewer scenarios at once (--jobs), or let the kernel give larger buffers (net.core.rmem_max)"
    );
    let seen = world.probe(again);
    assert_eq!((seen.outcome, seen.logs.len()), (Outcome::Dropped, 1), "{seen:#?}");
}

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial_with_rules("a second try passes once", a_second_try_passes_once),
        trial_with_rules("lost log messages are an error", lost_logs),
        trial_with_rules("a trace that is too long is cut", a_trace_is_cut),
    ];
    for family in Family::ALL {
        trials.push(trial_with_rules(format!("passages over {family}"), move || passages(family)));
        trials.push(trial_with_rules(format!("rules are traced over {family}"), move || {
            rules_are_traced(family)
        }));
    }
    trials
}
