//! What our own servers answer: who they are, and which source address they saw.

use crate::dns;
use crate::token;
use std::net::SocketAddr;

/// How the body of every answer begins.
pub(crate) const GREETING: &str = "netproof 1 ";

/// The longest request that a server reads before it gives up on the connection.
pub(crate) const LONGEST_REQUEST: usize = 4096;

fn body(who: &str, saw: Option<SocketAddr>) -> String {
    match saw {
        Some(address) => format!("{GREETING}{who} saw {}\n", address.ip().to_canonical()),
        None => format!("{GREETING}{who}\n"),
    }
}

/// The answer to a datagram, if it deserves one.
pub(crate) fn answer_datagram(request: &[u8], who: &str, saw: Option<SocketAddr>) -> Option<Vec<u8>> {
    let word = u32::from_be_bytes(request.get(..4)?.try_into().ok()?);
    if token::asks_dns(word) {
        return dns::empty_answer(request);
    }
    let mut answer = token::answer_word(word).to_be_bytes().to_vec();
    answer.extend_from_slice(body(who, saw).as_bytes());
    Some(answer)
}

/// The answer to what a TCP client has sent so far: a complete HTTP request gets one.
pub(crate) fn answer_stream(request: &[u8], who: &str, saw: Option<SocketAddr>) -> Option<Vec<u8>> {
    let methods: [&[u8]; 2] = [b"GET ", b"HEAD "];
    let method = methods.iter().find(|method| request.starts_with(method))?;
    if !request.windows(4).any(|window| window == b"\r\n\r\n") {
        return None;
    }
    let body = body(who, saw);
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

/// How the header of an answer begins whose body is not ours to choose: a service's health check.
const GREETING_HEADER: &[u8] = b"\r\nServer: netproof 1 ";

/// Whether an HTTP answer is one of ours, complete: `None` while more must come.
pub(crate) fn is_our_answer(answer: &[u8]) -> Option<bool> {
    let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else {
        let status = b"HTTP/1.1 200 ";
        let known = answer.len().min(status.len());
        return (answer[..known] != status[..known] || answer.len() > LONGEST_REQUEST).then_some(false);
    };
    if !answer.starts_with(b"HTTP/1.1 200 ") {
        return Some(false);
    }
    let body = &answer[end + 4..];
    let known = body.len().min(GREETING.len());
    let greets = answer[..end].windows(GREETING_HEADER.len()).any(|window| window == GREETING_HEADER);
    if !greets && body[..known] != GREETING.as_bytes()[..known] {
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
        let answer = answer_stream(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "pod/a/b", saw).unwrap();
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
    fn a_health_check_greets_in_its_header() {
        let answer = b"HTTP/1.1 200 OK\r\nServer: netproof 1 node/n\r\nX: y\r\n\r\n{\"localEndpoints\":1}\n";
        assert_eq!(is_our_answer(answer), Some(true));
        assert_eq!(is_our_answer(&answer[..answer.len() - 1]), None);
    }

    #[test]
    fn other_answers_are_not_ours() {
        let answers: [&[u8]; 5] = [
            b"HTTP/1.1 503 Service Unavailable\r\nServer: netproof 1 node/n\r\n\r\n{}\n",
            b"HTTP/1.1 404 Not Found\r\n\r\n",
            b"SSH-2.0-x\r\n",
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
        let query =
            dns::query(netproof_model::Token(0x0007_0100), "x", netproof_model::Family::Ipv4).unwrap();
        assert_eq!(answer_datagram(&query, "pod/a/b", saw), dns::empty_answer(&query));
    }
}
