//! What clients may cost: connections, bodies, and watches that nobody reads.

use super::*;
use crate::events::{Event, EventType};
use serde_json::json;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Instant;

const NODE: &str = "node1";
const PATIENCE: Duration = Duration::from_secs(20);

fn start(limits: Limits) -> (Arc<Store>, Server, SocketAddr) {
    let store = Store::new();
    let authority = Authority::new().expect("an authority");
    let server = Server::with_limits(Arc::clone(&store), &authority, limits).expect("a server");
    let socket = TcpListener::bind("127.0.0.1:0").expect("a socket");
    let address = socket.local_addr().expect("an address");
    server.listen(NODE, socket, Scheme::Http).expect("a listener");
    (store, server, address)
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream
}

/// The first line of the answer; empty if the connection ends without one.
fn ask(stream: &mut TcpStream, request: &str) -> String {
    let head = request.replace('\n', "\r\n");
    let mut answer = vec![0; 4096];
    let length = stream.write_all(head.as_bytes()).and_then(|()| stream.read(&mut answer)).unwrap_or(0);
    let answer = String::from_utf8_lossy(&answer[..length]).into_owned();
    answer.lines().next().unwrap_or("").to_owned()
}

const READY: &str = "GET /readyz HTTP/1.1\nHost: x\n\n";

/// A change that is larger than what sockets hold.
fn large(number: usize) -> Event {
    let metadata = json!({"namespace": "default", "name": format!("p{number}"), "text": "x".repeat(4 << 20)});
    let object = json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata});
    Event { kind: EventType::Added, object }
}

#[test]
fn a_client_that_does_not_read_its_watch_loses_its_connection() {
    let (store, server, address) =
        start(Limits { unread: Duration::from_millis(50), connections: 1, ..LIMITS });
    let mut watching = connect(address);
    watching.write_all(b"GET /api/v1/pods?watch=1 HTTP/1.1\r\nHost: x\r\n\r\n").expect("a request");
    let mut first = [0; 12];
    watching.read_exact(&mut first).expect("an answer");
    assert_eq!(&first, b"HTTP/1.1 200");
    store.apply(&(0..4).map(large).collect::<Vec<_>>()).expect("a change");
    // The only place is free again when the connection is closed.
    let begin = Instant::now();
    while ask(&mut connect(address), READY).is_empty() {
        assert!(begin.elapsed() < PATIENCE, "the connection stays");
    }
    let mut rest = Vec::new();
    let read = watching.read_to_end(&mut rest);
    assert!(rest.len() < 3 * (4 << 20), "{} bytes, {read:?}", rest.len());
    drop(server);
}

#[test]
fn a_client_that_reads_slowly_gets_all_of_it() {
    let (store, server, address) = start(LIMITS);
    let mut watching = connect(address);
    watching
        .write_all(b"GET /api/v1/pods?watch=1&timeoutSeconds=1 HTTP/1.1\r\nHost: x\r\n\r\n")
        .expect("a request");
    let mut first = [0; 12];
    watching.read_exact(&mut first).expect("an answer");
    store.apply(&(0..3).map(large).collect::<Vec<_>>()).expect("a change");
    // By the end of the watch's time nothing has been read, as another watch shows that ends later; then it all is.
    let mut later = connect(address);
    later.write_all(b"GET /api/v1/nodes?watch=1&timeoutSeconds=1 HTTP/1.0\r\n\r\n").expect("a request");
    later.read_to_end(&mut Vec::new()).expect("an end");
    let mut rest = Vec::new();
    let mut part = vec![0; 1 << 16];
    while !rest.ends_with(b"\r\n0\r\n\r\n") {
        let length = watching.read(&mut part).expect("the rest");
        assert!(length > 0, "the watch ends within an event");
        rest.extend_from_slice(&part[..length]);
    }
    assert!(rest.len() > 3 * (4 << 20), "{}", rest.len());
    drop(server);
}

#[test]
fn a_watch_from_a_version_that_is_forgotten_is_told_so_and_ends() {
    let (store, server, address) = start(LIMITS);
    for number in 0..6 {
        store.apply(&[large(number)]).expect("a change");
    }
    let mut watching = connect(address);
    watching.write_all(b"GET /api/v1/pods?watch=1&resourceVersion=2 HTTP/1.0\r\n\r\n").expect("a request");
    let mut answer = String::new();
    watching.read_to_string(&mut answer).expect("an end");
    let (head, event) = answer.split_once("\r\n\r\n").expect("a head");
    assert!(head.starts_with("HTTP/1.0 200 OK") || head.starts_with("HTTP/1.1 200 OK"), "{head}");
    let event: serde_json::Value = serde_json::from_str(event).expect("one event");
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "reason": "Expired", "code": 410,
        "message": "too old resource version: 2 (6)",
    });
    assert_eq!(event, json!({"type": "ERROR", "object": status}));
    // It is an answer, and nothing that the server lacks.
    assert!(server.unanswered(NODE).is_empty());
}

#[test]
fn connections_and_bodies_have_limits() {
    let (_store, server, address) = start(Limits { connections: 2, body: 100, ..LIMITS });
    let mut one = connect(address);
    let mut two = connect(address);
    assert_eq!(ask(&mut one, READY), "HTTP/1.1 200 OK");
    assert_eq!(ask(&mut two, READY), "HTTP/1.1 200 OK");
    assert_eq!(ask(&mut connect(address), READY), "");
    drop(one);
    let begin = Instant::now();
    while ask(&mut connect(address), READY) != "HTTP/1.1 200 OK" {
        assert!(begin.elapsed() < PATIENCE, "no place is free again");
    }
    let path = "/api/v1/namespaces/default/events";
    let body = "x".repeat(101);
    let whole = format!("POST {path} HTTP/1.1\nHost: x\nContent-Length: 101\n\n{body}");
    assert_eq!(ask(&mut two, &whole), "HTTP/1.1 413 Payload Too Large");
    let chunked = format!("POST {path} HTTP/1.1\nHost: x\nTransfer-Encoding: chunked\n\n65\n{body}\n0\n\n");
    assert_eq!(ask(&mut connect(address), &chunked), "HTTP/1.1 413 Payload Too Large");
    let unanswered = server.unanswered(NODE);
    let places = unanswered.iter().find(|it| it.status == 503).expect("the limit is told of");
    assert_eq!(places.path, "(connections beyond the limit)");
    let bodies = unanswered.iter().find(|it| it.status == 413).expect("the limit is told of");
    assert_eq!((bodies.method.as_str(), bodies.path.as_str(), bodies.times), ("POST", path, 2));
}

#[test]
fn whoever_drops_the_server_closes_everything() {
    let (_store, server, address) = start(LIMITS);
    let mut watching = connect(address);
    watching.write_all(b"GET /api/v1/pods?watch=1 HTTP/1.1\r\nHost: x\r\n\r\n").expect("a request");
    let mut first = [0; 12];
    watching.read_exact(&mut first).expect("an answer");
    drop(server);
    let mut rest = Vec::new();
    // Nothing is open any more: the rest is an end.
    let _ = watching.read_to_end(&mut rest);
    assert!(!rest.ends_with(b"0\r\n\r\n"), "the watch ended in order");
    assert!(TcpStream::connect(address).is_err(), "somebody still listens");
}
