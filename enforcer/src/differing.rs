//! What changed between two snapshots, found by the identity of the objects: a snapshot shares those that are the
//! same with the one before.

use netproof_api::Policy;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

/// An object that snapshots share.
pub(crate) trait Shared {
    /// Whether both are one object in memory.
    fn is_same(&self, other: &Self) -> bool;
}

impl<T> Shared for Arc<T> {
    fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(self, other)
    }
}

impl Shared for Policy {
    fn is_same(&self, other: &Self) -> bool {
        Policy::is_same(self, other)
    }
}

/// An object that is not the same in two snapshots.
pub(crate) struct Difference<'a, K, T> {
    pub(crate) name: &'a K,
    pub(crate) before: Option<&'a T>,
    pub(crate) after: Option<&'a T>,
}

/// Walks both side by side. Most objects are the same, and then their names are not looked at.
pub(crate) fn differing<'a, K: Ord, T: Shared>(
    before: &'a BTreeMap<K, T>,
    after: &'a BTreeMap<K, T>,
) -> Vec<Difference<'a, K, T>> {
    let (mut before, mut after) = (before.iter().peekable(), after.iter().peekable());
    let mut differing = Vec::new();
    loop {
        let order = match (before.peek(), after.peek()) {
            (Some((_, old)), Some((_, new))) if old.is_same(new) => {
                before.next();
                after.next();
                continue;
            }
            (Some((old, _)), Some((new, _))) => old.cmp(new),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return differing,
        };
        let old = if order.is_le() { before.next() } else { None };
        let new = if order.is_ge() { after.next() } else { None };
        let Some((name, _)) = old.or(new) else { continue };
        let object = |entry: Option<(_, &'a T)>| entry.map(|(_, object)| object);
        differing.push(Difference { name, before: object(old), after: object(new) });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use netproof_model::NamespacedName;
    use proptest::prelude::*;

    proptest! {
        /// Objects of two snapshots: the same object, another one, in one snapshot only, or in none.
        #[test]
        fn what_differs_is_what_is_not_the_same_object(states in proptest::collection::vec(0..5, 0..12)) {
            let (mut before, mut after) = (BTreeMap::new(), BTreeMap::new());
            let mut expected = Vec::new();
            for (number, state) in states.into_iter().enumerate() {
                let name = NamespacedName::new("default", format!("object-{number:02}"));
                let [old, new] = [Arc::new(number), Arc::new(number)];
                let (old, new) = match state {
                    0 => (Some(Arc::clone(&old)), Some(old)),
                    1 => (Some(old), Some(new)),
                    2 => (Some(old), None),
                    3 => (None, Some(new)),
                    _ => (None, None),
                };
                before.extend(old.clone().map(|old| (name.clone(), old)));
                after.extend(new.clone().map(|new| (name.clone(), new)));
                if matches!(state, 1..=3) {
                    expected.push((name, old.is_some(), new.is_some()));
                }
            }
            let got: Vec<_> = differing(&before, &after)
                .into_iter()
                .map(|it| (it.name.clone(), it.before.is_some(), it.after.is_some()))
                .collect();
            prop_assert_eq!(got, expected);
        }
    }
}
