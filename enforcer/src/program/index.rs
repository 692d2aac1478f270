//! Finding the pods that a selector matches without looking at every pod for every policy.
//!
//! Built once for a snapshot: pods by namespace and by label, and every selection made so far. A
//! selector with a positive requirement (`key: value`, `In`) looks only at the pods that have such a
//! label.

use super::selector::matches;
use netproof_api::{LabelSelector, Operator, Pod};
use netproof_controlplane::Snapshot;
use netproof_model::{Family, NamespacedName};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::rc::Rc;

/// A pod that policy knows: on the pod network, with an address, and not ended. The pods of the host
/// network are never among them, so that a node's address never enters a set.
pub(super) struct PodEntry<'a> {
    pub(super) name: &'a NamespacedName,
    pub(super) pod: &'a Pod,
    pub(super) addresses: Vec<IpAddr>,
}

/// Positions of pods in [`Index::pods`], ascending.
pub(super) type Selection = Rc<[u32]>;

/// The pods of a snapshot, found by selector.
pub(super) struct Index<'a> {
    pub(super) pods: Vec<PodEntry<'a>>,
    snapshot: &'a Snapshot,
    by_namespace: BTreeMap<&'a str, Vec<u32>>,
    by_label: HashMap<(&'a str, &'a str, &'a str), Vec<u32>>,
    in_namespace: RefCell<HashMap<(&'a str, &'a LabelSelector), Selection>>,
    namespaces: RefCell<HashMap<&'a LabelSelector, Rc<[&'a str]>>>,
    across: RefCell<HashMap<(&'a LabelSelector, &'a LabelSelector), Selection>>,
}

impl<'a> Index<'a> {
    pub(super) fn new(snapshot: &'a Snapshot) -> Self {
        let families = snapshot.topology.family;
        let mut index = Index {
            pods: Vec::with_capacity(snapshot.pods.len()),
            snapshot,
            by_namespace: BTreeMap::new(),
            by_label: HashMap::new(),
            in_namespace: RefCell::default(),
            namespaces: RefCell::default(),
            across: RefCell::default(),
        };
        for (name, pod) in &snapshot.pods {
            if pod.host_network || pod.phase.has_ended() {
                continue;
            }
            let addresses: Vec<IpAddr> =
                pod.pod_ips.iter().copied().filter(|ip| families.contains(Family::of(*ip))).collect();
            let Ok(position) = u32::try_from(index.pods.len()) else { break };
            if addresses.is_empty() {
                continue;
            }
            index.by_namespace.entry(&name.namespace).or_default().push(position);
            for (key, value) in &pod.metadata.labels {
                index.by_label.entry((&name.namespace, key, value)).or_default().push(position);
            }
            index.pods.push(PodEntry { name, pod, addresses });
        }
        index
    }

    /// The pod at a position.
    #[expect(clippy::indexing_slicing, reason = "positions are made by `new`, and pods never go")]
    pub(super) fn pod(&self, position: u32) -> &PodEntry<'a> {
        &self.pods[position as usize]
    }

    /// The pods of one namespace that the selector matches.
    pub(super) fn in_namespace(&self, namespace: &'a str, selector: &'a LabelSelector) -> Selection {
        if let Some(known) = self.in_namespace.borrow().get(&(namespace, selector)) {
            return Rc::clone(known);
        }
        let selection: Selection = self
            .candidates(namespace, selector)
            .into_iter()
            .filter(|position| matches(selector, &self.pod(*position).pod.metadata.labels))
            .collect();
        self.in_namespace.borrow_mut().insert((namespace, selector), Rc::clone(&selection));
        selection
    }

    /// The pods that `pods` matches in the namespaces that `namespaces` matches.
    pub(super) fn across(&self, namespaces: &'a LabelSelector, pods: &'a LabelSelector) -> Selection {
        if let Some(known) = self.across.borrow().get(&(namespaces, pods)) {
            return Rc::clone(known);
        }
        let mut selection = Vec::new();
        for namespace in self.namespaces(namespaces).iter() {
            selection.extend(self.in_namespace(namespace, pods).iter());
        }
        selection.sort_unstable();
        let selection: Selection = selection.into();
        self.across.borrow_mut().insert((namespaces, pods), Rc::clone(&selection));
        selection
    }

    fn namespaces(&self, selector: &'a LabelSelector) -> Rc<[&'a str]> {
        if let Some(known) = self.namespaces.borrow().get(selector) {
            return Rc::clone(known);
        }
        let matching: Rc<[&'a str]> = self
            .snapshot
            .namespaces
            .iter()
            .filter(|(_, namespace)| matches(selector, &namespace.metadata.labels))
            .map(|(name, _)| name.as_str())
            .collect();
        self.namespaces.borrow_mut().insert(selector, Rc::clone(&matching));
        matching
    }

    /// A superset of the pods that match, ascending: those of the positive requirement that fewest pods
    /// satisfy, or the whole namespace.
    fn candidates(&self, namespace: &'a str, selector: &'a LabelSelector) -> Vec<u32> {
        let with = |key: &'a str, value: &'a str| {
            self.by_label.get(&(namespace, key, value)).map_or(&[][..], Vec::as_slice)
        };
        let labels = selector.match_labels.iter().map(|(key, value)| vec![with(key, value)]);
        let expressions =
            selector.match_expressions.iter().filter(|requirement| requirement.operator == Operator::In).map(
                |requirement| requirement.values.iter().map(|value| with(&requirement.key, value)).collect(),
            );
        let size = |lists: &Vec<&[u32]>| lists.iter().map(|list| list.len()).sum::<usize>();
        let best = labels.chain(expressions).min_by_key(size);
        match best {
            Some(lists) => {
                let mut positions: Vec<u32> = lists.concat();
                positions.sort_unstable();
                positions.dedup();
                positions
            }
            None => self.by_namespace.get(namespace).cloned().unwrap_or_default(),
        }
    }
}
