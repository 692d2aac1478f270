//! The tables of a matrix, and sums over their cells.

use crate::cell::{Cell, Sign};
use crate::cells::Cells;
use crate::left_out::LeftOut;
use crate::stand_in::{StandIn, Unanswered};
use netproof_model::Family;
use netproof_model::flow::{Destination, Flow, FlowPort, Source};

/// Who reaches whom.
#[derive(Clone, Debug)]
pub struct Matrix {
    /// The scenario run, or the paths of the manifests.
    pub scenario: String,
    /// The step after which.
    pub step: String,
    /// The profile's name.
    pub profile: &'static str,
    /// How many pods, external hosts, services and policies the cluster has, its DNS left out.
    pub objects: Objects,
    /// What stands in no table, and why.
    pub left_out: Vec<LeftOut>,
    /// Hosts outside that stand for more addresses than their own.
    pub stand_ins: Vec<StandIn>,
    /// Ranges outside that policies tell apart and no host stands for.
    pub unanswered: Vec<Unanswered>,
    /// One for each port and family.
    pub tables: Vec<Table>,
}

/// What a cluster has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Objects {
    /// Pods with a network of their own.
    pub pods: usize,
    /// Pods in the network of their node: they are no endpoints of policy, and stand in no table.
    pub host_network_pods: usize,
    /// Hosts outside the cluster.
    pub externals: usize,
    /// Services.
    pub services: usize,
    /// NetworkPolicies.
    pub policies: usize,
}

/// Every source to every destination that serves one port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// The family.
    pub family: Family,
    /// The port.
    pub port: FlowPort,
    /// The rows.
    pub sources: Vec<Source>,
    /// The columns.
    pub destinations: Vec<Destination>,
    /// What each says to each.
    pub cells: Cells,
}

/// How many cells say what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Allowed.
    pub allowed: usize,
    /// Denied, by policy or by a service proxy.
    pub denied: usize,
    /// To which no route leads.
    pub unreachable: usize,
    /// That get through, and no answer comes back.
    pub unanswered: usize,
    /// Left open by the API, or dependent on the backend.
    pub open: usize,
    /// Whose packets did otherwise.
    pub differ: usize,
}

impl Matrix {
    /// What the cells of all tables say, each once in a table, and how many say so.
    pub(crate) fn counted(&self) -> impl Iterator<Item = (&Cell, usize)> {
        self.tables.iter().flat_map(|table| table.cells.counted())
    }

    /// The sums over all cells that were asked.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for (cell, count) in self.counted() {
            match cell.predicted {
                Sign::Allow => counts.allowed += count,
                Sign::Deny | Sign::Drop | Sign::Reject => counts.denied += count,
                Sign::Unreachable => counts.unreachable += count,
                Sign::NoAnswer => counts.unanswered += count,
                Sign::Open | Sign::Varies => counts.open += count,
                Sign::NotAsked => {}
            }
            if cell.differs() {
                counts.differ += count;
            }
        }
        counts
    }
}

impl Table {
    /// The flow of a cell.
    pub(crate) fn flow(&self, source: &Source, destination: &Destination) -> Flow {
        Flow {
            from: source.clone(),
            to: destination.clone(),
            port: Some(self.port.clone()),
            family: Some(self.family),
        }
    }
}
