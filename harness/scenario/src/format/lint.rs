//! Selectors that match nothing in any step: almost always a spelling mistake.
//!
//! A plain evaluation of label selectors, for this warning only. Nothing here decides about a packet:
//! the enforcer and the oracle each have their own.

use netproof_api::networking::NetworkPolicyPeer;
use netproof_api::{LabelSelector, Labels, Operator};
use netproof_controlplane::{ObjectRef, Snapshot};
use std::collections::BTreeMap;

/// What was seen of every selector so far.
#[derive(Debug, Default)]
pub struct Lint {
    /// By object and place in it: what the selector is to match, and whether it did in some step.
    selectors: BTreeMap<(ObjectRef, String), (&'static str, bool)>,
}

/// A selector that matched nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchesNothing {
    /// Whose it is.
    pub object: ObjectRef,
    /// Its place: `spec.ingress[0].from[1]`.
    pub path: String,
    /// What it was to match: `pod` or `namespace`.
    pub what: &'static str,
}

impl Lint {
    /// Looks at the selectors of a step.
    pub fn step(&mut self, snapshot: &Snapshot) {
        for (name, policy) in &snapshot.network_policies {
            let object = ObjectRef::new("networkpolicy", Some(&name.namespace), &name.name);
            let own = |namespace: &str| namespace == name.namespace;
            let selected = any_pod(snapshot, own, Some(&policy.spec.pod_selector));
            self.note(&object, "spec.podSelector".to_owned(), "pod", selected);
            let directions =
                [("ingress", "from", &policy.spec.ingress), ("egress", "to", &policy.spec.egress)];
            for (direction, side, rules) in directions {
                for (i, rule) in rules.iter().enumerate() {
                    for (j, peer) in rule.peers.iter().enumerate() {
                        let NetworkPolicyPeer::Pods { namespace_selector, pod_selector } = peer else {
                            continue;
                        };
                        let namespaces = |namespace: &str| match namespace_selector {
                            None => namespace == name.namespace,
                            Some(selector) => snapshot
                                .namespaces
                                .get(namespace)
                                .is_some_and(|namespace| matches(selector, &namespace.metadata.labels)),
                        };
                        let (what, matched) = match pod_selector {
                            Some(selector) => ("pod", any_pod(snapshot, namespaces, Some(selector))),
                            None => ("namespace", snapshot.namespaces.keys().any(|name| namespaces(name))),
                        };
                        self.note(&object, format!("spec.{direction}[{i}].{side}[{j}]"), what, matched);
                    }
                }
            }
        }
        for (name, service) in &snapshot.services {
            if service.selector.is_empty() {
                continue;
            }
            let selector =
                LabelSelector { match_labels: service.selector.clone(), match_expressions: Vec::new() };
            let object = ObjectRef::new("service", Some(&name.namespace), &name.name);
            let own = |namespace: &str| namespace == name.namespace;
            let matched = any_pod(snapshot, own, Some(&selector));
            self.note(&object, "spec.selector".to_owned(), "pod", matched);
        }
    }

    fn note(&mut self, object: &ObjectRef, path: String, what: &'static str, matched: bool) {
        self.selectors.entry((object.clone(), path)).or_insert((what, false)).1 |= matched;
    }

    /// Whether no selector was seen.
    pub fn is_empty(&self) -> bool {
        self.selectors.is_empty()
    }

    /// Whether the object was there in some step.
    pub fn knows(&self, object: &ObjectRef) -> bool {
        self.selectors.keys().any(|(known, _)| known == object)
    }

    /// The objects that were there, as they are written.
    pub fn objects(&self) -> Vec<String> {
        let mut all: Vec<String> = self.selectors.keys().map(|(object, _)| object.to_string()).collect();
        all.dedup();
        all
    }

    /// The selectors that matched nothing in any step.
    pub fn finish(self) -> Vec<MatchesNothing> {
        self.selectors
            .into_iter()
            .filter(|(_, (_, matched))| !matched)
            .map(|((object, path), (what, _))| MatchesNothing { object, path, what })
            .collect()
    }
}

fn any_pod(snapshot: &Snapshot, namespaces: impl Fn(&str) -> bool, selector: Option<&LabelSelector>) -> bool {
    snapshot.pods.iter().any(|(name, pod)| {
        namespaces(&name.namespace) && selector.is_none_or(|selector| matches(selector, &pod.metadata.labels))
    })
}

/// Whether all requirements hold.
fn matches(selector: &LabelSelector, labels: &Labels) -> bool {
    selector.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
        && selector.match_expressions.iter().all(|requirement| {
            let value = labels.get(&requirement.key);
            let listed = value.is_some_and(|value| requirement.values.contains(value));
            match requirement.operator {
                Operator::In => listed,
                Operator::NotIn => !listed,
                Operator::Exists => value.is_some(),
                Operator::DoesNotExist => value.is_none(),
            }
        })
}
