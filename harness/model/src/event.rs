//! The events of a run. Reporters consume them and nothing else; JSON is this stream written down.

mod cells;
mod finding;

pub use cells::{Cells, NoCell, NotInCells, ObservedCells, PredictedCells, RehearsedCells, SampledCells};
pub use finding::{Finding, FindingKind};

use crate::decision::{Action, Decision, Hook};
use crate::net::Family;
use crate::observation::{Outcome, PacketAddresses, Sighting};
use crate::place::Place;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// The version of this stream's format. It changes when a consumer could misread an older or newer one.
pub const FORMAT: &str = "netproof.events/v1alpha2";

/// Which run of which scenario: the file's stem and suite, and the chosen variant.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ScenarioId {
    /// The folder that holds the file, relative to the scenarios' root, `/` replaced by `::`.
    pub suite: String,
    /// The scenario's `metadata.name`.
    pub name: String,
    /// The variant's words in a fixed order (`across`, `bridge`, `ipv6`), empty where there is no choice.
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
    /// What the names of a walk's checks begin with.
    pub fn prefix(self) -> &'static str {
        match self {
            Phase::Run => "",
            Phase::Rehearsal => "rehearsal/",
            Phase::Cleanup => "cleanup/",
        }
    }
}

/// What became of a check or of a scenario.
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
    /// Not tried, because something that it needs is missing here.
    Skipped,
}

/// A denial as the packet met it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Denial {
    /// Who decided.
    pub decision: Decision,
    /// Drop or reject.
    pub action: Action,
    /// On which node.
    pub node: String,
    /// At which hook.
    pub hook: Hook,
    /// The packet's addresses there.
    pub packet: PacketAddresses,
}

/// A request's addresses at the hook where policy decided, as names where they have one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PolicySees {
    /// The node.
    pub node: String,
    /// The hook.
    pub hook: Hook,
    /// The source address.
    pub source: String,
    /// The destination address.
    pub destination: String,
}

/// One expectation on one flow in one family, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct Check {
    /// Unique within its scenario run and the same in every run:
    /// `STEP/FLOW[ FAMILY]`, `rehearsal/...`, `cleanup/...`.
    pub name: String,
    /// Where the expectation is written.
    pub location: Location,
    /// Which walk.
    pub phase: Phase,
    /// The step's name.
    pub step: String,
    /// The flow, with its port filled in.
    pub flow: String,
    /// How many cells of the step's matrix the check stands for; 0 where the scenario names the flow.
    pub cells: usize,
    /// The family that was tried; absent where the flow resolved nothing.
    pub family: Option<Family>,
    /// What was expected, in the words of the scenario format: `deny`, `allow`, `refused`, ...
    pub expected: String,
    /// What was observed, in the same words: `allow`, `deny`, `refused`, ...
    pub observed: String,
    /// What the API says, in the same words, or `either` where it leaves that open; absent where it does not
    /// speak about the flow, and in a walk without policy.
    pub predicted: Option<String>,
    /// How that follows, one sentence each, deeper reasons indented; filled in for a cell of a matrix.
    pub derivation: Vec<String>,
    /// What the probe saw.
    pub outcome: Option<Outcome>,
    /// The result.
    pub status: Status,
    /// Each thing that is not as it should be; the reason of a skip or an error. The first says most.
    pub findings: Vec<Finding>,
    /// Drops and rejects of this flow, in the order in which the packet met them.
    pub denials: Vec<Denial>,
    /// Who answered.
    pub served_by: Option<Place>,
    /// The source address that the server saw, as a name where it has one.
    pub seen_source: Option<String>,
    /// The node that chose the backend of a service.
    pub via: Option<String>,
    /// The request's addresses where policy decided: on the node of the backend, or where it was denied.
    pub policy_sees: Option<PolicySees>,
    /// Where the request was seen, in order; filled in for a check that failed.
    pub path: Vec<Sighting>,
    /// From the first packet to the outcome, in seconds.
    #[serde(with = "crate::seconds")]
    #[cfg_attr(feature = "schema", schemars(with = "f64"))]
    pub elapsed: Duration,
}

impl Check {
    /// Whether it found something of this kind.
    pub fn found(&self, kind: FindingKind) -> bool {
        self.findings.iter().any(|finding| finding.kind == kind)
    }

    /// What it found, in sentences.
    pub fn messages(&self) -> String {
        let messages: Vec<&str> = self.findings.iter().map(|finding| finding.message.as_str()).collect();
        messages.join("; ")
    }

    /// A check of a flow of which nothing is known yet.
    pub fn new(name: String, location: Location, phase: Phase, step: &str, flow: String) -> Self {
        Check {
            name,
            location,
            phase,
            step: step.to_owned(),
            flow,
            cells: 0,
            family: None,
            expected: String::new(),
            observed: String::new(),
            predicted: None,
            derivation: Vec::new(),
            outcome: None,
            status: Status::Passed,
            findings: Vec::new(),
            denials: Vec::new(),
            served_by: None,
            seen_source: None,
            via: None,
            policy_sees: None,
            path: Vec::new(),
            elapsed: Duration::ZERO,
        }
    }
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
    /// Wall time, in seconds.
    #[serde(with = "crate::seconds")]
    #[cfg_attr(feature = "schema", schemars(with = "f64"))]
    pub elapsed: Duration,
    /// How much of it probes waited for packets that never came, in seconds: answers, evidence of a denial, answers of
    /// the name server. What enforcers and proxies take to program is not among it, nor are streams (`meanwhile`), which
    /// run beside the changes.
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
    /// How many cells of matrices were tried; those that are not as the API says are among the checks.
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
        /// The format of the stream, `netproof.events/v1alpha2`.
        format: String,
        /// netproof's version.
        version: String,
        /// The seed of every random choice; `--seed` repeats it.
        seed: u64,
        /// The policy enforcer, as `--enforcer` names it.
        enforcer: String,
        /// The service proxy, as `--proxy` names it.
        proxy: String,
        /// The scenario runs that are planned, each variant one; what ends early leaves some untold.
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
