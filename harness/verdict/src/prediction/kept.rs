//! Connections that are kept from step to step, as far as a scenario tells.

use netproof_api::Pod;
use netproof_controlplane::{Snapshot, is_another_pod};
use netproof_model::flow::Flow;
use netproof_model::{Family, NamespacedName, Place};
use std::collections::HashMap;
use std::sync::Arc;

/// The connections that earlier steps opened and keep.
#[derive(Clone, Debug, Default)]
pub struct Kept(HashMap<(Flow, Family), Connection>);

#[derive(Clone, Debug)]
struct Connection {
    /// Its backend, if it is known.
    backend: Option<Place>,
    /// The pods at its ends, as they were when it was opened.
    pods: Vec<(NamespacedName, Arc<Pod>)>,
}

impl Kept {
    /// These are the objects from now on. A connection ends with a pod at one of its ends, and one of the same
    /// name that follows does not take it over. To be told of each change, however short a state lasts.
    pub fn follow(&mut self, snapshot: &Snapshot) {
        let stays = |(name, then): &(NamespacedName, Arc<Pod>)| {
            snapshot.pods.get(name).is_some_and(|now| !now.phase.has_ended() && !is_another_pod(then, now))
        };
        self.0.retain(|_, connection| connection.pods.iter().all(stays));
    }

    /// A connection is opened from `source`, to this backend if it is known.
    pub(crate) fn open(
        &mut self,
        flow: (Flow, Family),
        source: &Place,
        backend: Option<Place>,
        snapshot: &Snapshot,
    ) {
        let ends = [Some(source), backend.as_ref()].into_iter().flatten();
        let pods = ends.filter_map(|place| match place {
            Place::Pod(name) => Some((name.clone(), Arc::clone(snapshot.pods.get(name)?))),
            _ => None,
        });
        let pods = pods.collect();
        self.0.insert(flow, Connection { backend, pods });
    }

    /// The backend of a connection, if that is known; `None` if there is no such connection.
    pub(crate) fn backend(&self, flow: &(Flow, Family)) -> Option<Option<&Place>> {
        self.0.get(flow).map(|connection| connection.backend.as_ref())
    }
}
