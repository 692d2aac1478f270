//! A scenario file as it is written: the types that YAML is read into and that the JSON Schema is made
//! from. Nothing is resolved here.

use crate::short::Items;
use crate::words::{
    BackendVerdictName, ConnectionName, DestinationName, FamilyName, NeverName, Off, OracleWord, OutcomeName,
    Placement, ProfileName, ProtocolName, ProxyModeName, RejectionName, ScenarioKind, VerdictName,
};
use netproof_api::names;
use netproof_api::yaml::{Node, Spanned, Value};
use netproof_documents::document::{Document, Problems};
use netproof_documents::topology::TopologySpec;
use netproof_documents::unions::{OneOrMany, PortText, TextOr, TextOrList};
use netproof_documents::words::{ApiVersion, FamiliesName, WiringName};
use schemars::JsonSchema;
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;

/// A scenario: a cluster, and what must hold in it while its objects change.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "netproof scenario", rename = "Scenario")]
pub struct ScenarioFile {
    /// The version of this format.
    pub api_version: ApiVersion,
    /// `Scenario`.
    pub kind: ScenarioKind,
    /// Name, labels and tags.
    pub metadata: Metadata,
    /// The scenario.
    pub spec: ScenarioSpec,
}

/// Name, labels and tags of a scenario.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// The name, unique within the suite (the folder): lower-case letters, digits, `-` and `.`.
    #[schemars(with = "String")]
    pub name: Spanned<String>,
    /// Labels, which `--filter KEY=VALUE` chooses by.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Tags, which `--filter tag=NAME` chooses by: lower-case letters, digits and `-`.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub tags: Vec<Spanned<String>>,
}

/// Reports a tag that is none.
pub fn check_tag(document: &Document, tag: &Spanned<String>, problems: &mut Problems) {
    problems.check_name(document, tag, names::check_dns_label);
}

/// What a scenario says.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ScenarioSpec {
    /// What the scenario is about and where it comes from, in a sentence or two.
    pub description: String,
    /// The namespace of every name that is written without one; `default` if absent.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub namespace: Option<Spanned<String>>,
    /// The topology: the name of a built-in one (`one-node`, `two-nodes`) or of a file in a `topologies`
    /// folder between this file and the root, or a topology's `spec`, inline. `two-nodes` if absent.
    #[serde(default)]
    #[schemars(with = "Option<TextOr<TopologySpec>>")]
    pub topology: Option<Spanned<TextOr<TopologySpec>>>,
    /// Runs the scenario once for each combination of these. The variant is part of every test's name.
    #[serde(default)]
    pub variants: Variants,
    /// What the scenario needs; other variants are shown as not applicable, with the reason.
    #[serde(default)]
    #[schemars(with = "Option<Requires>")]
    pub requires: Option<Spanned<Requires>>,
    /// The objects that are there before the first step: short forms, manifests, or files of manifests.
    #[serde(default)]
    pub objects: Items,
    /// Changes and what must hold after them, in order.
    #[schemars(with = "Vec<StepSpec>", length(min = 1))]
    pub steps: Spanned<Vec<StepSpec>>,
    /// Policies and services, `networkpolicy/[NAMESPACE/]NAME`, with a selector that is meant to match
    /// nothing.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub matches_nothing: Vec<Spanned<String>>,
    /// What every step tries beside the flows that it mentions, and holds against what the API says: the flows
    /// between all pods and external hosts of the scenario and to its services. `off`: nothing.
    #[serde(default)]
    pub matrix: Option<MatrixSpec>,
    /// How to read what the API leaves open; that of the command line if absent.
    #[serde(default)]
    pub profile: Option<ProfileName>,
}

/// Whether every step tries a matrix, and of what.
#[derive(Debug, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "Matrix")]
pub enum MatrixSpec {
    /// None.
    Off(Off),
    /// One.
    On(MatrixFields),
}

/// What the matrix of a step is addressed to.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "MatrixDestinations")]
pub struct MatrixFields {
    /// The kinds of destinations; `pod-ip` and `service-ip` where no matrix is written.
    #[schemars(with = "Vec<DestinationName>", length(min = 1))]
    pub destinations: Spanned<Vec<Spanned<DestinationName>>>,
}

impl<'de> Deserialize<'de> for MatrixSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let node = Node::deserialize(deserializer)?;
        match &node.value {
            Value::String(_) => node.read().map(MatrixSpec::Off),
            Value::Mapping(_) => node.read().map(MatrixSpec::On),
            _ => Err(D::Error::custom(format!(
                "`off` or `{{destinations: [...]}}` is wanted here, not {}",
                node.describe()
            ))),
        }
    }
}

/// What a scenario is run in every combination of.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Variants {
    /// How pods are joined to their node.
    #[serde(default)]
    #[schemars(with = "Option<Vec<WiringName>>")]
    pub wiring: Option<Spanned<Vec<Spanned<WiringName>>>>,
    /// The address families.
    #[serde(default)]
    #[schemars(with = "Option<Vec<FamiliesName>>")]
    pub family: Option<Spanned<Vec<Spanned<FamiliesName>>>>,
    /// Where pods go that name no node.
    #[serde(default)]
    #[schemars(with = "Option<Vec<Placement>>")]
    pub placement: Option<Spanned<Vec<Spanned<Placement>>>>,
}

/// What a scenario needs of its variant.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Requires {
    /// Any of these wirings.
    #[serde(default)]
    pub wiring: Option<OneOrMany<WiringName>>,
    /// Any of these families.
    #[serde(default)]
    pub family: Option<OneOrMany<FamiliesName>>,
    /// Any of these placements.
    #[serde(default)]
    pub placement: Option<OneOrMany<Placement>>,
    /// Any of these modes of kube-proxy.
    #[serde(default)]
    pub kube_proxy_mode: Option<OneOrMany<ProxyModeName>>,
    /// Why, to follow "does not apply because".
    pub because: String,
}

/// Changes, then what must hold.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StepSpec {
    /// What the step is about; unique within the scenario.
    #[schemars(with = "String")]
    pub name: Spanned<String>,
    /// Objects to create or to replace as a whole. The first of the step's changes.
    #[serde(default)]
    pub apply: Option<Items>,
    /// Labels to set, or to remove (`null`), by object: `pod/web: {role: db, old: null}`. After `apply`.
    #[serde(default)]
    #[schemars(with = "Option<LabelsByObject>")]
    pub label: Option<LabelChanges>,
    /// Objects to delete, `KIND/[NAMESPACE/]NAME`. After `label`.
    #[serde(default)]
    #[schemars(with = "Option<Vec<String>>")]
    pub delete: Option<Vec<Spanned<String>>>,
    /// Changes that take effect one after the other, instead of `apply`, `label` and `delete`, which take
    /// effect at once.
    #[serde(default)]
    #[schemars(with = "Option<Vec<ChangeSpec>>")]
    pub changes: Option<Spanned<Vec<Spanned<ChangeSpec>>>>,
    /// How often all of the step's changes are made, one round after the other; once if absent.
    // Of any whole number, so that it is the reader of the step who names the bounds, and not those of the type.
    #[serde(default)]
    #[schemars(with = "Option<u32>", range(min = 1, max = 1000))]
    pub repeat: Option<Spanned<i64>>,
    /// What must hold all the time while the changes are made: flows that are probed without pause meanwhile.
    #[serde(default)]
    #[schemars(with = "Vec<MeanwhileSpec>")]
    pub meanwhile: Vec<Spanned<MeanwhileSpec>>,
    /// What must hold after the changes: a list, or `oracle`, what the API says of the matrix and no more.
    #[serde(default)]
    #[schemars(with = "Option<StepExpectations>")]
    pub expect: Option<Spanned<StepExpectations>>,
    /// A table, several with an empty line between them, or a list of these, as `netproof matrix` prints them. A
    /// table's first word is its port (`:80`, `:53/udp`, `:icmp`), then come the destinations; each further line is a
    /// source and its cells: `.` allow, `X` deny, `D` drop, `R` reject, `r` refused, `N` no answer, `U` unreachable,
    /// `-` not tried, `?` tried and not judged.
    #[serde(default)]
    #[schemars(with = "Option<OneOrMany<String>>")]
    pub matrix: Option<OneOrMany<Node>>,
}

/// One flow or several that are probed without pause while a step's changes are made.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Meanwhile")]
pub struct MeanwhileSpec {
    /// `SOURCE -> DESTINATION[:PORT[/PROTOCOL]]`, or a mapping of its parts.
    #[serde(default)]
    pub flow: Option<FlowSpec>,
    /// Several flows: a list, or a text with one a line.
    #[serde(default)]
    pub flows: Option<TextOrList<FlowSpec>>,
    /// The only family to probe; otherwise every family that both ends have.
    #[serde(default)]
    pub family: Option<FamilyName>,
    /// What must not happen to any probe: `allow` (it gets through) or `cut` (it is not answered).
    pub never: NeverName,
    /// `keep`, beside `never: cut`: all probes are messages over one connection (TCP) or flow (UDP), which is
    /// opened before the first change.
    #[serde(default)]
    #[schemars(with = "Option<ConnectionName>")]
    pub connection: Option<Spanned<ConnectionName>>,
}

/// What a step expects.
#[derive(Debug, JsonSchema)]
#[serde(untagged)]
pub enum StepExpectations {
    /// What the API says of the step's matrix.
    Oracle(OracleWord),
    /// These flows.
    #[schemars(with = "Vec<ExpectSpec>")]
    Flows(Vec<Spanned<ExpectSpec>>),
}

impl<'de> Deserialize<'de> for StepExpectations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let node = Node::deserialize(deserializer)?;
        match &node.value {
            Value::String(_) => node.read().map(StepExpectations::Oracle),
            Value::Sequence(_) => node.read().map(StepExpectations::Flows),
            _ => Err(D::Error::custom(format!(
                "a list of expectations or `oracle` is wanted here, not {}",
                node.describe()
            ))),
        }
    }
}

/// New values of labels by object, in the order they are written.
#[derive(Debug, Default)]
pub struct LabelChanges(pub Vec<(Spanned<String>, Labels)>);

/// New values of labels by key; `None` removes.
type Labels = BTreeMap<Spanned<String>, Option<Spanned<String>>>;
/// For the schema.
type LabelsByObject = BTreeMap<String, BTreeMap<String, Option<String>>>;

impl<'de> Deserialize<'de> for LabelChanges {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let changes = BTreeMap::<Spanned<String>, Labels>::deserialize(deserializer)?;
        let mut changes: Vec<_> = changes.into_iter().collect();
        changes.sort_by_key(|(object, _)| object.span);
        Ok(LabelChanges(changes))
    }
}

/// One change of `changes`: what it has takes effect at once.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1))]
pub struct ChangeSpec {
    /// Objects to create or to replace as a whole.
    #[serde(default)]
    pub apply: Option<Items>,
    /// Labels to set, or to remove (`null`), by object. After `apply`.
    #[serde(default)]
    #[schemars(with = "Option<LabelsByObject>")]
    pub label: Option<LabelChanges>,
    /// Objects to delete, `KIND/[NAMESPACE/]NAME`. After `label`.
    #[serde(default)]
    #[schemars(with = "Option<Vec<String>>")]
    pub delete: Option<Vec<Spanned<String>>>,
}

/// One flow or several, and what must come of each.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExpectSpec {
    /// `SOURCE -> DESTINATION[:PORT[/PROTOCOL]]`, or a mapping of its parts.
    #[serde(default)]
    pub flow: Option<FlowSpec>,
    /// Several flows: a list, or a text with one a line.
    #[serde(default)]
    pub flows: Option<TextOrList<FlowSpec>>,
    /// The only family to try the flows on; otherwise every family that both ends have.
    #[serde(default)]
    pub family: Option<FamilyName>,
    /// What policy says: `allow`, `deny` (or `drop`, `reject`), or one of these by backend, or by family where the two
    /// differ: `{ipv4: allow, ipv6: deny}`.
    #[serde(default)]
    #[schemars(with = "Option<VerdictSpec>")]
    pub verdict: Option<Spanned<VerdictSpec>>,
    /// What becomes of the flow where it is not policy that speaks.
    #[serde(default)]
    #[schemars(with = "Option<OutcomeName>")]
    pub outcome: Option<Spanned<OutcomeName>>,
    /// Who denies: `networkpolicy/[NAMESPACE/]NAME[#ingress[N]]`, `isolation` (whichever policies isolate) or
    /// `service` (the proxy). Of what is allowed who allows, at either end: `networkpolicy/[NAMESPACE/]NAME[#ingress[N]]`,
    /// or `default` (no policy isolates either end).
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub decided_by: Option<Spanned<String>>,
    /// How a rejection looks to the client; beside `verdict: reject` or `deny`.
    #[serde(default)]
    #[schemars(with = "Option<RejectionName>")]
    pub rejected_with: Option<Spanned<RejectionName>>,
    /// The source address that the server sees: `pod/[NAMESPACE/]NAME`, `node/NAME` (any of its addresses),
    /// `tunnel/NODE` (its end of the overlay), `external/NAME`, `router` or `ip/ADDRESS`.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub sees: Option<Spanned<String>>,
    /// The source address that policy sees, or both addresses, where it decides: on the node of the backend,
    /// or where the flow is denied; after DNAT, before masquerade. Names as for `sees`.
    #[serde(default)]
    #[schemars(with = "Option<TextOr<PolicySeesSpec>>")]
    pub policy_sees: Option<Spanned<TextOr<PolicySeesSpec>>>,
    /// Who answers: each of these backends, over enough tries, and no other.
    #[serde(default)]
    #[schemars(with = "Option<OneOrMany<String>>")]
    pub served_by: Option<Spanned<OneOrMany<Spanned<String>>>>,
    /// `true`: all tries that one node led are answered by one and the same backend (one of `servedBy`, where
    /// that is given).
    #[serde(default)]
    #[schemars(with = "Option<bool>")]
    pub sticky: Option<Spanned<bool>>,
    /// The node that chooses the backend of a service, `node/NAME`; or a list: one of them.
    #[serde(default)]
    #[schemars(with = "Option<OneOrMany<String>>")]
    pub via: Option<Spanned<OneOrMany<Spanned<String>>>>,
    /// The addresses that the name of a `dns/` destination resolves to, all of them: names as for `sees`, or
    /// `service/[NAMESPACE/]NAME` for a cluster IP.
    #[serde(default)]
    #[schemars(with = "Option<OneOrMany<String>>")]
    pub dns: Option<Spanned<OneOrMany<Spanned<String>>>>,
    /// `keep`: the connection (TCP) or the flow (UDP) stays open for later steps that say the same.
    #[serde(default)]
    #[schemars(with = "Option<ConnectionName>")]
    pub connection: Option<Spanned<ConnectionName>>,
    /// What the flow does without policy, where that is not connecting. Such a flow proves no deny.
    #[serde(default)]
    #[schemars(with = "Option<BaselineSpec>")]
    pub baseline: Option<Spanned<BaselineSpec>>,
}

/// The addresses that policy sees.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "PolicySees")]
pub struct PolicySeesSpec {
    /// The source address.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub source: Option<Spanned<String>>,
    /// The destination address.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub destination: Option<Spanned<String>>,
}

/// A flow, in short or by its parts.
pub type FlowSpec = TextOr<LongFlow>;

/// The parts of a flow.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LongFlow {
    /// The source: `pod/[NAMESPACE/]NAME`, `node/NAME` or `external/NAME`.
    #[schemars(with = "String")]
    pub from: Node,
    /// The destination: one of the sources' kinds, `service/[NAMESPACE/]NAME`,
    /// `nodeport/[NAMESPACE/]SERVICE@NODE`, `loadbalancer/[NAMESPACE/]SERVICE`, `dns/NAME` or `ip/ADDRESS`.
    #[schemars(with = "String")]
    pub to: Node,
    /// The port, by number or name; absent, it is the only one that the destination serves.
    #[serde(default)]
    #[schemars(with = "Option<PortText>")]
    pub port: Option<Spanned<PortText>>,
    /// What is spoken there; TCP if absent.
    #[serde(default)]
    #[schemars(with = "Option<ProtocolName>")]
    pub protocol: Option<Spanned<ProtocolName>>,
    /// The only family to try.
    #[serde(default)]
    pub family: Option<FamilyName>,
}

/// A verdict, or one for each backend.
#[derive(Debug, JsonSchema)]
#[serde(untagged)]
pub enum VerdictSpec {
    /// Of the flow.
    One(VerdictName),
    /// Of each backend of the destination, by place; or of each family, `ipv4` and `ipv6`.
    #[schemars(with = "BTreeMap<String, BackendVerdictName>")]
    PerBackend(BTreeMap<Spanned<String>, BackendVerdictName>),
}

impl<'de> Deserialize<'de> for VerdictSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let node = Node::deserialize(deserializer)?;
        match &node.value {
            Value::String(_) => node.read().map(VerdictSpec::One),
            Value::Mapping(_) => node.read().map(VerdictSpec::PerBackend),
            _ => Err(D::Error::custom(format!(
                "a verdict is wanted here (`allow`, `deny`, or a mapping of backends to these), not {}",
                node.describe()
            ))),
        }
    }
}

/// What a flow does without policy.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BaselineSpec {
    /// What becomes of it.
    pub outcome: OutcomeName,
    /// Why, in a few words.
    pub because: String,
}
