//! Watches over HTTP and TLS: what comes first, what comes then, and how they end.

#![expect(clippy::panic, reason = "a test says what went wrong by panicking")]

mod http;

use http::{Ask, Cluster, NODE, items, line};
use netproof_kubeapi::{Event, EventType, events};
use netproof_model::{Families, Wiring};
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::TcpStream;

const INITIAL: &str = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";

#[test]
fn a_change_set_is_told_whole_to_every_watch_of_its_kinds() {
    let mut cluster = Cluster::start();
    let watch = |path: &str| cluster.http().watch(&Ask::get(path));
    // After a list, without anything, and with a bookmark after what is there.
    let mut after = watch("/api/v1/pods?watch=1&resourceVersion=3");
    let mut plain = watch("/api/v1/namespaces?watch=true");
    let mut initial = watch(&format!("/apis/networking.k8s.io/v1/networkpolicies?watch=1&{INITIAL}"));
    let mut selected =
        watch(&format!("/api/v1/namespaces/dev/pods?watch=1&labelSelector=app%3Dweb&{INITIAL}"));
    let mut elsewhere = watch(&format!("/api/v1/pods?watch=1&fieldSelector=metadata.name%3Dpod&{INITIAL}"));
    let mut of_before = watch("/api/v1/pods?watch=1&resourceVersion=1&fieldSelector=spec.nodeName%3Dnode2");
    let namespaces = [
        "ADDED Namespace default@2",
        "ADDED Namespace dev@2",
        "ADDED Namespace kube-node-lease@2",
        "ADDED Namespace kube-public@2",
        "ADDED Namespace kube-system@2",
    ];
    assert_eq!(plain.lines(5), namespaces);
    let expected = ["ADDED NetworkPolicy dev/deny@2", "BOOKMARK NetworkPolicy@3 end of what was there"];
    assert_eq!(initial.lines(2), expected);
    assert_eq!(selected.lines(2), ["ADDED Pod dev/web@2", "BOOKMARK Pod@3 end of what was there"]);
    assert_eq!(elsewhere.lines(1), ["BOOKMARK Pod@3 end of what was there"]);
    assert_eq!(of_before.lines(1), ["ADDED Pod default/client@2"]);

    assert_eq!(cluster.change(), 4);
    assert_eq!(after.lines(2), ["MODIFIED Pod dev/web@4", "ADDED Pod new/pod@4"]);
    assert_eq!(plain.lines(1), ["ADDED Namespace new@4"]);
    assert_eq!(initial.lines(1), ["DELETED NetworkPolicy dev/deny@4"]);
    assert_eq!(selected.lines(1), ["DELETED Pod dev/web@4"]);
    assert_eq!(elsewhere.lines(1), ["ADDED Pod new/pod@4"]);
    assert_eq!(cluster.server.asked(NODE), 6);
}

#[test]
fn a_watch_ends_in_its_time_with_a_bookmark_if_it_may() {
    let cluster = Cluster::start();
    let watch = |parameters: &str| {
        let path = format!("/api/v1/nodes?watch=1&resourceVersion=2&timeoutSeconds=1{parameters}");
        cluster.http().watch(&Ask::get(path))
    };
    let mut marked = watch("&allowWatchBookmarks=true");
    let mut bare = watch("");
    let mut not_from_the_start =
        watch("&sendInitialEvents=false&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=1");
    assert_eq!(marked.lines(2), ["BOOKMARK Node@3", "END"]);
    assert_eq!(bare.lines(1), ["END"]);
    assert_eq!(not_from_the_start.lines(2), ["BOOKMARK Node@3", "END"]);
}

#[test]
fn one_object_is_watched_by_its_path() {
    let cluster = Cluster::start();
    let path = "/api/v1/namespaces/dev/pods/web?watch=1&timeoutSeconds=1";
    assert_eq!(cluster.http().watch(&Ask::get(path)).lines(2), ["ADDED Pod dev/web@2", "END"]);
}

#[test]
fn tls_is_spoken_under_every_name_of_the_server_and_no_other() {
    let mut cluster = Cluster::start();
    for name in
        ["127.0.0.1", "::1", "localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc"]
    {
        assert_eq!(items(&cluster.https(name).get("/api/v1/nodes").json()), ["node1", "node2"], "{name}");
    }
    let mut watch = cluster.https("127.0.0.1").watch(&Ask::get("/api/v1/pods?watch=1&resourceVersion=3"));
    cluster.change();
    assert_eq!(watch.lines(2), ["MODIFIED Pod dev/web@4", "ADDED Pod new/pod@4"]);
    assert!(cluster.handshake("example.com").is_err(), "the certificate is good for another name");
    // Whoever speaks plainly to a TLS socket hurts nobody.
    let mut plain = TcpStream::connect(cluster.tls).expect("a connection");
    std::io::Write::write_all(&mut plain, b"GET / HTTP/1.1\r\n\r\n").expect("a request");
    assert_eq!(cluster.https("localhost").get("/readyz").status, 200);
}

/// What a client knows after the events of a watch.
fn fold(known: &mut BTreeMap<String, Value>, event: &Value) {
    let metadata = &event["object"]["metadata"];
    let key = format!("{}/{}", metadata["namespace"], metadata["name"]);
    match event["type"].as_str() {
        Some("DELETED") => assert!(known.remove(&key).is_some(), "{}", line(event)),
        Some("ADDED") => {
            assert!(known.insert(key, event["object"].clone()).is_none(), "{}", line(event));
        }
        Some("MODIFIED") => {
            assert!(known.insert(key, event["object"].clone()).is_some(), "{}", line(event));
        }
        other => panic!("{other:?}: {event}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever happens to a cluster, a client that watches has what a client gets that lists afterwards.
    #[test]
    fn a_watch_knows_what_a_list_shows(steps in vec((0..6u8, 0..4u8), 1..8), selector in 0..3u8) {
        let cluster = Cluster::start();
        let selector = ["", "&labelSelector=app%3Da1", "&fieldSelector=spec.nodeName%3Dnode1"][usize::from(selector)];
        let path = "/api/v1/namespaces/default/pods";
        let mut watch = cluster.http().watch(&Ask::get(format!("{path}?watch=1{selector}")));
        let mut world = http::world::World::new(Families::Ipv4, Wiring::Routed);
        let mut before = world.snapshot();
        let mut version = 3;
        for (number, what) in steps {
            let name = format!("p{number}");
            let node = ["node1", "node2"][usize::from(number % 2)];
            let is_there = before.pods.keys().any(|it| it.name == name);
            let after = match what {
                0 if is_there => world.delete("pod", &name),
                0 => continue,
                what => world.apply(&http::world::pod(&name, node, &format!("app=a{what}"), "")),
            };
            let mut events = events::between(Some(&before), &after);
            // The nodes, which the cluster has, do not change; what does is here alone.
            events.retain(|event| event.object["kind"] == "Pod");
            version = cluster.store.apply(&events).expect("the change fits");
            before = after;
        }
        // What marks the end is in every selection, and comes last in every order.
        let last = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {
            "namespace": "default", "name": "z-last", "labels": {"app": "a1"}}, "spec": {"nodeName": "node1"}});
        cluster.store.apply(&[Event { kind: EventType::Added, object: last }]).expect("one more");
        let mut known = BTreeMap::new();
        while !known.contains_key("\"default\"/\"z-last\"") {
            let event = watch.next().expect("the watch goes on");
            fold(&mut known, &event);
        }
        let query = selector.replacen('&', "?", 1);
        let list = cluster.http().get(&format!("{path}{query}")).json();
        prop_assert_eq!(&list["metadata"]["resourceVersion"], &Value::from((version + 1).to_string()));
        prop_assert_eq!(&Value::from(known.into_values().collect::<Vec<_>>()), &list["items"]);
    }
}
