//! Who let a traced request through, in the words of decisions.

use netproof_controlplane::Snapshot;
use netproof_enforcer::{Allowed, AllowedBy};
use netproof_model::{Decision, Identity, Place};
use netproof_verdict::allowed::AllowedAt;

/// Who let it through at a pod of the node that asked. Where the node has nobody of that address its policies were
/// asked in vain: those of another node count.
pub(super) fn at(
    allowed: Allowed,
    snapshot: &Snapshot,
    identity: impl Fn(&str, u32) -> Option<Identity>,
) -> Option<AllowedAt> {
    let Allowed { node, direction, endpoint, by } = allowed;
    let endpoint = snapshot.place_of_address(endpoint)?;
    let Place::Pod(pod) = &endpoint else { return None };
    if snapshot.pods.get(pod)?.node_name.as_deref() != Some(node.as_str()) {
        return None;
    }
    let by = match by {
        AllowedBy::Rule(number) => identity(&node, number).map(|it| it.decision),
        AllowedBy::Nobody => Some(Decision::NotIsolated { endpoint: endpoint.clone(), direction }),
        AllowedBy::Exempt => None,
    };
    Some(AllowedAt { endpoint, direction, by })
}

#[cfg(test)]
mod tests {
    use super::*;
    use netproof_model::{Action, Direction};
    use netproof_plan::testing::snapshot;

    #[test]
    fn only_the_node_of_a_pod_is_asked_about_it() {
        let snapshot = snapshot();
        let (number, direction) = (13, Direction::Ingress);
        let decided = Decision::UnknownService;
        let identity = |node: &str, asked: u32| {
            let known = node == "node1" && asked == number;
            known.then(|| Identity { decision: decided.clone(), action: Action::Allow })
        };
        let dns = Place::pod("kube-system", "coredns");
        let own = snapshot.address_of(&dns, netproof_model::Family::Ipv4).unwrap();
        let free = Decision::NotIsolated { endpoint: dns.clone(), direction };
        let found = |by| Some(AllowedAt { endpoint: dns.clone(), direction, by });
        for (node, endpoint, by, expected) in [
            ("node1", own, AllowedBy::Rule(number), found(Some(decided.clone()))),
            ("node1", own, AllowedBy::Rule(15), found(None)),
            ("node1", own, AllowedBy::Nobody, found(Some(free))),
            ("node1", own, AllowedBy::Exempt, found(None)),
            ("node2", own, AllowedBy::Nobody, None),
            ("node1", "172.18.0.2".parse().unwrap(), AllowedBy::Nobody, None),
            ("node1", "9.9.9.9".parse().unwrap(), AllowedBy::Nobody, None),
        ] {
            let allowed = Allowed { node: node.to_owned(), direction, endpoint, by };
            assert_eq!(at(allowed, &snapshot, identity), expected, "{node} {endpoint} {by:?}");
        }
    }
}
