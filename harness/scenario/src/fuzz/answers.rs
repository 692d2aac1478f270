//! What the API says of the flows that a plan names, as the lines of expectations.

use super::text::Expected;
use crate::plan::{Expectation, Plan, RequestTarget};
use crate::prediction::{Answer, Answers, Kept};
use netproof_controlplane::{ChangeError, ControlPlane, Snapshot};
use netproof_model::Place;
use netproof_model::topology::ListenPort;
use netproof_oracle::{Alternative, Hop, PortProtocol, Profile, Server, ServiceStep, Verdict};
use std::collections::{BTreeMap, BTreeSet};

/// Of each step's expectations, whatever they say, those that the API has a word for, with it.
pub(super) fn expectations(
    plan: &Plan,
    profile: Profile,
    dual: bool,
) -> Result<BTreeMap<usize, Vec<Expected>>, ChangeError> {
    let mut control = ControlPlane::new(plan.topology.clone())?;
    control.apply(&plan.initial)?;
    let mut all = BTreeMap::new();
    let mut kept = Kept::default();
    for (index, step) in plan.steps.iter().enumerate() {
        for changes in &step.change_sets {
            control.apply(changes)?;
        }
        let snapshot = control.snapshot();
        let answers = Answers::new(&snapshot, profile);
        let expected = step.expectations.iter().filter_map(|expectation| {
            // A connection is opened by what is written, and no other.
            let mut then = kept.clone();
            let answer = answers.answer(expectation, &mut then)?;
            let lines = lines(expectation, &answer, &snapshot)?;
            kept = then;
            let family = dual.then_some(expectation.family);
            Some(Expected { flow: expectation.flow.to_string(), family, lines })
        });
        all.insert(index, expected.collect());
    }
    Ok(all)
}

fn lines(expectation: &Expectation, answer: &Answer, snapshot: &Snapshot) -> Option<Vec<String>> {
    let servers = servers(expectation, answer);
    let listens = netproof_probe::listens(snapshot);
    let ways = || answer.predictions.iter().flat_map(|prediction| &prediction.alternatives);
    // What policy denies must connect without it; the rest is for the matrix.
    let leads_nowhere = |way: &Alternative| way.server.is_none() && way.denied_by().is_some();
    if !servers.iter().all(|server| is_served(server, &listens))
        || ways().any(|way| leads_nowhere(way) || !comes_back(way))
    {
        return None;
    }
    let mut lines = vec![line(&answer.to_string())?];
    if expectation.keep {
        lines.push("connection: keep".to_owned());
    }
    if answer.is_refused() {
        lines.push("decidedBy: service".to_owned());
    }
    let all_allowed = ways().all(|way| way.verdict == Verdict::Allow);
    if let [server] = servers.as_slice()
        && all_allowed
        && !expectation.keep
        && matches!(server.packet.port, PortProtocol::Port { .. })
    {
        lines.push(format!("sees: ip/{}", server.packet.source));
    }
    Some(lines)
}

/// Who may get the request, without the name server where it is asked first; each once.
fn servers<'a>(expectation: &Expectation, answer: &'a Answer) -> Vec<&'a Server> {
    let queries = usize::from(matches!(expectation.request.target, RequestTarget::Name { .. }));
    let ways = answer.predictions.iter().skip(queries).flat_map(|prediction| &prediction.alternatives);
    let mut servers: Vec<&Server> = Vec::new();
    for server in ways.filter_map(|way| way.server.as_ref()) {
        if !servers.contains(&server) {
            servers.push(server);
        }
    }
    servers
}

/// Whether the answer passes the node that translated the request. One that the sender asked from elsewhere
/// (a pod asks another node for a service whose traffic policy is Local) may lead it on as it is, and the answer
/// goes straight to a sender that does not know who answers; so it does in any cluster.
fn comes_back(way: &Alternative) -> bool {
    let translates = |hop: &Hop| matches!(hop.service, Some(ServiceStep::Translate { .. }));
    match way.hops.iter().position(translates) {
        Some(first @ 1..) => first + 1 == way.hops.len() || way.hops.iter().any(|hop| hop.source.is_some()),
        _ => true,
    }
}

/// Whether somebody listens there.
fn is_served(server: &Server, listens: &BTreeMap<Place, BTreeSet<ListenPort>>) -> bool {
    let own = listens.get(&server.place).into_iter().flatten();
    let mut ports = own.map(|own| PortProtocol::new(own.port, own.protocol));
    server.packet.port == PortProtocol::Echo || ports.any(|port| port == server.packet.port)
}

/// An answer of the API as an expectation, where there is a word for it.
pub(super) fn line(answer: &str) -> Option<String> {
    match answer {
        "allow" | "deny" | "drop" | "reject" => Some(format!("verdict: {answer}")),
        "unreachable" | "name-not-found" | "name-server-unreachable" => Some(format!("outcome: {answer}")),
        // A verdict for each backend.
        _ if answer.contains(": ") && !answer.contains("nobody") && !answer.contains('(') => {
            Some(format!("verdict: {{{answer}}}"))
        }
        _ => None,
    }
}
