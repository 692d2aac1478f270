//! Connections that are kept from step to step, as far as a scenario tells.

use netproof_controlplane::Snapshot;
use netproof_model::flow::Flow;
use netproof_model::{Family, NamespacedName, Place};
use std::collections::HashMap;
use std::net::IpAddr;

/// The connections that earlier steps opened and keep.
#[derive(Clone, Debug, Default)]
pub struct Kept(HashMap<(Flow, Family), Connection>);

#[derive(Clone, Debug)]
struct Connection {
    /// Its backend, if it is known.
    backend: Option<Place>,
    /// The pods at its ends, as they were when it was opened.
    pods: Vec<(NamespacedName, Stack)>,
}

/// What makes a pod the one that it was: its node and its addresses.
type Stack = (Option<String>, Vec<IpAddr>);

impl Kept {
    /// These are the objects from now on. A connection ends with a pod at one of its ends, and one of the same
    /// name that follows does not take it over. To be told of each change, however short a state lasts.
    pub fn follow(&mut self, snapshot: &Snapshot) {
        let stays = |(pod, stack): &(NamespacedName, Stack)| stack_of(pod, snapshot).as_ref() == Some(stack);
        self.0.retain(|_, connection| connection.pods.iter().all(stays));
    }

    /// A connection is opened from `source`, to this backend if it is known.
    pub(super) fn open(
        &mut self,
        flow: (Flow, Family),
        source: &Place,
        backend: Option<Place>,
        snapshot: &Snapshot,
    ) {
        let ends = [Some(source), backend.as_ref()].into_iter().flatten();
        let pods = ends.filter_map(|place| match place {
            Place::Pod(name) => Some((name.clone(), stack_of(name, snapshot)?)),
            _ => None,
        });
        let pods = pods.collect();
        self.0.insert(flow, Connection { backend, pods });
    }

    /// The backend of a connection, if that is known; `None` if there is no such connection.
    pub(super) fn backend(&self, flow: &(Flow, Family)) -> Option<Option<&Place>> {
        self.0.get(flow).map(|connection| connection.backend.as_ref())
    }
}

fn stack_of(pod: &NamespacedName, snapshot: &Snapshot) -> Option<Stack> {
    let pod = snapshot.pods.get(pod).filter(|pod| !pod.phase.has_ended())?;
    Some((pod.node_name.clone(), pod.pod_ips.clone()))
}
