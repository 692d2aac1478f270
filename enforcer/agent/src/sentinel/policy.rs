//! The sentinel of policy: what the hidden pods, their namespace and their policy are in each generation.

use super::watch::port;
use super::{GENERATION_LABEL, NAMESPACE, ROLE_LABEL, Role};
use crate::profile::InFrontOf;
use netproof_kubeapi::{Event, EventType};
use serde_json::{Value, json};

/// The name of the sentinel's policy, and of its tier.
const POLICY: &str = "netproof-sentinel";

/// The hidden pods and their namespace, as they are in the API.
#[derive(Debug)]
pub(crate) struct PolicyObjects {
    /// The namespace and the pods, without the label of a generation.
    objects: Vec<Value>,
    in_front_of: InFrontOf,
    /// The policy in front of cluster-wide ones as it was told, with its tier; none while there are no such policies.
    in_front: Vec<Value>,
}

impl PolicyObjects {
    pub(crate) fn new(in_front_of: InFrontOf) -> PolicyObjects {
        PolicyObjects { objects: Vec::new(), in_front_of, in_front: Vec::new() }
    }

    /// Takes note of the hidden pods and of their namespace, which come with the cluster's own.
    pub(crate) fn note(&mut self, events: &[Event]) {
        let own = events.iter().map(|event| &event.object).filter(|object| is_own(object));
        self.objects.extend(own.cloned());
    }

    /// What changes with a generation: one event in each stream that decides about policy. `cluster_wide` is whether
    /// the cluster has policies that could say something else about the hidden pods.
    pub(crate) fn events(&mut self, generation: u64, cluster_wide: bool) -> Vec<Event> {
        let labelled = self.objects.iter().filter(|object| !is_target(object)).map(|object| {
            let mut object = object.clone();
            if let Some(labels) = object.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
                labels.insert(GENERATION_LABEL.to_owned(), generation.to_string().into());
            }
            Event { kind: EventType::Modified, object }
        });
        let mut events: Vec<Event> = labelled.collect();
        // Where another kind of policy gives the evidence, the stream of this one has its event all the same.
        // Generations count from 1.
        let kind = if generation > 1 { EventType::Modified } else { EventType::Added };
        events.push(Event { kind, object: network_policy(generation) });
        let wanted = if cluster_wide { self.in_front_of } else { InFrontOf::Nothing };
        events.extend(self.put_in_front(wanted, generation));
        events
    }

    /// Puts a policy in front of the cluster-wide ones, changes it, or takes it away.
    fn put_in_front(&mut self, wanted: InFrontOf, generation: u64) -> Vec<Event> {
        let policy = policy_in_front(wanted, generation);
        let told = std::mem::replace(&mut self.in_front, tier(wanted).into_iter().chain(policy).collect());
        if self.in_front.is_empty() {
            // The policy goes before its tier.
            return told.into_iter().rev().map(|object| Event { kind: EventType::Deleted, object }).collect();
        }
        let kind = if told.is_empty() { EventType::Added } else { EventType::Modified };
        // A tier never changes.
        let changed = self.in_front.iter().filter(|object| !told.contains(object));
        changed.map(|object| Event { kind, object: object.clone() }).collect()
    }
}

/// Whether an object is the sentinel's namespace or one of its pods.
fn is_own(object: &Value) -> bool {
    let metadata = |key: &str| object.get("metadata")?.get(key)?.as_str();
    match object.get("kind").and_then(Value::as_str) {
        Some("Namespace") => metadata("name") == Some(NAMESPACE),
        Some("Pod") => metadata("namespace") == Some(NAMESPACE) && role(object) != Some(Role::Backend.word()),
        _ => false,
    }
}

fn is_target(object: &Value) -> bool {
    role(object) == Some(Role::Target.word())
}

/// What a hidden pod is for, by its label.
fn role(object: &Value) -> Option<&str> {
    object.get("metadata")?.get("labels")?.get(ROLE_LABEL)?.as_str()
}

/// A tier, where the policy stands in one of its own.
fn tier(in_front_of: InFrontOf) -> Option<Value> {
    (in_front_of == InFrontOf::CalicoTier).then(|| {
        json!({
            "apiVersion": "projectcalico.org/v3", "kind": "Tier", "metadata": {"name": POLICY},
            "spec": {"order": 0.5, "defaultAction": "Pass"},
        })
    })
}

/// The policy by which the targets accept what the sources of a generation send to its port, and nothing else.
fn network_policy(generation: u64) -> Value {
    let (generation, port) = (generation.to_string(), port(generation));
    json!({
        "apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
        "metadata": {"name": POLICY, "namespace": NAMESPACE},
        "spec": {
            "podSelector": {"matchLabels": {ROLE_LABEL: Role::Target.word()}}, "policyTypes": ["Ingress"],
            "ingress": [{
                "from": [{
                    "namespaceSelector": {"matchLabels": {GENERATION_LABEL: generation}},
                    "podSelector": {"matchLabels": {GENERATION_LABEL: generation}},
                }],
                "ports": [{"protocol": "TCP", "port": port}],
            }],
        },
    })
}

/// The same by a policy that comes before all others, so that the evidence is seen whatever they say.
fn policy_in_front(in_front_of: InFrontOf, generation: u64) -> Option<Value> {
    let (generation, port) = (generation.to_string(), port(generation));
    let policy = match in_front_of {
        InFrontOf::Nothing => return None,
        InFrontOf::CalicoTier => {
            let is = |label: &str, value: &str| format!("{label} == '{value}'");
            let source = json!({
                "namespaceSelector": is(GENERATION_LABEL, &generation), "selector": is(GENERATION_LABEL, &generation),
            });
            json!({
                "apiVersion": "projectcalico.org/v3", "kind": "GlobalNetworkPolicy",
                "metadata": {"name": format!("{POLICY}.{POLICY}")},
                "spec": {
                    "tier": POLICY, "order": 1, "types": ["Ingress", "Egress"],
                    "namespaceSelector": is("projectcalico.org/name", NAMESPACE),
                    "selector": format!("has({ROLE_LABEL}) && {ROLE_LABEL} != '{}'", Role::Backend.word()),
                    "ingress": [
                        {"action": "Allow", "protocol": "TCP", "source": source, "destination": {"ports": [port]}},
                        {"action": "Deny"},
                    ],
                    "egress": [{"action": "Allow"}],
                },
            })
        }
        InFrontOf::ClusterNetworkPolicy => json!({
            "apiVersion": "policy.networking.k8s.io/v1alpha2", "kind": "ClusterNetworkPolicy",
            "metadata": {"name": POLICY},
            "spec": {
                "tier": "Admin", "priority": 0,
                "subject": {"pods": {
                    "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}},
                    "podSelector": {"matchExpressions": [
                        {"key": ROLE_LABEL, "operator": "In", "values": [Role::Source.word(), Role::Target.word()]},
                    ]},
                }},
                "ingress": [
                    {
                        "name": "generation", "action": "Accept",
                        "from": [{"pods": {
                            "namespaceSelector": {"matchLabels": {GENERATION_LABEL: generation}},
                            "podSelector": {"matchLabels": {GENERATION_LABEL: generation}},
                        }}],
                        "protocols": [{"tcp": {"destinationPort": {"number": port}}}],
                    },
                    {"name": "others", "action": "Deny", "from": [{"namespaces": {}}]},
                ],
                "egress": [{"name": "all", "action": "Accept", "to": [{"namespaces": {}}]}],
            },
        }),
    };
    Some(policy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sentinel::watch::port;

    fn pod(role: Role) -> Value {
        json!({"kind": "Pod", "metadata": {
            "namespace": NAMESPACE, "name": role.pod("node1").name, "labels": {ROLE_LABEL: role.word()},
        }})
    }

    /// Every stream that decides about policy has an event in every generation, and the target none of its own: what
    /// changes for it is its policy.
    #[test]
    fn every_stream_has_an_event_in_each_generation() {
        let namespace = json!({"kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": {}}});
        let others = json!({"kind": "Namespace", "metadata": {"name": "default", "labels": {}}});
        let given = [namespace, others, pod(Role::Source), pod(Role::Target), pod(Role::Backend)];
        let added = given.map(|object| Event { kind: EventType::Added, object });
        for (in_front_of, kinds) in [
            (InFrontOf::Nothing, &["Namespace", "Pod", "NetworkPolicy"][..]),
            (InFrontOf::CalicoTier, &["Namespace", "Pod", "NetworkPolicy", "Tier", "GlobalNetworkPolicy"]),
            (InFrontOf::ClusterNetworkPolicy, &["Namespace", "Pod", "NetworkPolicy", "ClusterNetworkPolicy"]),
        ] {
            let mut objects = PolicyObjects::new(in_front_of);
            objects.note(&added);
            for generation in [1, 2] {
                let events = objects.events(generation, true);
                let seen: Vec<&str> = events.iter().filter_map(|it| it.object["kind"].as_str()).collect();
                let expected = kinds.iter().filter(|kind| generation == 1 || **kind != "Tier");
                assert_eq!(seen, expected.copied().collect::<Vec<_>>());
                for event in &events {
                    let text = event.object.to_string();
                    let of_this = text.contains(&format!("\"{GENERATION_LABEL}\":\"{generation}\""))
                        || text.contains(&port(generation).to_string())
                        || event.object["kind"] == "Tier";
                    assert!(of_this, "{text}");
                }
            }
        }
    }

    /// What stands in front comes and goes with what it stands in front of.
    #[test]
    fn the_policy_in_front_is_there_while_cluster_wide_ones_are() {
        let mut objects = PolicyObjects::new(InFrontOf::CalicoTier);
        let mut told = |generation, cluster_wide| {
            let events = objects.events(generation, cluster_wide);
            let kind = |it: &Event| it.object["kind"].as_str().unwrap().to_owned();
            events
                .iter()
                .map(|it| (it.kind, kind(it)))
                .filter(|it| it.1 != "NetworkPolicy")
                .collect::<Vec<_>>()
        };
        let of =
            |kind, names: &[&str]| names.iter().map(|name| (kind, (*name).to_owned())).collect::<Vec<_>>();
        assert_eq!(told(1, false), []);
        assert_eq!(told(2, true), of(EventType::Added, &["Tier", "GlobalNetworkPolicy"]));
        assert_eq!(told(3, true), of(EventType::Modified, &["GlobalNetworkPolicy"]));
        assert_eq!(told(4, false), of(EventType::Deleted, &["GlobalNetworkPolicy", "Tier"]));
        assert_eq!(told(5, false), []);
        assert_eq!(told(6, true), of(EventType::Added, &["Tier", "GlobalNetworkPolicy"]));
    }
}
