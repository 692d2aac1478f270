//! The oracle: snapshot and profile in, predictions out.

use crate::calico::CalicoTier;
use crate::clusternetworkpolicy::{self, ClusterNetworkPolicies};
use crate::flow::{Flow, Packet};
use crate::networkpolicy::NetworkPolicies;
use crate::policy::{Endpoint, Evaluator, Policies, PolicyAccount, Question, View, Way};
use crate::prediction::{PolicyDecision, Prediction};
use crate::profile::Profile;
use crate::services::Services;
use crate::walk::Walk;
use crate::world::World;
use netproof_api::ClusterTier;
use netproof_controlplane::Snapshot;
use netproof_model::{Family, Place};
use std::net::IpAddr;
use thiserror::Error;

/// Where the tier of the NetworkPolicies stands.
const NETWORK_POLICY_TIER: (f64, &str) = (1_000_000.0, "default");

/// Answers what should happen in one generation of a cluster.
#[derive(Debug)]
pub struct Oracle<'a> {
    pub(crate) world: World<'a>,
    pub(crate) profile: Profile,
    pub(crate) services: Services<'a>,
    pub(crate) evaluators: Vec<Box<dyn Evaluator + 'a>>,
}

/// Why there is no prediction: the flow cannot be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum PredictError {
    /// Nothing of that name is in the cluster, or it opens no flows.
    #[error("{0} is not there, or opens no flows")]
    NoSource(Place),
    /// The source has no address of the destination's family.
    #[error("{place} has no {family} address")]
    NoAddress {
        /// The source.
        place: Place,
        /// The destination's family.
        family: Family,
    },
}

impl<'a> Oracle<'a> {
    /// An oracle for the snapshot's cluster, with the profile's choices.
    pub fn new(snapshot: &'a Snapshot, profile: Profile) -> Self {
        let (world, services) = (World::new(snapshot), Services::new(snapshot));
        Oracle { world, profile, services, evaluators: evaluators(snapshot) }
    }

    pub(crate) fn policies(&self) -> Policies<'_, 'a> {
        let view = View { world: &self.world, profile: &self.profile };
        Policies { view, evaluators: &self.evaluators }
    }

    /// The profile.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// What should happen to a flow.
    ///
    /// # Errors
    /// The source is not there or has no address of the destination's family.
    pub fn predict(&self, flow: &Flow) -> Result<Prediction, PredictError> {
        let no_source = || PredictError::NoSource(flow.from.clone());
        let snapshot = self.world.snapshot;
        let mut walk = Walk {
            world: &self.world,
            services: &self.services,
            profile: &self.profile,
            policies: self.policies(),
            alternatives: Vec::new(),
        };
        match &flow.from {
            Place::Pod(name) => {
                let pod = snapshot.pods.get(name).ok_or_else(no_source)?;
                if pod.host_network || pod.phase.has_ended() {
                    return Err(no_source());
                }
                walk.start_at_pod(pod, packet(flow, &pod.pod_ips)?);
            }
            Place::Node(name) => {
                let node = snapshot.nodes.get(name).ok_or_else(no_source)?;
                let source: Vec<IpAddr> = self.world.node_source(node, flow.to).into_iter().collect();
                walk.start_at_node(node, packet(flow, &source)?);
            }
            Place::External(name) => {
                let host = snapshot.externals.get(name).ok_or_else(no_source)?;
                walk.start_at_external(name, packet(flow, &host.addresses)?);
            }
            Place::Router => return Err(no_source()),
        }
        Ok(Prediction { flow: flow.clone(), alternatives: walk.alternatives })
    }

    /// What each policy that could be meant says about a decision of this oracle, by name, those included that do not
    /// apply to the endpoint; none where something settles the decision by itself, whatever policies say.
    ///
    /// It is found out anew: a prediction has no more than the verdict and who decides.
    pub fn accounts(&self, decision: &PolicyDecision) -> Vec<PolicyAccount> {
        let snapshot = self.world.snapshot;
        let endpoint = match &decision.endpoint {
            Place::Pod(name) => snapshot.pods.get(name).map(|pod| Endpoint::Pod(pod)),
            Place::Node(name) => snapshot.nodes.get(name).map(|node| Endpoint::Host(node)),
            Place::External(_) | Place::Router => None,
        };
        let Some(endpoint) = endpoint.filter(|_| decision.rests_on_policies()) else { return Vec::new() };
        let PolicyDecision { direction, stage, packet, before, .. } = *decision;
        self.policies().accounts(&Question {
            endpoint,
            direction,
            stage,
            packet,
            before,
            way: Way::default(),
        })
    }
}

/// A tier and where it stands: by its order, and of two with the same by its name.
struct Placed<'a> {
    order: f64,
    name: &'a str,
    evaluator: Box<dyn Evaluator + 'a>,
}

/// The tiers of every policy API, in the order in which they are met: the tiers of all APIs stand on one line.
fn evaluators(snapshot: &Snapshot) -> Vec<Box<dyn Evaluator + '_>> {
    let calico = CalicoTier::all(snapshot);
    let mut placed: Vec<Placed<'_>> = Vec::new();
    for tier in [ClusterTier::Admin, ClusterTier::Baseline] {
        let (order, name) = clusternetworkpolicy::place(tier);
        placed.push(Placed { order, name, evaluator: Box::new(ClusterNetworkPolicies::new(snapshot, tier)) });
    }
    if !calico.iter().any(CalicoTier::has_network_policies) {
        let (order, name) = NETWORK_POLICY_TIER;
        placed.push(Placed { order, name, evaluator: Box::new(NetworkPolicies::new(snapshot)) });
    }
    placed.extend(calico.into_iter().map(|tier| {
        let (order, name) = tier.place();
        Placed { order, name, evaluator: Box::new(tier) }
    }));
    placed.sort_by(|a, b| a.order.total_cmp(&b.order).then_with(|| a.name.cmp(b.name)));
    placed.into_iter().map(|it| it.evaluator).collect()
}

/// The packet that opens the flow, from the source's first address of the family. A loopback address is
/// reached from itself.
fn packet(flow: &Flow, addresses: &[IpAddr]) -> Result<Packet, PredictError> {
    let family = Family::of(flow.to);
    let source = match flow.to.is_loopback() {
        true => Some(flow.to),
        false => addresses.iter().copied().find(|address| Family::of(*address) == family),
    };
    let source = source.ok_or_else(|| PredictError::NoAddress { place: flow.from.clone(), family })?;
    Ok(Packet { source, destination: flow.to, port: flow.port })
}
