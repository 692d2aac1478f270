//! Determines the outcome from the socket's report and the evidence. Pure, so that the rules can be read and
//! tested as a table.

use netproof_model::observation::{LogRecord, PacketAddresses, Passage, Sighting};
use netproof_model::{Family, Outcome, Place, Rejection};
use std::net::SocketAddr;

/// The report of the probe's own socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// Nothing yet.
    Nothing,
    /// The handshake is complete; the datagram or the echo was answered.
    Connected,
    /// The connection was reset before it was established.
    Reset,
    /// The system call failed, or the socket has an error pending.
    Errno(i32),
}

/// An ICMP error about the probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IcmpError {
    /// Which ICMP.
    pub family: Family,
    /// Its type.
    pub kind: u8,
    /// Its code.
    pub code: u8,
}

/// All evidence about one probe except its socket's.
#[derive(Debug, Default)]
pub(crate) struct Evidence {
    /// The denials that rules logged, for any packet of this probe.
    pub logs: Vec<LogRecord>,
    /// A rule logged the request.
    pub request_logged: bool,
    /// A rule logged an answer.
    pub answer_logged: bool,
    /// Where the request was delivered.
    pub sightings: Vec<Sighting>,
    /// Where it was seen in transit, with its hop limit there; only while tracing.
    pub traced: Vec<(u8, Sighting)>,
    /// Where it passed the hooks of policy, with its hop limit there.
    pub passages: Vec<(u8, Passage)>,
    /// The first ICMP error about it.
    pub error: Option<IcmpError>,
    /// The answer that only a witness receives: to an echo, or of SCTP.
    pub awaited: Option<Awaited>,
    /// It has arrived.
    pub answered: bool,
    /// It has arrived, and is a refusal.
    pub refused: bool,
}

/// Where an answer must arrive, and from where, to count as the answer to the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Awaited {
    /// The source of the request.
    pub place: Place,
    /// The request's address and port (0 for an echo).
    pub from: SocketAddr,
    /// The source port; 0 for an echo.
    pub port: u16,
}

impl Awaited {
    /// Whether a packet that was delivered at `place` is this answer.
    pub(crate) fn is(&self, place: &Place, packet: &PacketAddresses) -> bool {
        let from = SocketAddr::new(packet.source, packet.source_port);
        self.from == from && self.port == packet.destination_port && self.place == *place
    }
}

/// Whether more may still arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// The sending call has just returned: only final evidence counts.
    Sent,
    /// Everything that was under way then has been handled: a logged drop is a drop.
    Drained,
    /// Its time is up.
    Over,
}

/// Returns the outcome, or `None` while it is open.
pub(crate) fn decide(answer: Answer, evidence: &Evidence, moment: Moment) -> Option<Outcome> {
    let seen = !evidence.sightings.is_empty();
    let logged = evidence.request_logged;
    if answer == Answer::Connected || evidence.answered {
        return Some(Outcome::Connected);
    }
    if evidence.refused {
        return Some(Outcome::Refused);
    }
    if let Some(error) = evidence.error {
        return Some(match rejection(error) {
            // The destination itself: the request reached it, and nobody listens on that port.
            Rejection::PortUnreachable if seen && !logged => Outcome::Refused,
            Rejection::Unreachable if !logged => Outcome::Unreachable,
            how => Outcome::Rejected(how),
        });
    }
    match answer {
        // A rule that rejects logs first, and the request ends there.
        Answer::Reset if seen && !logged => return Some(Outcome::Refused),
        Answer::Reset => return Some(Outcome::Rejected(Rejection::TcpReset)),
        Answer::Errno(libc::EPERM | libc::EACCES) => return Some(Outcome::NotPermitted),
        // A blackhole route of the source itself gives EINVAL.
        Answer::Errno(libc::ENETUNREACH | libc::EHOSTUNREACH | libc::EINVAL | libc::EADDRNOTAVAIL) => {
            return Some(Outcome::Unreachable);
        }
        // The ICMP error that set it arrives as evidence, now or soon.
        Answer::Errno(_) if moment == Moment::Over && !logged => {
            return Some(Outcome::Rejected(Rejection::PortUnreachable));
        }
        _ => {}
    }
    match moment {
        Moment::Sent => None,
        _ if logged => Some(Outcome::Dropped),
        _ if evidence.answer_logged => Some(Outcome::ReplyLost),
        Moment::Drained => None,
        Moment::Over if seen => Some(Outcome::ReplyLost),
        Moment::Over => Some(Outcome::Dropped),
    }
}

/// The meaning of an ICMP error (RFC 792, RFC 1812 5.2.7.1; RFC 4443 3.1).
fn rejection(error: IcmpError) -> Rejection {
    match (error.family, error.kind, error.code) {
        (Family::Ipv4, 3, 3) | (Family::Ipv6, 1, 4) => Rejection::PortUnreachable,
        (Family::Ipv4, 3, 9 | 10 | 13) | (Family::Ipv6, 1, 1 | 5) => Rejection::AdminProhibited,
        _ => Rejection::Unreachable,
    }
}

/// Who answered, or else the last place to which the request was delivered.
pub(crate) fn served_by(evidence: &Evidence) -> Option<&Place> {
    evidence.sightings.last().map(|sighting| &sighting.place)
}

/// Where the request was seen, and where it passed the hooks of policy, both in order. Hop limits fall along
/// the path, and a delivery comes after sightings in transit.
pub(crate) fn path(evidence: Evidence) -> (Vec<Sighting>, Vec<Passage>) {
    let mut path = in_order(evidence.traced);
    for sighting in evidence.sightings {
        if !path.contains(&sighting) {
            path.push(sighting);
        }
    }
    (path, in_order(evidence.passages))
}

/// Sorts by falling hop limit. Two in one stack (a bridge and its port, or output and input) stay in the
/// order of arrival.
fn in_order<T>(mut stations: Vec<(u8, T)>) -> Vec<T> {
    stations.sort_by_key(|(hop_limit, _)| std::cmp::Reverse(*hop_limit));
    stations.into_iter().map(|(_, station)| station).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use netproof_model::{Protocol, Token};

    fn seen() -> Evidence {
        let packet = PacketAddresses {
            source: "10.0.0.1".parse().unwrap(),
            destination: "10.0.0.2".parse().unwrap(),
            protocol: Protocol::Udp,
            source_port: 1,
            destination_port: 2,
        };
        let place = Place::pod("default", "web");
        let sighting = Sighting { place, interface: "eth0".into(), packet, token: Token(1) };
        Evidence { sightings: vec![sighting], ..Evidence::default() }
    }

    fn logged() -> Evidence {
        Evidence { request_logged: true, ..Evidence::default() }
    }

    fn icmp(evidence: Evidence, family: Family, kind: u8, code: u8) -> Evidence {
        Evidence { error: Some(IcmpError { family, kind, code }), ..evidence }
    }

    #[test]
    fn every_combination_of_answer_and_evidence() {
        use Answer::{Connected, Errno, Nothing, Reset};
        use Family::{Ipv4, Ipv6};
        use Moment::{Drained, Over, Sent};
        let none = Evidence::default;
        let answer_logged = || Evidence { answer_logged: true, ..seen() };
        let cases: Vec<(Answer, Evidence, Moment, Option<Outcome>)> = vec![
            (Connected, seen(), Sent, Some(Outcome::Connected)),
            (Connected, none(), Sent, Some(Outcome::Connected)),
            (Nothing, Evidence { answered: true, ..seen() }, Sent, Some(Outcome::Connected)),
            (Nothing, Evidence { refused: true, ..seen() }, Sent, Some(Outcome::Refused)),
            (Nothing, none(), Sent, None),
            (Nothing, none(), Drained, None),
            (Nothing, none(), Over, Some(Outcome::Dropped)),
            (Nothing, logged(), Sent, None),
            (Nothing, logged(), Drained, Some(Outcome::Dropped)),
            (Nothing, seen(), Drained, None),
            (Nothing, seen(), Over, Some(Outcome::ReplyLost)),
            (Nothing, answer_logged(), Drained, Some(Outcome::ReplyLost)),
            (Reset, none(), Sent, Some(Outcome::Rejected(Rejection::TcpReset))),
            (Reset, logged(), Sent, Some(Outcome::Rejected(Rejection::TcpReset))),
            (Reset, seen(), Sent, Some(Outcome::Refused)),
            (Errno(libc::EPERM), none(), Sent, Some(Outcome::NotPermitted)),
            (Errno(libc::EPERM), logged(), Sent, Some(Outcome::NotPermitted)),
            (Errno(libc::ENETUNREACH), none(), Sent, Some(Outcome::Unreachable)),
            (Errno(libc::EHOSTUNREACH), none(), Sent, Some(Outcome::Unreachable)),
            (Errno(libc::ECONNREFUSED), none(), Sent, None),
            (Errno(libc::ECONNREFUSED), none(), Over, Some(Outcome::Rejected(Rejection::PortUnreachable))),
            (Nothing, icmp(none(), Ipv4, 3, 3), Sent, Some(Outcome::Rejected(Rejection::PortUnreachable))),
            (Nothing, icmp(seen(), Ipv4, 3, 3), Sent, Some(Outcome::Refused)),
            (Nothing, icmp(logged(), Ipv4, 3, 3), Sent, Some(Outcome::Rejected(Rejection::PortUnreachable))),
            (Nothing, icmp(none(), Ipv4, 3, 13), Sent, Some(Outcome::Rejected(Rejection::AdminProhibited))),
            (Nothing, icmp(none(), Ipv4, 3, 10), Sent, Some(Outcome::Rejected(Rejection::AdminProhibited))),
            (Nothing, icmp(none(), Ipv4, 3, 1), Sent, Some(Outcome::Unreachable)),
            (Nothing, icmp(none(), Ipv4, 11, 0), Sent, Some(Outcome::Unreachable)),
            (Nothing, icmp(logged(), Ipv4, 3, 1), Sent, Some(Outcome::Rejected(Rejection::Unreachable))),
            (Nothing, icmp(none(), Ipv6, 1, 4), Sent, Some(Outcome::Rejected(Rejection::PortUnreachable))),
            (Nothing, icmp(seen(), Ipv6, 1, 4), Sent, Some(Outcome::Refused)),
            (Nothing, icmp(none(), Ipv6, 1, 1), Sent, Some(Outcome::Rejected(Rejection::AdminProhibited))),
            (Nothing, icmp(none(), Ipv6, 1, 0), Sent, Some(Outcome::Unreachable)),
            (Nothing, icmp(logged(), Ipv6, 1, 3), Sent, Some(Outcome::Rejected(Rejection::Unreachable))),
            // The pending error and its cause together: the cause says more.
            (
                Errno(libc::EHOSTUNREACH),
                icmp(none(), Ipv4, 3, 13),
                Sent,
                Some(Outcome::Rejected(Rejection::AdminProhibited)),
            ),
        ];
        for (i, (answer, evidence, moment, expected)) in cases.into_iter().enumerate() {
            assert_eq!(
                decide(answer, &evidence, moment),
                expected,
                "case {i}: {answer:?}, {moment:?}, {evidence:?}"
            );
        }
    }
}
