//! Assigns evidence to its probe by token, and notices evidence that comes too late.

use crate::error::ProbeError;
use crate::nflog::{Logged, Reason};
use crate::packet::{Kind, Packet};
use crate::trace::Traces;
use crate::verdict::{Evidence, IcmpError};
use netproof_model::observation::{LogRecord, Sighting};
use netproof_model::{Family, Passage, Place, Token};
use std::collections::{HashMap, HashSet};

/// The evidence of the probes that are under way.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    slots: HashMap<Token, usize>,
    evidence: Vec<Evidence>,
    /// Free places in `evidence`.
    free: Vec<usize>,
    /// Probes that were judged lost without having been seen anywhere.
    unseen: HashSet<Token>,
    late: Option<ProbeError>,
    /// The rules that logged neighbour discovery. One solicitation serves all packets that wait for the
    /// answer, and is repeated only some time later; so this is kept from batch to batch.
    discovery: Vec<LogRecord>,
    /// The rules that the requests of this batch met; only while rules are traced.
    pub(crate) traces: Traces,
}

impl Ledger {
    /// Begins a batch of this many probes.
    pub(crate) fn begin(&mut self, probes: usize) {
        self.slots.clear();
        self.evidence.clear();
        self.free.clear();
        self.traces = Traces::default();
        self.evidence.resize_with(probes, Evidence::default);
    }

    /// Adds a probe; returns its place.
    pub(crate) fn add(&mut self) -> usize {
        self.free.pop().unwrap_or_else(|| {
            self.evidence.push(Evidence::default());
            self.evidence.len() - 1
        })
    }

    /// Ends the probe at this place: later packets with its token are not its evidence.
    pub(crate) fn release(&mut self, token: Token, probe: usize) {
        self.slots.remove(&token);
        self.evidence[probe] = Evidence::default();
        self.free.push(probe);
    }

    /// Assigns later packets with this token to this probe.
    pub(crate) fn expect(&mut self, token: Token, probe: usize) {
        // Only tokens of DNS queries ever repeat, after 131,072 others.
        self.unseen.remove(&token);
        self.slots.insert(token, probe);
    }

    /// Ends a stage of a probe, and returns its evidence: packets of this token that are read later say nothing about the
    /// next stage.
    pub(crate) fn end_stage(&mut self, token: Token, probe: usize) -> Evidence {
        self.slots.remove(&token);
        std::mem::take(&mut self.evidence[probe])
    }

    /// The evidence of a probe.
    pub(crate) fn of(&mut self, probe: usize) -> &mut Evidence {
        &mut self.evidence[probe]
    }

    /// Whether a probe's request was delivered somewhere.
    pub(crate) fn is_seen(&self, probe: usize) -> bool {
        self.evidence.get(probe).is_some_and(|evidence| !evidence.sightings.is_empty())
    }

    /// Records that the probe was judged lost: if it is seen later, the verdict was wrong.
    pub(crate) fn judged_lost(&mut self, token: Token) {
        self.unseen.insert(token);
    }

    /// The packet that came too late, if there was one.
    pub(crate) fn take_late(&mut self) -> Option<ProbeError> {
        self.late.take()
    }

    /// The rules that denied IPv6 neighbour discovery, if there were any: without neighbour discovery
    /// requests are lost where no rule sees them.
    pub(crate) fn denied_discovery(&self, family: Family) -> &[LogRecord] {
        match family {
            Family::Ipv4 => &[],
            Family::Ipv6 => &self.discovery,
        }
    }

    fn find(&mut self, token: Token) -> Option<&mut Evidence> {
        let slot = *self.slots.get(&token)?;
        self.evidence.get_mut(slot)
    }

    /// Takes the log message of a rule on `node`, or of its observer.
    pub(crate) fn logged(&mut self, node: &str, logged: &Logged) {
        let token = logged.packet.token;
        let (hook, packet) = (logged.hook, logged.packet.addresses);
        let node = node.to_owned();
        if logged.packet.kind == Kind::Discovery {
            if let Reason::Denied(number) = logged.reason {
                let record = LogRecord { node, number, hook, packet, token: None };
                if !self.discovery.contains(&record) {
                    self.discovery.push(record);
                }
            }
            return;
        }
        let Some(evidence) = self.find(token) else { return };
        let number = match logged.reason {
            Reason::Denied(number) => number,
            Reason::Passed { translated } => {
                let passage = Passage { node, hook, translated, packet, token };
                // A retransmission adds no evidence.
                if logged.packet.kind == Kind::Request
                    && !evidence.passages.iter().any(|(_, known)| *known == passage)
                {
                    evidence.passages.push((logged.packet.hop_limit, passage));
                }
                return;
            }
        };
        match logged.packet.kind {
            Kind::Request => evidence.request_logged = true,
            Kind::Answer | Kind::Refusal | Kind::Error { .. } => evidence.answer_logged = true,
            Kind::Stream | Kind::Discovery => {}
        }
        let record = LogRecord { node, number, hook, packet, token: Some(token) };
        if !evidence.logs.contains(&record) {
            evidence.logs.push(record);
        }
    }

    /// Takes a packet that was delivered to the stack at `place`.
    pub(crate) fn delivered(&mut self, place: &Place, packet: &Packet, interface: impl FnOnce() -> String) {
        let token = packet.token;
        match packet.kind {
            Kind::Request => {
                if self.unseen.remove(&token) {
                    self.late = Some(ProbeError::LateArrival { place: place.clone(), token });
                }
                let Some(evidence) = self.find(token) else { return };
                if evidence.sightings.iter().any(|sighting| sighting.place == *place) {
                    return;
                }
                let packet = packet.addresses;
                let place = place.clone();
                evidence.sightings.push(Sighting { place, interface: interface(), packet, token });
            }
            Kind::Answer | Kind::Refusal => {
                if let Some(evidence) = self.find(token)
                    && evidence.awaited.as_ref().is_some_and(|awaited| awaited.is(place, &packet.addresses))
                {
                    evidence.answered |= packet.kind == Kind::Answer;
                    evidence.refused |= packet.kind == Kind::Refusal;
                }
            }
            Kind::Error { kind, code } => {
                if let Some(evidence) = self.find(token) {
                    let family = Family::of(packet.addresses.source);
                    evidence.error.get_or_insert(IcmpError { family, kind, code });
                }
            }
            Kind::Stream | Kind::Discovery => {}
        }
    }

    /// Takes a packet that arrived at `place`, in transit or at its destination; only while tracing.
    pub(crate) fn traced(&mut self, place: &Place, packet: &Packet, interface: impl FnOnce() -> String) {
        if packet.kind != Kind::Request {
            return;
        }
        let Some(evidence) = self.find(packet.token) else { return };
        let sighting = Sighting {
            place: place.clone(),
            interface: interface(),
            packet: packet.addresses,
            token: packet.token,
        };
        let station = (packet.hop_limit, sighting);
        if !evidence.traced.contains(&station) {
            evidence.traced.push(station);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet;
    use crate::packet::tests::{ipv4, ipv6_packet, tcp_header};
    use crate::verdict::Awaited;

    #[test]
    fn a_packet_that_arrives_after_its_verdict_is_told_once() {
        let token = Token(0x1234);
        let syn = packet::parse(&ipv4(6, &tcp_header(token.0, 0, 2))).unwrap();
        let place = Place::node("node1");
        let mut ledger = Ledger::default();
        ledger.begin(1);
        ledger.expect(token, 0);
        ledger.judged_lost(token);
        ledger.begin(1);
        assert!(ledger.take_late().is_none());
        ledger.delivered(&place, &syn, || "eth0".into());
        insta::assert_snapshot!(
            ledger.take_late().unwrap(),
            @r#"the packet 00001234 arrived at node/node1 after its probe had been judged "dropped": the verdict was wrong, and others may be; the machine is too busy to deliver packets in time, so run fewer scenarios at once (--jobs)"#
        );
        ledger.delivered(&place, &syn, || "eth0".into());
        assert!(ledger.take_late().is_none());
    }

    /// A program may have judged the query only after its answer was read.
    #[test]
    fn the_query_of_a_name_is_no_evidence_of_the_request() {
        let (query, token) = (Token(0x1234), Token(0x5678));
        let parse = |token: Token| packet::parse(&ipv4(6, &tcp_header(token.0, 0, 2))).unwrap();
        let mut ledger = Ledger::default();
        ledger.begin(1);
        ledger.expect(query, 0);
        ledger.delivered(&Place::node("node1"), &parse(query), || "eth0".into());
        assert_eq!(ledger.end_stage(query, 0).sightings.len(), 1);
        ledger.expect(token, 0);
        ledger.delivered(&Place::node("node1"), &parse(query), || "eth0".into());
        assert!(!ledger.is_seen(0));
        ledger.delivered(&Place::node("node2"), &parse(token), || "eth0".into());
        assert!(ledger.is_seen(0) && ledger.take_late().is_none());
    }

    #[test]
    fn retransmissions_say_nothing_new() {
        let token = Token(0x1234);
        let syn = packet::parse(&ipv4(6, &tcp_header(token.0, 0, 2))).unwrap();
        let mut ledger = Ledger::default();
        ledger.begin(1);
        ledger.expect(token, 0);
        let hook = netproof_model::Hook::Forward;
        for reason in [Reason::Denied(3), Reason::Passed { translated: true }] {
            let logged = Logged { reason, hook, packet: syn };
            for _ in 0..2 {
                ledger.delivered(&Place::node("node1"), &syn, || "eth0".into());
                ledger.logged("node1", &logged);
            }
        }
        let evidence = ledger.of(0);
        assert_eq!((evidence.sightings.len(), evidence.logs.len(), evidence.passages.len()), (1, 1, 1));
        assert!(ledger.of(0).request_logged && ledger.is_seen(0));
    }

    /// A denied solicitation belongs to no probe, and explains lost requests of its family.
    #[test]
    fn denied_neighbour_discovery_is_remembered() {
        let mut solicitation = vec![135, 0, 0, 0, 0, 0, 0, 0];
        solicitation.extend([0xfe; 16]);
        let packet = packet::parse(&ipv6_packet(58, &solicitation)).unwrap();
        assert_eq!(packet.kind, Kind::Discovery);
        let mut ledger = Ledger::default();
        ledger.begin(1);
        ledger.expect(packet.token, 0);
        let hook = netproof_model::Hook::Input;
        for reason in [Reason::Passed { translated: false }, Reason::Denied(3), Reason::Denied(3)] {
            ledger.logged("node1", &Logged { reason, hook, packet });
            ledger.delivered(&Place::node("node1"), &packet, || "eth0".into());
        }
        ledger.begin(1);
        let numbers: Vec<u32> = ledger.denied_discovery(Family::Ipv6).iter().map(|log| log.number).collect();
        assert_eq!(numbers, [3]);
        assert!(ledger.denied_discovery(Family::Ipv4).is_empty());
        let evidence = ledger.of(0);
        assert!(!evidence.request_logged && evidence.logs.is_empty() && evidence.sightings.is_empty());
    }

    /// Only requests are recorded as passages; a passage is no denial, and the order is that of the path.
    #[test]
    fn passages_are_in_the_order_of_the_way() {
        let token = Token(0x1234);
        let syn = packet::parse(&ipv4(6, &tcp_header(token.0, 0, 2))).unwrap();
        let answer = packet::parse(&ipv4(6, &tcp_header(9, token.0 + 1, 0x12))).unwrap();
        let mut ledger = Ledger::default();
        ledger.begin(1);
        ledger.expect(token, 0);
        for (node, hop_limit, translated) in [("node2", 61, false), ("node1", 63, true)] {
            for packet in [Packet { hop_limit, ..syn }, Packet { hop_limit, ..answer }] {
                let (reason, hook) = (Reason::Passed { translated }, netproof_model::Hook::Forward);
                ledger.logged(node, &Logged { reason, hook, packet });
            }
        }
        let evidence = std::mem::take(ledger.of(0));
        assert!(!evidence.request_logged && !evidence.answer_logged && evidence.logs.is_empty());
        let (_, passages) = crate::verdict::path(evidence);
        let found: Vec<_> = passages.iter().map(|it| (it.node.as_str(), it.translated)).collect();
        assert_eq!(found, [("node1", true), ("node2", false)]);
    }

    /// An echo reply counts if it arrives at the request's source and comes from its destination.
    #[test]
    fn an_answer_must_come_from_whom_was_asked() {
        let token = Token(0x1234);
        let mut reply = packet::echo_request(Family::Ipv4, 9, &token.0.to_be_bytes());
        reply[0] = 0;
        let reply = packet::parse(&ipv4(1, &reply)).unwrap();
        let here = Place::node("node1");
        let asked = "10.0.0.1:0".parse().unwrap();
        let answered = |place: &Place, from, port| {
            let mut ledger = Ledger::default();
            ledger.begin(1);
            ledger.expect(token, 0);
            ledger.of(0).awaited = Some(Awaited { place: here.clone(), from, port });
            ledger.delivered(place, &reply, || "eth0".into());
            ledger.of(0).answered
        };
        assert!(answered(&here, asked, 0));
        assert!(!answered(&Place::node("node2"), asked, 0));
        assert!(!answered(&here, "10.96.0.1:0".parse().unwrap(), 0));
        assert!(!answered(&here, asked, 40_000));
    }
}
