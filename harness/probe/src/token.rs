//! Tokens: the 32-bit marks that tell the packets of one probe from those of every other.
//!
//! A packet's word shows by itself what it is. Bit 31 is clear in a request's token and set in the answer's.
//! Bit 15 is clear in both: a DNS message begins with its identifier and flags, where bit 15 marks an
//! answer. A DNS query's token is its identifier and flags.

use crate::probe::Probe;
use netproof_model::Token;
use netproof_model::request::RequestTarget;

/// Set in the first word of an answer of ours.
const ANSWER: u32 = 0x8000_0000;
/// The bit QR of a DNS header.
const DNS_ANSWER: u32 = 0x0000_8000;
/// The flags of a DNS query: recursion desired.
const DNS_QUERY: u32 = 0x0000_0100;
/// The flags AD and CD, which make no difference to a query here.
const DNS_FREE: u32 = 0x0000_0030;
/// The first bytes of a VXLAN packet: a node's witnesses ignore the overlay's packets.
pub(crate) const VXLAN: u32 = 0x0800_0000;

/// Gives every probe a token: the same tokens for the same seed, none twice (there are 2^30; 2^17 for DNS
/// queries, whose sequence then repeats).
#[derive(Clone, Debug)]
pub(crate) struct Tokens {
    next: u32,
    next_dns: u32,
}

impl Tokens {
    pub(crate) fn new(seed: u64) -> Self {
        let start = split_mix(seed);
        Tokens { next: start as u32 & MASK, next_dns: (start >> 32) as u32 & DNS_MASK }
    }

    /// A token for anything but a DNS query.
    pub(crate) fn next(&mut self) -> Token {
        loop {
            self.next = (self.next + 1) & MASK;
            let bits = scatter(self.next);
            let word = (bits & 0x7fff) | ((bits >> 15) << 16);
            if word != 0 && word != VXLAN && !is_dns_query(word) {
                return Token(word);
            }
        }
    }

    /// The tokens that probes of these requests will have, including their queries for names, and some more.
    pub(crate) fn ahead(&self, probes: &[Probe]) -> Vec<Token> {
        let mut tokens = self.clone();
        let queries = probes.iter().map(|probe| match &probe.request.target {
            RequestTarget::Address(_) => 1,
            // Under each domain, and as it is; then the probe may be a query itself.
            RequestTarget::Name { search, .. } => search.len() + 2,
        });
        let queries = queries.sum();
        let mut ahead: Vec<Token> = probes.iter().map(|_| tokens.next()).collect();
        ahead.extend((0..queries).map(|_| tokens.next_dns()));
        ahead
    }

    /// A token for a DNS query: the first four bytes of the message.
    pub(crate) fn next_dns(&mut self) -> Token {
        self.next_dns = (self.next_dns + 1) & DNS_MASK;
        let identifier = self.next_dns.wrapping_mul(0x6e3b) & 0x7fff;
        let flags = self.next_dns >> 15;
        Token((identifier << 16) | DNS_QUERY | (flags << 4))
    }
}

const MASK: u32 = (1 << 30) - 1;
const DNS_MASK: u32 = (1 << 17) - 1;

/// A permutation of the 30-bit numbers: each step can be undone, so no two inputs meet.
fn scatter(mut bits: u32) -> u32 {
    for factor in [0x2c1b_3c6d, 0x297a_2d39] {
        bits = bits.wrapping_mul(factor) & MASK;
        bits ^= bits >> 15;
    }
    bits
}

/// SplitMix64's output function.
fn split_mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn is_dns_query(word: u32) -> bool {
    word & (0xffff & !DNS_FREE) == DNS_QUERY
}

/// Whether a datagram that begins with `word` is answered as a DNS query.
pub(crate) fn asks_dns(word: u32) -> bool {
    word & ANSWER == 0 && is_dns_query(word)
}

/// The first word of the answer to a request that begins with `word`.
pub(crate) fn answer_word(word: u32) -> u32 {
    word | ANSWER
}

/// The meaning of a datagram's first word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// The request of this probe.
    Request(Token),
    /// The answer to the request of this probe.
    Answer(Token),
}

/// Reads a datagram's first word. Foreign datagrams give tokens, too, which belong to no probe.
pub(crate) fn read_word(word: u32) -> Word {
    if word & ANSWER != 0 {
        Word::Answer(Token(word & !ANSWER))
    } else if word & DNS_ANSWER != 0 {
        Word::Answer(Token((word & (0xffff_0000 | DNS_FREE)) | DNS_QUERY))
    } else {
        Word::Request(Token(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn no_token_comes_twice_and_requests_and_answers_are_told_apart() {
        let mut tokens = Tokens::new(7);
        let mut seen = HashSet::new();
        for _ in 0..200_000 {
            let token = tokens.next();
            assert!(seen.insert(token), "{token} came twice");
            assert_eq!(read_word(token.0), Word::Request(token));
            assert_eq!(read_word(answer_word(token.0)), Word::Answer(token));
            assert!(!asks_dns(token.0));
        }
        for _ in 0..1 << 17 {
            let token = tokens.next_dns();
            assert!(seen.insert(token), "{token} came twice");
            assert!(asks_dns(token.0));
            assert_eq!(read_word(token.0), Word::Request(token));
            // QR, AA, RA and a response code, as a server sets them.
            assert_eq!(read_word(token.0 | 0x8483), Word::Answer(token));
        }
    }

    #[test]
    fn the_permutation_is_one() {
        let mut seen = vec![false; 1 << 16];
        for low in 0..1u32 << 16 {
            // Its inverse is not needed; that a prefix has no collision and zero stays is a good sign,
            // and both factors are odd, which is the reason.
            let bits = scatter(low);
            seen[(bits & 0xffff) as usize] = true;
            assert!(bits <= MASK);
        }
        assert!(seen.iter().filter(|seen| **seen).count() > 30_000);
    }

    #[test]
    fn the_same_seed_gives_the_same_tokens() {
        let take = |seed| {
            let mut tokens = Tokens::new(seed);
            [tokens.next(), tokens.next(), tokens.next_dns()]
        };
        assert_eq!(take(1), take(1));
        assert_ne!(take(1), take(2));
    }
}
