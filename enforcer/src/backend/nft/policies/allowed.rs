//! Who allowed a request: what a trace of this backend's chains says, for each time that the request met policy.
//!
//! A base chain finds the endpoint's chain by a verdict map. Where the map has none, no policy isolates the endpoint,
//! and the base chain ends with its own policy. Else a policy's rule has accepted, with its number in its comment, or
//! the last tier has let go on what nothing decided.

use super::hooks;
use super::render::{NO_TIER, TABLE};
use crate::identities;
use crate::{Allowed, AllowedBy};
use netproof_model::{ChainPass, Direction, RuleTrace, TraceVerdict};

/// Whom the policies let through, in the order of the request's way. Passes that did not end in an accept are no
/// allowances, and not among them.
pub(super) fn allowed(trace: &RuleTrace) -> Vec<Allowed> {
    trace.passes.iter().filter_map(allowed_in).collect()
}

fn allowed_in(pass: &ChainPass) -> Option<Allowed> {
    if pass.table != TABLE.name {
        return None;
    }
    let base = pass.base()?;
    let direction = hooks::direction_of(base)?;
    let end = pass.end().filter(|end| end.verdict == TraceVerdict::Accept)?;
    let by = match &end.rule {
        None if end.chain == base => AllowedBy::Nobody,
        // No chain but a base chain has a policy: what was told is not whole.
        None => return None,
        // What the base chain itself lets through has met no policy.
        Some(_) if end.chain == base => AllowedBy::Exempt,
        Some(rule) => match rule.comment.as_deref() {
            Some(NO_TIER) => AllowedBy::Nobody,
            comment => match comment.and_then(identities::number_in) {
                Some(number) => AllowedBy::Rule(number),
                None => AllowedBy::Exempt,
            },
        },
    };
    let endpoint = match direction {
        Direction::Egress => pass.packet.source,
        Direction::Ingress => pass.packet.destination,
    };
    Some(Allowed { node: pass.node.clone(), direction, endpoint, by })
}

#[cfg(test)]
mod tests {
    use super::*;
    use netproof_model::observation::PacketAddresses;
    use netproof_model::{Protocol, TraceStep, TracedRule};

    fn step(chain: &str, comment: Option<&str>, verdict: TraceVerdict) -> TraceStep {
        let rule = TracedRule { handle: 7, comment: comment.map(str::to_owned) };
        TraceStep { chain: chain.to_owned(), rule: Some(rule), verdict }
    }

    fn end(chain: &str, verdict: TraceVerdict) -> TraceStep {
        TraceStep { chain: chain.to_owned(), rule: None, verdict }
    }

    /// A table, its steps, and who allowed whom.
    #[test]
    fn the_last_step_of_a_pass_decided() {
        let goto = || step("forward-egress", None, TraceVerdict::Goto("egress-pod/default/a".into()));
        let jump =
            || step("egress-pod/default/a", None, TraceVerdict::Jump("egress-policy/default/p".into()));
        let accept = |comment| step("egress-policy/default/p_e3", comment, TraceVerdict::Accept);
        let ours = "netproof-policy";
        let (source, destination) = ("10.0.0.1", "10.0.0.2");
        let allowed_at = |direction, endpoint: &str, by| {
            let endpoint = endpoint.parse().unwrap();
            Some(Allowed { node: "node1".into(), direction, endpoint, by })
        };
        let (egress, ingress) = (Direction::Egress, Direction::Ingress);
        for (table, steps, expected) in [
            (
                ours,
                vec![goto(), jump(), accept(Some("13 networkpolicy/default/p#egress[0]"))],
                allowed_at(egress, source, AllowedBy::Rule(13)),
            ),
            (
                ours,
                vec![goto(), step("egress-pod/default/a", Some(NO_TIER), TraceVerdict::Accept)],
                allowed_at(egress, source, AllowedBy::Nobody),
            ),
            // A pod reaches itself.
            (
                ours,
                vec![
                    goto(),
                    step("egress-pod/default/a", Some("a pod reaches itself"), TraceVerdict::Accept),
                ],
                allowed_at(egress, source, AllowedBy::Exempt),
            ),
            (
                ours,
                vec![end("forward-egress", TraceVerdict::Accept)],
                allowed_at(egress, source, AllowedBy::Nobody),
            ),
            (
                ours,
                vec![end("forward-ingress", TraceVerdict::Accept)],
                allowed_at(ingress, destination, AllowedBy::Nobody),
            ),
            (
                ours,
                vec![end("input-egress", TraceVerdict::Accept)],
                allowed_at(egress, source, AllowedBy::Nobody),
            ),
            // An existing connection.
            (
                ours,
                vec![step("forward-ingress", None, TraceVerdict::Accept)],
                allowed_at(ingress, destination, AllowedBy::Exempt),
            ),
            (ours, vec![goto(), step("egress-pod/default/a", Some("9 isolation"), TraceVerdict::Drop)], None),
            (ours, vec![goto(), end("forward-ingress", TraceVerdict::Accept)], None),
            (ours, vec![step("prerouting-source", None, TraceVerdict::Accept)], None),
            (ours, Vec::new(), None),
            ("netproof-observer", vec![end("forward-egress", TraceVerdict::Accept)], None),
        ] {
            let packet = PacketAddresses {
                source: source.parse().unwrap(),
                destination: destination.parse().unwrap(),
                protocol: Protocol::Tcp,
                source_port: 1000,
                destination_port: 80,
            };
            let pass = ChainPass { node: "node1".into(), table: table.to_owned(), packet, steps };
            let trace = RuleTrace { passes: vec![pass], is_cut: false };
            assert_eq!(allowed(&trace), expected.into_iter().collect::<Vec<_>>(), "{trace:?}");
        }
    }
}
