//! The matrix as data, for programs: what `netproof matrix --json` writes.

use crate::cell::{Cell, Sign};
use crate::cells::Cells;
use crate::left_out::Why;
use crate::stand_in::NoStandIn;
use crate::table::Matrix;
use netproof_oracle::Switches;
use netproof_plan::ignored::{IgnoredObjects, IgnoredReport};
use schemars::JsonSchema;
use serde::Serialize;

/// The version of the format. It changes when a reader could misread an older or newer one.
pub const FORMAT: &str = "netproof.matrix/v1alpha1";

/// What `netproof matrix --json` writes.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "netproof matrix")]
pub struct Report {
    /// The version of this format.
    pub format: &'static str,
    /// The scenario run, or the paths of the manifests.
    pub scenario: String,
    /// The step after which.
    pub step: String,
    /// The profile by which points that the API leaves open were read.
    pub profile: String,
    /// What the cluster has, its DNS left out.
    pub objects: ObjectsReport,
    /// Objects in the files that are not kept, by what that means for the answers.
    pub ignored: IgnoredReport,
    /// Namespaces that manifests are in and none declares.
    pub implied_namespaces: Vec<String>,
    /// Of manifests: what was taken over from them, or not made again, a sentence each.
    pub notes: Vec<String>,
    /// What stands in no table, and why.
    pub in_no_table: Vec<LeftOutReport>,
    /// Of manifests, hosts outside that stand for every address which no policy tells from theirs.
    pub outside: Vec<StandInReport>,
    /// Of manifests, ranges outside that policies tell apart and no host stands for.
    pub ranges_in_no_table: Vec<UnansweredReport>,
    /// How many cells say what.
    pub cells: CountsReport,
    /// One for each port and family.
    pub tables: Vec<TableReport>,
}

/// What a cluster has.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ObjectsReport {
    /// Pods with a network of their own.
    pub pods: usize,
    /// Pods in the network of their node, which stand in no table.
    pub host_network_pods: usize,
    /// Hosts outside the cluster.
    pub externals: usize,
    /// Services.
    pub services: usize,
    /// NetworkPolicies.
    pub policies: usize,
}

/// Something that stands in no table as a destination, or in none at all.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LeftOutReport {
    /// What, as flows name it.
    pub name: String,
    /// Why.
    pub why: Why,
}

/// A host outside, and the addresses that it stands for.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StandInReport {
    /// The host, as flows name it.
    pub host: String,
    /// The range; of all addresses for the rest of the world.
    pub range: String,
    /// Ranges inside it for which others stand.
    pub without: Vec<String>,
    /// Whether it stands for them as a source.
    pub as_source: bool,
    /// Whether it stands for them as a destination.
    pub as_destination: bool,
}

/// A range outside that no host stands for.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnansweredReport {
    /// The range.
    pub range: String,
    /// Why.
    pub why: NoStandIn,
}

/// How many cells say what.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CountsReport {
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
    /// Whose packets did otherwise; null where none were sent.
    pub differ: Option<usize>,
}

/// Every source to every destination that serves one port.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct TableReport {
    /// The address family.
    pub family: String,
    /// The port, as flows write it: `80`, `53/udp`, `icmp`.
    pub port: String,
    /// The rows.
    pub sources: Vec<String>,
    /// The columns.
    pub destinations: Vec<String>,
    /// What the API says, row by row.
    pub predicted: Vec<Vec<Word>>,
    /// What the packets did, row by row, in the words of expectations; null where none were sent, and null in
    /// a cell that was not asked.
    pub observed: Option<Vec<Vec<Option<String>>>>,
    /// Cells that the API leaves open, with the switches of the profile that would settle them.
    pub open: Vec<OpenReport>,
    /// Cells whose packets did otherwise than the API says.
    pub differ: Vec<DifferenceReport>,
}

/// A cell in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// It gets through.
    Allow,
    /// Policy denies it.
    Deny,
    /// A service proxy drops it.
    Drop,
    /// A service proxy rejects it.
    Reject,
    /// The API leaves it open.
    Either,
    /// It depends on the backend that is chosen.
    Varies,
    /// No route leads there.
    Unreachable,
    /// It gets through, and no answer comes back.
    NoAnswer,
    /// Not asked: nothing of the cluster is between the two.
    NotAsked,
}

/// A cell that the API leaves open.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OpenReport {
    /// The source.
    pub source: String,
    /// The destination.
    pub destination: String,
    /// The switches.
    pub switches: Vec<String>,
}

/// A cell whose packets did otherwise.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DifferenceReport {
    /// The source.
    pub source: String,
    /// The destination.
    pub destination: String,
    /// Each thing that is not as predicted, one sentence each.
    pub messages: Vec<String>,
}

impl From<Sign> for Word {
    fn from(sign: Sign) -> Word {
        match sign {
            Sign::Allow => Word::Allow,
            Sign::Deny => Word::Deny,
            Sign::Drop => Word::Drop,
            Sign::Reject => Word::Reject,
            Sign::Open => Word::Either,
            Sign::Varies => Word::Varies,
            Sign::Unreachable => Word::Unreachable,
            Sign::NoAnswer => Word::NoAnswer,
            Sign::NotAsked => Word::NotAsked,
        }
    }
}

impl Report {
    /// The report of a matrix; what was left out of the files is for the caller to add.
    pub fn of(matrix: &Matrix) -> Report {
        let (objects, counts) = (matrix.objects, matrix.counts());
        let probed = matrix.tables.iter().any(|table| is_probed(&table.cells));
        Report {
            format: FORMAT,
            scenario: matrix.scenario.clone(),
            step: matrix.step.clone(),
            profile: matrix.profile.to_owned(),
            objects: ObjectsReport {
                pods: objects.pods,
                host_network_pods: objects.host_network_pods,
                externals: objects.externals,
                services: objects.services,
                policies: objects.policies,
            },
            ignored: IgnoredObjects::default().report(),
            implied_namespaces: Vec::new(),
            notes: Vec::new(),
            in_no_table: matrix
                .left_out
                .iter()
                .map(|it| LeftOutReport { name: it.destination.to_string(), why: it.why })
                .collect(),
            outside: matrix
                .stand_ins
                .iter()
                .map(|it| StandInReport {
                    host: format!("external/{}", it.host),
                    range: it.range.to_string(),
                    without: it.without.iter().map(ToString::to_string).collect(),
                    as_source: it.as_source,
                    as_destination: it.as_destination,
                })
                .collect(),
            ranges_in_no_table: matrix
                .unanswered
                .iter()
                .map(|it| UnansweredReport { range: it.range.to_string(), why: it.why })
                .collect(),
            cells: CountsReport {
                allowed: counts.allowed,
                denied: counts.denied,
                unreachable: counts.unreachable,
                unanswered: counts.unanswered,
                open: counts.open,
                differ: probed.then_some(counts.differ),
            },
            tables: matrix.tables.iter().map(table_report).collect(),
        }
    }
}

fn is_probed(cells: &Cells) -> bool {
    cells.counted().any(|(cell, _)| cell.observed.is_some())
}

fn table_report(table: &crate::table::Table) -> TableReport {
    let (mut open, mut differ) = (Vec::new(), Vec::new());
    let is_plain = |cell: &Cell| cell.open == Switches::default() && !cell.differs();
    let is_all_plain = table.cells.counted().all(|(cell, _)| is_plain(cell));
    for (source, cells) in table.sources.iter().zip(table.cells.rows()).filter(|_| !is_all_plain) {
        for (destination, cell) in table.destinations.iter().zip(cells) {
            if is_plain(cell) {
                continue;
            }
            let (source, destination) = (source.to_string(), destination.to_string());
            let switches: Vec<String> = cell.open.iter().map(|switch| switch.name().to_owned()).collect();
            if let Some(observed) = cell.observed.as_ref().filter(|observed| !observed.differs.is_empty()) {
                let messages = observed.differs.clone();
                let (source, destination) = (source.clone(), destination.clone());
                differ.push(DifferenceReport { source, destination, messages });
            }
            if !switches.is_empty() {
                open.push(OpenReport { source, destination, switches });
            }
        }
    }
    let rows = |of: fn(&Cell) -> Option<String>| -> Vec<Vec<Option<String>>> {
        table.cells.rows().map(|row| row.map(of).collect()).collect()
    };
    TableReport {
        family: table.family.to_string(),
        port: table.port.to_string(),
        sources: table.sources.iter().map(ToString::to_string).collect(),
        destinations: table.destinations.iter().map(ToString::to_string).collect(),
        predicted: table
            .cells
            .rows()
            .map(|row| row.map(|cell| Word::from(cell.predicted)).collect())
            .collect(),
        observed: is_probed(&table.cells).then(|| {
            rows(|cell| {
                cell.observed
                    .as_ref()
                    .and_then(|observed| observed.verdicts.as_ref().map(ToString::to_string))
            })
        }),
        open,
        differ,
    }
}
