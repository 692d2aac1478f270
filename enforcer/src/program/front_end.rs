//! What a front end is: it reads the policies of one API and says what they are to the endpoints of a node.
//!
//! The [`Compiler`](super::Compiler) asks all of them and joins what they say. A front end knows neither the others nor
//! any backend.

use super::index::{Index, PodEntry};
use super::{Changes, End, Policy};
use netproof_api::Policy as Object;
use netproof_model::{Direction, NamespacedName, PolicyKey, PolicyKind, PolicyStage};
use std::cmp::Ordering;
use std::fmt;

/// The policies of one API.
pub(super) trait FrontEnd: fmt::Debug + Send + Sync {
    /// Whether it reads the objects of a kind.
    fn reads(&self, kind: PolicyKind) -> bool;

    /// Follows an object of a kind that it reads: as it is now, or gone. What may differ in the programs of nodes.
    fn follow(&mut self, key: &PolicyKey, object: Option<&Object>, pods: &mut Index) -> Changes;

    /// Every policy.
    fn policies(&self) -> Vec<PolicyKey>;

    /// The policies whose rules depend on the addresses and ports of every pod.
    fn of_everybody(&self) -> Vec<PolicyKey>;

    /// The policies whose rules depend on the nodes.
    fn of_nodes(&self) -> Vec<PolicyKey>;

    /// What a policy has for a node, once for each stage and direction; nothing if it selects no endpoint there.
    fn compile(&self, policy: &PolicyKey, node: &str, pods: &Index) -> Vec<Policy>;

    /// What its policies are to a pod. Of each policy [`compile`](Self::compile) gives the same stage and direction.
    fn shares(&self, pod: &PodEntry, pods: &Index) -> Vec<Share>;
}

/// What the policies of one front end are to an endpoint, in one tier.
#[derive(Debug)]
pub(super) struct Share {
    pub(super) stage: PolicyStage,
    pub(super) direction: Direction,
    pub(super) place: TierPlace,
    /// What the tier is called, unless a front end that shares the place has a name for it.
    pub(super) name: String,
    /// The policies that select the endpoint, each with its order in the tier.
    pub(super) policies: Vec<(Order, PolicyKey)>,
    /// The end of the tier.
    pub(super) end: End,
}

/// Where a tier stands among the tiers of all APIs. Front ends that share a place share the tier.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TierPlace {
    pub(super) order: Order,
    pub(super) name: String,
}

/// The order of a tier or of a policy in it: lower first. All APIs stand on one line, which is Calico's: there tiers and
/// policies have numbers, and the tiers of the other APIs have theirs among them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Order(pub(super) f64);

impl Ord for Order {
    fn cmp(&self, other: &Order) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl PartialOrd for Order {
    fn partial_cmp(&self, other: &Order) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Order {
    fn eq(&self, other: &Order) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Order {}

/// Puts the policies of a tier in their order. Those of one order stand as Calico has it wherever one of its policies is
/// in the tier, by `NAME/NAMESPACE/KIND`, byte by byte; else by key.
pub(super) fn sort(policies: &mut [(Order, PolicyKey)]) {
    let is_calicos = |kind| matches!(kind, PolicyKind::CalicoNetworkPolicy | PolicyKind::GlobalNetworkPolicy);
    match policies.iter().any(|(_, key)| is_calicos(key.kind)) {
        true => policies.sort_by_cached_key(|(order, key)| (*order, calicos_name(key))),
        false => policies.sort(),
    }
}

/// Calico has the policies of Kubernetes among its own, under kinds of its own.
fn calicos_name(key: &PolicyKey) -> String {
    let kind = match key.kind {
        PolicyKind::NetworkPolicy | PolicyKind::ClusterNetworkPolicy => {
            format!("Kubernetes{}", key.kind.name())
        }
        kind => kind.name().to_owned(),
    };
    let namespace = key.namespace.as_deref().map_or("", |namespace| namespace);
    format!("{}/{namespace}/{kind}", key.name)
}

/// Whether a pod is on a node.
pub(super) fn is_on(pod: &PodEntry, node: &str) -> bool {
    pod.pod.node_name.as_deref() == Some(node)
}

/// Names of pods.
pub(super) fn names<'i>(pods: impl Iterator<Item = &'i PodEntry>) -> impl Iterator<Item = NamespacedName> {
    pods.map(|pod| pod.name.clone())
}
