//! What changed between two snapshots, as the events of a watch.

use super::json;
use netproof_controlplane::{Snapshot, is_another_pod};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// What happened to every Kubernetes object between two snapshots, or, without a first one, that all came
/// into being.
///
/// What went comes first, so that an address is never two pods'; what others refer to comes before them and
/// goes after them. Another pod of the same name went and came.
pub(super) fn between(before: Option<&Snapshot>, after: &Snapshot) -> Vec<Value> {
    let mut changes = Changes::default();
    changes.add(
        before.map(|it| &it.namespaces),
        &after.namespaces,
        |_, it| json::namespace(it),
        |_, _| false,
    );
    changes.add(before.map(|it| &it.nodes), &after.nodes, |_, it| json::node(it), |_, _| false);
    changes.add(
        before.map(|it| &it.pods),
        &after.pods,
        |name, it| json::pod(name, it),
        |old, new| is_another_pod(old, new),
    );
    changes.add(before.map(|it| &it.services), &after.services, |_, it| json::service(it), |_, _| false);
    let slices = before.map(|it| &it.endpoint_slices);
    changes.add(slices, &after.endpoint_slices, |_, it| json::endpoint_slice(it), |_, _| false);
    changes.add(before.map(|it| &it.policies), &after.policies, |_, it| json::policy(it), |_, _| false);
    changes.went.reverse();
    changes.went.append(&mut changes.came);
    changes.went
}

#[derive(Default)]
struct Changes {
    went: Vec<Value>,
    came: Vec<Value>,
}

impl Changes {
    /// The changes of one kind.
    fn add<K: Ord, T: Eq>(
        &mut self,
        before: Option<&BTreeMap<K, T>>,
        after: &BTreeMap<K, T>,
        write: impl Fn(&K, &T) -> Value,
        is_another: impl Fn(&T, &T) -> bool,
    ) {
        let gone = |(name, old): (&K, &T)| {
            let stays = after.get(name).is_some_and(|new| !is_another(old, new));
            (!stays).then(|| event("DELETED", write(name, old)))
        };
        self.went.extend(before.into_iter().flatten().filter_map(gone));
        self.came.extend(after.iter().filter_map(|(name, new)| {
            match before.and_then(|before| before.get(name)) {
                // Objects that stay are shared, and comparing an Arc with itself looks no further.
                Some(old) if old == new => None,
                Some(old) if !is_another(old, new) => Some(event("MODIFIED", write(name, new))),
                _ => Some(event("ADDED", write(name, new))),
            }
        }));
    }
}

fn event(kind: &str, object: Value) -> Value {
    json!({"type": kind, "object": object})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::{World, namespace, pod, policy, service};
    use netproof_model::{Families, PolicyKind, Wiring};
    use std::sync::Arc;

    /// `ADDED Pod/default/a`, ... in order.
    fn lines(events: &[Value]) -> Vec<String> {
        let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
        let line = |event: &Value| {
            let object = &event["object"];
            let metadata = &object["metadata"];
            let [kind, namespace, name] =
                [&object["kind"], &metadata["namespace"], &metadata["name"]].map(text);
            format!("{} {kind}/{namespace}/{name}", text(&event["type"]))
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
        let object = |n: usize| serde_json::to_string_pretty(&change[n]["object"]).unwrap();
        insta::assert_snapshot!([object(0), object(1), object(4)].join("\n"));
        assert!(between(Some(&after), &after).is_empty());
    }

    #[test]
    fn a_pod_with_another_address_is_another_pod_and_goes_before_it_comes() {
        let mut world = World::new(Families::Ipv4, Wiring::Routed);
        let before = world.apply(
            &[
                pod("a", "node1", "app=a", ""),
                pod("b", "node1", "app=b", ""),
                policy("p", "{podSelector: {}}"),
            ]
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
}
