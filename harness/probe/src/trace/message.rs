//! One message of a trace: the verdict of one rule or chain on one packet.

use crate::nflog::{GENERIC_HEADER, attributes, messages};
use crate::packet::{self, Packet};
use netproof_model::TraceVerdict;

/// The type of a trace's messages (`linux/netfilter/nf_tables.h`, as all numbers here).
pub(super) const KIND: u16 = ((libc::NFNL_SUBSYS_NFTABLES << 8) | libc::NFT_MSG_TRACE) as u16;
const TABLE: u16 = 1;
const CHAIN: u16 = 2;
const RULE_HANDLE: u16 = 3;
const TYPE: u16 = 4;
const VERDICT: u16 = 5;
const ID: u16 = 6;
const NETWORK_HEADER: u16 = 8;
const TRANSPORT_HEADER: u16 = 9;
const POLICY: u16 = 16;
const VERDICT_CODE: u16 = 1;
const VERDICT_CHAIN: u16 = 2;

/// The origin of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Speaker {
    /// The rule with this handle.
    Rule(u64),
    /// The base chain's policy.
    Policy,
    /// No rule: a chain that was jumped to has ended.
    End,
}

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// The packet's identifier, the same in every message about it.
    pub id: u32,
    /// The family of the table, `NFPROTO_...`.
    pub family: u8,
    pub table: String,
    pub chain: String,
    pub speaker: Speaker,
    pub verdict: TraceVerdict,
    /// Whether the message shows the packet, as the first one of each base chain does.
    pub is_first: bool,
    /// The packet that it shows, if it is one of a probe's.
    pub packet: Option<Packet>,
}

/// Reads the messages of one receive call; other kinds are ignored.
pub(super) fn parse(data: &[u8]) -> impl Iterator<Item = Message> {
    messages(data).filter(|(kind, _)| *kind == KIND).filter_map(|(_, body)| message(body))
}

fn message(body: &[u8]) -> Option<Message> {
    const POLICY_SPEAKS: u32 = libc::NFT_TRACETYPE_POLICY as u32;
    const CHAIN_ENDS: u32 = libc::NFT_TRACETYPE_RETURN as u32;
    let (mut table, mut chain, mut handle, mut kind, mut id) = (None, None, None, None, None);
    let (mut verdict, mut policy, mut network, mut transport) = (None, None, None, None);
    for (attribute, value) in attributes(body.get(GENERIC_HEADER..)?) {
        match attribute {
            TABLE => table = text(value),
            CHAIN => chain = text(value),
            RULE_HANDLE => handle = value.first_chunk().map(|it| u64::from_be_bytes(*it)),
            TYPE => kind = number(value),
            ID => id = number(value),
            VERDICT => verdict = self::verdict(value),
            POLICY => policy = number(value),
            NETWORK_HEADER => network = Some(value),
            TRANSPORT_HEADER => transport = Some(value),
            _ => {}
        }
    }
    let (speaker, verdict) = match (kind?, handle) {
        (POLICY_SPEAKS, _) => (Speaker::Policy, of_code(policy?.cast_signed(), None)?),
        (_, Some(handle)) => (Speaker::Rule(handle), verdict?),
        (CHAIN_ENDS, None) => (Speaker::End, TraceVerdict::Return),
        (_, None) => return None,
    };
    Some(Message {
        id: id?,
        family: *body.first()?,
        table: table?,
        chain: chain?,
        speaker,
        verdict,
        is_first: network.is_some(),
        packet: network.and_then(|network| shown(network, transport?)),
    })
}

/// Reads the packet from the beginnings of its headers: 40 bytes of the network header, 20 of the transport
/// header.
fn shown(network: &[u8], transport: &[u8]) -> Option<Packet> {
    let (header, _) = packet::ip_header(network)?;
    packet::transport(header, transport)
}

fn verdict(value: &[u8]) -> Option<TraceVerdict> {
    let (mut code, mut chain) = (None, None);
    for (attribute, value) in attributes(value) {
        match attribute {
            VERDICT_CODE => code = number(value),
            VERDICT_CHAIN => chain = text(value),
            _ => {}
        }
    }
    of_code(code?.cast_signed(), chain)
}

fn of_code(code: i32, chain: Option<String>) -> Option<TraceVerdict> {
    // The bits above netfilter's own verdict hold an error number or a queue's.
    Some(match if code < 0 { code } else { code & 0xff } {
        libc::NF_DROP => TraceVerdict::Drop,
        libc::NF_ACCEPT => TraceVerdict::Accept,
        libc::NFT_CONTINUE => TraceVerdict::Continue,
        libc::NFT_RETURN => TraceVerdict::Return,
        libc::NFT_JUMP => TraceVerdict::Jump(chain?),
        libc::NFT_GOTO => TraceVerdict::Goto(chain?),
        other => TraceVerdict::Other(other),
    })
}

fn number(value: &[u8]) -> Option<u32> {
    value.first_chunk().map(|it| u32::from_be_bytes(*it))
}

/// A name, which ends with a zero byte.
fn text(value: &[u8]) -> Option<String> {
    str::from_utf8(value.strip_suffix(&[0])?).ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::tests::{ipv4, tcp_header};

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let mut bytes = ((value.len() + 4) as u16).to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn message(kind: libc::c_int, attributes: &[(u16, &[u8])]) -> Vec<u8> {
        let mut bytes = vec![0; 4];
        bytes.extend(KIND.to_ne_bytes());
        bytes.extend([0; 10]);
        bytes.extend([libc::NFPROTO_INET as u8, 0, 0, 0]);
        for (attribute_kind, value) in [
            (TABLE, &b"table\0"[..]),
            (CHAIN, b"chain\0"),
            (ID, &5u32.to_be_bytes()),
            (TYPE, &(kind as u32).to_be_bytes()),
        ]
        .iter()
        .chain(attributes)
        {
            bytes.extend(attribute(*attribute_kind, value));
        }
        let length = bytes.len() as u32;
        bytes[..4].copy_from_slice(&length.to_ne_bytes());
        bytes
    }

    /// What the kernel may say, and what that is.
    #[test]
    fn messages_are_read() {
        let (policy, ends, rule) =
            (libc::NFT_TRACETYPE_POLICY, libc::NFT_TRACETYPE_RETURN, libc::NFT_TRACETYPE_RULE);
        let handle = 300u64.to_be_bytes();
        let said = |code: i32, chain: &[u8]| {
            let chain = if chain.is_empty() { Vec::new() } else { attribute(VERDICT_CHAIN, chain) };
            [attribute(VERDICT_CODE, &code.to_be_bytes()), chain].concat()
        };
        let read = |kind, attributes: &[(u16, &[u8])]| {
            parse(&message(kind, attributes))
                .next()
                .map(|it| (it.speaker, it.verdict, it.is_first, it.packet))
        };
        let of_rule = |code, chain: &[u8]| {
            let read = read(rule, &[(RULE_HANDLE, &handle), (VERDICT, &said(code, chain))]);
            read.map(|(speaker, verdict, ..)| {
                assert_eq!(speaker, Speaker::Rule(300));
                verdict
            })
        };
        for (code, chain, verdict) in [
            (libc::NF_ACCEPT, &b""[..], TraceVerdict::Accept),
            (libc::NF_DROP, b"", TraceVerdict::Drop),
            (libc::NF_DROP | 113 << 16, b"", TraceVerdict::Drop),
            (libc::NFT_CONTINUE, b"", TraceVerdict::Continue),
            (libc::NFT_RETURN, b"", TraceVerdict::Return),
            (libc::NFT_JUMP, b"a\0", TraceVerdict::Jump("a".into())),
            (libc::NFT_GOTO, b"b\0", TraceVerdict::Goto("b".into())),
            (libc::NF_QUEUE | 9 << 16, b"", TraceVerdict::Other(libc::NF_QUEUE)),
        ] {
            assert_eq!(of_rule(code, chain), Some(verdict));
        }
        assert_eq!(of_rule(libc::NFT_JUMP, b""), None, "a jump to nowhere");
        let accept = (libc::NF_ACCEPT as u32).to_be_bytes();
        let expected = Some((Speaker::Policy, TraceVerdict::Accept, false, None));
        assert_eq!(read(policy, &[(POLICY, &accept)]), expected);
        let go_on = said(libc::NFT_CONTINUE, b"");
        let expected = Some((Speaker::End, TraceVerdict::Return, false, None));
        assert_eq!(read(ends, &[(VERDICT, &go_on)]), expected);
        assert_eq!(read(rule, &[(VERDICT, &go_on)]), None, "a rule without a handle");
        // The beginnings of both headers.
        let packet = ipv4(6, &tcp_header(0x1234, 0, 2));
        let (network, transport) = (packet.get(..40).unwrap(), packet.get(20..40).unwrap());
        let shown = [(NETWORK_HEADER, network), (TRANSPORT_HEADER, transport), (POLICY, &accept)];
        let (.., is_first, packet) = read(policy, &shown).unwrap();
        assert_eq!((is_first, packet.map(|it| it.token.0)), (true, Some(0x1234)));
    }
}
