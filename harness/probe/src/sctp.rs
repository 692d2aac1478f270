//! The part of SCTP that probes need (RFC 9260): INIT, its acknowledgement and its refusal, crafted at both
//! ends, because not every kernel has SCTP sockets.
//!
//! A handshake ends with the acknowledgement. There is no association then, and connection tracking forgets
//! the entry after three seconds, sooner than after an abort (ten).

use crate::{server, token};
use netproof_model::Token;
use std::net::SocketAddr;

/// The types of chunks (RFC 9260, 3.2).
pub(crate) const INIT: u8 = 1;
pub(crate) const INIT_ACK: u8 = 2;
pub(crate) const ABORT: u8 = 6;

/// The common header: ports, verification tag, checksum.
const HEADER: usize = 12;
const CHECKSUM: std::ops::Range<usize> = 8..HEADER;
/// The parameter "State Cookie" (RFC 9260, 3.3.3.1), without which there is no acknowledgement.
const STATE_COOKIE: u16 = 7;
/// The error cause "User-Initiated Abort" (RFC 9260, 3.3.10.12), and our own reason in it: a kernel that has
/// SCTP aborts unknown associations by itself, even on ports that we serve.
const USER_INITIATED_ABORT: u16 = 12;
const REFUSED: &[u8] = b"netproof";

/// The request of a probe; its initiate tag is the token.
pub(crate) fn init(source_port: u16, destination_port: u16, token: Token) -> Vec<u8> {
    packet(source_port, destination_port, 0, INIT, &fixed_part(token.0))
}

/// The answer to an INIT: if the port is served, an acknowledgement whose cookie says who answered and what
/// it saw; else a refusal that is recognised as ours. `None` for any other packet.
pub(crate) fn answer(
    request: &[u8],
    serves: impl Fn(u16) -> bool,
    who: &str,
    saw: SocketAddr,
) -> Option<Vec<u8>> {
    if *request.get(HEADER)? != INIT {
        return None;
    }
    let u16_at = |at| Some(u16::from_be_bytes(request.get(at..at + 2)?.try_into().ok()?));
    let (client, port) = (u16_at(0)?, u16_at(2)?);
    let tag = u32::from_be_bytes(request.get(HEADER + 4..HEADER + 8)?.try_into().ok()?);
    Some(if serves(port) {
        let mut value = fixed_part(token::answer_word(tag));
        value.extend(entry(STATE_COOKIE, server::body(who, Some(saw)).as_bytes()));
        packet(port, client, tag, INIT_ACK, &value)
    } else {
        packet(port, client, tag, ABORT, &entry(USER_INITIATED_ABORT, REFUSED))
    })
}

/// Whether a packet with an ABORT is our own refusal.
pub(crate) fn is_our_refusal(packet: &[u8]) -> bool {
    packet.get(HEADER) == Some(&ABORT)
        && packet.get(HEADER + 4..) == Some(entry(USER_INITIATED_ABORT, REFUSED).as_slice())
}

/// Whether the checksum is right. A stack discards a packet if an address translation did not update its
/// checksum.
pub(crate) fn is_intact(packet: &[u8]) -> bool {
    packet.get(CHECKSUM).is_some_and(|sum| *sum == checksum(packet))
}

/// The fixed part of INIT and of its acknowledgement: initiate tag, receiver window, numbers of outbound and
/// inbound streams, initial sequence number.
fn fixed_part(tag: u32) -> Vec<u8> {
    let mut value = tag.to_be_bytes().to_vec();
    value.extend_from_slice(&65_536u32.to_be_bytes());
    value.extend_from_slice(&[0, 1, 0, 1]);
    value.extend_from_slice(&tag.to_be_bytes());
    value
}

/// A parameter or an error cause. It comes last, so the packet's padding serves it.
fn entry(kind: u16, value: &[u8]) -> Vec<u8> {
    let mut entry = kind.to_be_bytes().to_vec();
    entry.extend_from_slice(&((4 + value.len()) as u16).to_be_bytes());
    entry.extend_from_slice(value);
    entry
}

/// A packet with one chunk.
fn packet(from: u16, to: u16, verification_tag: u32, chunk: u8, value: &[u8]) -> Vec<u8> {
    let mut packet = from.to_be_bytes().to_vec();
    packet.extend_from_slice(&to.to_be_bytes());
    packet.extend_from_slice(&verification_tag.to_be_bytes());
    packet.extend_from_slice(&[0, 0, 0, 0, chunk, 0]);
    packet.extend_from_slice(&((4 + value.len()) as u16).to_be_bytes());
    packet.extend_from_slice(value);
    packet.resize(packet.len().next_multiple_of(4), 0);
    let sum = checksum(&packet);
    packet[CHECKSUM].copy_from_slice(&sum);
    packet
}

/// The checksum of a packet that has a complete header: CRC32c over the packet with a checksum of zero, the
/// least significant byte first (RFC 9260, appendix A).
fn checksum(packet: &[u8]) -> [u8; 4] {
    let sum = crc32c(!0, &packet[..CHECKSUM.start]);
    let sum = crc32c(sum, &[0; 4]);
    (!crc32c(sum, &packet[CHECKSUM.end..])).to_le_bytes()
}

fn crc32c(mut sum: u32, data: &[u8]) -> u32 {
    for byte in data {
        sum = (sum >> 8) ^ CRC32C[usize::from(sum as u8 ^ byte)];
    }
    sum
}

/// The CRC table of Castagnoli's polynomial, bits reversed.
static CRC32C: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut rest = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            rest = (rest >> 1) ^ (0x82f6_3b78 * (rest & 1));
            bit += 1;
        }
        table[byte] = rest;
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const TOKEN: Token = Token(0x1234_5678);
    const WHO: &str = "pod/default/web";

    fn saw() -> SocketAddr {
        "10.0.0.1:0".parse().unwrap()
    }

    #[test]
    fn the_checksum_is_crc32c() {
        // The check value of every catalogue, and the examples of RFC 3720, B.4.
        assert_eq!(!crc32c(!0, b"123456789"), 0xe306_9283);
        assert_eq!(!crc32c(!0, &[0; 32]), 0x8a91_36aa);
        assert_eq!(!crc32c(!0, &[0xff; 32]), 0x62a8_ab43);
    }

    #[test]
    fn packets_are_well_formed() {
        let request = init(40_000, 80, TOKEN);
        let acknowledged = answer(&request, |port| port == 80, WHO, saw()).unwrap();
        let refused = answer(&request, |_| false, WHO, saw()).unwrap();
        for packet in [&request, &acknowledged, &refused] {
            assert!(is_intact(packet) && packet.len().is_multiple_of(4), "{packet:x?}");
            let length = usize::from(u16::from_be_bytes([packet[14], packet[15]]));
            assert_eq!((HEADER + length).next_multiple_of(4), packet.len(), "{packet:x?}");
        }
        assert_eq!(request[..8], [0x9c, 0x40, 0, 80, 0, 0, 0, 0], "the verification tag of an INIT is 0");
        assert_eq!(request[16..20], TOKEN.0.to_be_bytes());
        for answer in [&acknowledged, &refused] {
            assert_eq!(answer[..8], [0, 80, 0x9c, 0x40, 0x12, 0x34, 0x56, 0x78]);
        }
        assert_eq!((acknowledged[12], refused[12]), (INIT_ACK, ABORT));
        let cookie = b"netproof 1 pod/default/web saw 10.0.0.1\n";
        assert!(acknowledged.windows(cookie.len()).any(|window| window == cookie));
        assert_eq!(answer(&acknowledged, |_| true, WHO, saw()), None, "an answer is not answered");
    }

    #[test]
    fn only_our_own_refusal_is_one() {
        let request = init(40_000, 80, TOKEN);
        assert!(is_our_refusal(&answer(&request, |_| false, WHO, saw()).unwrap()));
        assert!(!is_our_refusal(&answer(&request, |_| true, WHO, saw()).unwrap()));
        // What a kernel says to a packet that is out of the blue.
        assert!(!is_our_refusal(&packet(80, 40_000, TOKEN.0, ABORT, &[])));
    }

    proptest! {
        #[test]
        fn one_changed_byte_breaks_the_checksum(at in 0usize..32, change in 1u8..) {
            let mut packet = init(40_000, 80, TOKEN);
            packet[at] ^= change;
            prop_assert!(!is_intact(&packet));
        }

        #[test]
        fn no_bytes_make_the_reader_panic(data in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _ = (is_intact(&data), is_our_refusal(&data), answer(&data, |_| true, WHO, saw()));
            let mut init = init(1, 2, TOKEN);
            init.truncate(data.len());
            let _ = answer(&init, |_| true, WHO, saw());
        }
    }
}
