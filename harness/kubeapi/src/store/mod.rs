//! The objects that are served, and everything that happened to them.
//!
//! All kinds share one counter of resource versions. A change set is applied whole or not at all, has one version, and
//! is seen whole: no list shows a part of it, and no watch begins or ends within it.

mod completed;
mod error;
mod log;
#[cfg(test)]
mod tests;

pub(crate) use completed::{complete, now};
pub use error::StoreError;
pub(crate) use log::{Seen, TooOld};

use crate::events::{Event, EventType};
use crate::kinds::{self, Kind, KindId};
use crate::selector::Selector;
use log::{Change, Log};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// The version of a store in which nothing has happened.
const FIRST: u64 = 1;

/// The objects of a cluster at their newest version, and a log of what happened.
pub struct Store {
    state: Mutex<State>,
    version: watch::Sender<u64>,
}

#[derive(Default)]
struct State {
    version: u64,
    objects: BTreeMap<Key, Arc<Stored>>,
    log: Log,
}

/// Kind, namespace (empty for none) and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    kind: KindId,
    namespace: String,
    name: String,
}

/// An object as it is served.
#[derive(Debug)]
pub(crate) struct Stored {
    /// As a value, to select by.
    pub value: Value,
    /// As text, to send.
    pub json: Vec<u8>,
}

impl Stored {
    fn new(value: Value) -> Arc<Stored> {
        let json = value.to_string().into_bytes();
        Arc::new(Stored { value, json })
    }

    /// The same object under another version.
    fn at(&self, version: u64) -> Arc<Stored> {
        let mut value = self.value.clone();
        completed::set_version(&mut value, version);
        Stored::new(value)
    }
}

/// What a list of one kind shows, and the version at which it does.
pub(crate) struct Listed {
    /// The store's version.
    pub version: u64,
    /// By namespace and name.
    pub objects: Vec<Arc<Stored>>,
}

impl Store {
    /// An empty one.
    pub fn new() -> Arc<Store> {
        let state = State { version: FIRST, ..State::default() };
        Arc::new(Store { state: Mutex::new(state), version: watch::Sender::new(FIRST) })
    }

    /// Applies a change set, and gives its resource version, which all of its objects have. It is seen in one step:
    /// agents that watch are told before this returns, or as soon as they read.
    ///
    /// Objects get what an API server and kubelets add and nobody wrote: uid, creationTimestamp, conditions. A set
    /// without events changes nothing, and gives the version that is there.
    ///
    /// # Errors
    /// If an event has no object of a kind that is served, adds what is there, or changes or deletes what is not; then
    /// nothing of the set is applied.
    pub fn apply(&self, events: &[Event]) -> Result<u64, StoreError> {
        let mut state = self.state();
        if events.is_empty() {
            return Ok(state.version);
        }
        let version = state.version + 1;
        let mut changed: BTreeMap<Key, Option<Arc<Stored>>> = BTreeMap::new();
        let mut changes = Vec::new();
        for event in events {
            let (key, kind) = key(&event.object)?;
            let before = match changed.get(&key) {
                Some(changed) => changed.clone(),
                None => state.objects.get(&key).cloned(),
            };
            let (after, change) = change(event, kind, before, version)?;
            changes.push((key.kind, change));
            changed.insert(key, after);
        }
        for (key, after) in changed {
            match after {
                Some(object) => drop(state.objects.insert(key, object)),
                None => drop(state.objects.remove(&key)),
            }
        }
        state.log.append(version, changes);
        state.version = version;
        // While the state is locked, so that nobody is told of a version that a later one has overtaken.
        self.version.send_replace(version);
        Ok(version)
    }

    /// The newest version.
    pub(crate) fn version(&self) -> u64 {
        self.state().version
    }

    /// Tells whenever there is a newer version.
    pub(crate) fn follow(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// One object.
    pub(crate) fn get(&self, kind: KindId, namespace: Option<&str>, name: &str) -> Option<Arc<Stored>> {
        let namespace = namespace.unwrap_or("").to_owned();
        self.state().objects.get(&Key { kind, namespace, name: name.to_owned() }).cloned()
    }

    /// The objects of a kind that a selector matches.
    pub(crate) fn list(&self, kind: KindId, selector: &Selector) -> Listed {
        let state = self.state();
        let first = Key { kind, namespace: String::new(), name: String::new() };
        let of_kind = state.objects.range(first..).take_while(|(key, _)| key.kind == kind);
        let objects = of_kind.map(|(_, object)| object).filter(|object| selector.matches(&object.value));
        Listed { version: state.version, objects: objects.cloned().collect() }
    }

    /// What a client that watches a kind's selected objects from a version on has not seen, in the order in which it
    /// happened, and the version up to which that is all.
    ///
    /// # Errors
    /// If what followed that version is no longer all kept.
    pub(crate) fn since(
        &self,
        kind: KindId,
        selector: &Selector,
        version: u64,
    ) -> Result<(Vec<Seen>, u64), TooOld> {
        let state = self.state();
        Ok((state.log.since(kind, selector, version)?, state.version))
    }

    /// A thread that panicked while it held the lock left the state as it was: everything that can fail is done
    /// before the first change.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which object it is.
fn key(object: &Value) -> Result<(Key, &'static Kind), StoreError> {
    let text = |object: &Value, key: &str| object.get(key).and_then(Value::as_str).map(str::to_owned);
    let metadata = object.get("metadata").ok_or(StoreError::Incomplete("metadata"))?;
    let api_version = text(object, "apiVersion").ok_or(StoreError::Incomplete("apiVersion"))?;
    let kind = text(object, "kind").ok_or(StoreError::Incomplete("kind"))?;
    let name = text(metadata, "name").ok_or(StoreError::Incomplete("metadata.name"))?;
    let (id, of) =
        kinds::of_object(&api_version, &kind).ok_or(StoreError::UnknownKind { api_version, kind })?;
    let namespace = text(metadata, "namespace");
    match (of.namespaced, namespace) {
        (true, None) => Err(StoreError::Incomplete("metadata.namespace")),
        (false, Some(_)) => Err(StoreError::Namespaced { kind: of.kind, name }),
        (_, namespace) => Ok((Key { kind: id, namespace: namespace.unwrap_or_else(String::new), name }, of)),
    }
}

/// The object after an event, and what is logged of it.
fn change(
    event: &Event,
    kind: &'static Kind,
    before: Option<Arc<Stored>>,
    version: u64,
) -> Result<(Option<Arc<Stored>>, Change), StoreError> {
    let refused = |problem| StoreError::Contradicts { problem, object: describe(&event.object) };
    let object = || {
        let mut object = event.object.clone();
        complete(&mut object, kind);
        completed::set_version(&mut object, version);
        Stored::new(object)
    };
    match (event.kind, before) {
        (EventType::Added, None) => {
            let object = object();
            Ok((Some(Arc::clone(&object)), Change::Added(object)))
        }
        (EventType::Modified, Some(before)) => {
            let object = object();
            Ok((Some(Arc::clone(&object)), Change::Modified { before, after: object }))
        }
        (EventType::Deleted, Some(before)) => Ok((None, Change::Deleted(before.at(version)))),
        (EventType::Added, Some(_)) => Err(refused("it is added, and is there")),
        (EventType::Modified, None) => Err(refused("it is modified, and is not there")),
        (EventType::Deleted, None) => Err(refused("it is deleted, and is not there")),
    }
}

/// `Pod default/web`.
fn describe(object: &Value) -> String {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let metadata = object.get("metadata");
    let names =
        [text(metadata.and_then(|it| it.get("namespace"))), text(metadata.and_then(|it| it.get("name")))];
    let names: Vec<String> = names.into_iter().flatten().collect();
    format!("{} {}", text(object.get("kind")).unwrap_or("?".to_owned()), names.join("/"))
}
