//! Reads the fields of packets that are evidence: addresses, ports, hop limit, the packet's role for its
//! probe, and the probe's token. A malformed or truncated packet is `None`.

use crate::token::{self, Word};
use crate::{kept, sctp};
use netproof_model::observation::PacketAddresses;
use netproof_model::{Family, Protocol, Token};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A packet's role for its probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The first packet, or a message on a kept connection.
    Request,
    /// An answer to it.
    Answer,
    /// The refusal by a host where nobody listens (SCTP).
    Refusal,
    /// A later packet of the source.
    Stream,
    /// An ICMP error about one of its packets.
    Error {
        /// Type of the ICMP or ICMPv6 message.
        kind: u8,
        /// Its code.
        code: u8,
    },
    /// A solicitation or advertisement of IPv6 neighbour discovery. It belongs to no probe, and its token
    /// means nothing.
    Discovery,
}

/// A packet that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    pub addresses: PacketAddresses,
    pub hop_limit: u8,
    pub kind: Kind,
    pub token: Token,
}

/// The fields of the IP header: addresses, hop limit and transport protocol.
#[derive(Clone, Copy, Debug)]
pub(crate) struct IpHeader {
    pub source: IpAddr,
    pub destination: IpAddr,
    pub hop_limit: u8,
    pub protocol: u8,
}

const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
const SCTP: u8 = 132;

/// Reads a packet from its IP header on.
pub(crate) fn parse(data: &[u8]) -> Option<Packet> {
    let (header, rest) = ip_header(data)?;
    transport(header, rest)
}

/// Reads what follows an IP header.
pub(crate) fn transport(ip: IpHeader, data: &[u8]) -> Option<Packet> {
    let (protocol, ports, kind, token) = match ip.protocol {
        TCP => {
            let (kind, token) = tcp(data)?;
            (Protocol::Tcp, ports(data)?, kind, token)
        }
        UDP => {
            let (kind, token) = match token::read_word(word(data, 8)?) {
                Word::Request(token) => (Kind::Request, token),
                Word::Answer(token) => (Kind::Answer, token),
            };
            (Protocol::Udp, ports(data)?, kind, token)
        }
        SCTP => {
            let (kind, token) = sctp(data)?;
            (Protocol::Sctp, ports(data)?, kind, token)
        }
        ICMP | ICMPV6 => {
            let (kind, token) = icmp(ip.protocol, data)?;
            (Protocol::Icmp, (0, 0), kind, token)
        }
        _ => return None,
    };
    let addresses = PacketAddresses {
        source: ip.source,
        destination: ip.destination,
        protocol,
        source_port: ports.0,
        destination_port: ports.1,
    };
    Some(Packet { addresses, hop_limit: ip.hop_limit, kind, token })
}

fn tcp(data: &[u8]) -> Option<(Kind, Token)> {
    const SYN: u8 = 0x02;
    const RST: u8 = 0x04;
    const ACK: u8 = 0x10;
    let flags = *data.get(13)?;
    let sequence = word(data, 4)?;
    // A SYN is acknowledged by its sequence number plus one.
    let acknowledged = word(data, 8)?.wrapping_sub(1);
    Some(match (flags & SYN != 0, flags & ACK != 0, flags & RST != 0) {
        (true, false, _) => (Kind::Request, Token(sequence)),
        (true, true, _) | (false, true, true) => (Kind::Answer, Token(acknowledged)),
        _ => match message(data) {
            Some(Word::Request(token)) => (Kind::Request, token),
            Some(Word::Answer(token)) => (Kind::Answer, token),
            None => (Kind::Stream, Token(sequence.wrapping_sub(1))),
        },
    })
}

/// The word of the message in a TCP segment on a kept connection.
fn message(segment: &[u8]) -> Option<Word> {
    let header = usize::from(segment.get(12)? >> 4) * 4;
    Some(token::read_word(kept::word(segment.get(header..)?)?))
}

fn sctp(data: &[u8]) -> Option<(Kind, Token)> {
    // The token is the initiate tag of the request, which answers verify.
    Some(match *data.get(12)? {
        sctp::INIT => (Kind::Request, Token(word(data, 16)?)),
        sctp::INIT_ACK => (Kind::Answer, Token(word(data, 4)?)),
        sctp::ABORT if sctp::is_our_refusal(data) => (Kind::Refusal, Token(word(data, 4)?)),
        _ => return None,
    })
}

fn icmp(protocol: u8, data: &[u8]) -> Option<(Kind, Token)> {
    let (kind, code) = (*data.first()?, *data.get(1)?);
    match (protocol, kind) {
        (ICMP, 8) | (ICMPV6, 128) => Some((Kind::Request, Token(word(data, 8)?))),
        (ICMP, 0) | (ICMPV6, 129) => Some((Kind::Answer, Token(word(data, 8)?))),
        (ICMPV6, 135 | 136) => Some((Kind::Discovery, Token(0))),
        (ICMP, 3 | 11 | 12) | (ICMPV6, 1..=4) => {
            let (header, rest) = ip_header(data.get(8..)?)?;
            Some((Kind::Error { kind, code }, quoted_token(header.protocol, rest)?))
        }
        _ => None,
    }
}

/// The token of the packet that an ICMP error quotes, which may be cut off after eight bytes. `None` if the
/// packet is an answer: its loss says nothing about the request.
fn quoted_token(protocol: u8, data: &[u8]) -> Option<Token> {
    let request = |word| match word {
        Word::Request(token) => Some(token),
        Word::Answer(_) => None,
    };
    match protocol {
        TCP => message(data).map_or_else(|| Some(Token(word(data, 4)?)), request),
        UDP => request(token::read_word(word(data, 8)?)),
        ICMP | ICMPV6 => matches!(data.first()?, 8 | 128).then_some(Token(word(data, 8)?)),
        SCTP => (*data.get(12)? == sctp::INIT).then_some(Token(word(data, 16)?)),
        _ => None,
    }
}

/// Reads an IP header of either version, extension headers included.
pub(crate) fn ip_header(data: &[u8]) -> Option<(IpHeader, &[u8])> {
    match data.first()? >> 4 {
        4 => {
            let length = usize::from(data.first()? & 0x0f) * 4;
            let source = Ipv4Addr::from(word(data, 12)?).into();
            let destination = Ipv4Addr::from(word(data, 16)?).into();
            // A later fragment has no transport header.
            if u16::from_be_bytes([*data.get(6)?, *data.get(7)?]) & 0x1fff != 0 || length < 20 {
                return None;
            }
            let (hop_limit, protocol) = (*data.get(8)?, *data.get(9)?);
            Some((IpHeader { source, destination, hop_limit, protocol }, data.get(length..)?))
        }
        6 => {
            let source = ipv6(data.get(8..24)?)?;
            let destination = ipv6(data.get(24..40)?)?;
            let hop_limit = *data.get(7)?;
            let mut protocol = *data.get(6)?;
            let mut rest = data.get(40..)?;
            // Hop-by-hop options, routing and destination options precede the transport header.
            while matches!(protocol, 0 | 43 | 60) {
                protocol = *rest.first()?;
                rest = rest.get(usize::from(*rest.get(1)?) * 8 + 8..)?;
            }
            Some((IpHeader { source, destination, hop_limit, protocol }, rest))
        }
        _ => None,
    }
}

fn ipv6(data: &[u8]) -> Option<IpAddr> {
    let octets: [u8; 16] = data.try_into().ok()?;
    Some(Ipv6Addr::from(octets).into())
}

fn ports(data: &[u8]) -> Option<(u16, u16)> {
    let both = word(data, 0)?;
    Some(((both >> 16) as u16, both as u16))
}

fn word(data: &[u8], offset: usize) -> Option<u32> {
    let bytes = data.get(offset..offset.checked_add(4)?)?;
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

/// An ICMP echo request of either family. The checksum of ICMPv6 covers addresses that only the kernel
/// knows yet, and the kernel fills it in.
pub(crate) fn echo_request(family: Family, identifier: u16, payload: &[u8]) -> Vec<u8> {
    let kind = if family == Family::Ipv4 { 8 } else { 128 };
    let mut message = vec![kind, 0, 0, 0];
    message.extend_from_slice(&identifier.to_be_bytes());
    message.extend_from_slice(&[0, 1]);
    message.extend_from_slice(payload);
    if family == Family::Ipv4 {
        let sum = checksum(&message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
    }
    message
}

/// The Internet checksum (RFC 1071).
fn checksum(data: &[u8]) -> u16 {
    let mut sum: u32 = 0;
    for pair in data.chunks(2) {
        sum += u32::from(u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// An IPv4 packet from 10.0.0.1 to 10.0.0.2 with hop limit 63.
    pub(crate) fn ipv4(protocol: u8, rest: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 0, 0, 0, 0x40, 0, 63, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        packet.extend_from_slice(rest);
        packet
    }

    /// An IPv6 packet from fd00::1 to fd00::2 with a hop-by-hop header and hop limit 62.
    pub(crate) fn ipv6_packet(protocol: u8, rest: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x60, 0, 0, 0, 0, 0, 0, 62];
        packet.extend_from_slice(&"fd00::1".parse::<Ipv6Addr>().unwrap().octets());
        packet.extend_from_slice(&"fd00::2".parse::<Ipv6Addr>().unwrap().octets());
        packet.extend_from_slice(&[protocol, 0, 1, 4, 0, 0, 0, 0]);
        packet.extend_from_slice(rest);
        packet
    }

    pub(crate) fn tcp_header(sequence: u32, acknowledged: u32, flags: u8) -> Vec<u8> {
        let mut header = vec![0x9c, 0x40, 0, 80];
        header.extend_from_slice(&sequence.to_be_bytes());
        header.extend_from_slice(&acknowledged.to_be_bytes());
        header.extend_from_slice(&[0x50, flags, 0, 0, 0, 0, 0, 0]);
        header
    }

    /// A segment with data behind twelve bytes of options.
    fn segment(data: &[u8]) -> Vec<u8> {
        let mut segment = tcp_header(7, 9, 0x18);
        segment[12] = 0x80;
        segment.extend_from_slice(&[1; 12]);
        segment.extend_from_slice(data);
        segment
    }

    fn udp(word: u32) -> Vec<u8> {
        let mut datagram = vec![0x9c, 0x40, 0, 53, 0, 12, 0, 0];
        datagram.extend_from_slice(&word.to_be_bytes());
        datagram
    }

    #[test]
    fn what_a_packet_is_to_its_probe() {
        let token = Token(0x1234_5678);
        let echo = echo_request(Family::Ipv4, 9, &token.0.to_be_bytes());
        let echo6 = echo_request(Family::Ipv6, 9, &token.0.to_be_bytes());
        let mut reply = echo.clone();
        reply[0] = 0;
        let mut error = vec![3, 13, 0, 0, 0, 0, 0, 0];
        // Routers may quote no more than eight bytes of the transport header.
        error.extend_from_slice(&ipv4(TCP, &tcp_header(token.0, 0, 2)[..8]));
        let mut error6 = vec![1, 4, 0, 0, 0, 0, 0, 0];
        error6.extend_from_slice(&ipv6_packet(UDP, &udp(token.0)));
        let (_, answer) = kept::answer(&kept::message(token), "x\n").unwrap();
        let init = sctp::init(40_000, 80, token);
        let saw = "10.0.0.1:0".parse().unwrap();
        let init_answer = |serves| sctp::answer(&init, |_| serves, "pod/a/b", saw).unwrap();
        let mut error_message = vec![3, 13, 0, 0, 0, 0, 0, 0];
        error_message.extend_from_slice(&ipv4(TCP, &segment(&kept::message(token))));
        let cases: Vec<(&str, Vec<u8>, Kind)> = vec![
            ("SYN", ipv4(TCP, &tcp_header(token.0, 0, 0x02)), Kind::Request),
            ("SYN with ECN", ipv4(TCP, &tcp_header(token.0, 0, 0xc2)), Kind::Request),
            ("SYN-ACK", ipv4(TCP, &tcp_header(99, token.0 + 1, 0x12)), Kind::Answer),
            ("RST-ACK", ipv4(TCP, &tcp_header(0, token.0 + 1, 0x14)), Kind::Answer),
            ("data", ipv4(TCP, &tcp_header(token.0 + 1, 77, 0x18)), Kind::Stream),
            ("message", ipv4(TCP, &segment(&kept::message(token))), Kind::Request),
            ("its answer", ipv6_packet(TCP, &segment(&answer)), Kind::Answer),
            ("INIT", ipv4(SCTP, &init), Kind::Request),
            ("INIT ACK", ipv6_packet(SCTP, &init_answer(true)), Kind::Answer),
            ("ABORT", ipv4(SCTP, &init_answer(false)), Kind::Refusal),
            ("ICMP error about a message", ipv4(ICMP, &error_message), Kind::Error { kind: 3, code: 13 }),
            ("SYN over IPv6", ipv6_packet(TCP, &tcp_header(token.0, 0, 0x02)), Kind::Request),
            ("datagram", ipv4(UDP, &udp(token.0)), Kind::Request),
            ("its answer", ipv6_packet(UDP, &udp(token::answer_word(token.0))), Kind::Answer),
            ("echo", ipv4(ICMP, &echo), Kind::Request),
            ("echo reply", ipv4(ICMP, &reply), Kind::Answer),
            ("echo over IPv6", ipv6_packet(ICMPV6, &echo6), Kind::Request),
            ("ICMP error", ipv4(ICMP, &error), Kind::Error { kind: 3, code: 13 }),
            ("ICMPv6 error", ipv6_packet(ICMPV6, &error6), Kind::Error { kind: 1, code: 4 }),
        ];
        for (name, bytes, kind) in cases {
            let packet = parse(&bytes).unwrap_or_else(|| panic!("{name} was not read"));
            assert_eq!((packet.kind, packet.token), (kind, token), "{name}");
        }
    }

    #[test]
    fn an_error_about_an_answer_is_not_one_about_the_request() {
        let token = Token(0x1234_5678);
        let quoting = |packet: Vec<u8>| ipv4(ICMP, &[vec![3, 3, 0, 0, 0, 0, 0, 0], packet].concat());
        let mut reply = echo_request(Family::Ipv4, 9, &token.0.to_be_bytes());
        reply[0] = 0;
        let (_, message) = kept::answer(&kept::message(token), "x\n").unwrap();
        let init = sctp::init(40_000, 80, token);
        let init_answer = sctp::answer(&init, |_| true, "pod/a/b", "10.0.0.1:0".parse().unwrap()).unwrap();
        assert!(parse(&quoting(ipv4(UDP, &udp(token.0)))).is_some());
        for answer in [
            ipv4(UDP, &udp(token::answer_word(token.0))),
            ipv4(ICMP, &reply),
            ipv4(TCP, &segment(&message)),
            ipv4(SCTP, &init_answer),
        ] {
            assert_eq!(parse(&quoting(answer)), None);
        }
    }

    #[test]
    fn foreign_sctp_is_passed_over() {
        let mut foreign = sctp::init(80, 40_000, Token(5));
        // An ABORT that is not ours, SHUTDOWN COMPLETE, DATA.
        for chunk in [sctp::ABORT, 14, 0] {
            foreign[12] = chunk;
            assert_eq!(parse(&ipv4(SCTP, &foreign)), None, "{chunk}");
        }
    }

    #[test]
    fn addresses_and_ports() {
        let packet = parse(&ipv4(TCP, &tcp_header(5, 0, 2))).unwrap();
        let expected = PacketAddresses {
            source: "10.0.0.1".parse().unwrap(),
            destination: "10.0.0.2".parse().unwrap(),
            protocol: Protocol::Tcp,
            source_port: 40_000,
            destination_port: 80,
        };
        assert_eq!((packet.addresses, packet.hop_limit), (expected, 63));
    }

    #[test]
    fn a_dns_answer_belongs_to_its_query() {
        let query = Token(0x1234_0100);
        let packet = parse(&ipv4(UDP, &udp(0x1234_8583))).unwrap();
        assert_eq!((packet.kind, packet.token), (Kind::Answer, query));
    }

    #[test]
    fn an_echo_has_a_valid_checksum() {
        for payload in [&b"even"[..], b"odd"] {
            assert_eq!(checksum(&echo_request(Family::Ipv4, 7, payload)), 0);
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_the_reader_panic(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&data);
        }

        #[test]
        fn no_tail_makes_the_reader_panic(
            protocol in prop_oneof![Just(1u8), Just(6), Just(17), Just(58), Just(132)],
            tail in proptest::collection::vec(any::<u8>(), 0..100),
        ) {
            let _ = parse(&ipv4(protocol, &tail));
            let _ = parse(&ipv6_packet(protocol, &tail));
        }
    }
}
