//! Classic BPF programs that let a witness receive what it is there for and nothing else: requests, and
//! the ICMP messages that answer them.

use crate::token::VXLAN;
use libc::sock_filter;
use netproof_model::{Family, Protocol};

/// How much of a packet is kept: the longest headers that an ICMP error quotes, and the token.
const KEEP: u32 = 192;

// Opcodes of classic BPF (linux/filter.h), as far as they are used here.
const LOAD_WORD: u16 = 0x20; // A = word at k
const LOAD_WORD_INDEXED: u16 = 0x40; // A = word at X + k
const LOAD_BYTE: u16 = 0x30; // A = byte at k
const LOAD_BYTE_INDEXED: u16 = 0x50; // A = byte at X + k
const LOAD_HEADER_LENGTH: u16 = 0xb1; // X = 4 * (byte at k & 15)
const AND: u16 = 0x54; // A = A & k
const IF_EQUAL: u16 = 0x15; // A == k
const IF_SET: u16 = 0x45; // A & k != 0
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
    let mut program = Vec::with_capacity(8);
    let (word, byte) = match family {
        Family::Ipv4 => {
            program.push(statement(LOAD_HEADER_LENGTH, 0));
            (LOAD_WORD_INDEXED, LOAD_BYTE_INDEXED)
        }
        Family::Ipv6 => (LOAD_WORD, LOAD_BYTE),
    };
    match (protocol, family) {
        (Protocol::Tcp, _) => {
            // SYN without ACK.
            program.push(statement(byte, 13));
            program.push(statement(AND, 0x12));
            program.push(jump(IF_EQUAL, 0x02, 0, 1));
        }
        (Protocol::Udp, _) => {
            // Neither an answer of ours nor an encapsulated packet of the overlay. (Loading a word that
            // is not there ends the program with "none".)
            program.push(statement(word, 8));
            program.push(jump(IF_SET, 0x8000_0000, 2, 0));
            program.push(jump(IF_EQUAL, VXLAN, 1, 0));
        }
        (Protocol::Sctp, _) => {
            // INIT.
            program.push(statement(byte, 12));
            program.push(jump(IF_EQUAL, 1, 0, 1));
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
    program.push(statement(RETURN, KEEP));
    program.push(statement(RETURN, 0));
    program
}

/// Passes every packet (of which only the beginning is kept), or none.
pub(crate) fn everything(pass: bool) -> Vec<sock_filter> {
    vec![statement(RETURN, if pass { KEEP } else { 0 })]
}
