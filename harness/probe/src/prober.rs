//! The prober: knows the cluster's stacks, makes batches of probes, and traces some.

use crate::batch::{Batch, Streaming};
use crate::error::ProbeError;
use crate::grace::Grace;
use crate::ledger::Ledger;
use crate::probe::Probe;
use crate::stack::Site;
use crate::token::Tokens;
use crate::trace::{Comments, Marks};
use crate::world::World;
use netproof_cluster::{Cluster, Netns};
use netproof_controlplane::Snapshot;
use netproof_model::{DataPath, Family, Observation, Place, RuleTrace};
use std::sync::Arc;
use std::time::Duration;

/// Makes probes, and serves and watches everything that they can reach. One thread does all of it, so
/// servers answer only during a call.
pub struct Prober {
    world: World,
    ledger: Ledger,
    tokens: Tokens,
    grace: Arc<Grace>,
}

impl Prober {
    /// Makes a prober that knows no cluster yet. The seed determines the tokens; all probers of a run share
    /// the grace. The data path is that of the cluster's enforcer.
    pub fn new(seed: u64, grace: Arc<Grace>, data_path: DataPath) -> Result<Prober, ProbeError> {
        let world = World::new(data_path)?;
        Ok(Prober { world, ledger: Ledger::default(), tokens: Tokens::new(seed), grace })
    }

    /// Begins anew in the same cluster, with the tokens of another seed: closes every kept connection, and forgets
    /// the evidence of earlier probes. Source ports go on where they were, so that no probe meets the connection of
    /// an earlier one.
    ///
    /// # Errors
    /// If a packet of an earlier probe arrived too late, or the harness broke.
    pub fn start_over(&mut self, seed: u64) -> Result<(), ProbeError> {
        self.check_late()?;
        self.world.release();
        self.ledger = Ledger::default();
        self.tokens = Tokens::new(seed);
        Ok(())
    }

    /// Opens listeners, witnesses and log readers for new places, and closes those of places that went.
    ///
    /// A pod listens on exactly its declared container ports (or those in the snapshot's `listens`), a
    /// hostNetwork pod on those of its node, an external host on its own; the pod of the cluster DNS serves
    /// port 53 itself. Kept connections of a place that went are closed.
    pub fn sync(&mut self, cluster: &Cluster, snapshot: &Snapshot) -> Result<(), ProbeError> {
        self.attach(sites(cluster, snapshot), snapshot.topology.family.list())
    }

    /// The same for any network stacks: afterwards the prober knows exactly these. It listens and watches in
    /// the given families.
    pub fn attach(&mut self, sites: Vec<Site>, families: &[Family]) -> Result<(), ProbeError> {
        self.check_late()?;
        self.world.attach(sites, families)
    }

    /// Makes these probes; the observations are in the order of the probes.
    ///
    /// An error means that the harness broke, or that an earlier verdict was wrong because a packet arrived
    /// after it was judged lost. Trust no observation then.
    pub fn probe(&mut self, probes: &[Probe]) -> Result<Vec<Observation>, ProbeError> {
        self.check_late()?;
        let Prober { world, ledger, tokens, grace } = self;
        let observations = Batch { world, ledger, tokens, grace, observations: Vec::new() }.run(probes)?;
        self.check_late()?;
        Ok(observations)
    }

    /// Repeats these probes, whose targets are addresses, without pause until `streaming` says stop, and
    /// hands it each result, including those of probes that are under way then. The `Patience` of the probes
    /// is ignored: a probe that a rule logged is decided at once, and one without evidence after 100 ms.
    ///
    /// Errors are those of [`Prober::probe`].
    pub fn stream(&mut self, probes: &[Probe], streaming: &mut dyn Streaming) -> Result<(), ProbeError> {
        self.check_late()?;
        let Prober { world, ledger, tokens, grace } = self;
        Batch { world, ledger, tokens, grace, observations: Vec::new() }.stream(probes, streaming)?;
        self.check_late()
    }

    /// Closes every kept connection ([`Probe::keep`]), at both ends.
    pub fn release(&mut self) {
        self.world.release();
    }

    /// Runs `probing` with packet sockets on every node and the router, so that the sightings of its
    /// observations show the probes' paths. Closing these sockets takes the kernel some 12 ms each, however
    /// many probes there were.
    pub fn trace<T>(
        &mut self,
        cluster: &Cluster,
        probing: impl FnOnce(&mut Prober) -> Result<T, ProbeError>,
    ) -> Result<T, ProbeError> {
        let passed = cluster.places().filter(|(place, _)| matches!(place, Place::Node(_) | Place::Router));
        let places: Vec<_> = passed.map(|(place, netns)| (place.clone(), Arc::clone(netns))).collect();
        let traced = self.world.trace(&places);
        let probed = traced.and_then(|()| probing(self));
        self.world.stop_tracing();
        probed
    }

    /// Makes these probes again and returns for each the rules that its request met on the nodes.
    pub fn trace_rules(
        &mut self,
        cluster: &Cluster,
        probes: &[Probe],
    ) -> Result<Vec<(Observation, RuleTrace)>, ProbeError> {
        let nodes = cluster.places().filter(|(place, _)| matches!(place, Place::Node(_)));
        let nodes: Vec<_> = nodes.map(|(place, netns)| (place.clone(), Arc::clone(netns))).collect();
        let marks = Marks::set(&nodes, &self.tokens.ahead(probes))?;
        let probed = self.world.trace_rules(&nodes).and_then(|()| self.probe(probes));
        self.world.stop_tracing_rules();
        let removed = marks.remove();
        let traces = std::mem::take(&mut self.ledger.traces);
        let observations = probed?;
        removed?;
        let mut comments = Comments::new(&nodes);
        let mut traced = |observation: Observation| {
            let trace = traces.of(observation.token, &mut comments)?;
            Ok((observation, trace))
        };
        observations.into_iter().map(&mut traced).collect()
    }

    /// Reads what has arrived since, and reports what came too late.
    fn check_late(&mut self) -> Result<(), ProbeError> {
        self.world.drain(Duration::ZERO, &mut self.ledger)?;
        self.ledger.take_late().map_or(Ok(()), Err)
    }
}

/// The network stacks of a cluster, with the ports on which each listens.
pub fn sites(cluster: &Cluster, snapshot: &Snapshot) -> Vec<Site> {
    let mut listens = snapshot.listeners();
    // A cluster may have pods that the snapshot lacks: netproof's own, which nobody probes.
    let is_site = |place: &Place| match place {
        Place::Router => false,
        Place::Pod(name) => snapshot.pods.contains_key(name),
        _ => true,
    };
    let places = cluster.places().filter(|(place, _)| is_site(place));
    let site = |(place, netns): (&Place, &Arc<Netns>)| Site {
        place: place.clone(),
        netns: Arc::clone(netns),
        listens: listens.remove(place).unwrap_or_default(),
    };
    places.map(site).collect()
}
