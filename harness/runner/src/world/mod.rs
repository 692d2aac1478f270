//! The world of one scenario run: control plane, cluster, enforcer, proxy and prober, moved together
//! from one change set to the next.

mod allowed;
mod changing;
#[cfg(feature = "mutants")]
mod mute;
mod reaper;
mod unsaid;

pub(crate) use changing::{Attach, Changing};
pub(crate) use reaper::Reaper;

use crate::{EnforcerChoice, ProxyChoice, RunOptions};
use netproof_cluster::{Cluster, ClusterError};
use netproof_controlplane::{Change, ChangeError, ControlPlane, Snapshot};
use netproof_enforcer::{
    Enforcer, EnforcerError, NodeHandle, Nothing, PolicyEnforcer, Proxy, ProxyOptions, ServiceProxy,
};
use netproof_enforcer_agent::{AgentEnforcer, AgentProxy, Clash, Hidden};
use netproof_enforcer_exec::ExecEnforcer;
use netproof_model::event::{Denial, ScenarioId, Trouble};
use netproof_model::request::Request;
use netproof_model::{NamespacedName, Observation, Party, Place, RuleTrace, Sighting};
use netproof_probe::{Grace, Probe, ProbeError, Prober};
use netproof_surroundings::{Surroundings, SurroundingsError};
use netproof_verdict::allowed::Traced;
use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// Why a scenario run could not go on. Never a verdict. What caused it is its source, and not in its own words.
#[derive(Debug, Error)]
pub(crate) enum HarnessError {
    /// The plan was checked against the same control plane, so this is a bug of netproof's.
    #[error("the control plane refused a change that validation had accepted")]
    Change(#[from] ChangeError),
    #[error("cannot build the cluster")]
    Cluster(#[from] ClusterError),
    #[error("cannot program the nodes")]
    Enforcer(#[from] EnforcerError),
    #[error("cannot watch the agents")]
    Hidden(#[from] Clash),
    #[error("cannot program the rules that nodes have without enforcer and proxy")]
    Surroundings(#[from] SurroundingsError),
    #[error("the enforcer died while probing; results discarded")]
    EnforcerGone(#[source] EnforcerError),
    #[error("the proxy died while probing; results discarded")]
    ProxyGone(#[source] EnforcerError),
    #[error("cannot probe")]
    Probe(#[from] ProbeError),
    #[error("the run took longer than {} s (--timeout)", .0.as_secs_f64())]
    Timeout(Duration),
    #[error("cannot take away what {left_by} left in the world that it has shared")]
    NotEmptied { left_by: ScenarioId, source: Box<HarnessError> },
}

impl HarnessError {
    /// What it is, without its details.
    pub(crate) fn trouble(&self) -> Trouble {
        match self {
            HarnessError::Change(_) => Trouble::Change,
            HarnessError::Cluster(_) => Trouble::Cluster,
            HarnessError::Enforcer(_) | HarnessError::Hidden(_) => Trouble::Enforcer,
            HarnessError::Surroundings(_) => Trouble::Surroundings,
            HarnessError::EnforcerGone(_) => Trouble::EnforcerGone,
            HarnessError::ProxyGone(_) => Trouble::ProxyGone,
            HarnessError::Probe(_) => Trouble::Probe,
            HarnessError::Timeout(_) => Trouble::Timeout,
            HarnessError::NotEmptied { source, .. } => source.trouble(),
        }
    }

    /// In its own words and those of its cause, which names its own.
    pub(crate) fn in_full(&self) -> String {
        match (self, self.source()) {
            (HarnessError::NotEmptied { source, .. }, _) => format!("{self}: {}", source.in_full()),
            (_, Some(cause)) => format!("{self}: {cause}"),
            (_, None) => self.to_string(),
        }
    }
}

/// A probe whose path is sought.
pub(crate) struct TraceRequest<'o> {
    pub(crate) request: Probe,
    /// What it did before.
    pub(crate) before: &'o Observation,
    /// So often it is made at most.
    pub(crate) tries: usize,
}

/// A built cluster with everything that runs in it.
pub(crate) struct World {
    // Dropped in this order: sockets before the namespaces that they live in.
    prober: Prober,
    enforcer: Box<dyn Enforcer>,
    proxy: Box<dyn Proxy>,
    surroundings: Surroundings,
    cluster: Cluster,
    control: ControlPlane,
    hidden: Hidden,
    /// How long probes waited for packets that never came, since that was last asked.
    waited: Duration,
}

impl World {
    /// Builds the cluster for the objects of `control`.
    pub(crate) fn build(
        control: ControlPlane,
        options: &RunOptions,
        seed: u64,
        grace: Arc<Grace>,
    ) -> Result<World, HarnessError> {
        let snapshot = control.snapshot();
        let hidden = options.hidden();
        let cluster = Cluster::build(&*hidden.among(&snapshot)?)?;
        let handle = |name: &String| {
            let netns = cluster.netns(&Place::Node(name.clone()))?;
            Some(NodeHandle { name: name.clone(), netns: netns.fd() })
        };
        let nodes: Vec<NodeHandle<'_>> = snapshot.nodes.keys().filter_map(handle).collect();
        let hidden_pod = |name: &NamespacedName| Some(cluster.netns(&Place::Pod(name.clone()))?.fd());
        let router = cluster.netns(&Place::Router).map(|netns| netns.fd());
        let surroundings =
            Surroundings::new(nodes.iter().map(|node| (node.name.as_str(), node.netns)), router)?;
        let enforcer: Box<dyn Enforcer> = match &options.enforcer {
            EnforcerChoice::Own(backend) => Box::new(PolicyEnforcer::open(*backend, &nodes)?),
            EnforcerChoice::None => Box::new(Nothing),
            EnforcerChoice::Exec(command) => {
                Box::new(ExecEnforcer::new(&nodes, command, options.enforcer_timeout)?)
            }
            EnforcerChoice::Agent(agent) => Box::new(AgentEnforcer::new(
                &nodes,
                &hidden_pod,
                &snapshot.topology,
                agent,
                options.enforcer_timeout,
            )?),
            #[cfg(feature = "mutants")]
            EnforcerChoice::Mutant(mutant) => {
                Box::new(netproof_enforcer_mutants::MutatedEnforcer::new(&nodes, mutant)?)
            }
        };
        let proxy_options = ProxyOptions { mode: snapshot.topology.proxy_mode, ..ProxyOptions::default() };
        let proxy: Box<dyn Proxy> = match &options.proxy {
            ProxyChoice::Own(backend) => Box::new(ServiceProxy::open(*backend, &nodes, proxy_options)?),
            #[cfg(feature = "mutants")]
            ProxyChoice::Mute(backend) => {
                Box::new(mute::Mute(ServiceProxy::open(*backend, &nodes, proxy_options)?))
            }
            ProxyChoice::Agent(agent) => Box::new(AgentProxy::new(
                &nodes,
                &hidden_pod,
                &snapshot.topology,
                agent,
                options.enforcer_timeout,
            )?),
            ProxyChoice::None => Box::new(Nothing),
        };
        let prober = Prober::new(seed, grace, options.enforcer.data_path())?;
        let mut world =
            World { prober, enforcer, proxy, surroundings, cluster, control, hidden, waited: Duration::ZERO };
        world.settle_on(&snapshot)?;
        Ok(world)
    }

    /// The objects as they are now.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        self.control.snapshot()
    }

    /// Makes one change set true everywhere: in the cluster, at the listeners, on every node.
    pub(crate) fn change(&mut self, changes: &[Change]) -> Result<(), HarnessError> {
        let (prober, mut changing) = self.apart();
        changing.change(changes, &mut |sites, families| Ok(prober.attach(sites, families)?))
    }

    /// The prober, and everything else to be changed while another thread probes.
    pub(super) fn apart(&mut self) -> (&mut Prober, Changing<'_>) {
        let World { prober, enforcer, proxy, surroundings, cluster, control, hidden, waited: _ } = self;
        let (enforcer, proxy) = (enforcer.as_mut(), proxy.as_mut());
        (prober, Changing { control, cluster, surroundings, enforcer, proxy, hidden: *hidden })
    }

    /// Starts over from another control plane, on the same topology.
    pub(crate) fn restart(&mut self, control: ControlPlane) -> Result<(), HarnessError> {
        self.control = control;
        let snapshot = self.control.snapshot();
        self.settle_on(&snapshot)
    }

    /// Starts over for a run that has nothing but the topology in common with those before, and forgets their
    /// connections. `empty` has what every cluster of the topology has; `seed` determines the tokens from now on.
    pub(crate) fn start_over(&mut self, empty: ControlPlane, seed: u64) -> Result<(), HarnessError> {
        let _span = tracing::info_span!("empty the world").entered();
        self.prober.start_over(seed)?;
        self.restart(empty)?;
        Ok(self.cluster.forget_connections()?)
    }

    fn settle_on(&mut self, snapshot: &Arc<Snapshot>) -> Result<(), HarnessError> {
        let (prober, mut changing) = self.apart();
        changing.settle_on(snapshot, &mut |sites, families| Ok(prober.attach(sites, families)?))
    }

    /// Probes; meanwhile enforcer and proxy must have been there, and counters that mean "not policy" must not have
    /// moved.
    pub(crate) fn probe(&mut self, requests: &[Probe]) -> Result<Vec<Observation>, HarnessError> {
        let _span = tracing::info_span!("probes", count = requests.len()).entered();
        let observations = self.prober.probe(requests)?;
        self.waited += waited(&observations);
        self.check()?;
        Ok(observations)
    }

    /// That enforcer and proxy are still there, and that no packet was lost.
    fn check(&mut self) -> Result<(), HarnessError> {
        self.enforcer.check().map_err(HarnessError::EnforcerGone)?;
        self.proxy.check().map_err(HarnessError::ProxyGone)?;
        Ok(self.cluster.health()?)
    }

    /// How long probes waited for packets that never came, since this was last asked. Streams are not among them: they
    /// run beside the changes and hold nothing up.
    pub(crate) fn take_waited(&mut self) -> Duration {
        std::mem::take(&mut self.waited)
    }

    /// Closes the connections that were kept.
    pub(crate) fn release(&mut self) {
        self.prober.release();
    }

    /// Reads every counter that means "not policy", those too that a step reads only in turn.
    pub(crate) fn full_health(&mut self) -> Result<(), HarnessError> {
        Ok(self.cluster.full_health()?)
    }

    /// The paths of these probes, made once more with a witness in every namespace: again and again until each
    /// ends as it did before, since another try may go to another backend.
    pub(crate) fn trace(&mut self, sought: &[TraceRequest<'_>]) -> Result<Vec<Vec<Sighting>>, HarnessError> {
        let mut paths = vec![Vec::new(); sought.len()];
        let mut open: Vec<usize> = (0..sought.len()).collect();
        let mut tries = 0;
        let mut lost = Duration::ZERO;
        let traced = self.prober.trace(&self.cluster, |prober| {
            while !open.is_empty() {
                let requests: Vec<Probe> = open.iter().map(|index| sought[*index].request.clone()).collect();
                let observations = prober.probe(&requests)?;
                lost += waited(&observations);
                tries += 1;
                open = (open.iter().zip(observations))
                    .filter_map(|(index, again)| {
                        let TraceRequest { before, tries: most, .. } = &sought[*index];
                        let same = again.outcome == before.outcome && again.served_by == before.served_by;
                        paths[*index] = again.sightings;
                        (!same && tries < *most).then_some(*index)
                    })
                    .collect();
            }
            Ok(())
        });
        self.waited += lost;
        traced?;
        Ok(paths)
    }

    /// Makes these probes once more, and says of each who let it through at the ends where policies were asked; `None`
    /// where the enforcer does not say who allows.
    pub(crate) fn trace_rules(&mut self, requests: &[Probe]) -> Result<Option<Vec<Traced>>, HarnessError> {
        if self.enforcer.allowed(&RuleTrace::default()).is_none() {
            return Ok(None);
        }
        let _span = tracing::info_span!("rules", count = requests.len()).entered();
        let traced = self.prober.trace_rules(&self.cluster, requests)?;
        self.waited += traced.iter().map(|(observation, _)| observation.waited).sum::<Duration>();
        self.check()?;
        let snapshot = self.snapshot();
        let traced = traced.into_iter().map(|(observation, trace)| {
            let allowed = self.enforcer.allowed(&trace)?;
            let identity = |node: &str, number| Some(self.enforcer.identities(node)?.get(&number)?.clone());
            let allowed = allowed.into_iter().filter_map(|it| allowed::at(it, &snapshot, identity)).collect();
            Some(Traced { observation, allowed, is_cut: trace.is_cut })
        });
        Ok(traced.collect())
    }

    /// Whether a denial of such a request leaves evidence, whoever denies it.
    pub(crate) fn explains(&self, request: &Request) -> bool {
        self.unsaid_by(request, None).is_none()
    }

    /// Who may have denied a request and gives no evidence of it.
    fn unsaid_by(&self, request: &Request, observation: Option<&Observation>) -> Option<Party> {
        let by_proxy = || unsaid::may_be_by_proxy(request, observation, &self.snapshot());
        match (self.enforcer.explains(), self.proxy.explains() || !by_proxy()) {
            (true, true) => None,
            (false, true) => Some(Party::Enforcer),
            (true, false) => Some(Party::Proxy),
            (false, false) => Some(Party::Either),
        }
    }

    /// What the rules that logged a probe's packets stand for, in the order of the packet's way. Where the enforcer or
    /// the proxy gives no evidence, what nobody explains is its denial.
    pub(crate) fn denials(&self, request: &Probe, observation: &Observation) -> Vec<Denial> {
        let identity = |node: &str, number: u32| {
            let tables = [self.enforcer.identities(node), self.proxy.identities(node)];
            tables.into_iter().flatten().find_map(|table| table.get(&number)).cloned()
        };
        let mut denials = Vec::new();
        for log in &observation.logs {
            let Some(identity) = identity(&log.node, log.number) else { continue };
            let denial = Denial {
                decision: identity.decision,
                action: identity.action,
                node: log.node.clone(),
                hook: log.hook,
                packet: log.packet,
            };
            // A retransmission is logged again; it says nothing new.
            if !denials.contains(&denial) {
                denials.push(denial);
            }
        }
        if denials.is_empty()
            && observation.outcome.is_denial()
            && let Some(who) = self.unsaid_by(&request.request, Some(observation))
        {
            denials.push(unsaid::unsaid(who, request, observation, &self.snapshot()));
        }
        denials
    }
}

/// How long these waited for packets that never came; what waits together is booked once.
fn waited(observations: &[Observation]) -> Duration {
    observations.iter().map(|it| it.waited).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever prints an error with its causes says nothing twice.
    #[test]
    fn what_broke_a_run_is_said_once() {
        let broken = || std::io::Error::other("broken pipe");
        let cause = ProbeError::System { doing: "read", place: "node/node1".into(), source: broken() };
        let words = cause.to_string();
        let error = HarnessError::from(cause);
        assert_eq!(error.to_string(), "cannot probe");
        assert_eq!(error.source().map(ToString::to_string), Some(words.clone()));
        assert_eq!(error.in_full(), format!("cannot probe: {words}"));
        let timeout = HarnessError::Timeout(Duration::from_secs(3));
        assert_eq!(timeout.in_full(), "the run took longer than 3 s (--timeout)");
        let left_by = ScenarioId { suite: "suite".into(), name: "a".into(), variant: Vec::new() };
        let cause = error.in_full();
        let error = HarnessError::NotEmptied { left_by, source: Box::new(error) };
        let words = "cannot take away what suite::a left in the world that it has shared";
        assert_eq!(error.in_full(), format!("{words}: {cause}"));
    }
}
