//! The results of a step's matrix.

use crate::decision::Decision;
use crate::net::Family;
use crate::verdict::{Verdict, Verdicts};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// The results of a step's matrix: the flows between the scenario's own pods and external hosts, and to its
/// services. Cells that differ from what the API says are failed checks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Cells {
    /// How many were tried.
    pub total: usize,
    /// What the API says about them.
    pub predicted: PredictedCells,
    /// What the packets did.
    pub observed: ObservedCells,
    /// How many differ from what the API says. The first of them are checks of their own, unless the step
    /// names the flow and its check failed.
    pub differing: usize,
    /// How many of these differ only in the decider: the verdict is right.
    pub wrong_deciders: usize,
    /// How many have no verdict, because nothing says who lost the packet. The first of them are checks,
    /// too.
    pub unexplained: usize,
    /// How many denials proved nothing: the flow did not connect without policy either, as the API says.
    pub unproven: usize,
    /// How the denials were rehearsed.
    pub rehearsed: RehearsedCells,
    /// The sample of cells that was tried, if there are too many to try all.
    pub sampled: Option<SampledCells>,
    /// Objects of the cluster that are no cell's destination, or in no cell at all.
    pub in_no_cell: Vec<NotInCells>,
    /// Every cell that was tried.
    pub table: CellTable,
    /// The profile, which says how to read what the API leaves open.
    pub profile: String,
    /// From the first packet to the last verdict, in seconds.
    #[serde(with = "crate::seconds")]
    #[cfg_attr(feature = "schema", schemars(with = "f64"))]
    pub elapsed: Duration,
}

/// Every cell of a step in a compact form: cells that share everything but their ends are one group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CellTable {
    /// The sources, as flows name them, sorted.
    pub sources: Vec<String>,
    /// The destinations with their ports, as flows name them, sorted.
    pub destinations: Vec<String>,
    /// What became of them.
    pub groups: Vec<CellGroup>,
}

/// Cells with the same expected, predicted and observed verdict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CellGroup {
    /// The family in which they were tried.
    pub family: Family,
    /// What the step expects of the same flow; absent if it does not name the flow.
    pub expected: Option<Verdicts>,
    /// What the API says.
    pub predicted: Verdicts,
    /// What the packets did.
    pub observed: Verdict,
    /// Who denied, by the packets' evidence; absent if nothing did.
    pub decided_by: Option<Decision>,
    /// Whether the packets did what the API says, decider included, or the API leaves the cell open.
    pub agrees: bool,
    /// Source and destination of each, as positions in [`CellTable::sources`] and [`CellTable::destinations`].
    pub cells: Vec<(usize, usize)>,
}

impl CellGroup {
    /// Whether they differ in nothing but their cells.
    fn is_like(&self, other: &CellGroup) -> bool {
        let CellGroup { family, expected, predicted, observed, decided_by, agrees, cells: _ } = self;
        *observed == other.observed
            && *agrees == other.agrees
            && *family == other.family
            && *predicted == other.predicted
            && *expected == other.expected
            && *decided_by == other.decided_by
    }
}

impl CellTable {
    /// Sorts cells into groups.
    pub fn of(cells: impl IntoIterator<Item = Cell>) -> CellTable {
        let cells: Vec<Cell> = cells.into_iter().collect();
        let sorted = |end: fn(&Cell) -> &String| {
            let names: BTreeSet<&String> = cells.iter().map(end).collect();
            names.into_iter().cloned().collect::<Vec<String>>()
        };
        let (sources, destinations) = (sorted(|it| &it.source), sorted(|it| &it.destination));
        let mut groups: Vec<CellGroup> = Vec::new();
        for Cell { source, destination, group } in cells {
            // Both names are in their lists, so that these are their positions.
            let from = sources.partition_point(|name| *name < source);
            let to = destinations.partition_point(|name| *name < destination);
            match groups.iter_mut().find(|it| it.is_like(&group)) {
                Some(alike) => alike.cells.push((from, to)),
                None => groups.push(CellGroup { cells: vec![(from, to)], ..group }),
            }
        }
        CellTable { sources, destinations, groups }
    }
}

/// One cell, before it is added to a table.
#[derive(Clone, Debug)]
pub struct Cell {
    /// The source, as flows name it.
    pub source: String,
    /// The destination with its port, as flows name it.
    pub destination: String,
    /// Its group, still without cells.
    pub group: CellGroup,
}

/// An object of the cluster that is no cell's destination.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct NotInCells {
    /// What, as flows name it.
    pub name: String,
    /// Why.
    pub why: NoCell,
}

/// Why an object is no cell's destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum NoCell {
    /// A pod that listens nowhere; it is a source.
    ListensNowhere,
    /// A hostNetwork pod; it is no source either.
    HostNetwork,
    /// A pod that has ended or has no address yet; it is no source either.
    NoNetwork,
    /// A service without a cluster IP or without a port.
    NoAddress,
}

/// Cells by what the API says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct PredictedCells {
    /// Allowed, whichever endpoint a service chooses.
    pub allowed: usize,
    /// Denied by policy, whichever endpoint a service chooses.
    pub denied: usize,
    /// Anything else: it depends on the endpoint, the service has no endpoints, there is no route, or the
    /// name does not exist.
    pub other: usize,
    /// Left open, by the switches of the profile that would settle them: one or several names, separated by
    /// a comma and a space.
    pub undefined: BTreeMap<String, usize>,
}

/// The separator of switches in a key of [`PredictedCells::undefined`].
const SEPARATOR: &str = ", ";

impl PredictedCells {
    /// Counts a cell that is left open, under the names of the switches that would settle it.
    pub fn add_undefined<'a>(&mut self, switches: impl IntoIterator<Item = &'a str>) {
        let switches: Vec<&str> = switches.into_iter().collect();
        *self.undefined.entry(switches.join(SEPARATOR)).or_default() += 1;
    }

    /// The names of all switches on which cells depend, with repetitions.
    pub fn switches(&self) -> impl Iterator<Item = &str> {
        self.undefined.keys().flat_map(|names| names.split(SEPARATOR))
    }
}

/// Cells by what the packets did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct ObservedCells {
    /// Connected.
    pub allowed: usize,
    /// Dropped or rejected by policy.
    pub denied: usize,
    /// Anything else.
    pub other: usize,
}

/// The cells that are predicted to be denied, tried without policy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct RehearsedCells {
    /// Tried for this step.
    pub tried: usize,
    /// Tried for an earlier step or scenario run, with the same objects except policies.
    pub shared: usize,
}

/// A sample of too many cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SampledCells {
    /// How many cells the matrix has.
    pub of: usize,
    /// How many kinds of cells policy can tell apart. One of each is tried, unless these are too many
    /// themselves; the seed chooses the rest.
    pub kinds: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_that_fared_alike_are_one_group() {
        let group = |observed| CellGroup {
            family: Family::Ipv4,
            expected: None,
            predicted: Verdict::Deny.into(),
            observed,
            decided_by: None,
            agrees: true,
            cells: Vec::new(),
        };
        let cell = |source: &str, destination: &str, observed| Cell {
            source: source.to_owned(),
            destination: destination.to_owned(),
            group: group(observed),
        };
        let table = CellTable::of([
            cell("pod/b", "pod/a:80", Verdict::Drop),
            cell("pod/a", "pod/b:80", Verdict::Reject),
            cell("pod/a", "pod/b:53/udp", Verdict::Drop),
        ]);
        assert_eq!(table.sources, ["pod/a", "pod/b"]);
        assert_eq!(table.destinations, ["pod/a:80", "pod/b:53/udp", "pod/b:80"]);
        let groups: Vec<_> = table.groups.iter().map(|it| (it.observed, it.cells.as_slice())).collect();
        assert_eq!(groups, [(Verdict::Drop, &[(1, 0), (0, 1)][..]), (Verdict::Reject, &[(0, 2)])]);
    }

    #[test]
    fn switches_are_counted_together_and_told_apart_again() {
        let mut cells = PredictedCells::default();
        for switches in [&["icmp", "sctp"][..], &["icmp"], &["icmp", "sctp"]] {
            cells.add_undefined(switches.iter().copied());
        }
        let counts = [("icmp".to_owned(), 1), ("icmp, sctp".to_owned(), 2)];
        assert_eq!(cells.undefined, BTreeMap::from(counts));
        assert_eq!(cells.switches().collect::<Vec<_>>(), ["icmp", "icmp", "sctp"]);
    }
}
