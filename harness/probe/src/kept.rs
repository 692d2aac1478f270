//! Connections that stay open from one probe to the next, and the messages that travel over them.
//!
//! A message on a TCP connection is a marker and a token, so that its packet is recognised everywhere. The
//! answer is the marker, the answer's word, and a line that says who answered. Datagrams on a UDP socket are
//! those of any other probe.

use crate::probe::Probe;
use crate::token;
use netproof_model::request::Request;
use netproof_model::{Family, Place, Token};
use std::collections::HashMap;
use std::net::IpAddr;
use std::os::fd::OwnedFd;

/// How the data of a message begins. No HTTP request or answer begins like this.
pub(crate) const MARKER: [u8; 8] = *b"\0netprf\0";
/// The same as two words.
pub(crate) const MARKER_WORDS: [u32; 2] = {
    let [a, b, c, d, e, f, g, h] = MARKER;
    [u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h])]
};
/// Marker and token.
const MESSAGE: usize = MARKER.len() + 4;

/// What must be equal in two requests that use the same connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    pub request: Request,
    family: Family,
}

impl Key {
    pub(crate) fn of(probe: &Probe) -> Key {
        Key { request: probe.request.clone(), family: probe.family }
    }
}

/// An open connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub socket: OwnedFd,
    /// The token that opened it, by which its server knows it.
    pub opened_by: Token,
    /// The address of its other end.
    pub destination: IpAddr,
    /// The addresses from the name server when it was opened.
    pub resolved: Vec<IpAddr>,
    /// Who answered on it last.
    pub server: Option<Place>,
}

/// Groups requests in rounds, so that no round has two requests for the same connection: the first one opens
/// it, and it carries one message at a time.
pub(crate) fn rounds(probes: &[Probe], indices: Vec<usize>) -> Vec<Vec<usize>> {
    let mut uses: HashMap<Key, usize> = HashMap::new();
    let mut rounds: Vec<Vec<usize>> = Vec::new();
    for index in indices {
        let uses = uses.entry(Key::of(&probes[index])).or_default();
        if rounds.len() == *uses {
            rounds.push(Vec::new());
        }
        rounds[*uses].push(index);
        *uses += 1;
    }
    rounds
}

/// A message with this token.
pub(crate) fn message(token: Token) -> Vec<u8> {
    [&MARKER[..], &token.0.to_be_bytes()].concat()
}

/// The word of the message with which a TCP segment's data begins.
pub(crate) fn word(data: &[u8]) -> Option<u32> {
    let word = data.strip_prefix(&MARKER)?.get(..4)?;
    Some(u32::from_be_bytes(word.try_into().ok()?))
}

/// The server's answer to what it has received, and the message's token. `None` until the message is
/// complete.
pub(crate) fn answer(received: &[u8], body: &str) -> Option<(Token, Vec<u8>)> {
    let word = word(received)?;
    let answer = [&MARKER[..], &token::answer_word(word).to_be_bytes(), body.as_bytes()].concat();
    Some((Token(word), answer))
}

/// Whether the received bytes are the complete answer to the message with this token; `None` while more must
/// come.
pub(crate) fn is_answer(token: Token, received: &[u8]) -> Option<bool> {
    let head = [&MARKER[..], &token::answer_word(token.0).to_be_bytes()].concat();
    let known = received.len().min(MESSAGE);
    if received[..known] != head[..known] {
        return Some(false);
    }
    received[known..].ends_with(b"\n").then_some(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use netproof_model::request::{RequestPort, RequestTarget};

    const TOKEN: Token = Token(0x1234_5678);

    #[test]
    fn a_connection_has_one_message_in_a_round() {
        let probe = |node: &str, port| Probe {
            request: Request {
                source: Place::node(node),
                target: RequestTarget::Address("10.0.0.1".parse().unwrap()),
                port: RequestPort::Port { port, protocol: netproof_model::flow::FlowProtocol::Tcp },
            },
            family: Family::Ipv4,
            patience: crate::Patience::Settle,
            keep: true,
        };
        let probes = [("a", 1), ("a", 1), ("b", 1), ("a", 2), ("a", 1)].map(|(node, port)| probe(node, port));
        assert_eq!(rounds(&probes, vec![0, 1, 2, 3, 4]), [vec![0, 2, 3], vec![1], vec![4]]);
        assert!(rounds(&probes, Vec::new()).is_empty());
    }

    #[test]
    fn a_message_is_answered_when_it_is_complete() {
        let message = message(TOKEN);
        for length in 0..message.len() {
            assert_eq!(answer(&message[..length], "x\n"), None, "{length}");
        }
        let (token, answer) = answer(&message, "netproof 1 pod/a/b saw 10.0.0.1\n").unwrap();
        assert_eq!((token, word(&answer)), (TOKEN, Some(0x9234_5678)));
        for length in 0..answer.len() {
            assert_eq!(is_answer(TOKEN, &answer[..length]), None, "{length}");
        }
        assert_eq!(is_answer(TOKEN, &answer), Some(true));
        assert_eq!(is_answer(Token(7), &answer), Some(false), "the answer to another message");
        assert_eq!(is_answer(TOKEN, b"HTTP/1.1 200 OK\r\n"), Some(false));
    }
}
