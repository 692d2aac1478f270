//! One expectation on one flow, and what became of it, as values. Whoever shows it makes the text.

use super::{Finding, FindingKind, Location, Phase, Status};
use crate::decided_by::DecidedBy;
use crate::decision::{Action, Decision, Hook};
use crate::net::Family;
use crate::observation::{Outcome, PacketAddresses, Sighting};
use crate::place::Place;
use crate::verdict::Verdicts;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

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
    /// What was expected; absent where any verdict is right, and where the check is not about a verdict.
    pub expected: Option<Verdicts>,
    /// Who must have decided; absent where the scenario does not say.
    pub expected_by: Option<DecidedBy>,
    /// What was observed; absent where nothing was tried for the check itself.
    pub observed: Option<Verdicts>,
    /// What the API says; absent where it does not speak about the flow, and in a walk without policy.
    pub predicted: Option<Verdicts>,
    /// Who decides, as the API says, whichever of several; empty where it does not say.
    pub predicted_by: Vec<Decision>,
    /// The switches of the profile that would settle what the API leaves open, by name; empty where it leaves
    /// nothing open.
    pub open: Vec<String>,
    /// What was counted of a flow that was probed without pause while changes were made (`meanwhile`).
    pub stream: Option<StreamCount>,
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
    /// Who let it through at each of its ends, as a trace of another try of it says; empty where none was made.
    pub allowed_by: Vec<Decision>,
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
            expected: None,
            expected_by: None,
            observed: None,
            predicted: None,
            predicted_by: Vec::new(),
            open: Vec::new(),
            stream: None,
            derivation: Vec::new(),
            outcome: None,
            status: Status::Passed,
            findings: Vec::new(),
            denials: Vec::new(),
            allowed_by: Vec::new(),
            served_by: None,
            seen_source: None,
            via: None,
            policy_sees: None,
            path: Vec::new(),
            elapsed: Duration::ZERO,
        }
    }
}

/// What must not happen to any probe of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Never {
    /// No probe gets through.
    Allow,
    /// Every probe is answered.
    Cut,
}

impl fmt::Display for Never {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Never::Allow => "never allow",
            Never::Cut => "never cut",
        })
    }
}

/// The probes of a stream, counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct StreamCount {
    /// What must not happen to any of them.
    pub never: Never,
    /// How many there were.
    pub probes: usize,
    /// How many were sent while a change was being made.
    pub during: usize,
    /// To how many it happened.
    pub wrong: usize,
    /// How many changes were made.
    pub changes: usize,
    /// What the API says in the states that the changes lead through, each answer once, in their order.
    pub predicted: Vec<Verdicts>,
}

/// That it happened to some of the probes, or to none.
impl fmt::Display for StreamCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StreamCount { never, probes, wrong, changes, .. } = self;
        match (never, wrong) {
            (Never::Allow, 0) => write!(f, "none of {probes} probes got through")?,
            (Never::Allow, _) => write!(f, "{wrong} of {probes} probes got through")?,
            (Never::Cut, 0) => write!(f, "all {probes} probes were answered")?,
            (Never::Cut, _) => write!(f, "{wrong} of {probes} probes were not answered")?,
        }
        match changes {
            1 => f.write_str(" while 1 change was made"),
            _ => write!(f, " while {changes} changes were made"),
        }
    }
}
