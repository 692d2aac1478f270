//! What became of the matrix of a step, in numbers.

use crate::decision::Decision;
use crate::net::Family;
use crate::verdict::{Verdict, Verdicts};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

/// What became of the matrix of one step: the flows between the scenario's own pods and external hosts, and to
/// its services, that the step tried beside those that it names. Cells that differ from what the API says are
/// checks that failed.
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
    /// How many differ from what the API says; the first of them are checks of their own, unless the step names
    /// the flow and its check has failed.
    pub differing: usize,
    /// How many of these only in who decided: the verdict is right.
    pub wrong_deciders: usize,
    /// How many have no verdict, because nothing says who lost the packet; likewise.
    pub unexplained: usize,
    /// How many of those denied proved nothing: they did not connect without policy either, as the API says.
    pub unproven: usize,
    /// How the denials were rehearsed.
    pub rehearsed: RehearsedCells,
    /// How the cells were chosen where there are too many to try all.
    pub sampled: Option<SampledCells>,
    /// What no cell is addressed to, though the cluster has it, or what stands in none at all.
    pub in_no_cell: Vec<NotInCells>,
    /// Every cell that was tried.
    pub table: CellTable,
    /// The profile by which points were read that the API leaves open.
    pub profile: String,
    /// From the first packet to the last verdict, in seconds.
    #[serde(with = "crate::seconds")]
    #[cfg_attr(feature = "schema", schemars(with = "f64"))]
    pub elapsed: Duration,
}

/// Every cell of a step, in little room: cells that share everything but their ends are one group.
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

/// Cells of which the same was expected, predicted and observed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct CellGroup {
    /// The family in which they were tried.
    pub family: Family,
    /// What the step expects of the same flow; absent where it does not name it.
    pub expected: Option<Verdicts>,
    /// What the API says.
    pub predicted: Verdicts,
    /// What the packets did.
    pub observed: Verdict,
    /// Who decided, by the packets' evidence; absent where nothing denied them.
    pub decided_by: Option<Decision>,
    /// Whether the packets did as the API says, decider included, or the API leaves it open.
    pub agrees: bool,
    /// Source and destination of each, as positions in [`CellTable::sources`] and [`CellTable::destinations`].
    pub cells: Vec<(usize, usize)>,
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
        let mut known: HashMap<CellGroup, usize> = HashMap::new();
        for Cell { source, destination, group } in cells {
            let (Ok(from), Ok(to)) =
                (sources.binary_search(&source), destinations.binary_search(&destination))
            else {
                continue;
            };
            let index = *known.entry(group).or_insert_with_key(|group| {
                groups.push(group.clone());
                groups.len() - 1
            });
            if let Some(group) = groups.get_mut(index) {
                group.cells.push((from, to));
            }
        }
        CellTable { sources, destinations, groups }
    }
}

/// One cell, before it is put into a table.
#[derive(Clone, Debug)]
pub struct Cell {
    /// The source, as flows name it.
    pub source: String,
    /// The destination with its port, as flows name it.
    pub destination: String,
    /// What became of it; without any cell of its own.
    pub group: CellGroup,
}

/// Something of the cluster that no cell is addressed to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct NotInCells {
    /// What, as flows name it.
    pub name: String,
    /// Why.
    pub why: NoCell,
}

/// Why no cell is addressed to something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum NoCell {
    /// A pod that listens nowhere; it is a source all the same.
    ListensNowhere,
    /// A pod in the network of its node, which is no source either.
    HostNetwork,
    /// A pod that has ended, or has no address yet: likewise.
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
    /// Anything else: it depends on the endpoint, a service has none, there is no route, no such name.
    pub other: usize,
    /// Left open, by the switches of the profile that would settle them: the names of one or several, separated by
    /// a comma and a space.
    pub undefined: BTreeMap<String, usize>,
}

/// What separates the names of switches in a key of [`PredictedCells::undefined`].
const SEPARATOR: &str = ", ";

impl PredictedCells {
    /// Counts a cell that is left open, and that switches of these names would settle.
    pub fn add_undefined<'a>(&mut self, switches: impl IntoIterator<Item = &'a str>) {
        let switches: Vec<&str> = switches.into_iter().collect();
        *self.undefined.entry(switches.join(SEPARATOR)).or_default() += 1;
    }

    /// The names of all switches on which a cell hangs, as often as they stand.
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
    /// Tried for an earlier step, or an earlier scenario run, with the same objects but for policies.
    pub shared: usize,
}

/// A choice among too many cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct SampledCells {
    /// How many cells the matrix has.
    pub of: usize,
    /// How many kinds of cells policy can tell apart; one of each is tried, as far as they are not too many
    /// themselves, and the rest is chosen by the seed.
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
