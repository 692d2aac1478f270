//! Whom selectors and peers name, in words: `pods with app=web in namespaces with team=a`.

use crate::selector::words::with;
use netproof_api::{LabelSelector, NetworkPolicyPeer};

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
