//! Explanations as data, for programs: what `netproof explain --json` writes.

use netproof_model::{Action, Decision, Direction};
use netproof_oracle::{
    Alternative, Hop, Oracle, Packet, PolicyAccount, PolicyDecision, Prediction, Reason, Switches, Truth,
    Verdict,
};
use netproof_plan::ignored::IgnoredReport;
use netproof_verdict::prediction::{Answer, ApiVerdict, Course};
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt;

/// The version of the format. It changes when a reader could misread an older or newer one.
pub const FORMAT: &str = "netproof.explanation/v1alpha1";

/// What `netproof explain --json` writes.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(title = "netproof explanation")]
pub struct Report {
    /// The version of this format.
    pub format: &'static str,
    /// Objects in the files that are not kept, by what that means for the answers.
    pub ignored: IgnoredReport,
    /// One for each flow of each step, in their order.
    pub explanations: Vec<Explanation>,
}

/// One flow in one step and one family.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// The scenario run, or the paths of the manifests.
    pub scenario: String,
    /// The profile by which points that the API leaves open were read.
    pub profile: String,
    /// The step's name.
    pub step: String,
    /// The flow, its port filled in.
    pub flow: String,
    /// The family, where the cluster has two.
    pub family: Option<String>,
    /// What the API says, in the words of expectations; null where it does not speak about the flow.
    pub answer: Option<String>,
    /// The switches of the profile that would settle what is open.
    pub open_switches: Vec<String>,
    /// Everything that may become of the flow, each once.
    pub courses: Vec<CourseReport>,
    /// Every way that its packets may take; of a flow to a name, first those of the query.
    pub ways: Vec<Way>,
    /// How the answer follows, for people: full sentences, one a line, deeper reasons indented.
    pub derivation: Vec<String>,
}

/// One thing that may become of a flow.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct CourseReport {
    /// Who gets the request unless policy denies it; null where nobody does.
    pub server: Option<String>,
    /// What the API says of it.
    pub answer: String,
}

/// One way that the first packet may take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Way {
    /// Who sends it.
    pub source: String,
    /// Where it is sent: `ADDRESS:PORT/PROTOCOL`, or an address alone for an echo.
    pub destination: String,
    /// What becomes of it.
    pub verdict: VerdictReport,
    /// The nodes that it passes, in order. Those after a denial it would have passed.
    pub hops: Vec<HopReport>,
    /// Who gets it unless policy denies it; null where nobody does.
    pub server: Option<String>,
    /// The source address that the server sees, or would see.
    pub seen_source: Option<String>,
}

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct VerdictReport {
    /// The verdict.
    pub word: VerdictWord,
    /// How it is denied; null where it is not, or where the profile leaves that open.
    pub action: Option<ActionWord>,
    /// Of `either`, the switches of the profile that would settle it.
    pub open_switches: Vec<String>,
}

/// A verdict in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum VerdictWord {
    /// It gets through.
    Allow,
    /// Policy or a service proxy denies it.
    Deny,
    /// The API leaves it open.
    Either,
    /// Nobody has the address, or no route leads there.
    Unreachable,
    /// It gets through, and no answer comes back.
    NoAnswer,
}

/// How a packet is denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ActionWord {
    /// It vanishes.
    Drop,
    /// It is answered with a refusal.
    Reject,
}

/// A node, or the load balancer, that a packet passes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HopReport {
    /// Which.
    pub place: String,
    /// What the service proxy does with it, as a sentence; else that it passes.
    pub sentence: String,
    /// What policy decides here, in order.
    pub decisions: Vec<DecisionReport>,
    /// What becomes of its source address, as a sentence; null where nothing does.
    pub source_becomes: Option<String>,
}

/// What one direction of policy of one pod decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DecisionReport {
    /// The pod whose policies decide.
    pub pod: String,
    /// In which direction.
    pub direction: DirectionWord,
    /// The source address that policy sees.
    pub source: String,
    /// The destination address that policy sees.
    pub destination: String,
    /// What is asked for: `TCP port 80`, `an ICMP echo`.
    pub port: String,
    /// Whether it is allowed.
    pub allowed: Certainty,
    /// What settled that.
    pub reason: ReasonWord,
    /// The switches of the profile that would settle what is open, or that settled it.
    pub switches: Vec<String>,
    /// Who decided: every rule that matches, or may match beside one that does, `KIND/NAMESPACE/NAME#DIRECTION[RULE]`,
    /// or the policies that isolate the pod where none does, `KIND/NAMESPACE/NAME#DIRECTION`. Empty where no policy
    /// did.
    pub decided_by: Vec<String>,
    /// The same, as a sentence.
    pub sentence: String,
    /// What each policy of the pod's namespace says, by name.
    pub policies: Vec<PolicyReport>,
}

/// A direction of policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DirectionWord {
    /// Towards the pod.
    Ingress,
    /// From the pod.
    Egress,
}

/// An answer that the API may leave open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Certainty {
    /// For certain.
    Yes,
    /// For certain not.
    No,
    /// The API leaves it open.
    Either,
}

/// What settled a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ReasonWord {
    /// The default: no policy isolates the pod in this direction.
    NotIsolated,
    /// The rules of the policies that isolate it.
    Rules,
    /// The default: the node that a pod runs on always reaches it.
    OwnNode,
    /// The profile's choice where the API leaves the point open.
    Profile,
}

/// What one policy of the pod's namespace says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PolicyReport {
    /// Which: `KIND/NAMESPACE/NAME`.
    pub policy: String,
    /// Whether it isolates the pod in this direction.
    pub isolates: bool,
    /// Why, as a sentence.
    pub sentence: String,
    /// Its rules of this direction, if it does.
    pub rules: Vec<RuleReport>,
}

/// What one rule says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RuleReport {
    /// Its position among the policy's rules of the direction, from 0.
    pub rule: usize,
    /// Whether it matches.
    pub matches: Certainty,
    /// Why, as a sentence.
    pub sentence: String,
}

/// The switches that an answer leaves open.
pub(super) fn open_switches(answer: &Answer) -> Vec<String> {
    let open = answer.courses.iter().map(|course| match &course.verdict {
        ApiVerdict::Open(switches) => *switches,
        _ => Switches::default(),
    });
    names(open.fold(Switches::default(), Switches::union))
}

pub(super) fn courses(answer: &Answer) -> Vec<CourseReport> {
    let report = |Course { server, verdict, .. }: &Course| CourseReport {
        server: server.as_ref().map(ToString::to_string),
        answer: match verdict {
            ApiVerdict::Open(switches) => format!("{} ({switches})", verdict.word()),
            verdict => verdict.word().to_string(),
        },
    };
    answer.courses.iter().map(report).collect()
}

/// Every way of a prediction.
pub(super) fn ways<'a>(oracle: &Oracle<'_>, prediction: &'a Prediction) -> impl Iterator<Item = Way> + 'a {
    let flow = &prediction.flow;
    let packet = Packet { source: flow.to, destination: flow.to, port: flow.port };
    let ways: Vec<Way> = prediction
        .alternatives
        .iter()
        .map(|Alternative { hops, server, verdict }| {
            let mut denied = false;
            let hops = hops.iter().map(|hop| {
                let report = hop_report(oracle, hop, denied);
                denied |= hop.decisions.iter().any(|decision| decision.truth == Truth::No);
                report
            });
            Way {
                source: flow.from.to_string(),
                destination: packet.target(),
                hops: hops.collect(),
                verdict: verdict_report(verdict),
                server: server.as_ref().map(|server| server.place.to_string()),
                seen_source: server.as_ref().map(|server| server.packet.source.to_string()),
            }
        })
        .collect();
    ways.into_iter()
}

fn verdict_report(verdict: &Verdict) -> VerdictReport {
    let (word, action, switches) = match verdict {
        Verdict::Allow => (VerdictWord::Allow, None, Switches::default()),
        Verdict::Deny(denial) => (VerdictWord::Deny, denial.action(), Switches::default()),
        Verdict::Either(switches) => (VerdictWord::Either, None, *switches),
        Verdict::Unreachable => (VerdictWord::Unreachable, None, Switches::default()),
        Verdict::NoAnswer { .. } => (VerdictWord::NoAnswer, None, Switches::default()),
    };
    let action = action.map(|action| match action {
        Action::Reject => ActionWord::Reject,
        _ => ActionWord::Drop,
    });
    VerdictReport { word, action, open_switches: names(switches) }
}

fn hop_report(oracle: &Oracle<'_>, hop: &Hop, denied: bool) -> HopReport {
    HopReport {
        place: hop.place.to_string(),
        sentence: oracle.describe_hop(hop, denied),
        decisions: hop.decisions.iter().map(|decision| decision_report(oracle, decision)).collect(),
        source_becomes: oracle.describe_source(hop, denied),
    }
}

fn decision_report(oracle: &Oracle<'_>, decision: &PolicyDecision) -> DecisionReport {
    let (reason, switch) = match decision.reason {
        Reason::NotIsolated => (ReasonWord::NotIsolated, Switches::default()),
        Reason::Rules => (ReasonWord::Rules, Switches::default()),
        Reason::OwnNode => (ReasonWord::OwnNode, Switches::default()),
        Reason::Profile(switch) => (ReasonWord::Profile, Switches::of(switch)),
    };
    let open = match decision.truth {
        Truth::Either(switches) => switches,
        Truth::Yes | Truth::No => Switches::default(),
    };
    DecisionReport {
        pod: decision.endpoint.to_string(),
        direction: match decision.direction {
            Direction::Ingress => DirectionWord::Ingress,
            Direction::Egress => DirectionWord::Egress,
        },
        source: decision.packet.source.to_string(),
        destination: decision.packet.destination.to_string(),
        port: decision.packet.port.to_string(),
        allowed: certainty(decision.truth),
        reason,
        switches: names(open.union(switch)),
        decided_by: decision.decided_by().iter().flat_map(deciders).collect(),
        sentence: oracle.describe_decision(decision),
        policies: oracle.accounts(decision).into_iter().map(policy_report).collect(),
    }
}

fn policy_report(account: PolicyAccount) -> PolicyReport {
    let rules = account.rules.iter().map(|rule| RuleReport {
        rule: rule.rule,
        matches: certainty(rule.matches),
        sentence: rule.line(),
    });
    PolicyReport {
        policy: account.policy.to_string(),
        isolates: account.applies,
        rules: rules.collect(),
        sentence: account.sentence,
    }
}

fn deciders(decision: &Decision) -> Vec<String> {
    match decision {
        Decision::Isolation { direction, policies, .. } => {
            policies.iter().map(|policy| format!("{policy}#{direction}")).collect()
        }
        // No policy.
        Decision::NotIsolated { .. } => Vec::new(),
        other => vec![other.to_string()],
    }
}

fn certainty(truth: Truth) -> Certainty {
    match truth {
        Truth::Yes => Certainty::Yes,
        Truth::No => Certainty::No,
        Truth::Either(_) => Certainty::Either,
    }
}

fn names(switches: Switches) -> Vec<String> {
    switches.iter().map(|switch| switch.name().to_owned()).collect()
}

/// As a person reads it: the flow and the answer, then the derivation.
impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let family = self.family.as_ref().map(|family| format!(" {family}")).unwrap_or_default();
        let answer = self.answer.as_deref().unwrap_or("the API does not speak about it");
        writeln!(f, "{}{family}: {answer}", self.flow)?;
        self.derivation.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}
