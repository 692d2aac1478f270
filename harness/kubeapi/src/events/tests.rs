use super::*;
use crate::world::{World, namespace, pod, policy, service};
use netproof_model::{Families, PolicyKind, Wiring};
use std::sync::Arc;

/// `ADDED Pod/default/a`, ... in order.
fn lines(events: &[Event]) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let line = |event: &Event| {
        let object = &event.object;
        let metadata = &object["metadata"];
        let [kind, namespace, name] = [&object["kind"], &metadata["namespace"], &metadata["name"]].map(text);
        format!("{} {kind}/{namespace}/{name}", text(&serde_json::to_value(event.kind).unwrap()))
    };
    events.iter().map(line).collect()
}

#[test]
fn at_first_everything_comes_in_an_order_in_which_it_can_be_understood() {
    let mut world = World::new(Families::Ipv4, Wiring::Routed);
    let before = world.snapshot();
    let after = world.apply(
        &[
            namespace("dev", ""),
            service("dev/a", "{selector: {app: a}, ports: [{port: 80}]}"),
            pod("dev/a", "node1", "app=a", "web:80/TCP"),
            policy("dev/deny", "{podSelector: {}}"),
        ]
        .concat(),
    );
    insta::assert_snapshot!(lines(&between(None, &after)).join("\n"));
    let change = between(Some(&before), &after);
    insta::assert_snapshot!(lines(&change).join("\n"));
    let object = |n: usize| serde_json::to_string_pretty(&change[n].object).unwrap();
    insta::assert_snapshot!([object(0), object(2), object(5)].join("\n"));
    assert!(between(Some(&after), &after).is_empty());
}

#[test]
fn a_pod_with_another_address_is_another_pod_and_goes_before_it_comes() {
    let mut world = World::new(Families::Ipv4, Wiring::Routed);
    let before = world.apply(
        &[pod("a", "node1", "app=a", ""), pod("b", "node1", "app=b", ""), policy("p", "{podSelector: {}}")]
            .concat(),
    );
    let labelled = world.label("pod", "b", "app", Some("c"));
    assert_eq!(lines(&between(Some(&before), &labelled)), ["MODIFIED Pod/default/b"]);
    world.delete("pod", "a");
    world.delete(PolicyKind::NetworkPolicy.word(), "p");
    world.apply(&pod("c", "node1", "", ""));
    let after = world.apply(&pod("a", "node2", "app=a", ""));
    let expected = [
        "DELETED NetworkPolicy/default/p",
        "DELETED Pod/default/a",
        "ADDED Pod/default/a",
        "ADDED Pod/default/c",
    ];
    assert_eq!(lines(&between(Some(&labelled), &after)), expected);
    // One that gets its addresses when it starts is the same.
    let mut waiting = (*labelled).clone();
    let pod = waiting.pods.values_mut().find(|pod| pod.metadata.name == "b").unwrap();
    Arc::make_mut(pod).pod_ips.clear();
    assert_eq!(lines(&between(Some(&waiting), &labelled)), ["MODIFIED Pod/default/b"]);
    let back: Vec<String> = lines(&between(Some(&after), &labelled));
    assert_eq!(back.len(), 4);
    assert_eq!(back[..2], ["DELETED Pod/default/c", "DELETED Pod/default/a"]);
}
