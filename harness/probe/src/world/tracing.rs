//! Temporary listeners: tracers of whole paths, and of the rules that requests meet.

use super::{World, system};
use crate::error::ProbeError;
use crate::stack::{self, Role};
use crate::trace;
use netproof_cluster::Netns;
use netproof_model::Place;
use std::sync::Arc;

/// The most probes to send before the evidence is read: a probe leaves a few log messages at most.
const CHUNK: usize = 64;
/// The same while probes are traced: a tracer receives every packet that comes to its node. An answered TCP
/// probe leaves four, and four more inside the overlay.
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

    /// Opens a listener for the kernel's trace messages in each of these nodes.
    pub(crate) fn trace_rules(&mut self, nodes: &[(Place, Arc<Netns>)]) -> Result<(), ProbeError> {
        for (place, netns) in nodes {
            let doing = "listen to the trace of rules";
            let fd = netns.enter(trace::open).flatten().map_err(system(doing, place))?;
            let key = self.open(fd, &Arc::new(place.clone()), Role::RuleTracer)?;
            self.rule_tracers.push(key);
        }
        Ok(())
    }

    /// The most probes to send before the evidence is read: the smallest receive buffer holds 256 messages.
    pub(crate) fn chunk(&self) -> usize {
        match (self.tracers.is_empty(), self.rule_tracers.is_empty()) {
            (true, true) => CHUNK,
            (false, true) => TRACED,
            // A request meets some ten rules on each node, and more with each policy.
            (_, false) => 1,
        }
    }

    /// Closes these listeners.
    pub(crate) fn stop_tracing_rules(&mut self) {
        for key in std::mem::take(&mut self.rule_tracers) {
            self.close(key);
        }
    }

    /// Closes the tracers: as long as one is open, the kernel copies every packet for it.
    pub(crate) fn stop_tracing(&mut self) {
        for key in std::mem::take(&mut self.tracers) {
            self.close(key);
        }
    }
}
