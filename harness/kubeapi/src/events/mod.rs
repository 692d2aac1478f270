//! What changed between two snapshots, as the events of a watch.

use crate::objects;
use netproof_controlplane::{Snapshot, is_another_pod};
use netproof_model::NamespacedName;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What happened to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum EventType {
    /// It came into being.
    Added,
    /// It changed.
    Modified,
    /// It went.
    Deleted,
}

/// What happened to one object. As JSON it is an event of a watch: `{"type": "ADDED", "object": {...}}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// What happened.
    #[serde(rename = "type")]
    pub kind: EventType,
    /// The whole object, with `apiVersion`, `kind` and `metadata`; of one that went, as it was.
    pub object: Value,
}

/// What happened to every Kubernetes object between two snapshots, or, without a first one, that all came into being.
///
/// What went comes first, so that an address is never two pods'; what others refer to comes before them and
/// goes after them. Another pod of the same name went and came.
pub fn between(before: Option<&Snapshot>, after: &Snapshot) -> Vec<Event> {
    let mut changes = Changes::default();
    let ranges = before.map(service_ranges);
    changes.add(ranges.as_ref(), &service_ranges(after), |_, it| objects::service_cidr(it), |_, _| false);
    changes.add(
        before.map(|it| &it.namespaces),
        &after.namespaces,
        |_, it| objects::namespace(it),
        |_, _| false,
    );
    let accounts = before.map(service_accounts);
    let write = |name: &NamespacedName, (): &()| objects::service_account(name);
    changes.add(accounts.as_ref(), &service_accounts(after), write, |(), ()| false);
    changes.add(before.map(|it| &it.nodes), &after.nodes, |_, it| objects::node(it), |_, _| false);
    changes.add(
        before.map(|it| &it.pods),
        &after.pods,
        |name, it| objects::pod(&after.topology.interface_prefix, name, it),
        |old, new| is_another_pod(old, new),
    );
    changes.add(before.map(|it| &it.services), &after.services, |_, it| objects::service(it), |_, _| false);
    let slices = before.map(|it| &it.endpoint_slices);
    changes.add(slices, &after.endpoint_slices, |_, it| objects::endpoint_slice(it), |_, _| false);
    changes.add(before.map(|it| &it.policies), &after.policies, |_, it| objects::policy(it), |_, _| false);
    changes.went.reverse();
    changes.went.append(&mut changes.came);
    changes.went
}

/// The one ServiceCIDR, by name: the ranges of the topology's families.
fn service_ranges(snapshot: &Snapshot) -> BTreeMap<(), Vec<ipnet::IpNet>> {
    let topology = &snapshot.topology;
    let ranges = topology.family.list().iter().map(|family| *topology.ranges.services.get(*family));
    [((), ranges.collect())].into()
}

/// The ServiceAccounts: every namespace's `default`, and those that pods name.
fn service_accounts(snapshot: &Snapshot) -> BTreeMap<NamespacedName, ()> {
    let default = |namespace: &String| NamespacedName::new(namespace.as_str(), "default");
    let mut accounts: BTreeSet<NamespacedName> = snapshot.namespaces.keys().map(default).collect();
    for (name, pod) in &snapshot.pods {
        accounts.insert(NamespacedName::new(name.namespace.as_str(), pod.service_account.as_str()));
    }
    accounts.into_iter().map(|account| (account, ())).collect()
}

#[derive(Default)]
struct Changes {
    went: Vec<Event>,
    came: Vec<Event>,
}

impl Changes {
    /// The changes of one kind.
    fn add<K: Ord, T: Eq>(
        &mut self,
        before: Option<&BTreeMap<K, T>>,
        after: &BTreeMap<K, T>,
        write: impl Fn(&K, &T) -> Value,
        is_another: impl Fn(&T, &T) -> bool,
    ) {
        let event = |kind, (name, object): (&K, &T)| Event { kind, object: write(name, object) };
        let stays = |name: &K, old: &T| after.get(name).is_some_and(|new| !is_another(old, new));
        let gone = before.into_iter().flatten().filter(|(name, old)| !stays(name, old));
        self.went.extend(gone.map(|it| event(EventType::Deleted, it)));
        self.came.extend(after.iter().filter_map(|(name, new)| {
            match before.and_then(|before| before.get(name)) {
                // Objects that stay are shared, and comparing an Arc with itself looks no further.
                Some(old) if old == new => None,
                Some(old) if !is_another(old, new) => Some(event(EventType::Modified, (name, new))),
                _ => Some(event(EventType::Added, (name, new))),
            }
        }));
    }
}

#[cfg(test)]
mod tests;
