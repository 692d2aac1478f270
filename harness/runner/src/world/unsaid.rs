//! What an enforcer or a proxy that gives no evidence has denied.

use netproof_controlplane::Snapshot;
use netproof_model::event::Denial;
use netproof_model::observation::PacketAddresses;
use netproof_model::request::{Request, RequestPort, RequestTarget};
use netproof_model::{Action, Decision, Family, Hook, Observation, Outcome, Party, Passage, Place};
use netproof_probe::Probe;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether a request may be the proxy's to deny: it is to something that a service has, or to a name, which a service
/// resolves, and the proxy has not led it anywhere. What it leads somewhere is denied by others, if at all.
pub(super) fn may_be_by_proxy(
    request: &Request,
    observation: Option<&Observation>,
    snapshot: &Snapshot,
) -> bool {
    if observation.is_some_and(|seen| seen.passages.iter().any(|passage| passage.translated)) {
        return false;
    }
    let RequestTarget::Address(address) = request.target else { return true };
    let services = snapshot.topology.ranges.services.get(Family::of(address));
    if services.contains(&address) || snapshot.service_of_address(address).is_some() {
        return true;
    }
    let RequestPort::Port { port, .. } = request.port else { return false };
    let mut on_nodes = snapshot.services.values().flat_map(|service| {
        service.ports.iter().filter_map(|port| port.node_port).chain(service.health_check_node_port)
    });
    matches!(snapshot.place_of_address(address), Some(Place::Node(_))) && on_nodes.any(|it| it == port)
}

/// A denial without evidence: where the request was about to meet policy for the last
/// time. If that was nowhere, it was denied where it came from or before it met a hook: the source port is 0
/// then, and a node that is not known is `?`.
pub(super) fn unsaid(who: Party, probe: &Probe, observation: &Observation, snapshot: &Snapshot) -> Denial {
    let decision = Decision::Unsaid { who };
    let action = match observation.outcome {
        Outcome::Rejected(_) => Action::Reject,
        _ => Action::Drop,
    };
    if let Some(Passage { node, hook, packet, .. }) = observation.passages.last() {
        return Denial { decision, action, node: node.clone(), hook: *hook, packet: *packet };
    }
    let unspecified = match probe.family {
        Family::Ipv4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        Family::Ipv6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    let asked = match probe.request.target {
        RequestTarget::Address(address) => Some(address),
        RequestTarget::Name { .. } => None,
    };
    let destination = observation.destination.or(asked);
    let place = destination.and_then(|address| snapshot.place_of_address(address));
    let node = snapshot.node_of(&probe.request.source).or(place.as_ref().and_then(|it| snapshot.node_of(it)));
    let hook = if matches!(probe.request.source, Place::Node(_)) { Hook::Output } else { Hook::Prerouting };
    let packet = PacketAddresses {
        source: snapshot.address_of(&probe.request.source, probe.family).unwrap_or(unspecified),
        destination: destination.unwrap_or(unspecified),
        protocol: probe.request.port.protocol(),
        source_port: 0,
        destination_port: match probe.request.port {
            RequestPort::Port { port, .. } => port,
            RequestPort::Icmp => 0,
        },
    };
    Denial { decision, action, node: node.unwrap_or("?").to_owned(), hook, packet }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netproof_model::{Protocol, Token};
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

    #[test]
    fn a_denial_that_nobody_explains_is_where_the_request_was_last() {
        let snapshot = snapshot();
        let request = |source: Place, target| Probe {
            request: Request {
                source,
                target,
                port: RequestPort::Port { port: 80, protocol: netproof_model::flow::FlowProtocol::Tcp },
            },
            family: Family::Ipv4,
            patience: netproof_probe::Patience::Settle,
            keep: false,
        };
        let address = |text: &str| RequestTarget::Address(text.parse().unwrap());
        let dropped = observation(Outcome::Dropped);
        let said = |request: &Probe, observation: &Observation| {
            let Denial { decision, action, node, hook, packet } =
                unsaid(Party::Enforcer, request, observation, &snapshot);
            assert_eq!(decision, Decision::Unsaid { who: Party::Enforcer });
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
    fn the_proxy_may_deny_what_is_for_a_service_and_led_nowhere() {
        let snapshot = snapshot();
        let request = |target| Request {
            source: Place::node("node1"),
            target,
            port: RequestPort::Port { port: 80, protocol: netproof_model::flow::FlowProtocol::Tcp },
        };
        let to = |text: &str| request(RequestTarget::Address(text.parse().unwrap()));
        let dns = snapshot.cluster_dns(Family::Ipv4).unwrap().to_string();
        let name = request(RequestTarget::Name {
            name: "web".into(),
            search: vec![],
            server: dns.parse().unwrap(),
            addresses: vec![],
        });
        for (request, expected) in [
            (&to(&dns), true),
            // No service has it, and it is of their range.
            (&to("10.96.9.9"), true),
            (&name, true),
            (&to(POD), false),
            (&to(NODE), false),
            (&to("203.0.113.10"), false),
        ] {
            assert_eq!(may_be_by_proxy(request, None, &snapshot), expected, "{request:?}");
        }
        let passage = |translated| Passage {
            node: "node1".into(),
            hook: Hook::Forward,
            translated,
            packet: packet(POD),
            token: Token(1),
        };
        for (passages, expected) in [(vec![passage(false)], true), (vec![passage(true)], false)] {
            let seen = Observation { passages, ..observation(Outcome::Dropped) };
            assert_eq!(may_be_by_proxy(&to(&dns), Some(&seen), &snapshot), expected);
        }
    }
}
