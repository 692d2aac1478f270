//! The pods of one namespace, found by label.

use super::{PodId, labels};
use crate::program::selector::{Selector, Wanted};
use netproof_api::Labels;
use std::collections::{BTreeSet, HashMap};

/// The pods of a namespace, by label too.
#[derive(Debug, Default)]
pub(super) struct OfNamespace {
    pub(super) pods: BTreeSet<PodId>,
    by_label: HashMap<String, HashMap<String, BTreeSet<PodId>>>,
}

impl OfNamespace {
    pub(super) fn label(&mut self, pod: PodId, labels: &Labels) {
        for (key, value) in labels {
            let values = self.by_label.entry(key.clone()).or_default();
            values.entry(value.clone()).or_default().insert(pod);
        }
    }

    pub(super) fn unlabel(&mut self, pod: PodId, labels: &Labels) {
        for (key, value) in labels {
            let pods = self.by_label.get_mut(key).and_then(|values| values.get_mut(value));
            pods.map(|pods| pods.remove(&pod));
        }
    }

    /// A superset of the pods that match: those that have the wanted label which fewest pods have, or the whole
    /// namespace.
    pub(super) fn candidates(&self, selector: &Selector) -> BTreeSet<PodId> {
        let wanted = selector.wanted();
        let own = wanted.iter().filter(|it| labels::is_own(it.key)).map(|it| self.having(it));
        match own.min_by_key(|sets| sets.iter().map(|set| set.len()).sum::<usize>()) {
            Some(sets) => sets.into_iter().flatten().copied().collect(),
            None => self.pods.clone(),
        }
    }

    /// The pods that have a label.
    fn having(&self, wanted: &Wanted<'_>) -> Vec<&BTreeSet<PodId>> {
        let Some(by_value) = self.by_label.get(wanted.key) else { return Vec::new() };
        match &wanted.values {
            Some(values) => values.iter().filter_map(|value| by_value.get(*value)).collect(),
            None => by_value.values().collect(),
        }
    }
}
