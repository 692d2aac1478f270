//! Whom selectors and peers name, in words: `pods with app=web in namespaces with team=a`.

use netproof_api::{LabelSelector, NetworkPolicyPeer, Operator};

/// The pods that a policy's `podSelector` selects.
pub(super) fn pods_of_policy(selector: &LabelSelector) -> String {
    match with(selector) {
        Some(with) => format!("pods {with}"),
        None => "every pod of its namespace".into(),
    }
}

/// Whom an entry of `from` or `to` names.
pub(super) fn peer(peer: &NetworkPolicyPeer) -> String {
    let (namespaces, pods) = match peer {
        NetworkPolicyPeer::IpBlock(block) => {
            let except: Vec<String> = block.except.iter().map(ToString::to_string).collect();
            return match except.as_slice() {
                [] => format!("addresses in {}", block.cidr),
                except => format!("addresses in {} except {}", block.cidr, except.join(", ")),
            };
        }
        NetworkPolicyPeer::Pods { namespace_selector, pod_selector } => (namespace_selector, pod_selector),
    };
    let pods = match pods.as_ref().and_then(with) {
        Some(with) => format!("pods {with}"),
        None => "every pod".into(),
    };
    match namespaces.as_ref().map(with) {
        None => format!("{pods} in the policy's namespace"),
        Some(None) => format!("{pods} in every namespace"),
        Some(Some(with)) => format!("{pods} in namespaces {with}"),
    }
}

/// A label's value, and what shows that it is empty.
pub(super) fn value(value: &str) -> &str {
    if value.is_empty() { "\"\"" } else { value }
}

/// Values of a label: `web, api`.
pub(super) fn values(values: &[String]) -> String {
    let values: Vec<&str> = values.iter().map(|it| value(it)).collect();
    values.join(", ")
}

/// `with app=web and the label tier`; `None` where the selector is empty.
fn with(selector: &LabelSelector) -> Option<String> {
    let mut parts: Vec<String> =
        selector.match_labels.iter().map(|(key, it)| format!("{key}={}", value(it))).collect();
    for requirement in &selector.match_expressions {
        let (key, values) = (&requirement.key, values(&requirement.values));
        parts.push(match (requirement.operator, requirement.values.as_slice()) {
            (Operator::In, [_]) => format!("{key}={values}"),
            (Operator::In, _) => format!("{key} in ({values})"),
            (Operator::NotIn, _) => format!("{key} not in ({values})"),
            (Operator::Exists, _) => format!("the label {key}"),
            (Operator::DoesNotExist, _) => format!("no label {key}"),
        });
    }
    let last = parts.pop()?;
    Some(match parts.as_slice() {
        [] => format!("with {last}"),
        others => format!("with {} and {last}", others.join(", ")),
    })
}
