//! Which selections ask about which labels, so that another value of a label is held against those alone.

use super::SelectionId;
use netproof_api::Labels;
use std::collections::{BTreeSet, HashMap};

/// Selections by the labels that they ask about.
#[derive(Debug, Default)]
pub(super) struct Mentions(HashMap<String, BTreeSet<SelectionId>>);

impl Mentions {
    pub(super) fn add(&mut self, selection: SelectionId, keys: &[&str]) {
        for key in keys {
            self.0.entry((*key).to_owned()).or_default().insert(selection);
        }
    }

    pub(super) fn remove(&mut self, selection: SelectionId, keys: &[&str]) {
        for key in keys {
            if let Some(selections) = self.0.get_mut(*key) {
                selections.remove(&selection);
                if selections.is_empty() {
                    self.0.remove(*key);
                }
            }
        }
    }

    /// The selections that ask about one of the labels that differ.
    pub(super) fn of_differing(&self, before: &Labels, after: &Labels) -> BTreeSet<SelectionId> {
        let keys = before.keys().chain(after.keys());
        let differing = keys.filter(|key| before.get(*key) != after.get(*key));
        differing.filter_map(|key| self.0.get(key)).flatten().copied().collect()
    }
}
