//! The parts of an expectation that are about a flow's way, against the API: what a name resolves to, who
//! decides and how, which addresses policy and the server see, which node chooses the backend, and whether it keeps
//! to its choice.
//!
//! Each must hold on every way that the flow may take, as a run asks it of every try.

use crate::decider::decides;
use netproof_controlplane::Snapshot;
use netproof_model::request::RequestTarget;
use netproof_model::{Action, DecidedBy, Place};
use netproof_oracle::{
    Alternative, Packet, PolicyDecision, PredictedDenial, Prediction, ServiceStep, Verdict,
};
use netproof_plan::addresses::{address_name, covers, other_addresses};
use netproof_plan::{AddressName, Expectation, PolicySees};
use std::net::IpAddr;

/// In what they contradict the API.
pub(crate) fn contradiction(
    predictions: &[Prediction],
    expectation: &Expectation,
    snapshot: &Snapshot,
) -> Option<String> {
    if let Some(contradiction) = names(expectation, snapshot) {
        return Some(contradiction);
    }
    // Of a name, the first prediction is the query's.
    let query = usize::from(matches!(expectation.request.target, RequestTarget::Name { .. }));
    let mut ways = predictions.iter().skip(query).flat_map(|prediction| &prediction.alternatives);
    ways.find_map(|way| {
        decider(way, expectation)
            .or_else(|| rejection(way, expectation))
            .or_else(|| chooser(way, expectation))
            .or_else(|| spreader(way, expectation, snapshot))
            .or_else(|| seen_by_policy(way, expectation, snapshot))
            .or_else(|| seen_by_server(way, expectation, snapshot))
    })
}

/// That a name resolves to other addresses. One that nobody has is another answer.
fn names(expectation: &Expectation, snapshot: &Snapshot) -> Option<String> {
    let RequestTarget::Name { addresses, .. } = &expectation.request.target else { return None };
    let wanted = expectation.resolves_to.as_ref().filter(|_| !addresses.is_empty())?;
    let (wanted, resolved) = other_addresses(wanted, addresses, snapshot)?;
    Some(format!("expected the name to resolve to {wanted}, the API says to {resolved}"))
}

/// Whoever denies; of what is allowed, whoever allows at one of its ends.
fn decider(way: &Alternative, expectation: &Expectation) -> Option<String> {
    let wanted = expectation.decided_by.as_ref()?;
    let (fits, by) = match &way.verdict {
        Verdict::Deny(PredictedDenial::Policy { .. }) => {
            let deciders = way.deniers();
            // Empty where the profile decides by itself, without a policy that could be named.
            let by = deciders.first()?.to_string();
            (deciders.iter().any(|decision| decides(wanted, decision)), by)
        }
        Verdict::Deny(PredictedDenial::Service { .. }) => {
            (*wanted == DecidedBy::Service, DecidedBy::Service.to_string())
        }
        Verdict::Allow if expectation.expected.is_allow() => return allower(way, wanted),
        Verdict::Allow | Verdict::Either(_) | Verdict::Unreachable | Verdict::NoAnswer { .. } => return None,
    };
    (!fits).then(|| format!("expected to be decided by {wanted}, the API says by {by}"))
}

/// That nobody of those who are named allows. Nobody is contradicted by an end of which the API names nobody.
fn allower(way: &Alternative, wanted: &DecidedBy) -> Option<String> {
    let fits = |decision: &&PolicyDecision| decision.decided_by().iter().any(|by| decides(wanted, by));
    let is_open = |decision: &&PolicyDecision| decision.decided_by().is_empty();
    let is_meant = |decision: &&PolicyDecision| match wanted {
        DecidedBy::Policy { direction: Some(direction), .. } => *direction == decision.direction,
        _ => true,
    };
    let meant = || way.decisions().filter(is_meant);
    let others: Vec<&PolicyDecision> = meant().filter(|it| !fits(it) && !is_open(it)).collect();
    let is_right = match wanted {
        DecidedBy::Default => others.is_empty(),
        _ => meant().any(|it| fits(&it) || is_open(&it)),
    };
    if is_right {
        return None;
    }
    let by: Vec<String> =
        others.iter().filter_map(|it| it.decided_by().first()).map(ToString::to_string).collect();
    Some(match by.as_slice() {
        [] => format!("expected to be allowed by {wanted}, the API says that no pod's policies apply to it"),
        by => format!("expected to be allowed by {wanted}, the API says: {}", by.join("; ")),
    })
}

/// That what is to be rejected is dropped. How a rejection looks is the enforcer's choice.
fn rejection(way: &Alternative, expectation: &Expectation) -> Option<String> {
    let wanted = expectation.rejected_with?;
    let Verdict::Deny(denial) = &way.verdict else { return None };
    let is_dropped = denial.action() == Some(Action::Drop);
    is_dropped.then(|| format!("expected to be rejected with {}, the API says drop", wanted.word()))
}

fn chooser(way: &Alternative, expectation: &Expectation) -> Option<String> {
    let wanted = expectation.via.as_ref()?;
    let chose = way.hops.iter().find(|hop| matches!(hop.service, Some(ServiceStep::Translate { .. })))?;
    let Place::Node(node) = &chose.place else { return None };
    (!wanted.contains(node)).then(|| {
        let list: Vec<String> = wanted.iter().map(|node| format!("node/{node}")).collect();
        format!("expected {} to choose the backend, the API says node/{node} may", list.join(" or "))
    })
}

/// That a client is to be kept with one of several backends by a service that does not do that.
fn spreader(way: &Alternative, expectation: &Expectation, snapshot: &Snapshot) -> Option<String> {
    let mut steps = way.hops.iter().filter(|_| expectation.sticky).filter_map(|hop| hop.service.as_ref());
    steps.find_map(|step| {
        let ServiceStep::Translate { service, choices: 2.., .. } = step else { return None };
        let keeps = snapshot.services.get(service).is_none_or(|it| it.session_affinity.is_some());
        (!keeps).then(|| {
            format!("expected one backend to answer every try, but service/{service} has no sessionAffinity: ClientIP")
        })
    })
}

fn seen_by_policy(way: &Alternative, expectation: &Expectation, snapshot: &Snapshot) -> Option<String> {
    let PolicySees { source, destination } = expectation.policy_sees.as_ref()?;
    let packet = decided_on(way)?;
    let ends = [("source", source, packet.source), ("destination", destination, packet.destination)];
    let wrong = |(end, wanted, seen): (&str, &Option<AddressName>, IpAddr)| {
        let wanted = wanted.as_ref().filter(|wanted| !covers(wanted, seen, snapshot))?;
        let seen = address_name(seen, snapshot);
        Some(format!("expected policy to see {wanted} as the {end}, the API says {seen}"))
    };
    ends.into_iter().find_map(wrong)
}

/// The packet that policy decides on: where it is denied, else on the last node of its way.
fn decided_on(way: &Alternative) -> Option<Packet> {
    match &way.verdict {
        Verdict::Deny(PredictedDenial::Policy { .. }) => Some(way.denied_by()?.packet),
        Verdict::Allow | Verdict::NoAnswer { .. } => {
            let last = way.hops.iter().rfind(|hop| matches!(hop.place, Place::Node(_)))?;
            Some(last.seen)
        }
        Verdict::Deny(PredictedDenial::Service { .. }) | Verdict::Either(_) | Verdict::Unreachable => None,
    }
}

fn seen_by_server(way: &Alternative, expectation: &Expectation, snapshot: &Snapshot) -> Option<String> {
    let wanted = expectation.sees.as_ref()?;
    let server =
        way.server.as_ref().filter(|_| matches!(way.verdict, Verdict::Allow | Verdict::NoAnswer { .. }))?;
    let seen = server.packet.source;
    (!covers(wanted, seen, snapshot)).then(|| {
        format!("expected the server to see {wanted}, the API says {}", address_name(seen, snapshot))
    })
}
