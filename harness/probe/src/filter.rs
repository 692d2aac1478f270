//! Classic BPF programs that limit what a witness receives: requests, and the ICMP messages and SCTP packets
//! that answer them.

use crate::token::VXLAN;
use crate::{kept, sctp};
use libc::sock_filter;
use netproof_model::{Family, Protocol};

/// Bytes of a packet that are kept: the longest headers that an ICMP error quotes, and the token.
const KEEP: u32 = 192;
const WHOLE: u32 = u32::MAX;

// Opcodes of classic BPF (linux/filter.h), as far as they are used here.
const LOAD_WORD: u16 = 0x20; // A = word at k
const LOAD_WORD_INDEXED: u16 = 0x40; // A = word at X + k
const LOAD_BYTE: u16 = 0x30; // A = byte at k
const LOAD_BYTE_INDEXED: u16 = 0x50; // A = byte at X + k
const LOAD_HEADER_LENGTH: u16 = 0xb1; // X = 4 * (byte at k & 15)
const AND: u16 = 0x54; // A = A & k
const IF_EQUAL: u16 = 0x15; // A == k
const IF_SET: u16 = 0x45; // A & k != 0
const SHIFT_RIGHT: u16 = 0x74; // A = A >> k
const ADD_INDEX: u16 = 0x0c; // A = A + X
const TO_INDEX: u16 = 0x07; // X = A
const RETURN: u16 = 0x06; // keep k bytes, 0 is none

fn statement(code: u16, k: u32) -> sock_filter {
    sock_filter { code, jt: 0, jf: 0, k }
}

fn jump(code: u16, k: u32, if_true: u8, if_false: u8) -> sock_filter {
    sock_filter { code, jt: if_true, jf: if_false, k }
}

/// The program for a raw socket of `protocol`. A raw IPv4 socket receives packets with their IP header,
/// a raw IPv6 socket without.
pub(crate) fn witness(family: Family, protocol: Protocol) -> Vec<sock_filter> {
    let mut program = Vec::with_capacity(17);
    let (word, byte) = match family {
        Family::Ipv4 => {
            program.push(statement(LOAD_HEADER_LENGTH, 0));
            (LOAD_WORD_INDEXED, LOAD_BYTE_INDEXED)
        }
        Family::Ipv6 => (LOAD_WORD, LOAD_BYTE),
    };
    match (protocol, family) {
        (Protocol::Tcp, _) => {
            // SYN without ACK, or
            program.push(statement(byte, 13));
            program.push(statement(AND, 0x12));
            program.push(jump(IF_EQUAL, 0x02, 11, 0));
            // data that begins with the marker of a message which is not an answer. (Loading a missing word
            // ends the program with "none".)
            program.push(statement(byte, 12));
            program.push(statement(SHIFT_RIGHT, 2));
            program.push(statement(AND, 0x3c));
            // (X is the length of the IP header, or 0 if there is none.)
            program.push(statement(ADD_INDEX, 0));
            program.push(statement(TO_INDEX, 0));
            let [first, second] = kept::MARKER_WORDS;
            program.push(statement(LOAD_WORD_INDEXED, 0));
            program.push(jump(IF_EQUAL, first, 0, 5));
            program.push(statement(LOAD_WORD_INDEXED, 4));
            program.push(jump(IF_EQUAL, second, 0, 3));
            program.push(statement(LOAD_WORD_INDEXED, 8));
            program.push(jump(IF_SET, 0x8000_0000, 1, 0));
        }
        (Protocol::Udp, _) => {
            // Neither an answer of ours nor an encapsulated packet of the overlay. (Loading a missing word
            // ends the program with "none".)
            program.push(statement(word, 8));
            program.push(jump(IF_SET, 0x8000_0000, 2, 0));
            program.push(jump(IF_EQUAL, VXLAN, 1, 0));
        }
        (Protocol::Sctp, _) => {
            // INIT, its acknowledgement, its refusal.
            program.push(statement(byte, 12));
            program.push(jump(IF_EQUAL, u32::from(sctp::INIT), 2, 0));
            program.push(jump(IF_EQUAL, u32::from(sctp::INIT_ACK), 1, 0));
            program.push(jump(IF_EQUAL, u32::from(sctp::ABORT), 0, 1));
        }
        (Protocol::Icmp, Family::Ipv4) => {
            program.push(statement(byte, 0));
            program.push(jump(IF_EQUAL, 8, 4, 0));
            program.push(jump(IF_EQUAL, 0, 3, 0));
            program.push(jump(IF_EQUAL, 3, 2, 0));
            program.push(jump(IF_EQUAL, 11, 1, 0));
            program.push(jump(IF_EQUAL, 12, 0, 1));
        }
        (Protocol::Icmp, Family::Ipv6) => {
            // Echo request, echo reply; every error has a type below 128.
            program.push(statement(byte, 0));
            program.push(jump(IF_EQUAL, 128, 2, 0));
            program.push(jump(IF_EQUAL, 129, 1, 0));
            program.push(jump(IF_SET, 0x80, 1, 0));
        }
    }
    // The checksum of SCTP covers all of it.
    program.push(statement(RETURN, if protocol == Protocol::Sctp { WHOLE } else { KEEP }));
    program.push(statement(RETURN, 0));
    program
}

/// Passes every packet, and keeps only its beginning.
pub(crate) fn everything() -> Vec<sock_filter> {
    vec![statement(RETURN, KEEP)]
}
