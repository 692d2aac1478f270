//! Whether a rule matches a packet.

use super::entity::{End, EndPort, Lack, lacks};
use super::known::Known;
use crate::flow::{Packet, PortProtocol};
use netproof_api::calico::{CalicoRule, IcmpMatch, ProtocolNumber};
use netproof_model::{Family, Protocol};

/// The first thing that a packet lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mismatch<'a> {
    /// The rule is for the other family.
    Family(Family),
    /// The rule is for this protocol.
    Protocol(ProtocolNumber),
    /// The rule is for every protocol but this.
    NotProtocol(ProtocolNumber),
    /// The rule is for other ICMP messages.
    Icmp,
    /// An end is not as `source` or `destination` (the name) asks.
    End(&'static str, Lack<'a>),
}

/// Why the rule does not match; `None` if it does. `namespace`: the policy's, if it has one.
pub(super) fn mismatch<'r>(
    known: &Known<'_>,
    namespace: Option<&str>,
    rule: &'r CalicoRule,
    packet: Packet,
) -> Option<Mismatch<'r>> {
    if let Some(mismatch) = of_headers(rule, Family::of(packet.destination), packet.port) {
        return Some(mismatch);
    }
    let (of_client, of_server) = ports(packet.port);
    let source = End { address: packet.source, port: of_client };
    let destination = End { address: packet.destination, port: of_server };
    let end = |name, entity, end| lacks(known, namespace, entity, end).map(|lack| Mismatch::End(name, lack));
    end("source", &rule.source, source).or_else(|| end("destination", &rule.destination, destination))
}

/// The ports of client and server.
pub(super) fn ports(port: PortProtocol) -> (EndPort, EndPort) {
    let server = match port {
        PortProtocol::Port { number, protocol } => Some((number, protocol)),
        PortProtocol::Echo => None,
    };
    (EndPort::Client { has_port: server.is_some() }, EndPort::Server(server))
}

/// What a packet lacks apart from its ends.
pub(super) fn of_headers(rule: &CalicoRule, family: Family, port: PortProtocol) -> Option<Mismatch<'_>> {
    if let Some(of) = rule.family.filter(|of| *of != family) {
        return Some(Mismatch::Family(of));
    }
    let number = number(port, family);
    if let Some(protocol) = rule.protocol.filter(|protocol| protocol.get() != number) {
        return Some(Mismatch::Protocol(protocol));
    }
    if let Some(protocol) = rule.not_protocol.filter(|protocol| protocol.get() == number) {
        return Some(Mismatch::NotProtocol(protocol));
    }
    let is_it = |icmp: IcmpMatch| is_echo(icmp, family, port);
    let is_other = rule.icmp.is_some_and(|icmp| !is_it(icmp));
    // That a message is none of a kind is said of ICMP messages alone.
    let is_excluded = rule
        .not_icmp
        .is_some_and(|icmp| icmp.icmp_type.is_some() && (port != PortProtocol::Echo || is_it(icmp)));
    (is_other || is_excluded).then_some(Mismatch::Icmp)
}

fn number(port: PortProtocol, family: Family) -> u8 {
    match port {
        PortProtocol::Port { protocol, .. } => Protocol::from(protocol).number(family),
        PortProtocol::Echo => Protocol::Icmp.number(family),
    }
}

/// Whether an echo's request is such a message: type 8 of ICMP, 128 of ICMPv6, code 0 of both.
fn is_echo(icmp: IcmpMatch, family: Family, port: PortProtocol) -> bool {
    let request = match family {
        Family::Ipv4 => 8,
        Family::Ipv6 => 128,
    };
    port == PortProtocol::Echo
        && icmp.icmp_type.is_none_or(|it| it == request)
        && icmp.code.is_none_or(|code| code == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use netproof_api::core::TransportProtocol::{Tcp, Udp};
    use netproof_api::yaml::{from_node, parse};

    /// Rules without anybody whom Calico knows: which of four packets each matches, TCP and echoes of both families.
    #[test]
    fn families_and_protocols() {
        let snapshot = crate::example_apis::cluster::World::default().snapshot();
        let known = Known::new(&snapshot);
        let packet = |family: Family, port| {
            let (source, destination) = match family {
                Family::Ipv4 => ("10.0.0.1", "10.0.0.2"),
                Family::Ipv6 => ("fd00::1", "fd00::2"),
            };
            Packet { source: source.parse().unwrap(), destination: destination.parse().unwrap(), port }
        };
        let tcp = PortProtocol::Port { number: 80, protocol: Tcp };
        for (text, expected) in [
            ("{action: Allow}", "t4 e4 t6 e6"),
            ("{action: Allow, ipVersion: 4}", "t4 e4"),
            ("{action: Allow, ipVersion: 6}", "t6 e6"),
            ("{action: Allow, protocol: TCP}", "t4 t6"),
            ("{action: Allow, notProtocol: TCP}", "e4 e6"),
            ("{action: Allow, protocol: ICMP}", "e4"),
            ("{action: Allow, protocol: 1}", "e4"),
            ("{action: Allow, protocol: ICMPv6}", "e6"),
            ("{action: Allow, notProtocol: ICMPv6}", "t4 e4 t6"),
            ("{action: Allow, protocol: ICMPv6, icmp: {type: 128}}", "e6"),
            ("{action: Allow, protocol: ICMPv6, icmp: {type: 128, code: 1}}", ""),
            ("{action: Allow, protocol: ICMPv6, icmp: {type: 8}}", ""),
            ("{action: Allow, notICMP: {type: 8}}", "e6"),
            ("{action: Allow, notICMP: {type: 128}}", "e4"),
            ("{action: Allow, protocol: ICMPv6, notICMP: {type: 128, code: 1}}", "e6"),
            ("{action: Allow, source: {nets: [10.0.0.0/8]}}", "t4 e4"),
            ("{action: Allow, source: {notNets: [10.1.0.0/16]}}", "t4 e4"),
            ("{action: Allow, destination: {notNets: ['fd01::/16', 10.0.0.0/8]}}", "t6 e6"),
            ("{action: Allow, destination: {nets: ['fd00::/16', 10.0.0.0/8], notNets: [10.0.0.2/32]}}", ""),
            ("{action: Allow, protocol: TCP, destination: {ports: ['79:81']}}", "t4 t6"),
            ("{action: Allow, destination: {notPorts: [http]}}", "t4 t6"),
            ("{action: Allow, destination: {ports: [http]}}", ""),
        ] {
            let source = netproof_api::Source::new("rule", text);
            let rule: CalicoRule = from_node(&parse(&source).unwrap()[0], &source).unwrap();
            let packets = [("t", tcp), ("e", PortProtocol::Echo)];
            let found: Vec<String> = [(Family::Ipv4, 4), (Family::Ipv6, 6)]
                .into_iter()
                .flat_map(|(family, version)| {
                    packets.map(|(name, port)| (family, format!("{name}{version}"), port))
                })
                .filter(|(family, _, port)| mismatch(&known, None, &rule, packet(*family, *port)).is_none())
                .map(|(_, name, _)| name)
                .collect();
            assert_eq!(found.join(" "), expected, "{text}");
        }
        let udp = PortProtocol::Port { number: 80, protocol: Udp };
        let expected = (EndPort::Client { has_port: true }, EndPort::Server(Some((80, Udp))));
        assert_eq!(ports(udp), expected);
    }
}
