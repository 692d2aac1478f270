//! Which pods a selector matches, kept from one snapshot to the next.
//!
//! Every selection that a policy asks for is remembered with its members. A pod that changes is held against the
//! selections, not the selections against every pod; whose members or their addresses and ports have changed is
//! told. A new selection with a positive requirement (`key: value`, `In`) looks only at the pods that have such a
//! label.

use super::Selector;
use netproof_api::{Labels, Namespace, Pod};
use netproof_model::{Families, Family, NamespacedName, PolicyKey};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

/// A pod that policy knows: on the pod network, with an address, and not ended. The pods of the host
/// network are never among them, so that a node's address never enters a set.
#[derive(Debug)]
pub(super) struct PodEntry {
    pub(super) name: NamespacedName,
    pub(super) pod: Arc<Pod>,
    pub(super) addresses: Vec<IpAddr>,
    /// The selections that it is a member of.
    selections: BTreeSet<SelectionId>,
}

/// A pod of an [`Index`], while it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct PodId(usize);

/// A selection of an [`Index`], while somebody uses it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct SelectionId(usize);

/// The namespaces of the pods that are asked about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Scope {
    /// One namespace.
    Of(String),
    /// Those whose labels match.
    Labelled(Selector),
}

/// What a selection is asked by.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) scope: Scope,
    pub(super) pods: Selector,
}

#[derive(Debug)]
struct Selection {
    key: Key,
    members: BTreeSet<PodId>,
    /// The policies that asked.
    users: BTreeSet<PolicyKey>,
}

/// The pods of a snapshot, found by selector.
#[derive(Debug)]
pub(super) struct Index {
    families: Families,
    namespaces: BTreeMap<String, Labels>,
    pods: Slots<PodEntry>,
    by_name: BTreeMap<NamespacedName, PodId>,
    by_namespace: HashMap<String, OfNamespace>,
    selections: Slots<Selection>,
    by_key: HashMap<Key, SelectionId>,
}

/// The pods of a namespace, by label too.
#[derive(Debug, Default)]
struct OfNamespace {
    pods: BTreeSet<PodId>,
    by_label: HashMap<String, HashMap<String, BTreeSet<PodId>>>,
}

impl Index {
    pub(super) fn new(families: Families) -> Index {
        Index {
            families,
            namespaces: BTreeMap::new(),
            pods: Slots::default(),
            by_name: BTreeMap::new(),
            by_namespace: HashMap::new(),
            selections: Slots::default(),
            by_key: HashMap::new(),
        }
    }

    pub(super) fn has_family(&self, family: Family) -> bool {
        self.families.contains(family)
    }

    /// Every pod, by name.
    pub(super) fn pods(&self) -> impl Iterator<Item = &PodEntry> {
        self.by_name.values().filter_map(|id| self.pods.get(id.0))
    }

    pub(super) fn pod(&self, name: &NamespacedName) -> Option<&PodEntry> {
        self.pods.get(self.by_name.get(name)?.0)
    }

    pub(super) fn members(&self, selection: SelectionId) -> impl Iterator<Item = &PodEntry> {
        let members = self.selection(selection).into_iter().flat_map(|selection| &selection.members);
        members.filter_map(|id| self.pods.get(id.0))
    }

    pub(super) fn users(&self, selection: SelectionId) -> impl Iterator<Item = &PolicyKey> {
        self.selection(selection).into_iter().flat_map(|selection| &selection.users)
    }

    /// Whoever has an identifier uses the selection, so it is there.
    fn selection(&self, id: SelectionId) -> Option<&Selection> {
        let selection = self.selections.get(id.0);
        debug_assert!(selection.is_some(), "{id:?} was released");
        selection
    }

    /// The policies that use a selection which the pod is a member of, with that selection.
    pub(super) fn users_of_pod<'i>(
        &'i self,
        pod: &'i PodEntry,
    ) -> impl Iterator<Item = (SelectionId, &'i PolicyKey)> {
        pod.selections.iter().flat_map(|id| self.users(*id).map(|user| (*id, user)))
    }

    /// The selection of a key, for a policy.
    pub(super) fn select(&mut self, key: Key, user: &PolicyKey) -> SelectionId {
        let id = match self.by_key.get(&key) {
            Some(id) => *id,
            None => self.new_selection(key),
        };
        if let Some(selection) = self.selections.get_mut(id.0) {
            selection.users.insert(user.clone());
        }
        id
    }

    fn new_selection(&mut self, key: Key) -> SelectionId {
        let mut members = BTreeSet::new();
        match &key.scope {
            Scope::Of(namespace) => members.extend(self.matching(namespace, &key.pods)),
            Scope::Labelled(selector) => {
                for (namespace, _) in self.namespaces.iter().filter(|(_, labels)| selector.matches(labels)) {
                    members.extend(self.matching(namespace, &key.pods));
                }
            }
        }
        let selection = Selection { key: key.clone(), members: members.clone(), users: BTreeSet::new() };
        let id = SelectionId(self.selections.insert(selection));
        for pod in members {
            self.pods.get_mut(pod.0).map(|pod| pod.selections.insert(id));
        }
        self.by_key.insert(key, id);
        id
    }

    /// The pods of a namespace that a selector matches.
    fn matching(&self, namespace: &str, selector: &Selector) -> Vec<PodId> {
        let Some(own) = self.by_namespace.get(namespace) else { return Vec::new() };
        let candidates = own.candidates(selector).into_iter();
        let holds =
            |id: &PodId| self.pods.get(id.0).is_some_and(|it| selector.matches(&it.pod.metadata.labels));
        candidates.filter(holds).collect()
    }

    /// A policy does not use a selection any more.
    pub(super) fn release(&mut self, id: SelectionId, user: &PolicyKey) {
        let Some(selection) = self.selections.get_mut(id.0) else { return };
        selection.users.remove(user);
        if selection.users.is_empty()
            && let Some(selection) = self.selections.remove(id.0)
        {
            self.by_key.remove(&selection.key);
            for pod in selection.members {
                self.pods.get_mut(pod.0).map(|pod| pod.selections.remove(&id));
            }
        }
    }

    /// Follows a namespace that came, went or has other labels. The selections whose members have changed.
    pub(super) fn namespace_changed(
        &mut self,
        name: &str,
        after: Option<&Namespace>,
    ) -> BTreeSet<SelectionId> {
        let before = match after {
            Some(after) => self.namespaces.insert(name.to_owned(), after.metadata.labels.clone()),
            None => self.namespaces.remove(name),
        };
        let after = after.map(|after| &after.metadata.labels);
        let mut changed = Vec::new();
        for (id, selection) in self.selections.iter() {
            let Scope::Labelled(selector) = &selection.key.scope else { continue };
            let holds = |labels: Option<&Labels>| labels.is_some_and(|labels| selector.matches(labels));
            let (was, is) = (holds(before.as_ref()), holds(after));
            if was != is {
                let own = self.matching(name, &selection.key.pods);
                changed.extend((!own.is_empty()).then_some((SelectionId(id), own, is)));
            }
        }
        for (id, pods, is) in &changed {
            pods.iter().for_each(|pod| self.set_member(*id, *pod, *is));
        }
        changed.into_iter().map(|(id, ..)| id).collect()
    }

    /// Follows a pod that came, went or changed. The selections whose members, or their addresses or ports, have
    /// changed; and whether anybody's addresses or ports have.
    pub(super) fn pod_changed(
        &mut self,
        name: &NamespacedName,
        after: Option<&Arc<Pod>>,
    ) -> (BTreeSet<SelectionId>, bool) {
        let after = after.and_then(|pod| Some((pod, self.addresses_of(pod)?)));
        let id = match (self.by_name.get(name), &after) {
            (None, None) => return (BTreeSet::new(), false),
            (Some(id), _) => *id,
            (None, Some((pod, addresses))) => {
                let (pod, addresses) = (Arc::clone(pod), addresses.clone());
                let entry = PodEntry { name: name.clone(), pod, addresses, selections: BTreeSet::new() };
                let id = PodId(self.pods.insert(entry));
                self.by_name.insert(name.clone(), id);
                id
            }
        };
        let came = self.by_namespace.entry(name.namespace.clone()).or_default().pods.insert(id);
        let mut moved = came;
        if let Some(entry) = self.pods.get(id.0) {
            moved |= after.as_ref().is_none_or(|(pod, addresses)| {
                *addresses != entry.addresses || !pod.ports().eq(entry.pod.ports())
            });
            self.by_namespace
                .entry(name.namespace.clone())
                .or_default()
                .unlabel(id, &entry.pod.metadata.labels);
        }
        let labels = after.as_ref().map(|(pod, _)| &pod.metadata.labels);
        let mut changed = BTreeSet::new();
        let mut members = Vec::new();
        for (position, selection) in self.selections.iter() {
            let selection_id = SelectionId(position);
            let was = selection.members.contains(&id);
            let is = self.in_scope(&selection.key.scope, &name.namespace)
                && labels.is_some_and(|labels| selection.key.pods.matches(labels));
            if was != is {
                members.push((selection_id, is));
            }
            if was != is || (is && moved) {
                changed.insert(selection_id);
            }
        }
        members.into_iter().for_each(|(selection, is)| self.set_member(selection, id, is));
        let own = self.by_namespace.entry(name.namespace.clone()).or_default();
        match after {
            Some((pod, addresses)) => {
                own.label(id, &pod.metadata.labels);
                if let Some(entry) = self.pods.get_mut(id.0) {
                    (entry.pod, entry.addresses) = (Arc::clone(pod), addresses);
                }
            }
            None => {
                own.pods.remove(&id);
                self.by_name.remove(name);
                self.pods.remove(id.0);
            }
        }
        (changed, moved)
    }

    /// A pod's addresses, if policy knows it.
    fn addresses_of(&self, pod: &Pod) -> Option<Vec<IpAddr>> {
        if pod.host_network || pod.phase.has_ended() {
            return None;
        }
        let own = pod.pod_ips.iter().copied().filter(|address| self.has_family(Family::of(*address)));
        Some(own.collect::<Vec<_>>()).filter(|own| !own.is_empty())
    }

    fn in_scope(&self, scope: &Scope, namespace: &str) -> bool {
        match scope {
            Scope::Of(own) => own == namespace,
            Scope::Labelled(selector) => {
                self.namespaces.get(namespace).is_some_and(|labels| selector.matches(labels))
            }
        }
    }

    fn set_member(&mut self, selection: SelectionId, pod: PodId, is: bool) {
        let (of_selection, of_pod) = (self.selections.get_mut(selection.0), self.pods.get_mut(pod.0));
        debug_assert!(of_selection.is_some() && of_pod.is_some(), "{selection:?} or {pod:?} is gone");
        if let (Some(of_selection), Some(of_pod)) = (of_selection, of_pod) {
            match is {
                true => (of_selection.members.insert(pod), of_pod.selections.insert(selection)),
                false => (of_selection.members.remove(&pod), of_pod.selections.remove(&selection)),
            };
        }
    }
}

impl OfNamespace {
    fn label(&mut self, pod: PodId, labels: &Labels) {
        for (key, value) in labels {
            let values = self.by_label.entry(key.clone()).or_default();
            values.entry(value.clone()).or_default().insert(pod);
        }
    }

    fn unlabel(&mut self, pod: PodId, labels: &Labels) {
        for (key, value) in labels {
            let pods = self.by_label.get_mut(key).and_then(|values| values.get_mut(value));
            pods.map(|pods| pods.remove(&pod));
        }
    }

    /// A superset of the pods that match: those of the positive requirement that fewest pods satisfy, or the
    /// whole namespace.
    fn candidates(&self, selector: &Selector) -> BTreeSet<PodId> {
        let with = |(key, value): (&str, &str)| self.by_label.get(key).and_then(|values| values.get(value));
        let wanted = selector.wanted().into_iter();
        let wanted = wanted.map(|labels| labels.into_iter().map(with).collect::<Vec<_>>());
        let size =
            |sets: &Vec<Option<&BTreeSet<PodId>>>| sets.iter().flatten().map(|set| set.len()).sum::<usize>();
        match wanted.min_by_key(size) {
            Some(sets) => sets.into_iter().flatten().flatten().copied().collect(),
            None => self.pods.clone(),
        }
    }
}

/// Things that keep their position while they are there.
#[derive(Debug)]
struct Slots<T> {
    slots: Vec<Option<T>>,
    free: Vec<usize>,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Slots { slots: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slots<T> {
    fn insert(&mut self, thing: T) -> usize {
        let free = self.free.pop();
        match free.and_then(|position| Some((position, self.slots.get_mut(position)?))) {
            Some((position, slot)) => {
                *slot = Some(thing);
                position
            }
            None => {
                self.slots.push(Some(thing));
                self.slots.len() - 1
            }
        }
    }

    fn get(&self, position: usize) -> Option<&T> {
        self.slots.get(position)?.as_ref()
    }

    fn get_mut(&mut self, position: usize) -> Option<&mut T> {
        self.slots.get_mut(position)?.as_mut()
    }

    fn remove(&mut self, position: usize) -> Option<T> {
        let thing = self.slots.get_mut(position)?.take();
        self.free.extend(thing.is_some().then_some(position));
        thing
    }

    fn iter(&self) -> impl Iterator<Item = (usize, &T)> {
        self.slots.iter().enumerate().filter_map(|(position, thing)| Some((position, thing.as_ref()?)))
    }
}
