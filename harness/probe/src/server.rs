//! The answers of our own servers: who they are, and which source address they saw.

use crate::dns;
use crate::{kept, token};
use netproof_model::Token;
use std::net::SocketAddr;

/// Prefix of the body of every answer.
pub(crate) const GREETING: &str = "netproof 1 ";

/// The longest request in bytes; a server gives up on a longer one.
pub(crate) const LONGEST_REQUEST: usize = 4096;

pub(crate) fn body(who: &str, saw: Option<SocketAddr>) -> String {
    match saw {
        Some(address) => format!("{GREETING}{who} saw {}\n", address.ip().to_canonical()),
        None => format!("{GREETING}{who}\n"),
    }
}

/// The answer to a datagram, if it is a request.
pub(crate) fn answer_datagram(request: &[u8], who: &str, saw: Option<SocketAddr>) -> Option<Vec<u8>> {
    let word = u32::from_be_bytes(request.get(..4)?.try_into().ok()?);
    if token::asks_dns(word) {
        return dns::empty_answer(request);
    }
    let mut answer = token::answer_word(word).to_be_bytes().to_vec();
    answer.extend_from_slice(body(who, saw).as_bytes());
    Some(answer)
}

/// The answer to what a TCP client has sent, once that is complete: to an HTTP request, or to a message on a
/// kept connection, with the message's token.
pub(crate) fn answer_stream(
    request: &[u8],
    who: &str,
    saw: Option<SocketAddr>,
) -> Option<(Option<Token>, Vec<u8>)> {
    let body = body(who, saw);
    match kept::answer(request, &body) {
        Some((token, answer)) => Some((Some(token), answer)),
        None => answer_http(request, &body).map(|answer| (None, answer)),
    }
}

fn answer_http(request: &[u8], body: &str) -> Option<Vec<u8>> {
    let methods: [&[u8]; 2] = [b"GET ", b"HEAD "];
    let method = methods.iter().find(|method| request.starts_with(method))?;
    if !request.windows(4).any(|window| window == b"\r\n\r\n") {
        return None;
    }
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let mut answer = head.into_bytes();
    if *method == b"GET " {
        answer.extend_from_slice(body.as_bytes());
    }
    Some(answer)
}

/// Whether an HTTP answer is one of ours; `None` while more must come. A success is ours if its body is, or
/// if its header says `Server: netproof`, as in a proxy's health check.
pub(crate) fn is_our_answer(answer: &[u8]) -> Option<bool> {
    const SUCCESS: [&[u8]; 2] = [b"HTTP/1.1 200 ", b"HTTP/1.0 200 "];
    let known = answer.len().min(SUCCESS[0].len());
    if !SUCCESS.iter().any(|status| answer[..known] == status[..known]) {
        return Some(false);
    }
    let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else {
        return (answer.len() > LONGEST_REQUEST).then_some(false);
    };
    let mut lines = answer[..end].split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    if lines.any(|line| line.eq_ignore_ascii_case(b"server: netproof")) {
        return Some(true);
    }
    let body = &answer[end + 4..];
    let known = body.len().min(GREETING.len());
    if body[..known] != GREETING.as_bytes()[..known] {
        return Some(false);
    }
    body.ends_with(b"\n").then_some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAW: &str = "10.0.0.1:4000";

    #[test]
    fn a_get_is_answered_when_it_is_complete() {
        let saw = Some(SAW.parse().unwrap());
        assert_eq!(answer_stream(b"GET / HTTP/1.1\r\nHost: x\r\n", "pod/a/b", saw), None);
        assert_eq!(answer_stream(b"\x16\x03\x01 hello\r\n\r\n", "pod/a/b", saw), None);
        let (token, answer) = answer_stream(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "pod/a/b", saw).unwrap();
        assert_eq!(token, None);
        insta::assert_snapshot!(String::from_utf8(answer.clone()).unwrap().replace('\r', ""), @r"
        HTTP/1.1 200 OK
        Content-Type: text/plain; charset=utf-8
        Content-Length: 32
        Connection: close

        netproof 1 pod/a/b saw 10.0.0.1
        ");
        assert_eq!(is_our_answer(&answer), Some(true));
        for length in 0..answer.len() - 1 {
            assert_eq!(is_our_answer(&answer[..length]), None, "{length}");
        }
    }

    #[test]
    fn a_health_check_is_answered_by_its_header() {
        let answer = b"HTTP/1.0 200 OK\r\nserver: Netproof\r\nContent-Length: 2\r\n\r\n{}";
        assert_eq!(is_our_answer(answer), Some(true));
        let end = answer.len() - 2;
        for length in 0..end {
            assert_eq!(is_our_answer(&answer[..length]), None, "{length}");
        }
        assert_eq!(is_our_answer(&answer[..end]), Some(true), "the header says enough");
        let failing = b"HTTP/1.1 503 Service Unavailable\r\nServer: netproof\r\n\r\n";
        assert_eq!(is_our_answer(failing), Some(false));
    }

    #[test]
    fn a_message_is_answered() {
        let saw = Some(SAW.parse().unwrap());
        let token = Token(0x1234);
        let (found, answer) = answer_stream(&kept::message(token), "pod/a/b", saw).unwrap();
        assert_eq!((found, kept::is_answer(token, &answer)), (Some(token), Some(true)));
        assert!(answer.ends_with(b"netproof 1 pod/a/b saw 10.0.0.1\n"));
    }

    #[test]
    fn other_answers_are_not_ours() {
        let answers: [&[u8]; 5] = [
            b"HTTP/1.1 404 Not Found\r\n\r\n",
            b"SSH-2.0-x\r\n",
            b"HTTP/1.1 200 OK\r\nServer: netproof/2\r\n\r\nhello",
            b"HTTP/1.1 200 OK\r\n\r\nhello",
            &[b'x'; LONGEST_REQUEST + 1],
        ];
        for answer in answers {
            assert_eq!(is_our_answer(answer), Some(false));
        }
    }

    #[test]
    fn datagrams_are_answered_by_what_they_ask() {
        let saw = Some(SAW.parse().unwrap());
        assert_eq!(answer_datagram(b"abc", "pod/a/b", saw), None);
        let answer = answer_datagram(&[0x12, 0x34, 0x56, 0x78, 1], "pod/a/b", saw).unwrap();
        assert_eq!(answer[..4], [0x92, 0x34, 0x56, 0x78]);
        assert_eq!(answer[4..], *b"netproof 1 pod/a/b saw 10.0.0.1\n");
        let query = dns::query(Token(0x0007_0100), "x", netproof_model::Family::Ipv4).unwrap();
        assert_eq!(answer_datagram(&query, "pod/a/b", saw), dns::empty_answer(&query));
    }
}
