//! What real agents and clients ask, as data (`conversations/*.json`): requests only, in the order in which they come. The
//! server must answer each so that the client can go on, and tell its watches of a change set.

#![expect(clippy::expect_used, reason = "a test says what went wrong by panicking")]

mod http;

use http::{Answer, Ask, Client, Cluster, NODE, Watch, items};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::{Read, Write};

/// What one client asks.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Conversation {
    client: String,
    /// The name under which the client reaches the server over TLS; plain if there is none.
    tls: Option<String>,
    /// Headers of every request.
    headers: BTreeMap<String, String>,
    requests: Vec<Request>,
    /// What the client can do without: method, path and status.
    unanswered: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, untagged)]
enum Request {
    /// A connection of its own, which stays open.
    Watch {
        /// `{version}` is that of the list of the same path before it.
        watch: String,
        /// What comes at once.
        first: Vec<String>,
        /// What comes after the change set.
        then: Vec<String>,
    },
    Get {
        get: String,
        #[serde(default)]
        headers: BTreeMap<String, String>,
        status: u16,
        items: Option<Vec<String>>,
        /// Fields that the client reads, as JSON pointers.
        #[serde(default)]
        has: Vec<String>,
        /// Fields that mean something else if they are there.
        #[serde(default)]
        lacks: Vec<String>,
    },
    Post {
        post: String,
        headers: BTreeMap<String, String>,
        body: String,
        status: u16,
    },
}

#[test]
fn kube_router() {
    replay(include_str!("conversations/kube-router.json"));
}

#[test]
fn kube_network_policies() {
    replay(include_str!("conversations/kube-network-policies.json"));
}

#[test]
fn kube_proxy() {
    replay(include_str!("conversations/kube-proxy.json"));
}

#[test]
fn felix() {
    replay(include_str!("conversations/felix.json"));
}

#[test]
fn kubectl() {
    replay(include_str!("conversations/kubectl.json"));
}

fn replay(text: &str) {
    let conversation: Conversation = serde_json::from_str(text).expect("a conversation");
    let cluster = Cluster::start();
    match conversation.tls.clone() {
        None => converse(conversation, cluster, Cluster::http),
        Some(name) => {
            assert_eq!(name, "127.0.0.1");
            converse(conversation, cluster, |cluster| cluster.https("127.0.0.1"));
        }
    }
}

fn converse<S: Read + Write>(
    conversation: Conversation,
    mut cluster: Cluster,
    connect: impl Fn(&Cluster) -> Client<S>,
) {
    let Conversation { client: who, headers, requests, unanswered, .. } = conversation;
    let with = |more: &BTreeMap<String, String>| {
        let mut headers = headers.clone();
        headers.extend(more.clone());
        headers
    };
    let mut client = connect(&cluster);
    let mut versions: BTreeMap<String, String> = BTreeMap::new();
    let mut watches: Vec<(String, Watch<S>, Vec<String>)> = Vec::new();
    let asked = requests.len() as u64;
    for request in requests {
        match request {
            Request::Watch { watch, first, then } => {
                let of = watch.split('?').next().expect("a path");
                let path = match watch.contains("{version}") {
                    true => watch.replace("{version}", versions.get(of).expect("a list before its watch")),
                    false => watch.clone(),
                };
                let ask = Ask { headers: headers.clone(), ..Ask::get(path) };
                let mut stream = connect(&cluster).watch(&ask);
                assert_eq!(stream.lines(first.len()), first, "{who}: {watch}");
                watches.push((watch, stream, then));
            }
            Request::Get { get, headers, status, items: expected, has, lacks } => {
                let answer = client.ask(&Ask { headers: with(&headers), ..Ask::get(&get) });
                check(&format!("{who}: {get}"), &answer, status);
                let Some("application/json") = answer.content_type().split(';').next() else { continue };
                let json = answer.json();
                if let Some(expected) = expected {
                    assert_eq!(items(&json), expected, "{who}: {get}");
                    let version = json["metadata"]["resourceVersion"].as_str().expect("a version");
                    versions.insert(get.split('?').next().expect("a path").to_owned(), version.to_owned());
                }
                for field in has {
                    let value = json.pointer(&field).filter(|value| !value.is_null());
                    assert!(value.is_some(), "{who}: {get}: no {field} in {json:#}");
                }
                for field in lacks {
                    assert_eq!(json.pointer(&field), None, "{who}: {get}: {field}");
                }
            }
            Request::Post { post, headers, body, status } => {
                let (method, body) = ("POST".into(), body.into_bytes());
                let answer = client.ask(&Ask { method, headers: with(&headers), body, ..Ask::get(&post) });
                check(&format!("{who}: {post}"), &answer, status);
            }
        }
    }
    cluster.change();
    for (watch, mut stream, then) in watches {
        assert_eq!(stream.lines(then.len()), then, "{who}: {watch}");
    }
    let lacking = cluster.server.unanswered(NODE);
    let lacking: Vec<String> =
        lacking.iter().map(|it| format!("{} {} {}", it.method, it.path, it.status)).collect();
    assert_eq!(lacking, unanswered, "{who}");
    assert_eq!(cluster.server.asked(NODE), asked, "{who}");
}

fn check(what: &str, answer: &Answer, status: u16) {
    assert_eq!(answer.status, status, "{what}: {}", String::from_utf8_lossy(&answer.body));
}
