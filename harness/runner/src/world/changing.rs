//! Everything in a world but its prober, moved from one set of objects to the next in an order that leaves no
//! window: nobody is reachable before policy knows of them, nor by a service before they are reachable.

use crate::world::HarnessError;
use netproof_cluster::Cluster;
use netproof_controlplane::{Change, ControlPlane, Snapshot};
use netproof_enforcer::{Enforcer, Proxy};
use netproof_enforcer_agent::Hidden;
use netproof_model::Family;
use netproof_probe::{Site, sites};
use netproof_surroundings::Surroundings;
use std::sync::Arc;

/// Tells the prober, which may be with another thread, of the network stacks that there are now.
pub(crate) type Attach<'a> = dyn FnMut(Vec<Site>, &[Family]) -> Result<(), HarnessError> + 'a;

/// A world without its prober.
pub(crate) struct Changing<'a> {
    pub(crate) control: &'a mut ControlPlane,
    pub(crate) cluster: &'a mut Cluster,
    pub(crate) surroundings: &'a mut Surroundings,
    pub(crate) enforcer: &'a mut dyn Enforcer,
    pub(crate) proxy: &'a mut dyn Proxy,
    /// What cluster, enforcer and proxy have and nobody else knows of.
    pub(crate) hidden: Hidden,
}

impl Changing<'_> {
    /// Makes one change set true everywhere: in the cluster, at the listeners, on every node.
    pub(crate) fn change(&mut self, changes: &[Change], attach: &mut Attach<'_>) -> Result<(), HarnessError> {
        let _span = tracing::info_span!("change set", changes = changes.len()).entered();
        let snapshot = self.control.apply(changes)?;
        if changes.iter().all(Change::is_policy) {
            let _span = tracing::debug_span!("part", name = "program policies").entered();
            return Ok(self.enforcer.program(&self.hidden.among(&snapshot)?)?);
        }
        self.settle_on(&snapshot, attach)
    }

    /// Makes these objects true. What goes is taken away while policy still isolates it. What comes has its
    /// witnesses and its policies before a wire leads to it, as a pod has before its containers start; and
    /// services lead to it when it is there.
    pub(crate) fn settle_on(
        &mut self,
        snapshot: &Arc<Snapshot>,
        attach: &mut Attach<'_>,
    ) -> Result<(), HarnessError> {
        let part = |name| tracing::debug_span!("part", name);
        let all = self.hidden.among(snapshot)?;
        part("take away what goes, make what comes").in_scope(|| self.cluster.prepare(&all))?;
        part("attach witnesses")
            .in_scope(|| attach(sites(self.cluster, snapshot), snapshot.topology.family.list()))?;
        part("program policies").in_scope(|| self.enforcer.program(&all))?;
        part("wire what comes").in_scope(|| self.cluster.update(&all))?;
        part("program the nodes' surroundings").in_scope(|| self.surroundings.program(snapshot))?;
        part("program services").in_scope(|| self.proxy.program(&all))?;
        Ok(())
    }
}
