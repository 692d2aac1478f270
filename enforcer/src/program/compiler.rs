//! From snapshots to the programs of nodes: asks the front end of each API, and joins what they say for each endpoint.

use super::front_end::{FrontEnd, Share, TierPlace, is_on};
use super::index::Index;
use super::networkpolicy::NetworkPolicies;
use super::{Changes, Endpoint, NodeProgram, Policy, PolicyId, Replaced, Tier};
use crate::differing::differing;
use netproof_controlplane::{Snapshot, host_interface};
use netproof_model::{Direction, NamespacedName, PolicyKey, PolicyStage};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Compiles the programs of nodes, and follows what changes from one snapshot to the next.
#[derive(Debug)]
pub struct Compiler {
    snapshot: Arc<Snapshot>,
    pods: Index,
    front_ends: Vec<Box<dyn FrontEnd>>,
}

/// One front end for each API.
fn front_ends() -> Vec<Box<dyn FrontEnd>> {
    vec![Box::new(NetworkPolicies::default())]
}

impl Compiler {
    /// Indexes the snapshot.
    pub fn new(snapshot: &Arc<Snapshot>) -> Self {
        Compiler::with(front_ends(), snapshot)
    }

    /// With these front ends, which know of no policy yet.
    fn with(front_ends: Vec<Box<dyn FrontEnd>>, snapshot: &Arc<Snapshot>) -> Self {
        let mut pods = Index::new(snapshot.topology.family);
        for (name, namespace) in &snapshot.namespaces {
            pods.namespace_changed(name, Some(namespace));
        }
        for (name, pod) in &snapshot.pods {
            pods.pod_changed(name, Some(pod));
        }
        let mut compiler = Compiler { snapshot: Arc::clone(snapshot), pods, front_ends };
        for (key, object) in &snapshot.policies {
            for front_end in compiler.front_ends.iter_mut().filter(|it| it.reads(key.kind)) {
                front_end.follow(key, Some(object), &mut compiler.pods);
            }
        }
        compiler
    }

    /// Goes on to another snapshot of the same topology; `None`, and nothing done, if it is of another.
    pub fn advance(&mut self, snapshot: &Arc<Snapshot>) -> Option<Changes> {
        if self.snapshot.topology != snapshot.topology {
            return None;
        }
        let held = std::mem::replace(&mut self.snapshot, Arc::clone(snapshot));
        let mut selections = BTreeSet::new();
        for namespace in differing(&held.namespaces, &snapshot.namespaces) {
            let after = namespace.after.map(Arc::as_ref);
            selections.extend(self.pods.namespace_changed(namespace.name, after));
        }
        let (mut changes, mut anybody_moved) = (Changes::default(), false);
        for pod in differing(&held.pods, &snapshot.pods) {
            let (changed, moved) = self.pods.pod_changed(pod.name, pod.after);
            selections.extend(changed);
            anybody_moved |= moved;
            changes.pods.insert(pod.name.clone());
        }
        for selection in selections {
            changes.policies.extend(self.pods.users(selection).cloned());
        }
        if anybody_moved {
            changes.policies.extend(self.front_ends.iter().flat_map(|it| it.of_everybody()));
        }
        for object in differing(&held.policies, &snapshot.policies) {
            for front_end in self.front_ends.iter_mut().filter(|it| it.reads(object.name.kind)) {
                changes.extend(front_end.follow(object.name, object.after, &mut self.pods));
            }
        }
        Some(changes)
    }

    /// The program of one node.
    pub fn node(&self, node: &str) -> NodeProgram {
        let policies = self.front_ends.iter().flat_map(|it| it.policies()).collect();
        let pods = self.pods.pods().map(|pod| pod.name.clone()).collect();
        let mut of_node = NodeProgram::default();
        self.update(node, &Changes { policies, pods }, &mut of_node);
        of_node
    }

    /// Brings the parts of a node's program that the changes are about to what they are now; gives what was there.
    pub fn update(&self, node: &str, changes: &Changes, of_node: &mut NodeProgram) -> Replaced {
        let mut replaced = Replaced::default();
        for key in &changes.policies {
            of_node.set_policy(key, self.compile(key, node), &mut replaced);
        }
        for name in &changes.pods {
            match self.endpoint(name, node, of_node) {
                Some(endpoint) => of_node.set_endpoint(endpoint, &mut replaced),
                None => of_node.remove_pod(name, &mut replaced),
            }
        }
        replaced
    }

    fn compile(&self, key: &PolicyKey, node: &str) -> Vec<Policy> {
        self.front_ends.iter().flat_map(|it| it.compile(key, node, &self.pods)).collect()
    }

    /// The endpoint of a pod of the node, with the tiers that the front ends have for it.
    fn endpoint(&self, name: &NamespacedName, node: &str, of_node: &NodeProgram) -> Option<Endpoint> {
        let pod = self.pods.pod(name).filter(|pod| is_on(pod, node))?;
        let mut endpoint = Endpoint::pod(name.clone(), host_interface(name), pod.addresses.clone());
        let shares = self.front_ends.iter().flat_map(|it| it.shares(pod, &self.pods)).collect();
        endpoint.tiers = join(shares, |key, stage, direction| of_node.id(key, stage, direction));
        Some(endpoint)
    }
}

/// The tiers of an endpoint in order, each with its policies in order.
fn join(
    shares: Vec<Share>,
    id: impl Fn(&PolicyKey, PolicyStage, Direction) -> Option<PolicyId>,
) -> BTreeMap<(PolicyStage, Direction), Vec<Tier>> {
    let mut places: BTreeMap<(PolicyStage, Direction), BTreeMap<TierPlace, Share>> = BTreeMap::new();
    for share in shares {
        let of_place = places.entry((share.stage, share.direction)).or_default();
        match of_place.get_mut(&share.place) {
            Some(joined) => {
                joined.end = joined.end.joined(share.end);
                joined.policies.extend(share.policies);
            }
            None => drop(of_place.insert(share.place.clone(), share)),
        }
    }
    let tier = |place: TierPlace, mut share: Share| {
        share.policies.sort();
        let (stage, direction) = (share.stage, share.direction);
        let policies = share.policies.iter().filter_map(|(_, key)| id(key, stage, direction)).collect();
        Tier { name: place.name, policies, end: share.end }
    };
    let tiers =
        |of_place: BTreeMap<TierPlace, Share>| of_place.into_iter().map(|(place, share)| tier(place, share));
    places.into_iter().map(|(at, of_place)| (at, tiers(of_place).collect())).collect()
}
