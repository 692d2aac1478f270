//! What a selection is asked by.

use super::OF_NAMESPACE;
use crate::program::Selector;

/// Who is asked about, and by which labels.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::program) enum Scope {
    /// The pods of one namespace, by their own labels.
    Of(String),
    /// Those of the namespaces whose labels match, by their own labels.
    Labelled(Selector),
    /// Every pod, by the labels that Calico gives it.
    Pods,
    /// Every pod and every network set, by the labels that Calico gives them.
    PodsAndSets,
}

/// What a selection is asked by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(in crate::program) struct Key {
    pub(in crate::program) scope: Scope,
    pub(in crate::program) pods: Selector,
}

impl Key {
    /// The labels of namespaces that it asks about.
    pub(super) fn namespace_keys(&self) -> Vec<&str> {
        match &self.scope {
            Scope::Of(_) => Vec::new(),
            Scope::Labelled(selector) => selector.keys(),
            Scope::Pods | Scope::PodsAndSets => {
                self.pods.keys().into_iter().filter_map(|key| key.strip_prefix(OF_NAMESPACE)).collect()
            }
        }
    }
}
