//! Agents that are wrong on purpose: the example, which is told something else than what the API says. This program is
//! one of them when it is started as `wrong-agent FAULT URL`.

use crate::agent::watch::Watches;
use crate::programs::Programs;
use serde_json::{Value, json};
use std::error::Error;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::thread;

const KINDS: [&str; 3] = ["/api/v1/namespaces", "/api/v1/pods", "/apis/networking.k8s.io/v1/networkpolicies"];

/// A kind that no cluster has.
pub const UNKNOWN_KIND: &str = "/apis/example.org/v1/widgets";

/// What is wrong: what it makes of an object.
type Fault = fn(&mut Value);

/// The faults, by name.
const FAULTS: [(&str, Fault); 5] = [
    ("asks-for-more", |_| {}),
    ("drops-except", drops_except),
    ("one-set-of-blocks", one_set_of_blocks),
    ("named-port-without-peers", named_port_without_peers),
    ("protocols-share-names", protocols_share_names),
];

/// The option for one of them.
pub fn agent(programs: &Programs, fault: &str) -> String {
    let path = programs.file("wrong.yaml");
    let profile = json!({
        "apiVersion": "netproof/v1alpha1", "kind": "AgentProfile", "metadata": {"name": "wrong"},
        "spec": {
            "title": "the example, wrong on purpose", "role": "enforcer", "program": "wrong-agent",
            "arguments": [fault, "{plainApi}"], "environment": {"NETPROOF_NODE": "{node}"},
        },
    });
    std::fs::write(&path, profile.to_string()).expect("the profile is written");
    format!("agent:{path}")
}

/// Acts as one of them.
pub fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [fault, url] = arguments.as_slice() else { return Err("usage: wrong-agent FAULT URL".into()) };
    let kinds: &'static [&'static str] = if fault == "unknown-kind" { &[UNKNOWN_KIND] } else { &KINDS };
    let mut watches = Watches::begin(url, kinds);
    if fault == "asks-for-more" {
        // What comes of it is nobody's business.
        drop(Watches::begin(url, &[UNKNOWN_KIND]));
    }
    match fault.as_str() {
        // As clients do that try again and again.
        "unknown-kind" => {
            while watches.news().is_ok() {}
            loop {
                thread::park();
            }
        }
        "enforces-nothing" => loop {
            watches.news()?;
        },
        _ => tell_the_example(watches, fault),
    }
}

/// The example, in its other life, is told what comes, falsified.
fn tell_the_example(mut watches: Watches, fault: &str) -> Result<(), Box<dyn Error>> {
    let (_, fault) = FAULTS.into_iter().find(|(name, _)| *name == fault).ok_or("there is no such fault")?;
    let mut example = Command::new("/proc/self/exe");
    let mut example = example.arg0("agent").stdin(Stdio::piped()).stdout(Stdio::null()).spawn()?;
    let mut input = example.stdin.take().ok_or("it has no standard input")?;
    loop {
        let mut events = watches.news()?;
        events.iter_mut().for_each(|event| fault(&mut event["object"]));
        writeln!(input, "{}", json!({"generation": 1, "events": events}))?;
    }
}

fn each(list: &mut Value) -> impl Iterator<Item = &mut Value> {
    list.as_array_mut().into_iter().flatten()
}

/// The rules of a policy in each direction, with what their peers are called.
fn rules(object: &mut Value) -> impl Iterator<Item = (&'static str, &mut Value)> {
    let spec = if object["kind"] == "NetworkPolicy" { object["spec"].as_object_mut() } else { None };
    let directions = spec.into_iter().flatten().filter_map(|(key, rules)| match key.as_str() {
        "ingress" => Some(("from", rules)),
        "egress" => Some(("to", rules)),
        _ => None,
    });
    directions.flat_map(|(peers, rules)| each(rules).map(move |rule| (peers, rule)))
}

/// Every exception is forgotten.
fn drops_except(object: &mut Value) {
    for (peers, rule) in rules(object) {
        for block in each(&mut rule[peers]).filter_map(|peer| peer.get_mut("ipBlock")) {
            block["except"] = json!([]);
        }
    }
}

/// All blocks of a rule are one set, from which every exception is taken.
fn one_set_of_blocks(object: &mut Value) {
    let is_ipv6 = |range: &Value| range.as_str().is_some_and(|it| it.contains(':'));
    for (peers, rule) in rules(object) {
        let Some(entries) = rule[peers].as_array_mut() else { continue };
        let blocks = entries.iter().filter_map(|peer| peer["ipBlock"]["except"].as_array());
        let all: Vec<Value> = blocks.flatten().cloned().collect();
        for block in entries.iter_mut().filter_map(|peer| peer.get_mut("ipBlock")) {
            let family = is_ipv6(&block["cidr"]);
            block["except"] = all.iter().filter(|it| is_ipv6(it) == family).cloned().collect();
        }
    }
}

/// Without peers there is no set of destinations, and the port is forgotten.
fn named_port_without_peers(object: &mut Value) {
    for (peers, rule) in rules(object) {
        let named = each(&mut rule["ports"]).any(|port| port["port"].is_string());
        if peers == "to" && named && rule.get(peers).is_none() {
            rule["ports"] = json!([]);
        }
    }
}

/// The number that a pod gives a name for SCTP is its number for UDP, too.
fn protocols_share_names(object: &mut Value) {
    if object["kind"] != "Pod" {
        return;
    }
    for container in each(&mut object["spec"]["containers"]) {
        let Some(ports) = container["ports"].as_array_mut() else { continue };
        let mut more: Vec<Value> = ports.iter().filter(|port| port["protocol"] == "SCTP").cloned().collect();
        more.iter_mut().for_each(|port| port["protocol"] = json!("UDP"));
        ports.append(&mut more);
    }
}
