//! Network sets: which selections they are members of.

use super::labels::CalicoLabels;
use super::{Index, Key, Scope, SelectionId};
use netproof_api::calico::NetworkSet;
use netproof_model::PolicyKey;
use std::collections::BTreeSet;
use std::sync::Arc;

impl Index {
    /// The network sets that a selection matches.
    pub(in crate::program) fn sets(&self, selection: SelectionId) -> impl Iterator<Item = &NetworkSet> {
        let sets = self.selection(selection).into_iter().flat_map(|selection| &selection.sets);
        sets.filter_map(|key| self.sets.get(key)).map(Arc::as_ref)
    }

    /// Follows a network set that came, went or changed: the selections whose addresses may have changed.
    pub(in crate::program) fn set_changed(
        &mut self,
        key: &PolicyKey,
        after: Option<&Arc<NetworkSet>>,
    ) -> BTreeSet<SelectionId> {
        let before = match after {
            Some(after) => self.sets.insert(key.clone(), Arc::clone(after)),
            None => self.sets.remove(key),
        };
        let is_same = |before: &Arc<NetworkSet>| after.is_some_and(|after| before.nets == after.nets);
        let same_ranges = before.as_ref().is_some_and(is_same);
        let mut changed = BTreeSet::new();
        for id in self.all_selections() {
            let has = |index: &Index| index.selections.get(id.0).is_some_and(|it| it.sets.contains(key));
            if self.review_set(id, key) || (!same_ranges && has(self)) {
                changed.insert(id);
            }
        }
        changed
    }

    /// Holds a set against a selection: whether it has become a member, or is none any more.
    pub(super) fn review_set(&mut self, id: SelectionId, key: &PolicyKey) -> bool {
        let Some(selection) = self.selections.get(id.0) else { return false };
        let is = self.sets.get(key).is_some_and(|set| self.selects_set(&selection.key, set));
        let Some(selection) = self.selections.get_mut(id.0) else { return false };
        match is {
            true => selection.sets.insert(key.clone()),
            false => selection.sets.remove(key),
        }
    }

    pub(super) fn selects_set(&self, key: &Key, set: &NetworkSet) -> bool {
        let namespace = set.metadata.namespace.as_deref().map(|name| self.in_namespace(name));
        key.scope == Scope::PodsAndSets
            && key.pods.matches(&CalicoLabels::of_set(&set.metadata.labels, namespace))
    }
}
