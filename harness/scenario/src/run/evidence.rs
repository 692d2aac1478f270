//! What packets left behind on the nodes, put into words: which node chose the backend, and which addresses
//! policy saw.

use crate::plan::AddressName;
use netproof_controlplane::Snapshot;
use netproof_model::event::{Denial, PolicySees};
use netproof_model::observation::PacketAddresses;
use netproof_model::{Action, Decision, Family, Hook, Observation, Outcome, Passage, Place};
use netproof_probe::{ProbePort, ProbeRequest, Target};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The node that chose the backend, if one did and was observed.
pub(super) fn via(observation: &Observation) -> Option<&str> {
    observation.passages.iter().find(|passage| passage.translated).map(|passage| passage.node.as_str())
}

/// A request where policy decided about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decided<'o> {
    pub(super) node: &'o str,
    pub(super) hook: Hook,
    pub(super) packet: PacketAddresses,
}

/// Where policy decided: at the first denial, else on the node of the destination, else (the destination
/// is outside the cluster, or was never reached) at the last hook that the request passed.
pub(super) fn decided<'o>(
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
        answers && place.is_some_and(|place| node_of(&place, snapshot) == Some(passage.node.as_str()))
    };
    let passages = &observation.passages;
    let passage = passages.iter().rev().filter(at_home);
    // What a node sends to itself passes its output hook first.
    let input = passage.clone().find(|passage| passage.hook == Hook::Input);
    let passage = input.or_else(|| passage.clone().next()).or(passages.last())?;
    Some(Decided { node: &passage.node, hook: passage.hook, packet: passage.packet })
}

/// A denial by an enforcer that gives no evidence: where the request was about to meet policy for the last
/// time. If that was nowhere, it was denied where it came from or before it met a hook: the source port is 0
/// then, and a node that is not known is `?`.
pub(super) fn unsaid(request: &ProbeRequest, observation: &Observation, snapshot: &Snapshot) -> Denial {
    let decision = Decision::Unsaid;
    let action = match observation.outcome {
        Outcome::Rejected(_) => Action::Reject,
        _ => Action::Drop,
    };
    if let Some(Passage { node, hook, packet, .. }) = observation.passages.last() {
        return Denial { decision, action, node: node.clone(), hook: *hook, packet: *packet };
    }
    let unspecified = match request.family {
        Family::Ipv4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Family::Ipv6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let asked = match request.target {
        Target::Address(address) => Some(address),
        Target::Name { .. } => None,
    };
    let destination = observation.destination.or(asked);
    let place = destination.and_then(|address| snapshot.place_of_address(address));
    let node = node_of(&request.source, snapshot).or(place.as_ref().and_then(|it| node_of(it, snapshot)));
    let hook = if matches!(request.source, Place::Node(_)) { Hook::Output } else { Hook::Prerouting };
    let packet = PacketAddresses {
        source: snapshot.address_of(&request.source, request.family).unwrap_or(unspecified),
        destination: destination.unwrap_or(unspecified),
        protocol: request.port.protocol(),
        source_port: 0,
        destination_port: match request.port {
            ProbePort::Transport { port, .. } => port,
            ProbePort::Icmp => 0,
        },
    };
    Denial { decision, action, node: node.unwrap_or("?").to_owned(), hook, packet }
}

/// The node that a place is on.
fn node_of<'a>(place: &'a Place, snapshot: &'a Snapshot) -> Option<&'a str> {
    match place {
        Place::Pod(name) => snapshot.pods.get(name)?.node_name.as_deref(),
        Place::Node(name) => Some(name),
        Place::External(_) | Place::Router => None,
    }
}

/// The same with names, as reports show it.
pub(super) fn policy_sees(decided: Decided<'_>, snapshot: &Snapshot) -> PolicySees {
    PolicySees {
        node: decided.node.to_owned(),
        hook: decided.hook,
        source: address_name(decided.packet.source, snapshot),
        destination: address_name(decided.packet.destination, snapshot),
    }
}

/// Whether an address is one that a name stands for.
pub(crate) fn covers(name: &AddressName, address: IpAddr, snapshot: &Snapshot) -> bool {
    match name {
        AddressName::Address(own) => *own == address,
        AddressName::Place(Place::Router) => is_router(address, snapshot),
        AddressName::Place(place) => snapshot.place_of_address(address).as_ref() == Some(place),
        AddressName::Tunnel(node) => {
            snapshot.nodes.get(node).is_some_and(|node| node.tunnel_addresses.contains(&address))
        }
    }
}

/// An address with the name of what has it.
pub(crate) fn address_name(address: IpAddr, snapshot: &Snapshot) -> String {
    if let Some(node) = snapshot.nodes.values().find(|node| node.tunnel_addresses.contains(&address)) {
        return format!("{} ({address})", AddressName::Tunnel(node.metadata.name.clone()));
    }
    match snapshot.place_of_address(address) {
        Some(place) => format!("{place} ({address})"),
        None if is_router(address, snapshot) => format!("{} ({address})", Place::Router),
        None => address.to_string(),
    }
}

/// The router has the first address of the nodes' range.
fn is_router(address: IpAddr, snapshot: &Snapshot) -> bool {
    let range = snapshot.topology.ranges.nodes.get(Family::of(address));
    let first = match range.network() {
        IpAddr::V4(network) => IpAddr::from((u32::from(network).wrapping_add(1)).to_be_bytes()),
        IpAddr::V6(network) => IpAddr::from((u128::from(network).wrapping_add(1)).to_be_bytes()),
    };
    address == first
}

#[cfg(test)]
mod tests {
    use super::super::judge::tests::{observation, snapshot};
    use super::*;
    use netproof_model::{Protocol, Token};

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

    #[test]
    fn a_denial_that_nobody_explains_is_where_the_request_was_last() {
        let snapshot = snapshot();
        let request = |source: Place, target| ProbeRequest {
            source,
            family: Family::Ipv4,
            target,
            port: ProbePort::Transport { port: 80, protocol: netproof_model::flow::FlowProtocol::Tcp },
            patience: netproof_probe::Patience::Settle,
            keep: false,
        };
        let address = |text: &str| Target::Address(text.parse().unwrap());
        let dropped = observation(Outcome::Dropped);
        let said = |request: &ProbeRequest, observation: &Observation| {
            let Denial { decision, action, node, hook, packet } = unsaid(request, observation, &snapshot);
            assert_eq!(decision, Decision::Unsaid);
            let PacketAddresses { source, source_port, destination, destination_port, .. } = packet;
            format!("{action:?} {node} {hook} {source}:{source_port} {destination}:{destination_port}")
        };
        let dns = Place::pod("kube-system", "coredns");
        let passage = |node: &str| Passage {
            node: node.into(),
            hook: Hook::Forward,
            translated: false,
            packet: packet(POD),
            token: Token(1),
        };
        let passed = Observation { passages: vec![passage("node1"), passage("node2")], ..dropped.clone() };
        let from_pod = request(dns, address(NODE));
        assert_eq!(said(&from_pod, &passed), "Drop node2 forward 172.18.0.9:1000 10.244.1.2:80");
        // Before any hook: on the node that it came from, or else on that it was sent to.
        assert_eq!(said(&from_pod, &dropped), "Drop node1 prerouting 10.244.1.2:0 172.18.0.2:80");
        let rejected = observation(Outcome::Rejected(netproof_model::Rejection::TcpReset));
        let from_node = request(Place::node("node1"), address(POD));
        assert_eq!(said(&from_node, &rejected), "Reject node1 output 172.18.0.2:0 10.244.1.2:80");
        let outside = request(Place::External("internet".into()), address(POD));
        assert_eq!(said(&outside, &dropped), "Drop node1 prerouting 0.0.0.0:0 10.244.1.2:80");
        let outside = request(Place::External("internet".into()), address("10.96.0.10"));
        assert_eq!(said(&outside, &dropped), "Drop ? prerouting 0.0.0.0:0 10.96.0.10:80");
    }

    #[test]
    fn addresses_have_names() {
        let mut snapshot = (*snapshot()).clone();
        let node = std::sync::Arc::make_mut(snapshot.nodes.get_mut("node1").unwrap());
        node.tunnel_addresses = vec!["10.244.0.1".parse().unwrap(), "fd00:10:244::1".parse().unwrap()];
        let tunnel = AddressName::Tunnel("node1".into());
        let node = AddressName::Place(Place::node("node1"));
        let router = AddressName::Place(Place::Router);
        for (address, name, covering) in [
            ("172.18.0.2", "node/node1 (172.18.0.2)", vec![&node]),
            ("10.244.0.1", "tunnel/node1 (10.244.0.1)", vec![&node, &tunnel]),
            ("fd00:10:244::1", "tunnel/node1 (fd00:10:244::1)", vec![&node, &tunnel]),
            ("172.18.0.1", "router (172.18.0.1)", vec![&router]),
            ("fd00:172:18::1", "router (fd00:172:18::1)", vec![&router]),
            ("203.0.113.9", "203.0.113.9", vec![]),
        ] {
            let address = address.parse().unwrap();
            assert_eq!(address_name(address, &snapshot), name);
            let all = [&node, &tunnel, &router];
            let own: Vec<_> = all.into_iter().filter(|name| covers(name, address, &snapshot)).collect();
            assert_eq!(own, covering, "{address}");
        }
    }
}
