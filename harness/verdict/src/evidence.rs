//! What packets left behind on the nodes, put into words: which node chose the backend, and which addresses
//! policy saw.

use netproof_controlplane::Snapshot;
use netproof_model::event::{Denial, PolicySees};
use netproof_model::observation::PacketAddresses;
use netproof_model::{Action, Hook, Observation, Outcome, Passage, Verdict};
use netproof_plan::addresses::address_name;

/// What a probe saw, as a verdict.
pub fn observed(outcome: Outcome, denials: &[Denial]) -> Verdict {
    match (outcome.verdict(), denials.first().map(|denial| denial.action)) {
        (Some(verdict), _) => verdict,
        // The source's own stack refused; the rule that did it says which of the two it was.
        (None, Some(Action::Reject)) => Verdict::Reject,
        (None, _) => Verdict::Drop,
    }
}

/// The node that chose the backend, if one did and was observed.
pub fn via(observation: &Observation) -> Option<&str> {
    observation.passages.iter().find(|passage| passage.translated).map(|passage| passage.node.as_str())
}

/// A request where policy decided about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decided<'o> {
    /// The node.
    pub node: &'o str,
    /// Where on it.
    pub hook: Hook,
    /// With which addresses.
    pub packet: PacketAddresses,
}

/// Where policy decided: at the first denial, else on the node of the destination, else (the destination
/// is outside the cluster, or was never reached) at the last hook that the request passed.
pub fn decided<'o>(
    observation: &'o Observation,
    denials: &'o [Denial],
    snapshot: &Snapshot,
) -> Option<Decided<'o>> {
    if let Some(Denial { node, hook, packet, .. }) = denials.first()
        && observation.outcome != Outcome::Connected
    {
        return Some(Decided { node, hook: *hook, packet: *packet });
    }
    let at_home = |passage: &&Passage| {
        let place = snapshot.place_of_address(passage.packet.destination);
        let answers = observation.served_by.is_none() || observation.served_by == place;
        answers && place.is_some_and(|place| snapshot.node_of(&place) == Some(passage.node.as_str()))
    };
    let passages = &observation.passages;
    let passage = passages.iter().rev().filter(at_home);
    // What a node sends to itself passes its output hook first.
    let input = passage.clone().find(|passage| passage.hook == Hook::Input);
    let passage = input.or_else(|| passage.clone().next()).or(passages.last())?;
    Some(Decided { node: &passage.node, hook: passage.hook, packet: passage.packet })
}

/// The same with names, as reports show it.
pub fn policy_sees(decided: Decided<'_>, snapshot: &Snapshot) -> PolicySees {
    PolicySees {
        node: decided.node.to_owned(),
        hook: decided.hook,
        source: address_name(decided.packet.source, snapshot),
        destination: address_name(decided.packet.destination, snapshot),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netproof_model::Action;
    use netproof_model::{Decision, Place, Protocol, Token};
    use netproof_plan::testing::{observation, snapshot};

    const POD: &str = "10.244.1.2";
    const NODE: &str = "172.18.0.2";

    fn packet(destination: &str) -> PacketAddresses {
        PacketAddresses {
            source: "172.18.0.9".parse().unwrap(),
            destination: destination.parse().unwrap(),
            protocol: Protocol::Tcp,
            source_port: 1000,
            destination_port: 80,
        }
    }

    /// Node and hook, destination: where policy decided, however the evidence is ordered between nodes.
    #[test]
    fn policy_decides_on_the_node_of_the_backend_or_where_it_denies() {
        let snapshot = snapshot();
        let pod = snapshot.place_of_address(POD.parse().unwrap());
        assert!(matches!(pod, Some(Place::Pod(_))), "the cluster DNS has the first address");
        type Passed<'a> = &'a [(&'a str, Hook, &'a str)];
        let table: [(Passed<'_>, _, &str); 6] = [
            (&[("node2", Hook::Forward, POD), ("node1", Hook::Forward, POD)], pod.clone(), "node1 forward"),
            (&[("node1", Hook::Forward, POD), ("node2", Hook::Forward, POD)], pod.clone(), "node1 forward"),
            (&[("node1", Hook::Forward, POD), ("node2", Hook::Forward, POD)], None, "node1 forward"),
            (&[("node1", Hook::Input, NODE), ("node1", Hook::Output, NODE)], None, "node1 input"),
            (&[("node1", Hook::Output, POD)], pod, "node1 output"),
            (&[("node1", Hook::Forward, "203.0.113.9")], None, "node1 forward"),
        ];
        for (passages, served_by, expected) in table {
            let passages = passages.iter().map(|(node, hook, destination)| Passage {
                node: (*node).into(),
                hook: *hook,
                translated: false,
                packet: packet(destination),
                token: Token(1),
            });
            let seen =
                Observation { passages: passages.collect(), served_by, ..observation(Outcome::Connected) };
            let decided = decided(&seen, &[], &snapshot).unwrap();
            assert_eq!(format!("{} {}", decided.node, decided.hook), expected, "{seen:?}");
            let denial = Denial {
                decision: Decision::UnknownService,
                action: Action::Drop,
                node: "node3".into(),
                hook: Hook::Prerouting,
                packet: packet("10.96.0.1"),
            };
            let dropped = Observation { outcome: Outcome::Dropped, ..seen };
            let denials = [denial];
            assert_eq!(super::decided(&dropped, &denials, &snapshot).unwrap().node, "node3");
        }
        assert_eq!(decided(&observation(Outcome::Connected), &[], &snapshot), None);
    }
}
