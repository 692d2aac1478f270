use super::*;
use crate::kinds;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

fn pod(name: &str, app: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"namespace": "default", "name": name, "labels": {"app": app}},
    })
}

fn event(kind: EventType, object: Value) -> Event {
    Event { kind, object }
}

fn pods() -> KindId {
    kinds::of_object("v1", "Pod").expect("pods are served").0
}

fn selecting(labels: &str) -> Selector {
    Selector::parse(labels, "").expect("a selector")
}

/// `ADDED a@2`: what a watch is told.
fn told(store: &Store, selector: &Selector, version: u64) -> Vec<String> {
    let (seen, _) = store.since(pods(), selector, version).expect("nothing is forgotten");
    seen.iter()
        .map(|seen| {
            let metadata = &seen.object.value["metadata"];
            let sent: Value = serde_json::from_slice(&seen.object.json).expect("JSON");
            assert_eq!(sent, seen.object.value);
            let text = |key: &str| metadata[key].as_str().expect("a text").to_owned();
            let kind = serde_json::to_value(seen.kind).expect("a type");
            format!("{} {}@{}", kind.as_str().expect("a text"), text("name"), text("resourceVersion"))
        })
        .collect()
}

fn names(listed: &Listed) -> Vec<&str> {
    listed.objects.iter().map(|object| object.value["metadata"]["name"].as_str().expect("a name")).collect()
}

#[test]
fn a_change_set_has_one_version_and_is_told_in_order() {
    let store = Store::new();
    let all = Selector::default();
    let (added, modified, deleted) = (EventType::Added, EventType::Modified, EventType::Deleted);
    assert_eq!(store.apply(&[event(added, pod("a", "x")), event(added, pod("b", "x"))]), Ok(2));
    assert_eq!(store.apply(&[]), Ok(2));
    let again = [event(deleted, pod("a", "x")), event(added, pod("a", "y")), event(modified, pod("b", "y"))];
    assert_eq!(store.apply(&again), Ok(3));
    assert_eq!(store.apply(&[event(deleted, pod("b", "y"))]), Ok(4));
    assert_eq!(
        told(&store, &all, 1),
        ["ADDED a@2", "ADDED b@2", "DELETED a@3", "ADDED a@3", "MODIFIED b@3", "DELETED b@4"]
    );
    assert_eq!(told(&store, &all, 3), ["DELETED b@4"]);
    assert!(told(&store, &all, 4).is_empty());
    let listed = store.list(pods(), &all);
    assert_eq!((listed.version, names(&listed)), (4, vec!["a"]));
    assert_eq!(listed.objects[0].value["metadata"]["resourceVersion"], "3");
}

#[test]
fn an_object_that_a_selector_no_longer_matches_is_deleted_to_its_watch() {
    let store = Store::new();
    let changes = [("a", "x"), ("a", "y"), ("a", "y"), ("a", "x")];
    for (number, (name, app)) in changes.into_iter().enumerate() {
        let kind = if number == 0 { EventType::Added } else { EventType::Modified };
        store.apply(&[event(kind, pod(name, app))]).unwrap();
    }
    store.apply(&[event(EventType::Deleted, pod("a", "x"))]).unwrap();
    assert_eq!(
        told(&store, &selecting("app=x"), 1),
        ["ADDED a@2", "DELETED a@3", "ADDED a@5", "DELETED a@6"]
    );
    assert_eq!(told(&store, &selecting("app=y"), 1), ["ADDED a@3", "MODIFIED a@4", "DELETED a@5"]);
    assert!(told(&store, &selecting("app=z"), 1).is_empty());
    // It is told as it was when it was last selected.
    let (seen, _) = store.since(pods(), &selecting("app=x"), 2).unwrap();
    assert_eq!(seen[0].object.value["metadata"]["labels"]["app"], "x");
}

#[test]
fn what_contradicts_the_store_is_refused_and_nothing_of_its_set_is_applied() {
    let unknown =
        json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s", "namespace": "default"}});
    let without = |key: &str| {
        let mut object = pod("c", "x");
        object["metadata"].as_object_mut().unwrap().remove(key);
        object.as_object_mut().unwrap().remove(key);
        object
    };
    let table = [
        (event(EventType::Added, pod("a", "x")), "Pod default/a: it is added, and is there"),
        (event(EventType::Modified, pod("c", "x")), "Pod default/c: it is modified, and is not there"),
        (event(EventType::Deleted, pod("c", "x")), "Pod default/c: it is deleted, and is not there"),
        (event(EventType::Added, unknown), "objects of kind Secret (v1) are not served"),
        (event(EventType::Added, without("kind")), "an object without `kind`"),
        (event(EventType::Added, without("metadata")), "an object without `metadata`"),
        (event(EventType::Added, without("name")), "an object without `metadata.name`"),
        (event(EventType::Added, without("namespace")), "an object without `metadata.namespace`"),
        (
            event(
                EventType::Added,
                json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n", "namespace": "x"}}),
            ),
            "the Node `n` cannot have a namespace",
        ),
    ];
    let store = Store::new();
    store.apply(&[event(EventType::Added, pod("a", "x"))]).unwrap();
    for (wrong, message) in table {
        let error = store.apply(&[event(EventType::Added, pod("b", "x")), wrong]).unwrap_err();
        assert_eq!(error.to_string(), message);
        assert_eq!((store.version(), names(&store.list(pods(), &Selector::default()))), (2, vec!["a"]));
    }
}

#[test]
fn an_object_has_the_same_identity_in_every_run() {
    let get = || {
        let store = Store::new();
        store.apply(&[event(EventType::Added, pod("a", "x"))]).unwrap();
        store.get(pods(), Some("default"), "a").unwrap().value.clone()
    };
    let object = get();
    assert_eq!(object, get());
    assert_eq!(object["metadata"]["creationTimestamp"], "2026-01-01T00:00:00Z");
    assert_eq!(object["metadata"]["uid"].as_str().unwrap().len(), 36);
}

/// A pod's name and label, or that it goes: what a step of the property does with it.
fn steps() -> impl Strategy<Value = Vec<Vec<(u8, Option<u8>)>>> {
    vec(vec((0..4u8, prop::option::of(0..3u8)), 0..5), 0..12)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// A client that lists at any time and then watches has the same objects as the store at its end.
    #[test]
    fn a_list_and_what_followed_it_is_the_store(steps in steps(), from in 0..12usize, label in 0..3u8) {
        let store = Store::new();
        let selector = selecting(&format!("app=x{label}"));
        let mut client = BTreeMap::new();
        let mut version = 0;
        let mut there: BTreeMap<u8, Value> = BTreeMap::new();
        for (number, step) in steps.iter().enumerate() {
            if number == from.min(steps.len() - 1) {
                let listed = store.list(pods(), &selector);
                version = listed.version;
                for object in listed.objects {
                    client.insert(object.value["metadata"]["name"].clone().to_string(), object.value.clone());
                }
            }
            let mut events = Vec::new();
            for (name, label) in step {
                let object = label.map(|label| pod(&format!("p{name}"), &format!("x{label}")));
                match (there.get(name).cloned(), object) {
                    (None, None) => (),
                    (Some(old), None) => {
                        events.push(event(EventType::Deleted, old));
                        there.remove(name);
                    }
                    (old, Some(new)) => {
                        let kind = if old.is_some() { EventType::Modified } else { EventType::Added };
                        events.push(event(kind, new.clone()));
                        there.insert(*name, new);
                    }
                }
            }
            let before = store.version();
            let after = store.apply(&events).unwrap();
            prop_assert_eq!(after, before + u64::from(!events.is_empty()));
        }
        let (seen, _) = store.since(pods(), &selector, version).unwrap();
        for seen in seen {
            let name = seen.object.value["metadata"]["name"].to_string();
            match seen.kind {
                EventType::Added => prop_assert!(client.insert(name, seen.object.value.clone()).is_none()),
                EventType::Modified => prop_assert!(client.insert(name, seen.object.value.clone()).is_some()),
                EventType::Deleted => prop_assert!(client.remove(&name).is_some()),
            }
        }
        let listed = store.list(pods(), &selector);
        let expected: Vec<Value> = listed.objects.iter().map(|object| object.value.clone()).collect();
        prop_assert_eq!(client.into_values().collect::<Vec<_>>(), expected);
    }
}
