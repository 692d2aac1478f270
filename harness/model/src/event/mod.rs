//! The events of a run, the only input of reporters. The JSON report is this stream.

mod cells;
mod check;
mod finding;
mod written;

pub use cells::{
    Cell, CellGroup, CellTable, Cells, NoCell, NotInCells, ObservedCells, PredictedCells, RehearsedCells,
    SampledCells,
};
pub use check::{Check, Denial, Never, PolicySees, StreamCount};
pub use finding::{Finding, FindingKind};
pub use written::WrittenObject;

use crate::topology::Topology;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// The version of this stream's format. It changes when a consumer could misread another version.
pub const FORMAT: &str = "netproof.events/v1beta1";

/// Which run of which scenario: the file's stem and suite, and the chosen variant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ScenarioId {
    /// The folder that holds the file, relative to the scenarios' root, `/` replaced by `::`.
    pub suite: String,
    /// The scenario's `metadata.name`.
    pub name: String,
    /// The variant's words in a fixed order (`across`, `bridge`, `ipv6`), empty if there is only one
    /// variant.
    pub variant: Vec<String>,
}

impl ScenarioId {
    /// The variant in one word, `across-bridge-ipv6`; empty where there is none.
    pub fn variant_name(&self) -> String {
        self.variant.join("-")
    }
}

impl fmt::Display for ScenarioId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.suite.is_empty() {
            write!(f, "{}::", self.suite)?;
        }
        f.write_str(&self.name)?;
        if !self.variant.is_empty() {
            write!(f, "::{}", self.variant_name())?;
        }
        Ok(())
    }
}

/// A place in a file; line and column count from 1.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Location {
    /// The file as the user named it.
    pub file: String,
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// Which walk over the scenario a check belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Without policy objects.
    Rehearsal,
    /// As written.
    Run,
    /// After the policy objects were removed.
    Cleanup,
}

impl Phase {
    /// The prefix of the names of a walk's checks.
    pub fn prefix(self) -> &'static str {
        match self {
            Phase::Run => "",
            Phase::Rehearsal => "rehearsal/",
            Phase::Cleanup => "cleanup/",
        }
    }
}

/// The result of a check or of a scenario run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As expected.
    Passed,
    /// Not as expected.
    Failed,
    /// The harness or the machine could not do it: no verdict.
    Errored,
    /// Not tried, because something that it needs is missing on this machine.
    Skipped,
}

/// What broke a scenario run. This is never a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Trouble {
    /// The control plane refused a change that validation had accepted: a bug of netproof's.
    Change,
    /// The cluster could not be built or changed.
    Cluster,
    /// The enforcer or the proxy could not program the nodes.
    Enforcer,
    /// The enforcer died while probing.
    EnforcerGone,
    /// The proxy died while probing.
    ProxyGone,
    /// The harness's own rules on nodes and router could not be programmed.
    Surroundings,
    /// Probes could not be made.
    Probe,
    /// It took longer than it may.
    Timeout,
    /// This machine cannot run scenarios.
    Machine,
}

/// How a scenario run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ScenarioOutcome {
    /// Failed if a check failed, errored if the harness broke (and nothing failed), skipped if nothing
    /// was tried.
    pub status: Status,
    /// Why it was skipped or could not be done, with the remedy.
    pub message: Option<String>,
    /// What broke it; absent if it completed.
    pub trouble: Option<Trouble>,
    /// Wall time, in seconds.
    #[serde(with = "crate::seconds")]
    #[cfg_attr(feature = "schema", schemars(with = "f64"))]
    pub elapsed: Duration,
    /// How much of it probes waited for packets that never came, in seconds: answers, evidence of a denial,
    /// answers of the name server. It does not include the time in which enforcers and proxies program, nor
    /// streams (`meanwhile`), which run during changes.
    #[serde(with = "crate::seconds")]
    #[cfg_attr(feature = "schema", schemars(with = "f64"))]
    pub waited: Duration,
}

/// Sums over a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Summary {
    /// Scenario runs by status.
    pub scenarios: Counts,
    /// Checks by status.
    pub checks: Counts,
    /// How many cells of matrices were tried; those that differ from what the API says are also counted as
    /// checks.
    pub cells: usize,
    /// Wall time of the run, in seconds.
    #[serde(with = "crate::seconds")]
    #[cfg_attr(feature = "schema", schemars(with = "f64"))]
    pub elapsed: Duration,
    /// How long probes waited for packets that never came, summed over scenario runs, in seconds.
    #[serde(with = "crate::seconds")]
    #[cfg_attr(feature = "schema", schemars(with = "f64"))]
    pub waited: Duration,
    /// Time of all scenario runs, summed, in seconds.
    #[serde(with = "crate::seconds")]
    #[cfg_attr(feature = "schema", schemars(with = "f64"))]
    pub busy: Duration,
}

/// How many of each status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Counts {
    /// As expected.
    pub passed: usize,
    /// Not as expected.
    pub failed: usize,
    /// No verdict.
    pub errored: usize,
    /// Not tried.
    pub skipped: usize,
}

impl Counts {
    /// Counts one more.
    pub fn add(&mut self, status: Status) {
        match status {
            Status::Passed => self.passed += 1,
            Status::Failed => self.failed += 1,
            Status::Errored => self.errored += 1,
            Status::Skipped => self.skipped += 1,
        }
    }

    /// All of them.
    pub fn total(&self) -> usize {
        self.passed + self.failed + self.errored + self.skipped
    }
}

/// What happens in a run, in order. Events of one scenario run are together; scenario runs are in the
/// order in which they ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase", tag = "event")]
pub enum Event {
    /// The run begins.
    #[serde(rename_all = "camelCase")]
    RunStarted {
        /// The format of the stream, `netproof.events/v1beta1`.
        format: String,
        /// netproof's version.
        version: String,
        /// The seed of every random choice; `--seed` repeats it.
        seed: u64,
        /// The policy enforcer, as `--enforcer` names it.
        enforcer: String,
        /// The service proxy, as `--proxy` names it.
        proxy: String,
        /// The scenario runs that are planned, one for each variant. A run that ends early leaves some out.
        scenarios: Vec<ScenarioId>,
    },
    /// A scenario run begins.
    #[serde(rename_all = "camelCase")]
    ScenarioStarted {
        /// Which.
        id: ScenarioId,
        /// Where it is written.
        location: Location,
        /// Its description.
        description: String,
        /// The cluster that it is played on.
        topology: Box<Topology>,
        /// What it makes, in the order in which it is written.
        objects: Vec<WrittenObject>,
    },
    /// A check has its result.
    #[serde(rename_all = "camelCase")]
    CheckFinished {
        /// Of which scenario run.
        id: ScenarioId,
        /// The check.
        check: Box<Check>,
    },
    /// The matrix of a step was tried.
    #[serde(rename_all = "camelCase")]
    StepFinished {
        /// Of which scenario run.
        id: ScenarioId,
        /// The step's name.
        step: String,
        /// Where the step is written.
        location: Location,
        /// What became of it.
        cells: Box<Cells>,
    },
    /// A scenario run ended.
    #[serde(rename_all = "camelCase")]
    ScenarioFinished {
        /// Which.
        id: ScenarioId,
        /// How.
        result: ScenarioOutcome,
    },
    /// A variant does not apply to a scenario, as the scenario itself says.
    #[serde(rename_all = "camelCase")]
    NotApplicable {
        /// Which.
        id: ScenarioId,
        /// Where the scenario says so.
        location: Location,
        /// Why, in the scenario's words.
        because: String,
    },
    /// Something that a person should know and that changes no result.
    #[serde(rename_all = "camelCase")]
    Warning {
        /// Where, if a file is the cause.
        location: Option<Location>,
        /// What.
        message: String,
    },
    /// The run ended.
    #[serde(rename_all = "camelCase")]
    RunFinished {
        /// The sums.
        summary: Summary,
    },
}
