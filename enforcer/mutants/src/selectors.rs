//! Selectors that are evaluated wrongly.
//!
//! The enforcer's own evaluation is left alone. It gets other objects: each selector asks for a label of
//! its own, which exactly those pods or namespaces have that the wrong evaluation finds.

use super::rewrite;
use netproof_api::{LabelSelector, Labels, NetworkPolicyPeer, Operator, Requirement};
use netproof_controlplane::Snapshot;
use netproof_model::NamespacedName;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Who is asked whether a selector matches it.
#[derive(Clone, Copy)]
pub(super) enum Asked<'a> {
    /// A pod, by the policy's own selector.
    Subject(&'a NamespacedName),
    /// A pod, by a peer.
    Peer(&'a NamespacedName),
    /// A namespace, by a peer.
    Namespace,
}

/// Makes every selector match exactly what `holds`, which gets the labels as they are.
pub(super) fn evaluate(snapshot: &mut Snapshot, holds: impl Fn(&LabelSelector, &Labels, Asked<'_>) -> bool) {
    let mut marks = Marks { written: 0, pods: Vec::new(), subjects: Vec::new(), namespaces: Vec::new() };
    rewrite::policies(snapshot, |_, policy| {
        let mut subject = std::mem::take(&mut policy.spec.pod_selector);
        let mark = marks.mark(&mut subject);
        marks.subjects.push(mark);
        policy.spec.pod_selector = subject;
        for rule in policy.spec.ingress.iter_mut().chain(&mut policy.spec.egress) {
            for peer in &mut rule.peers {
                let NetworkPolicyPeer::Pods { namespace_selector, pod_selector } = peer else { continue };
                if let Some(selector) = pod_selector {
                    let mark = marks.mark(selector);
                    marks.pods.push(mark);
                }
                if let Some(selector) = namespace_selector {
                    let mark = marks.mark(selector);
                    marks.namespaces.push(mark);
                }
            }
        }
    });
    let stick = |labels: &mut Labels, marks: &[(String, LabelSelector)], asked: Asked<'_>| {
        let found = marks.iter().filter(|(_, selector)| holds(selector, labels, asked));
        let found: Vec<String> = found.map(|(key, _)| key.clone()).collect();
        labels.extend(found.into_iter().map(|key| (key, String::new())));
    };
    for (name, pod) in &mut snapshot.pods {
        let labels = &mut Arc::make_mut(pod).metadata.labels;
        let written = labels.clone();
        stick(labels, &marks.subjects, Asked::Subject(name));
        // What was stuck on for the policies' own selectors is none of the pod's labels.
        let mut of_peers = written;
        stick(&mut of_peers, &marks.pods, Asked::Peer(name));
        labels.extend(of_peers);
    }
    for namespace in snapshot.namespaces.values_mut() {
        let labels = &mut Arc::make_mut(namespace).metadata.labels;
        stick(labels, &marks.namespaces, Asked::Namespace);
    }
}

/// The selectors as they were, each with the label that it asks for instead.
struct Marks {
    written: usize,
    subjects: Vec<(String, LabelSelector)>,
    pods: Vec<(String, LabelSelector)>,
    namespaces: Vec<(String, LabelSelector)>,
}

impl Marks {
    fn mark(&mut self, selector: &mut LabelSelector) -> (String, LabelSelector) {
        self.written += 1;
        let key = format!("mutants/{}", self.written);
        let asks = LabelSelector {
            match_labels: Labels::from([(key.clone(), String::new())]),
            match_expressions: Vec::new(),
        };
        (key, std::mem::replace(selector, asks))
    }
}

/// All requirements, each entry of `matchExpressions` by `holds` of the requirement and the label's value.
fn all(
    selector: &LabelSelector,
    labels: &Labels,
    holds: impl Fn(&Requirement, Option<&String>) -> bool,
) -> bool {
    match_labels(selector, labels)
        && selector.match_expressions.iter().all(|it| holds(it, labels.get(&it.key)))
}

fn match_labels(selector: &LabelSelector, labels: &Labels) -> bool {
    selector.match_labels.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// One entry of `matchExpressions`, as it should be.
fn right(requirement: &Requirement, value: Option<&String>) -> bool {
    match requirement.operator {
        Operator::In => value.is_some_and(|value| requirement.values.contains(value)),
        Operator::NotIn => value.is_none_or(|value| !requirement.values.contains(value)),
        Operator::Exists => value.is_some(),
        Operator::DoesNotExist => value.is_none(),
    }
}

pub(super) fn not_in_needs_the_key(selector: &LabelSelector, labels: &Labels) -> bool {
    all(selector, labels, |it, value| match it.operator {
        Operator::NotIn => value.is_some() && right(it, value),
        _ => right(it, value),
    })
}

pub(super) fn not_in_is_ignored(selector: &LabelSelector, labels: &Labels) -> bool {
    all(selector, labels, |it, value| it.operator == Operator::NotIn || right(it, value))
}

pub(super) fn not_in_of_the_first_value(selector: &LabelSelector, labels: &Labels) -> bool {
    all(selector, labels, |it, value| match it.operator {
        Operator::NotIn => value.is_none_or(|value| it.values.first() != Some(value)),
        _ => right(it, value),
    })
}

pub(super) fn in_of_the_first_value(selector: &LabelSelector, labels: &Labels) -> bool {
    all(selector, labels, |it, value| match it.operator {
        Operator::In => value.is_some_and(|value| it.values.first() == Some(value)),
        _ => right(it, value),
    })
}

pub(super) fn in_of_any_value(selector: &LabelSelector, labels: &Labels) -> bool {
    all(selector, labels, |it, value| match it.operator {
        Operator::In => value.is_some(),
        _ => right(it, value),
    })
}

pub(super) fn exists_is_ignored(selector: &LabelSelector, labels: &Labels) -> bool {
    all(selector, labels, |it, value| it.operator == Operator::Exists || right(it, value))
}

pub(super) fn exists_wants_a_value(selector: &LabelSelector, labels: &Labels) -> bool {
    all(selector, labels, |it, value| match it.operator {
        Operator::Exists => value.is_some_and(|value| !value.is_empty()),
        _ => right(it, value),
    })
}

pub(super) fn does_not_exist_never_holds(selector: &LabelSelector, labels: &Labels) -> bool {
    all(selector, labels, |it, value| it.operator != Operator::DoesNotExist && right(it, value))
}

pub(super) fn does_not_exist_is_ignored(selector: &LabelSelector, labels: &Labels) -> bool {
    all(selector, labels, |it, value| it.operator == Operator::DoesNotExist || right(it, value))
}

pub(super) fn empty_value_matches_absent(selector: &LabelSelector, labels: &Labels) -> bool {
    selector.match_labels.iter().all(|(key, value)| labels.get(key).map_or("", String::as_str) == value)
        && selector.match_expressions.iter().all(|it| right(it, labels.get(&it.key)))
}

pub(super) fn empty_value_means_any(selector: &LabelSelector, labels: &Labels) -> bool {
    selector
        .match_labels
        .iter()
        .all(|(key, value)| labels.get(key).is_some_and(|has| value.is_empty() || has == value))
        && selector.match_expressions.iter().all(|it| right(it, labels.get(&it.key)))
}

pub(super) fn expressions_are_ored(selector: &LabelSelector, labels: &Labels) -> bool {
    let expressions = &selector.match_expressions;
    match_labels(selector, labels)
        && (expressions.is_empty() || expressions.iter().any(|it| right(it, labels.get(&it.key))))
}

pub(super) fn labels_are_ored(selector: &LabelSelector, labels: &Labels) -> bool {
    let wanted = &selector.match_labels;
    (wanted.is_empty() || wanted.iter().any(|(key, value)| labels.get(key) == Some(value)))
        && selector.match_expressions.iter().all(|it| right(it, labels.get(&it.key)))
}

pub(super) fn labels_or_expressions(selector: &LabelSelector, labels: &Labels) -> bool {
    let expressions = selector.match_expressions.iter().all(|it| right(it, labels.get(&it.key)));
    match (selector.match_labels.is_empty(), selector.match_expressions.is_empty()) {
        (false, false) => match_labels(selector, labels) || expressions,
        _ => match_labels(selector, labels) && expressions,
    }
}

pub(super) fn labels_ignored_beside_expressions(selector: &LabelSelector, labels: &Labels) -> bool {
    if selector.match_expressions.is_empty() {
        return match_labels(selector, labels);
    }
    selector.match_expressions.iter().all(|it| right(it, labels.get(&it.key)))
}

pub(super) fn expressions_ignored_beside_labels(selector: &LabelSelector, labels: &Labels) -> bool {
    if selector.match_labels.is_empty() {
        return all(selector, labels, right);
    }
    match_labels(selector, labels)
}

pub(super) fn empty_selector_matches_nothing(selector: &LabelSelector, labels: &Labels) -> bool {
    !rewrite::is_empty(selector) && all(selector, labels, right)
}

pub(super) fn key_is_enough(selector: &LabelSelector, labels: &Labels) -> bool {
    selector.match_labels.keys().all(|key| labels.contains_key(key))
        && selector.match_expressions.iter().all(|it| right(it, labels.get(&it.key)))
}

pub(super) fn in_of_two_values(selector: &LabelSelector, labels: &Labels) -> bool {
    all(selector, labels, |it, value| match it.operator {
        Operator::In => value.is_some_and(|value| it.values.iter().take(2).any(|it| it == value)),
        _ => right(it, value),
    })
}

pub(super) fn not_in_of_two_values(selector: &LabelSelector, labels: &Labels) -> bool {
    all(selector, labels, |it, value| match it.operator {
        Operator::NotIn => value.is_none_or(|value| it.values.iter().take(2).all(|it| it != value)),
        _ => right(it, value),
    })
}

pub(super) fn last_expression_of_a_key(selector: &LabelSelector, labels: &Labels) -> bool {
    let last: BTreeMap<&String, &Requirement> =
        selector.match_expressions.iter().map(|it| (&it.key, it)).collect();
    match_labels(selector, labels) && last.into_iter().all(|(key, it)| right(it, labels.get(key)))
}

pub(super) fn expression_replaces_label(selector: &LabelSelector, labels: &Labels) -> bool {
    let replaced = |key: &String| selector.match_expressions.iter().any(|it| it.key == *key);
    let wanted = selector.match_labels.iter().filter(|(key, _)| !replaced(key));
    wanted.into_iter().all(|(key, value)| labels.get(key) == Some(value))
        && selector.match_expressions.iter().all(|it| right(it, labels.get(&it.key)))
}

pub(super) fn label_replaces_expressions(selector: &LabelSelector, labels: &Labels) -> bool {
    let others = selector.match_expressions.iter().filter(|it| !selector.match_labels.contains_key(&it.key));
    match_labels(selector, labels) && others.into_iter().all(|it| right(it, labels.get(&it.key)))
}

pub(super) fn two_expressions_only(selector: &LabelSelector, labels: &Labels) -> bool {
    match_labels(selector, labels)
        && selector.match_expressions.iter().take(2).all(|it| right(it, labels.get(&it.key)))
}

pub(super) fn key_prefixes_are_ignored(selector: &LabelSelector, labels: &Labels) -> bool {
    fn name(key: &str) -> &str {
        key.rsplit('/').next().unwrap_or(key)
    }
    let value =
        |wanted: &str| labels.iter().find(|(key, _)| name(key) == name(wanted)).map(|(_, value)| value);
    selector.match_labels.iter().all(|(key, wanted)| value(key) == Some(wanted))
        && selector.match_expressions.iter().all(|it| right(it, value(&it.key)))
}

pub(super) fn case_is_ignored(selector: &LabelSelector, labels: &Labels) -> bool {
    let same = |(key, wanted): (&String, &String)| {
        labels.get(key).is_some_and(|value| value.eq_ignore_ascii_case(wanted))
    };
    selector.match_labels.iter().all(same)
        && selector.match_expressions.iter().all(|it| right(it, labels.get(&it.key)))
}

/// Pods that carry the labels of their namespaces, too.
pub(super) fn pods_inherit_labels(snapshot: &mut Snapshot) {
    let namespaces = snapshot.namespaces.clone();
    for (name, pod) in &mut snapshot.pods {
        let Some(namespace) = namespaces.get(&name.namespace) else { continue };
        let mut labels = namespace.metadata.labels.clone();
        labels.extend(pod.metadata.labels.clone());
        Arc::make_mut(pod).metadata.labels = labels;
    }
}

/// The label that the API server gives every namespace.
const NAMESPACE_NAME: &str = "kubernetes.io/metadata.name";

pub(super) fn namespace_name_is_unknown(selector: &LabelSelector, labels: &Labels) -> bool {
    let mut labels = labels.clone();
    labels.remove(NAMESPACE_NAME);
    all(selector, &labels, right)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world;
    use netproof_enforcer::program::Compiler;
    use netproof_enforcer::program::selector::matches;
    use netproof_model::PolicyKind;

    /// What a mutant's selectors do wrong is what its evaluation says, and nothing else.
    #[test]
    fn selectors_that_are_evaluated_rightly_change_nothing() {
        for case in world::cases::policies() {
            let mut rewritten = case.snapshot.as_ref().clone();
            evaluate(&mut rewritten, |selector, labels, _| matches(selector, labels));
            let mut none = case.snapshot.as_ref().clone();
            evaluate(&mut none, |_, _, _| false);
            for node in ["node1", "node2"] {
                let program = |snapshot: &Snapshot| {
                    Compiler::new(&Arc::new(snapshot.clone())).node(node).program().clone()
                };
                assert_eq!(program(&rewritten), program(&case.snapshot), "{} {node}", case.name);
                // Only NetworkPolicies are rewritten.
                let is_left =
                    program(&none).policies().any(|(_, it)| it.policy.kind == PolicyKind::NetworkPolicy);
                assert!(!is_left, "{} {node}", case.name);
            }
        }
    }

    #[test]
    fn operators_are_as_the_enforcer_has_them() {
        let labels = |pairs: &[(&str, &str)]| -> Labels {
            pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
        };
        for operator in [Operator::In, Operator::NotIn, Operator::Exists, Operator::DoesNotExist] {
            let requirement =
                Requirement { key: "app".into(), operator, values: vec!["web".into(), "".into()] };
            let selector =
                LabelSelector { match_labels: Labels::new(), match_expressions: vec![requirement] };
            for labels in
                [labels(&[]), labels(&[("app", "web")]), labels(&[("app", "")]), labels(&[("app", "db")])]
            {
                assert_eq!(
                    all(&selector, &labels, right),
                    matches(&selector, &labels),
                    "{operator:?} {labels:?}"
                );
            }
        }
    }
}
