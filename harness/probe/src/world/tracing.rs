//! Listening on the way: witnesses of whole paths, and of the rules that requests meet, while that is asked for.

use super::{World, system};
use crate::error::ProbeError;
use crate::stack::{self, Role};
use crate::trace;
use netproof_cluster::Netns;
use netproof_model::Place;
use std::sync::Arc;

/// How many probes are sent before the evidence is drained: a probe leaves a few log messages at most.
const CHUNK: usize = 64;
/// The same while probes are traced: a tracer receives every packet that comes to its node, an answered TCP probe
/// alone leaves four, and four more inside an overlay's.
const TRACED: usize = 16;

impl World {
    /// Opens a tracer in each of these stacks.
    pub(crate) fn trace(&mut self, places: &[(Place, Arc<Netns>)]) -> Result<(), ProbeError> {
        for (place, netns) in places {
            let doing = "open a packet socket";
            let (fd, role) = netns.enter(stack::open_tracer).flatten().map_err(system(doing, place))?;
            let key = self.open(fd, &Arc::new(place.clone()), role)?;
            self.tracers.push(key);
        }
        Ok(())
    }

    /// Listens in each of these nodes to what the kernel tells of the rules that marked packets meet.
    pub(crate) fn trace_rules(&mut self, nodes: &[(Place, Arc<Netns>)]) -> Result<(), ProbeError> {
        for (place, netns) in nodes {
            let doing = "listen to the trace of rules";
            let fd = netns.enter(trace::open).flatten().map_err(system(doing, place))?;
            let key = self.open(fd, &Arc::new(place.clone()), Role::RuleTracer)?;
            self.rule_tracers.push(key);
        }
        Ok(())
    }

    /// How many probes may be sent before the evidence is drained: the smallest receive buffer holds 256 messages.
    pub(crate) fn chunk(&self) -> usize {
        match (self.tracers.is_empty(), self.rule_tracers.is_empty()) {
            (true, true) => CHUNK,
            (false, true) => TRACED,
            // A request meets some ten rules on each node, and more with each policy.
            (_, false) => 1,
        }
    }

    /// Listens no more.
    pub(crate) fn stop_tracing_rules(&mut self) {
        for key in std::mem::take(&mut self.rule_tracers) {
            self.close(key);
        }
    }

    /// Closes the tracers: while there are any, the kernel copies every packet for them.
    pub(crate) fn stop_tracing(&mut self) {
        for key in std::mem::take(&mut self.tracers) {
            self.close(key);
        }
    }
}
