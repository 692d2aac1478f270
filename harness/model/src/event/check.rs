//! One expectation on one flow and its result, as values. Reporters make the text.

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

/// A denial by evidence.
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

/// A request's addresses at the hook where policy decided, by name if they have one.
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

/// One expectation on one flow in one family, and its result.
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
    /// How many cells of the step's matrix the check stands for; 0 if the scenario names the flow.
    pub cells: usize,
    /// The family that was tried; absent if the flow resolved to nothing.
    pub family: Option<Family>,
    /// What was expected; absent if any verdict is right, or if the check is not about a verdict.
    pub expected: Option<Verdicts>,
    /// Who must have decided; absent where the scenario does not say.
    pub expected_by: Option<DecidedBy>,
    /// What was observed; absent if nothing was tried for this check.
    pub observed: Option<Verdicts>,
    /// What the API says; absent if it says nothing about the flow, and in a walk without policy.
    pub predicted: Option<Verdicts>,
    /// The deciders according to the API, any of which may decide; empty if the API names none.
    pub predicted_by: Vec<Decision>,
    /// The names of the profile's switches that would settle what the API leaves open; empty if it leaves
    /// nothing open.
    pub open: Vec<String>,
    /// The counts of a flow that was probed without pause while changes were made (`meanwhile`).
    pub stream: Option<StreamCount>,
    /// The reasons for the API's answer, one sentence each, deeper reasons indented; only for a cell of a
    /// matrix.
    pub derivation: Vec<String>,
    /// What the probe saw.
    pub outcome: Option<Outcome>,
    /// The result.
    pub status: Status,
    /// What is wrong, or the reason of a skip or an error, the most important first.
    pub findings: Vec<Finding>,
    /// Drops and rejects of this flow, in the order in which the packet met them.
    pub denials: Vec<Denial>,
    /// Who allowed it at each of its ends, by a trace of a second try; empty if none was made.
    pub allowed_by: Vec<Decision>,
    /// Who answered.
    pub served_by: Option<Place>,
    /// The source address that the server saw, by name if it has one.
    pub seen_source: Option<String>,
    /// The node that chose the backend of a service.
    pub via: Option<String>,
    /// The request's addresses where policy decided: on the node of the backend, or where it was denied.
    pub policy_sees: Option<PolicySees>,
    /// Where the request was seen, in order; only for a failed check.
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

    /// A check without results yet.
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
    /// How many violated it.
    pub wrong: usize,
    /// How many changes were made.
    pub changes: usize,
    /// What the API says in the states that the changes pass through, each answer once, in order.
    pub predicted: Vec<Verdicts>,
}

/// Whether some probes violated it, or none, in a sentence.
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
