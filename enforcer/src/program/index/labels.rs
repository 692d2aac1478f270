//! The labels that Calico gives to pods and network sets beside their own: what namespace and service account they are of,
//! and the labels of the namespace.
//!
//! Source: `libcalico-go/lib/backend/k8s/conversion` (pods, and the profiles `kns.*` and `ksa.*`, whose labels they have).

use crate::program::selector::LabelSource;
use netproof_api::{Labels, Pod};

/// The namespace that an object is in.
pub(in crate::program) const NAMESPACE: &str = "projectcalico.org/namespace";
/// The name of a pod's service account.
pub(in crate::program) const SERVICE_ACCOUNT: &str = "projectcalico.org/serviceaccount";
/// Pods have it, network sets do not.
const ORCHESTRATOR: &str = "projectcalico.org/orchestrator";
/// Before a label of the namespace.
pub(in crate::program) const OF_NAMESPACE: &str = "pcns.";
/// Before a label of the service account.
pub(in crate::program) const OF_SERVICE_ACCOUNT: &str = "pcsa.";
/// With either prefix, the name.
const NAME: &str = "projectcalico.org/name";
/// A longer name is no label's value, and then the account has no labels at all.
const LONGEST_VALUE: usize = 63;

/// The labels of a pod or a network set.
#[derive(Clone, Copy)]
pub(super) struct CalicoLabels<'l> {
    own: &'l Labels,
    namespace: Option<InNamespace<'l>>,
    /// Of a pod.
    account: Option<&'l str>,
}

/// A namespace, and its labels if it is there.
#[derive(Clone, Copy)]
pub(super) struct InNamespace<'l> {
    pub(super) name: &'l str,
    pub(super) labels: Option<&'l Labels>,
}

impl<'l> CalicoLabels<'l> {
    pub(super) fn of_pod(pod: &'l Pod, namespace: InNamespace<'l>) -> CalicoLabels<'l> {
        let account = Some(pod.service_account.as_str());
        CalicoLabels { own: &pod.metadata.labels, namespace: Some(namespace), account }
    }

    /// Of a set of a namespace, or of the cluster.
    pub(super) fn of_set(own: &'l Labels, namespace: Option<InNamespace<'l>>) -> CalicoLabels<'l> {
        CalicoLabels { own, namespace, account: None }
    }
}

impl LabelSource for CalicoLabels<'_> {
    fn value(&self, key: &str) -> Option<&str> {
        let inherited = match (self.namespace, self.account) {
            (Some(namespace), _) if is_of_namespace(key) => namespace.value(key),
            (_, Some(account)) => of_account(account, key),
            _ => None,
        };
        // A pod cannot claim what Calico says of it. A set's own labels are before those that it inherits.
        match self.account {
            Some(_) if !is_own(key) => inherited,
            Some(_) => self.own.value(key),
            None if key == NAMESPACE => inherited,
            None => self.own.value(key).or(inherited),
        }
    }
}

impl<'l> InNamespace<'l> {
    /// A label that every pod of the namespace has by it.
    pub(super) fn value(self, key: &str) -> Option<&'l str> {
        if key == NAMESPACE {
            return Some(self.name);
        }
        match key.strip_prefix(OF_NAMESPACE)? {
            NAME => Some(self.name),
            key => self.labels?.get(key).map(String::as_str),
        }
    }
}

/// What a pod has by its service account, and because it is a pod. The labels of service accounts are not kept.
fn of_account<'l>(account: &'l str, key: &str) -> Option<&'l str> {
    match key {
        SERVICE_ACCOUNT => Some(account),
        ORCHESTRATOR => Some("k8s"),
        key => {
            let is_name = key.strip_prefix(OF_SERVICE_ACCOUNT) == Some(NAME);
            (is_name && account.len() <= LONGEST_VALUE).then_some(account)
        }
    }
}

/// Whether every pod of a namespace has the same value of a label, or none of them has it.
pub(super) fn is_of_namespace(key: &str) -> bool {
    key == NAMESPACE || key.starts_with(OF_NAMESPACE)
}

/// Whether a pod has a label of this name only by itself.
pub(super) fn is_own(key: &str) -> bool {
    !is_of_namespace(key)
        && !key.starts_with(OF_SERVICE_ACCOUNT)
        && key != SERVICE_ACCOUNT
        && key != ORCHESTRATOR
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    /// A label, and its value on a pod, a set of the same namespace, and a set of none, which all have the same own labels.
    #[test]
    fn own_labels_and_inherited_ones() {
        let own = labels(&[
            ("app", "web"),
            ("pcns.team", "own"),
            ("pcsa.role", "own"),
            ("projectcalico.org/orchestrator", "own"),
            ("projectcalico.org/serviceaccount", "own"),
        ]);
        let of_namespace = labels(&[("team", "blue"), ("zone", "a"), ("projectcalico.org/name", "x")]);
        let namespace = InNamespace { name: "shop", labels: Some(&of_namespace) };
        let mut pod = Pod { service_account: "bot".into(), ..Pod::default() };
        pod.metadata.labels = own.clone();
        for (key, of_pod, of_set, of_global) in [
            ("app", Some("web"), Some("web"), Some("web")),
            ("other", None, None, None),
            (NAMESPACE, Some("shop"), Some("shop"), None),
            (ORCHESTRATOR, Some("k8s"), Some("own"), Some("own")),
            (SERVICE_ACCOUNT, Some("bot"), Some("own"), Some("own")),
            ("pcns.team", Some("blue"), Some("own"), Some("own")),
            ("pcns.zone", Some("a"), Some("a"), None),
            ("pcns.projectcalico.org/name", Some("shop"), Some("shop"), None),
            ("pcsa.role", None, Some("own"), Some("own")),
            ("pcsa.projectcalico.org/name", Some("bot"), None, None),
        ] {
            let sources = [
                CalicoLabels::of_pod(&pod, namespace),
                CalicoLabels::of_set(&own, Some(namespace)),
                CalicoLabels::of_set(&own, None),
            ];
            assert_eq!(sources.each_ref().map(|it| it.value(key)), [of_pod, of_set, of_global], "{key}");
        }
    }

    #[test]
    fn a_long_account_has_a_name_and_no_labels() {
        for (length, is_labelled) in [(63, true), (64, false)] {
            let pod = Pod { service_account: "a".repeat(length), ..Pod::default() };
            let labels = CalicoLabels::of_pod(&pod, InNamespace { name: "shop", labels: None });
            assert!(labels.value(SERVICE_ACCOUNT).is_some());
            assert_eq!(labels.value("pcsa.projectcalico.org/name").is_some(), is_labelled, "{length}");
        }
    }
}
