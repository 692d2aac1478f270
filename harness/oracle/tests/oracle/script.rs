//! Cases as text: a heading `# ID what it is about`, then lines that change the cluster and lines that
//! check it, in turn. Every case starts with a cluster of its own.
//!
//!     topology WORDS                  on what; the first line, if it is there
//!     namespace|pod|service|..        a change
//!     FLOW = ANSWER                   under the profile netproof
//!     PROFILE: FLOW = ANSWER          under another
//!     existing: FLOW = ANSWER         for a connection that was allowed when it was opened
//!     FLOW => WAY | WAY               every way that it may take, in any order
//!
//! An answer is `allow`, `drop`, `reject`, `deny` (open which), `unreachable`, `no-answer`, `varies` or
//! `either SWITCH,..`. A way is `PLACE[:PORT] sees WHO [policy WHO]`, an answer that is not allow before it.

use crate::world::{World, name};
use netproof_controlplane::Snapshot;
use netproof_model::flow::{Destination, Flow as Written, FlowPort, ObjectName, PortRef, Source};
use netproof_model::{Action, Direction, Family, NamespacedName, Place, Protocol};
use netproof_oracle::{Alternative, Flow, Oracle, PortProtocol, Prediction, Profile, Verdict};
use std::net::IpAddr;

/// Runs every case of a text; panics with every line whose answer differs. Returns the cases' ids.
pub fn run(text: &str) -> Vec<String> {
    let mut ids = Vec::new();
    let mut wrong = Vec::new();
    let mut world = World::default();
    let mut checked = true;
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        let at = format!("line {}", number + 1);
        if let Some(heading) = line.strip_prefix("# ") {
            assert!(checked, "the case before {at} checks nothing");
            ids.push(heading.split(' ').next().unwrap().to_owned());
            world = World::default();
            checked = false;
        } else if let Some(words) = line.strip_prefix("topology ") {
            world = World::on(words);
        } else if line.contains("->") {
            checked = true;
            if let Err(message) = check(&world.snapshot(), line) {
                wrong.push(format!("{at} of {}: {line}\n    {message}", ids.last().unwrap()));
            }
        } else if !line.is_empty() {
            world.change(line);
        }
    }
    assert!(checked, "the last case checks nothing");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    ids
}

fn check(snapshot: &Snapshot, line: &str) -> Result<(), String> {
    let (profile, existing, rest) = match line.split_once(": ") {
        Some(("existing", rest)) => (Profile::NETPROOF, true, rest),
        Some((name, rest)) => (Profile::named(name).unwrap(), false, rest),
        None => (Profile::NETPROOF, false, line),
    };
    let (rest, existing) = match rest.strip_prefix("existing ") {
        Some(rest) => (rest, true),
        None => (rest, existing),
    };
    if let Some((flow, ways)) = rest.split_once(" => ") {
        let prediction = predict(snapshot, profile, flow);
        let mut found: Vec<String> =
            prediction.alternatives.iter().map(|alternative| way(snapshot, alternative)).collect();
        let mut expected: Vec<String> = ways.split(" | ").map(|way| way.trim().to_owned()).collect();
        found.sort();
        expected.sort();
        return if found == expected { Ok(()) } else { Err(format!("found: {}", found.join(" | "))) };
    }
    let (flow, expected) = rest.split_once(" = ").unwrap();
    let prediction = predict(snapshot, profile, flow);
    let found = match prediction.verdict() {
        None => "varies".to_owned(),
        Some(verdict) if existing => word(&verdict.on_existing(&profile)),
        Some(verdict) => word(verdict),
    };
    if found == expected { Ok(()) } else { Err(format!("found: {found}")) }
}

/// The prediction of a written flow.
pub fn predict(snapshot: &Snapshot, profile: Profile, flow: &str) -> Prediction {
    let flow = resolve(snapshot, flow);
    Oracle::new(snapshot, profile).predict(&flow).unwrap_or_else(|error| panic!("{flow:?}: {error}"))
}

fn word(verdict: &Verdict) -> String {
    match verdict {
        Verdict::Allow => "allow".into(),
        Verdict::Deny(denial) => match denial.action() {
            Some(Action::Reject) => "reject".into(),
            Some(_) => "drop".into(),
            None => "deny".into(),
        },
        Verdict::Either(switches) => format!("either {}", switches.to_string().replace(", ", ",")),
        Verdict::Unreachable => "unreachable".into(),
        Verdict::NoAnswer { .. } => "no-answer".into(),
    }
}

fn way(snapshot: &Snapshot, alternative: &Alternative) -> String {
    let mut text = String::new();
    if alternative.verdict != Verdict::Allow {
        text = word(&alternative.verdict) + " ";
    }
    let Some(server) = &alternative.server else {
        return text.trim_end().to_owned();
    };
    let port = match server.packet.port {
        PortProtocol::Port { number, .. } => format!(":{number}"),
        PortProtocol::Echo => String::new(),
    };
    let place = server.place.to_string().replace("pod/default/", "pod/");
    text += &format!("{place}{port} sees {}", who(snapshot, server.packet.source));
    let ingress = alternative.decisions().find(|decision| decision.direction == Direction::Ingress);
    if let Some(decision) = ingress {
        text += &format!(" policy {}", who(snapshot, decision.packet.source));
    }
    text
}

/// Whose address it is; an overlay's end is `tunnel/NODE`, other addresses are themselves.
fn who(snapshot: &Snapshot, address: IpAddr) -> String {
    if let Some(node) = snapshot.nodes.values().find(|node| node.tunnel_addresses.contains(&address)) {
        return format!("tunnel/{}", node.metadata.name);
    }
    let place = snapshot.place_of_address(address);
    place.map_or(address.to_string(), |place| place.to_string().replace("pod/default/", "pod/"))
}

/// The flow with names and ports as addresses and numbers; `:PORT/PROTOCOL,ipv6` is the other family.
pub fn resolve(snapshot: &Snapshot, text: &str) -> Flow {
    let (text, family) = match text.strip_suffix(" over ipv6") {
        Some(text) => (text, Family::Ipv6),
        None => (text, snapshot.topology.family.list()[0]),
    };
    let flow: Written = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
    let object = |object: &ObjectName| -> NamespacedName { name(&object.to_string()) };
    let of_family =
        |addresses: &[IpAddr]| *addresses.iter().find(|address| Family::of(**address) == family).unwrap();
    let from = match &flow.from {
        Source::Pod(pod) => snapshot.place_of_pod(&object(pod)).unwrap(),
        Source::Node(node) => Place::Node(node.clone()),
        Source::External(host) => Place::External(host.clone()),
    };
    let service = |name: &ObjectName| &snapshot.services[&object(name)];
    let to = match &flow.to {
        Destination::Pod(pod) => of_family(&snapshot.pods[&object(pod)].pod_ips),
        Destination::Node(node) => of_family(&snapshot.nodes[node].addresses),
        Destination::External(host) => of_family(&snapshot.externals[host].addresses),
        Destination::Service(name) => of_family(&service(name).cluster_ips),
        Destination::LoadBalancer(name) => service(name).load_balancer_ingress[0].ip,
        Destination::NodePort { node, .. } => of_family(&snapshot.nodes[node].addresses),
        Destination::Ip(address) => *address,
        Destination::Dns(_) => panic!("names are resolved by others"),
    };
    let port = match (&flow.port, &flow.to) {
        (Some(FlowPort::Icmp), _) => PortProtocol::Echo,
        (Some(FlowPort::Port { port: PortRef::Number(number), protocol }), _) => {
            PortProtocol::new(*number, protocol.transport())
        }
        (None, Destination::NodePort { service: name, .. }) => {
            PortProtocol::new(service(name).ports[0].node_port.unwrap(), Protocol::Tcp)
        }
        _ => panic!("{text}: the port's number is missing"),
    };
    Flow { from, to, port }
}
