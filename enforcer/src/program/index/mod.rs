//! Which pods and network sets a selector matches, kept from one snapshot to the next.
//!
//! Every selection that a policy asks for is remembered with its members. A pod, namespace or set that changes is held
//! against the selections that ask about a label which has changed, not the selections against every pod; whose members
//! or their addresses and ports have changed is told. A new selection looks only at the namespaces whose labels it may
//! match, and there, if it wants a label (`key: value`, `In`, `Exists`), at the pods that have it.

mod key;
mod labels;
mod mentions;
mod of_namespace;
mod services;
mod sets;
mod slots;

pub(super) use key::{Key, Scope};
pub(super) use labels::{NAMESPACE, OF_NAMESPACE, OF_SERVICE_ACCOUNT, SERVICE_ACCOUNT};

use labels::{CalicoLabels, InNamespace};
use mentions::Mentions;
use netproof_api::calico::NetworkSet;
use netproof_api::{Labels, Namespace, Node, Pod};
use netproof_model::{Families, Family, NamespacedName, PolicyKey};
use of_namespace::OfNamespace;
use services::Services;
use slots::Slots;
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

/// What a namespace's labels have changed.
#[derive(Debug, Default)]
pub(super) struct Touched {
    /// Selections that have other members.
    pub(super) selections: BTreeSet<SelectionId>,
    /// Pods that have become members, or are none any more.
    pub(super) pods: BTreeSet<NamespacedName>,
}

#[derive(Debug)]
struct Selection {
    key: Key,
    members: BTreeSet<PodId>,
    sets: BTreeSet<PolicyKey>,
    /// The policies that asked.
    users: BTreeSet<PolicyKey>,
}

/// The pods and network sets of a snapshot, found by selector, and the endpoints of its services.
#[derive(Debug)]
pub(super) struct Index {
    families: Families,
    namespaces: BTreeMap<String, Labels>,
    nodes: BTreeMap<String, Arc<Node>>,
    pods: Slots<PodEntry>,
    by_name: BTreeMap<NamespacedName, PodId>,
    by_namespace: HashMap<String, OfNamespace>,
    sets: BTreeMap<PolicyKey, Arc<NetworkSet>>,
    selections: Slots<Selection>,
    by_key: HashMap<Key, SelectionId>,
    /// By labels of pods and sets.
    mentions: Mentions,
    /// By labels of namespaces.
    mentions_of_namespaces: Mentions,
    pub(super) services: Services,
}

impl Index {
    pub(super) fn new(families: Families) -> Index {
        Index {
            families,
            namespaces: BTreeMap::new(),
            nodes: BTreeMap::new(),
            pods: Slots::default(),
            by_name: BTreeMap::new(),
            by_namespace: HashMap::new(),
            sets: BTreeMap::new(),
            selections: Slots::default(),
            by_key: HashMap::new(),
            mentions: Mentions::default(),
            mentions_of_namespaces: Mentions::default(),
            services: Services::default(),
        }
    }

    pub(super) fn has_family(&self, family: Family) -> bool {
        self.families.contains(family)
    }

    /// Every pod, by name.
    pub(super) fn pods(&self) -> impl Iterator<Item = &PodEntry> {
        self.by_name.values().filter_map(|id| self.pods.get(id.0))
    }

    /// Every node, by name.
    pub(super) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values().map(Arc::as_ref)
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
        let members: BTreeSet<PodId> = match &key.scope {
            Scope::Of(namespace) => self.matching(&key, namespace),
            _ => self.by_namespace.keys().flat_map(|namespace| self.matching(&key, namespace)).collect(),
        };
        let sets = self.sets.iter().filter(|(_, set)| self.selects_set(&key, set));
        let sets = sets.map(|(key, _)| key.clone()).collect();
        let selection =
            Selection { key: key.clone(), members: members.clone(), sets, users: BTreeSet::new() };
        let id = SelectionId(self.selections.insert(selection));
        for pod in members {
            self.pods.get_mut(pod.0).map(|pod| pod.selections.insert(id));
        }
        self.mentions.add(id, &key.pods.keys());
        self.mentions_of_namespaces.add(id, &key.namespace_keys());
        self.by_key.insert(key, id);
        id
    }

    /// The pods of a namespace that are asked about and match.
    fn matching(&self, key: &Key, namespace: &str) -> BTreeSet<PodId> {
        let Some(own) = self.by_namespace.get(namespace).filter(|_| self.may_select_in(key, namespace))
        else {
            return BTreeSet::new();
        };
        let holds =
            |id: &PodId| self.pods.get(id.0).is_some_and(|it| self.has_labels(key, &it.pod, namespace));
        own.candidates(&key.pods).into_iter().filter(holds).collect()
    }

    /// Whether pods of a namespace may match: what they have in common does not speak against it.
    fn may_select_in(&self, key: &Key, namespace: &str) -> bool {
        match &key.scope {
            Scope::Of(own) => own == namespace,
            Scope::Labelled(selector) => {
                self.namespaces.get(namespace).is_some_and(|labels| selector.matches(labels))
            }
            Scope::Pods | Scope::PodsAndSets => {
                let namespace = self.in_namespace(namespace);
                key.pods.may_match(|key| labels::is_of_namespace(key).then(|| namespace.value(key)))
            }
        }
    }

    fn selects_pod(&self, key: &Key, pod: &Pod, namespace: &str) -> bool {
        self.may_select_in(key, namespace) && self.has_labels(key, pod, namespace)
    }

    /// Whether a pod of a namespace that is asked about matches.
    fn has_labels(&self, key: &Key, pod: &Pod, namespace: &str) -> bool {
        match &key.scope {
            Scope::Of(_) | Scope::Labelled(_) => key.pods.matches(&pod.metadata.labels),
            Scope::Pods | Scope::PodsAndSets => {
                key.pods.matches(&CalicoLabels::of_pod(pod, self.in_namespace(namespace)))
            }
        }
    }

    fn in_namespace<'l>(&'l self, name: &'l str) -> InNamespace<'l> {
        InNamespace { name, labels: self.namespaces.get(name) }
    }

    /// A policy does not use a selection any more.
    pub(super) fn release(&mut self, id: SelectionId, user: &PolicyKey) {
        let Some(selection) = self.selections.get_mut(id.0) else { return };
        selection.users.remove(user);
        if selection.users.is_empty()
            && let Some(selection) = self.selections.remove(id.0)
        {
            self.mentions.remove(id, &selection.key.pods.keys());
            self.mentions_of_namespaces.remove(id, &selection.key.namespace_keys());
            self.by_key.remove(&selection.key);
            for pod in selection.members {
                self.pods.get_mut(pod.0).map(|pod| pod.selections.remove(&id));
            }
        }
    }

    fn all_selections(&self) -> BTreeSet<SelectionId> {
        self.selections.iter().map(|(position, _)| SelectionId(position)).collect()
    }

    /// Follows a namespace that came, went or has other labels.
    pub(super) fn namespace_changed(&mut self, name: &str, after: Option<&Namespace>) -> Touched {
        let before = match after {
            Some(after) => self.namespaces.insert(name.to_owned(), after.metadata.labels.clone()),
            None => self.namespaces.remove(name),
        };
        let asked = match (&before, after) {
            (Some(before), Some(after)) => {
                self.mentions_of_namespaces.of_differing(before, &after.metadata.labels)
            }
            _ => self.all_selections(),
        };
        let mut touched = Touched::default();
        for id in asked {
            let Some(selection) = self.selections.get(id.0) else { continue };
            let is = self.matching(&selection.key, name);
            let own = self.by_namespace.get(name).into_iter().flat_map(|own| &own.pods);
            let was: BTreeSet<PodId> = own.filter(|pod| selection.members.contains(pod)).copied().collect();
            let differing: Vec<PodId> = was.symmetric_difference(&is).copied().collect();
            for pod in &differing {
                touched.pods.extend(self.pods.get(pod.0).map(|entry| entry.name.clone()));
                self.set_member(id, *pod, is.contains(pod));
            }
            let sets = self.sets.iter().filter(|(key, _)| key.namespace.as_deref() == Some(name));
            let sets: Vec<PolicyKey> = sets.map(|(key, _)| key.clone()).collect();
            let moved = sets.into_iter().filter(|key| self.review_set(id, key)).count();
            if moved > 0 || !differing.is_empty() {
                touched.selections.insert(id);
            }
        }
        touched
    }

    /// Follows a node that came, went or changed: whether its labels or addresses are others.
    pub(super) fn node_changed(&mut self, name: &str, after: Option<&Arc<Node>>) -> bool {
        let before = match after {
            Some(node) => self.nodes.insert(name.to_owned(), Arc::clone(node)),
            None => self.nodes.remove(name),
        };
        let seen = |node: &Arc<Node>| (node.metadata.labels.clone(), node.addresses.clone());
        before.as_ref().map(seen) != after.map(seen)
    }

    /// Follows a pod that came, went or changed. The selections whose members, or their addresses or ports, have
    /// changed; and whether anybody's addresses or ports have.
    pub(super) fn pod_changed(
        &mut self,
        name: &NamespacedName,
        after: Option<&Arc<Pod>>,
    ) -> (BTreeSet<SelectionId>, bool) {
        let after = after.and_then(|pod| Some((pod, self.addresses_of(pod)?)));
        match (self.by_name.get(name).copied(), after) {
            (None, None) => (BTreeSet::new(), false),
            (None, Some((pod, addresses))) => (self.pod_came(name, pod, addresses), true),
            (Some(id), None) => (self.pod_went(name, id), true),
            (Some(id), Some((pod, addresses))) => self.pod_differs(name, id, pod, addresses),
        }
    }

    fn pod_came(
        &mut self,
        name: &NamespacedName,
        pod: &Arc<Pod>,
        addresses: Vec<IpAddr>,
    ) -> BTreeSet<SelectionId> {
        let entry =
            PodEntry { name: name.clone(), pod: Arc::clone(pod), addresses, selections: BTreeSet::new() };
        let id = PodId(self.pods.insert(entry));
        self.by_name.insert(name.clone(), id);
        let own = self.by_namespace.entry(name.namespace.clone()).or_default();
        own.pods.insert(id);
        own.label(id, &pod.metadata.labels);
        self.review_pod(name, id, self.all_selections())
    }

    fn pod_went(&mut self, name: &NamespacedName, id: PodId) -> BTreeSet<SelectionId> {
        self.by_name.remove(name);
        let Some(entry) = self.pods.remove(id.0) else { return BTreeSet::new() };
        if let Some(own) = self.by_namespace.get_mut(&name.namespace) {
            own.pods.remove(&id);
            own.unlabel(id, &entry.pod.metadata.labels);
        }
        for selection in &entry.selections {
            self.selections.get_mut(selection.0).map(|selection| selection.members.remove(&id));
        }
        entry.selections
    }

    fn pod_differs(
        &mut self,
        name: &NamespacedName,
        id: PodId,
        pod: &Arc<Pod>,
        addresses: Vec<IpAddr>,
    ) -> (BTreeSet<SelectionId>, bool) {
        let Some(entry) = self.pods.get_mut(id.0) else { return (BTreeSet::new(), false) };
        let moved = addresses != entry.addresses || !pod.ports().eq(entry.pod.ports());
        let before = std::mem::replace(&mut entry.pod, Arc::clone(pod));
        entry.addresses = addresses;
        let (before_labels, labels) = (&before.metadata.labels, &pod.metadata.labels);
        let asked = match before.service_account == pod.service_account {
            true => self.mentions.of_differing(before_labels, labels),
            false => self.all_selections(),
        };
        let own = self.by_namespace.entry(name.namespace.clone()).or_default();
        own.unlabel(id, before_labels);
        own.label(id, labels);
        let mut changed = self.review_pod(name, id, asked);
        if moved {
            changed.extend(self.pods.get(id.0).into_iter().flat_map(|entry| &entry.selections));
        }
        (changed, moved)
    }

    /// Holds a pod against selections: those that it has become a member of, or is none of any more.
    fn review_pod(
        &mut self,
        name: &NamespacedName,
        id: PodId,
        asked: BTreeSet<SelectionId>,
    ) -> BTreeSet<SelectionId> {
        let mut changed = BTreeSet::new();
        for selection_id in asked {
            let selection = self.selections.get(selection_id.0).zip(self.pods.get(id.0));
            let Some((selection, entry)) = selection else { continue };
            let is = self.selects_pod(&selection.key, &entry.pod, &name.namespace);
            if selection.members.contains(&id) != is {
                self.set_member(selection_id, id, is);
                changed.insert(selection_id);
            }
        }
        changed
    }

    /// A pod's addresses, if policy knows it.
    fn addresses_of(&self, pod: &Pod) -> Option<Vec<IpAddr>> {
        if pod.host_network || pod.phase.has_ended() {
            return None;
        }
        let own = pod.pod_ips.iter().copied().filter(|address| self.has_family(Family::of(*address)));
        Some(own.collect::<Vec<_>>()).filter(|own| !own.is_empty())
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
