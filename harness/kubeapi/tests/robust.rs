//! Nothing that a client sends makes the server panic, or keeps it from serving the next one.

mod http;

use http::{Ask, Cluster};
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

static PANICS: AtomicUsize = AtomicUsize::new(0);

/// Counts the panics of the server's thread.
fn watch_the_server() {
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        if std::thread::current().name() == Some("kubeapi") {
            PANICS.fetch_add(1, Ordering::SeqCst);
        }
        report(panic);
    }));
}

/// Parts of paths, good ones and others, often enough together that something is found.
fn part() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "api",
            "v1",
            "apis",
            "networking.k8s.io",
            "namespaces",
            "default",
            "dev",
            "pods",
            "web",
            "nodes",
            "node1",
            "status",
            "networkpolicies",
            "events",
            "leases",
            "projectcalico.org",
            "v3",
            "clusterinformations",
            "version",
            "healthz",
            "coordination.k8s.io",
            "kube-system",
            "watch",
            "",
        ])
        .prop_map(str::to_owned),
        "[a-z%0-9A-F.:@-]{0,6}",
    ]
}

fn path() -> impl Strategy<Value = String> {
    let whole = prop::sample::select(vec![
        "/api/v1/pods",
        "/api/v1/namespaces/dev/pods/web",
        "/api/v1/nodes/node1",
        "/api/v1/nodes/node1/status",
        "/api/v1/namespaces/default/events",
        "/apis/coordination.k8s.io/v1/namespaces/default/leases/x",
        "/apis",
        "/apis/projectcalico.org/v3/clusterinformations/default",
        "/apis/networking.k8s.io/v1/networkpolicies",
    ]);
    prop_oneof![
        whole.prop_map(str::to_owned),
        vec(part(), 0..7).prop_map(|parts| format!("/{}", parts.join("/"))),
    ]
}

fn query() -> impl Strategy<Value = String> {
    let name = prop::sample::select(vec![
        "watch",
        "resourceVersion",
        "resourceVersionMatch",
        "sendInitialEvents",
        "allowWatchBookmarks",
        "limit",
        "continue",
        "labelSelector",
        "fieldSelector",
        "timeoutSeconds",
        "pretty",
        "x",
    ]);
    let value = prop_oneof![
        prop::sample::select(vec![
            "",
            "0",
            "1",
            "2",
            "99999999999999999999",
            "-1",
            "true",
            "false",
            "NotOlderThan",
            "Exact",
            "app%3Dweb",
            "a+in+(b,c)",
            "!x",
            "metadata.name%3Dx",
            "a%5C%2Cb%3D%5C",
            "spec.nodeName!%3Dn",
        ])
        .prop_map(str::to_owned),
        "[a-z0-9%=+!(),.\\\\-]{0,12}",
    ];
    // A watch without an end would never be answered whole.
    vec((name, value), 0..5).prop_map(|parameters| {
        let mut all: Vec<String> = parameters
            .into_iter()
            .filter(|(name, _)| *name != "timeoutSeconds")
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        all.push("timeoutSeconds=1".into());
        all.join("&")
    })
}

/// JSON, often of the right form.
fn body() -> impl Strategy<Value = Vec<u8>> {
    let texts = prop::sample::select(vec![
        r#"{"apiVersion": "v1", "kind": "Event", "metadata": {"name": "x"}}"#,
        r#"{"apiVersion": "v1", "kind": "Event", "metadata": {"name": 1, "ownerReferences": {"a": []}}}"#,
        r#"{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "node1"}, "status": {"addresses": {}, "conditions": 7}}"#,
        r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": [], "status": []}"#,
        r#"{"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "x"}}"#,
        r#"{"metadata": {"labels": null}, "status": {"conditions": [{"type": "Ready", "$patch": "delete"}]}}"#,
        r#"{"status": {"conditions": null, "addresses": [{"type": "InternalIP"}]}, "spec": null, "metadata": null}"#,
        r#"[{"op": "remove", "path": "/metadata"}, {"op": "move", "from": "/status", "path": "/spec/x/y"}]"#,
        r#"[{"op": "add", "path": "/status/addresses/-", "value": 1}, {"op": "copy", "from": "", "path": "/x"}]"#,
        r#"[{"op": "replace", "path": "/status/addresses", "value": "x"}]"#,
        "{}",
        "[]",
        "null",
        "\"\"",
        "{\"metadata\":",
    ]);
    let deep = (0..400usize).prop_map(|depth| "[".repeat(depth).into_bytes());
    prop_oneof![texts.prop_map(|text| text.as_bytes().to_vec()), vec(any::<u8>(), 0..40), deep]
}

fn ask() -> impl Strategy<Value = Ask> {
    let method = prop_oneof![
        prop::sample::select(vec!["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"])
            .prop_map(str::to_owned),
        "[A-Z]{1,8}",
    ];
    let content_type = prop::sample::select(vec![
        "application/json",
        "application/merge-patch+json",
        "application/json-patch+json",
        "application/strategic-merge-patch+json",
        "application/vnd.kubernetes.protobuf",
        "a;b;c",
        "",
    ]);
    let accept = prop::sample::select(vec![
        "*/*",
        "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
        ";;,,",
        "application/json",
    ]);
    let others = btree_map("X-[A-Z]{1,6}", "[ -~]{0,10}", 0..2);
    (method, path(), query(), option::of(content_type), accept, others, body()).prop_map(
        |(method, path, query, content_type, accept, mut headers, body)| {
            headers.insert("Accept".into(), accept.into());
            headers.extend(content_type.map(|it| ("Content-Type".to_owned(), it.to_owned())));
            Ask { method, path: format!("{path}?{query}"), headers, body }
        },
    )
}

#[test]
fn no_request_makes_it_panic() {
    watch_the_server();
    let cluster = Cluster::start();
    let config = Config { cases: 768, failure_persistence: None, ..Config::default() };
    let result = TestRunner::new(config).run(&ask(), |ask| {
        let mut client = cluster.http();
        let is_head = ask.method == "HEAD";
        // CONNECT asks for something else than an answer.
        prop_assume!(ask.method != "CONNECT");
        client.send_request(&ask);
        if !is_head {
            let answer = client.answer();
            prop_assert!((200..600).contains(&answer.status), "{:?}", answer);
            prop_assert!(answer.status != 500, "{:?}", answer);
        }
        prop_assert_eq!(PANICS.load(Ordering::SeqCst), 0);
        Ok(())
    });
    assert!(result.is_ok(), "{result:?}");

    let config = Config { cases: 256, failure_persistence: None, ..Config::default() };
    let bytes = prop_oneof![
        vec(any::<u8>(), 0..200),
        "(GET|POST|PATCH) /[ -~]{0,40} HTTP/1\\.[01]\r\n([A-Za-z-]{1,12}: [ -~]{0,10}\r\n){0,4}\r\n[ -~]{0,20}"
            .prop_map(String::into_bytes),
        "POST /api/v1/namespaces/x/events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n[0-9a-f]{0,17}\r\n[ -~]{0,20}"
            .prop_map(String::into_bytes),
    ];
    let result = TestRunner::new(config).run(&(bytes, any::<bool>()), |(bytes, to_tls)| {
        let mut stream =
            TcpStream::connect(if to_tls { cluster.tls } else { cluster.plain }).expect("a connection");
        stream.set_read_timeout(Some(Duration::from_secs(20))).expect("a timeout");
        // The server may have enough before all is sent.
        let _ = stream.write_all(&bytes).and_then(|()| stream.shutdown(Shutdown::Write));
        let _ = stream.read(&mut [0; 4096]);
        prop_assert_eq!(PANICS.load(Ordering::SeqCst), 0);
        Ok(())
    });
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(cluster.http().get("/readyz").status, 200);
    assert_eq!(cluster.https("localhost").get("/readyz").status, 200);
}
