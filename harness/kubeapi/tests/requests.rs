//! Requests and their answers, as data (`answers.json`): what a real server answers where it is known, in our own words
//! where it only has to be sensible.

#![expect(clippy::expect_used, reason = "a test says what went wrong by panicking")]

mod http;

use http::{Ask, Cluster, NODE, items};
use netproof_kubeapi::Unanswered;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// One request and what must be true of its answer.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    what: String,
    #[serde(default = "get")]
    method: String,
    path: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Option<Value>,
    status: u16,
    /// The content type.
    #[serde(rename = "type")]
    content_type: Option<String>,
    /// The whole JSON.
    answer: Option<Value>,
    /// Some of the JSON.
    contains: Option<Value>,
    /// A field that is not there.
    lacks: Option<Vec<String>>,
    /// The whole text.
    text: Option<String>,
    /// The objects of a list.
    items: Option<Vec<String>>,
}

fn get() -> String {
    "GET".into()
}

fn cases() -> Vec<Case> {
    serde_json::from_str(include_str!("answers.json")).expect("the table of answers")
}

/// Whether everything of one JSON is in the other.
fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(key, part)| whole.get(key).is_some_and(|whole| contains(whole, part)))
        }
        (whole, part) => whole == part,
    }
}

#[test]
fn every_request_is_answered_as_it_should() {
    let cluster = Cluster::start();
    // One connection for all: each answer must end where it says.
    let mut client = cluster.http();
    for case in cases() {
        let what = &case.what;
        let body = case.body.map_or_else(Vec::new, |body| body.to_string().into_bytes());
        let answer = client.ask(&Ask { method: case.method, path: case.path, headers: case.headers, body });
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(answer.status, case.status, "{what}: {text}");
        let asserts =
            [case.answer.is_some(), case.contains.is_some(), case.text.is_some(), case.items.is_some()];
        assert!(asserts.contains(&true), "{what}: nothing is asserted of the answer");
        if let Some(expected) = &case.text {
            assert_eq!(&text, expected, "{what}");
            continue;
        }
        let expected = case.content_type.as_deref().unwrap_or("application/json");
        assert_eq!(answer.content_type(), expected, "{what}");
        let json = answer.json();
        if let Some(expected) = &case.answer {
            assert_eq!(&json, expected, "{what}");
        }
        if let Some(expected) = &case.contains {
            assert!(contains(&json, expected), "{what}: {json:#}");
        }
        if let Some(path) = &case.lacks {
            let field = path.iter().try_fold(&json, |value, key| value.get(key));
            assert_eq!(field, None, "{what}");
        }
        if let Some(expected) = &case.items {
            assert_eq!(&items(&json), expected, "{what}");
        }
    }
    assert_eq!(cluster.server.asked(NODE), cases().len() as u64);
}

#[test]
fn what_the_server_lacks_is_kept_for_whoever_asks() {
    let cluster = Cluster::start();
    let mut client = cluster.http();
    for path in
        ["/apis/kubevirt.io/v1/migrations?limit=500", "/apis/kubevirt.io/v1/migrations", "/api/v1/pods"]
    {
        client.get(path);
    }
    // These are answers: the object is not there, the version is not there yet.
    client.get("/api/v1/namespaces/dev/pods/zz");
    client.get("/api/v1/pods?resourceVersion=99999");
    client.ask(&Ask { method: "DELETE".into(), ..Ask::get("/api/v1/nodes/node1") });
    let lacks = |method: &str, path: &str, status, times| Unanswered {
        method: method.into(),
        path: path.into(),
        status,
        times,
    };
    let expected = [
        lacks("DELETE", "/api/v1/nodes/node1", 405, 1),
        lacks("GET", "/apis/kubevirt.io/v1/migrations", 404, 2),
    ];
    assert_eq!(cluster.server.unanswered(NODE), expected);
    assert_eq!(cluster.server.asked(NODE), 6);
    assert_eq!((cluster.server.asked("zz"), cluster.server.unanswered("zz").len()), (0, 0));
}

#[test]
fn every_kind_of_discovery_can_be_listed_in_both_forms_of_discovery() {
    let cluster = Cluster::start();
    let mut client = cluster.http();
    let mut plain = Vec::new();
    let groups = client.get("/apis").json();
    let groups = groups["groups"].as_array().expect("groups").iter();
    let versions = groups.flat_map(|group| group["versions"].as_array().expect("versions").clone());
    let paths =
        versions.map(|version| format!("/apis/{}", version["groupVersion"].as_str().expect("a version")));
    for path in std::iter::once("/api/v1".to_owned()).chain(paths) {
        for resource in client.get(&path).json()["resources"].as_array().expect("resources") {
            let name = resource["name"].as_str().expect("a name");
            if !name.contains('/') {
                plain.push((format!("{path}/{name}"), resource["kind"].clone(), resource["verbs"].clone()));
            }
        }
    }
    let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
    let headers = BTreeMap::from([("Accept".to_owned(), accept.to_owned())]);
    let mut aggregated = Vec::new();
    for root in ["/api", "/apis"] {
        let list = client.ask(&Ask { headers: headers.clone(), ..Ask::get(root) }).json();
        for group in list["items"].as_array().expect("groups") {
            let group_path =
                group["metadata"]["name"].as_str().map_or(root.to_owned(), |it| format!("{root}/{it}"));
            for version in group["versions"].as_array().expect("versions") {
                for resource in version["resources"].as_array().expect("resources") {
                    let [version, name] =
                        [&version["version"], &resource["resource"]].map(|it| it.as_str().expect("a name"));
                    let kind = resource["responseKind"]["kind"].clone();
                    aggregated.push((
                        format!("{group_path}/{version}/{name}"),
                        kind,
                        resource["verbs"].clone(),
                    ));
                }
            }
        }
    }
    assert_eq!(plain, aggregated);
    assert!(plain.len() > 20, "{}", plain.len());
    for (path, kind, _) in plain {
        let list = client.get(&path).json();
        assert_eq!(list["kind"], format!("{}List", kind.as_str().expect("a kind")), "{path}");
    }
}
