//! Policies that are no NetworkPolicies, on the way of real flows: three sets that people have, with an evaluator as
//! thin as a test needs. Each table says at which stage which endpoint is asked, what it says, and who decides.

mod admin;
#[path = "../../tests/oracle/world.rs"]
pub(crate) mod cluster;
mod global;
mod host;
mod many;
mod matrix;
mod thin;

use crate::flow::{Flow, PortProtocol};
use crate::oracle::Oracle;
use crate::policy::Evaluator;
use crate::prediction::{Alternative, PolicyDecision, Verdict};
use crate::profile::Profile;
use crate::truth::Truth;
use netproof_controlplane::Snapshot;
use netproof_model::{Decision, Family, Place, Protocol};

/// A flow, and every way that it may take: what becomes of it, and each decision of policy on the way.
type Row = (&'static str, &'static [&'static str]);

/// Holds what the oracle says of each flow under these policies against the table.
fn check(snapshot: &Snapshot, profile: Profile, evaluators: fn() -> Vec<Box<dyn Evaluator>>, table: &[Row]) {
    let oracle = Oracle { evaluators: evaluators(), ..Oracle::new(snapshot, profile) };
    check_with(&oracle, snapshot, table);
}

fn check_with(oracle: &Oracle<'_>, snapshot: &Snapshot, table: &[Row]) {
    let mut wrong = Vec::new();
    for (text, expected) in table {
        let prediction = oracle.predict(&flow(snapshot, text)).unwrap();
        let found: Vec<String> = prediction.alternatives.iter().map(way).collect();
        let expected: Vec<String> =
            expected.iter().map(|it| it.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
        if found != expected {
            wrong.push(format!("{text}\n    {}", found.join("\n    ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// `FROM -> TO:PORT[/PROTOCOL]`, where both are places or the destination is an address.
pub(crate) fn flow(snapshot: &Snapshot, text: &str) -> Flow {
    let (from, rest) = text.split_once(" -> ").unwrap();
    let (to, port) = rest.rsplit_once(':').unwrap();
    let (port, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
    let protocols = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp, Protocol::Icmp];
    let protocol = protocols.into_iter().find(|it| it.to_string() == protocol).unwrap();
    let address = || snapshot.address_of(&place(to), Family::Ipv4).unwrap();
    Flow {
        from: place(from),
        to: to.parse().unwrap_or_else(|_| address()),
        port: PortProtocol::new(port.parse().unwrap(), protocol),
    }
}

fn place(text: &str) -> Place {
    match text.split('/').collect::<Vec<_>>().as_slice() {
        ["pod", namespace, name] => Place::pod(*namespace, *name),
        ["node", name] => Place::node(*name),
        ["external", name] => Place::external(*name),
        _ => panic!("`{text}` is no place"),
    }
}

/// `allow: preDNAT node/node1 ingress allow by WHO, ...`
fn way(way: &Alternative) -> String {
    let verdict = match &way.verdict {
        Verdict::Allow => "allow".to_owned(),
        Verdict::Deny(crate::PredictedDenial::Policy { .. }) => "deny".to_owned(),
        Verdict::Deny(crate::PredictedDenial::Service { .. }) => "refuse".to_owned(),
        Verdict::Either(switches) => format!("open {switches}"),
        other => format!("{other:?}"),
    };
    let decisions: Vec<String> = way.decisions().map(decision).collect();
    format!("{verdict}: {}", decisions.join(", ")).trim_end().to_owned()
}

fn decision(decision: &PolicyDecision) -> String {
    let PolicyDecision { endpoint, direction, stage, truth, .. } = decision;
    let word = match truth {
        Truth::Yes => "allow",
        Truth::No => "deny",
        Truth::Either(_) => "open",
    };
    let by = deciders(decision);
    let by = if by.is_empty() { by } else { format!(" by {by}") };
    format!("{stage} {direction} of {endpoint} {word}{by}")
}

/// Who decides, joined by `or`; empty where nobody in particular does.
pub(crate) fn deciders(decision: &PolicyDecision) -> String {
    let by = decision.decided_by().iter().map(|by| match by {
        Decision::NotIsolated { .. } => "nobody".to_owned(),
        Decision::Isolation { .. } => "isolation".to_owned(),
        Decision::EndOfTier { tier, policies, .. } => {
            let policies: Vec<&str> = policies.iter().map(|it| it.name.as_str()).collect();
            format!("the end of {tier} ({})", policies.join(" "))
        }
        Decision::Rule { policy, tier, rule, .. } => format!("{tier}: {}[{rule}]", policy.name),
        other => panic!("{other:?} is no decision of policy"),
    });
    by.collect::<Vec<_>>().join(" or ")
}
