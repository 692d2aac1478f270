//! The words that the format offers a choice of, with what an editor says about each.

use netproof_api::suggest::did_you_mean;
use netproof_model::event::Never;
use netproof_model::{Family, ProxyMode, Rejection, Verdict};
use netproof_oracle::{PROFILES, Profile};
use netproof_plan::MatrixDestination;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error;
use serde::{Deserialize, Deserializer};
use std::borrow::Cow;
use std::fmt;

/// The address family of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Family")]
pub enum FamilyName {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

impl From<FamilyName> for Family {
    fn from(name: FamilyName) -> Self {
        match name {
            FamilyName::Ipv4 => Family::Ipv4,
            FamilyName::Ipv6 => Family::Ipv6,
        }
    }
}

/// A mode of kube-proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "KubeProxyMode")]
pub enum ProxyModeName {
    /// As kube-proxy's nftables mode does it; the default.
    Nftables,
    /// As its iptables mode does it (`--kube-proxy-mode iptables`).
    Iptables,
}

impl From<ProxyModeName> for ProxyMode {
    fn from(name: ProxyModeName) -> Self {
        match name {
            ProxyModeName::Nftables => ProxyMode::Nftables,
            ProxyModeName::Iptables => ProxyMode::Iptables,
        }
    }
}

/// Where pods go that name no node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Placement")]
pub enum Placement {
    /// All on the first node.
    SameNode,
    /// Over the nodes in turn, in the order in which the scenario first mentions them.
    Across,
}

impl fmt::Display for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Placement::SameNode => "same-node",
            Placement::Across => "across",
        })
    }
}

/// What policy says about a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Verdict")]
pub enum VerdictName {
    /// It connects.
    Allow,
    /// It is denied, by drop or by reject. Without policy it must connect.
    Deny,
    /// It is denied without an answer.
    Drop,
    /// It is denied with an answer: a TCP reset or an ICMP error.
    Reject,
}

/// What becomes of a flow that one backend of several gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "BackendVerdict")]
pub enum BackendVerdictName {
    /// It connects.
    Allow,
    /// It is denied, by drop or by reject. Without policy it must connect.
    Deny,
    /// It is denied without an answer.
    Drop,
    /// It is denied with an answer: a TCP reset or an ICMP error.
    Reject,
    /// It arrives, and its answer does not come back.
    NoAnswer,
}

impl From<BackendVerdictName> for Verdict {
    fn from(name: BackendVerdictName) -> Self {
        match name {
            BackendVerdictName::Allow => Verdict::Allow,
            BackendVerdictName::Deny => Verdict::Deny,
            BackendVerdictName::Drop => Verdict::Drop,
            BackendVerdictName::Reject => Verdict::Reject,
            BackendVerdictName::NoAnswer => Verdict::NoAnswer,
        }
    }
}

impl From<VerdictName> for Verdict {
    fn from(name: VerdictName) -> Self {
        match name {
            VerdictName::Allow => Verdict::Allow,
            VerdictName::Deny => Verdict::Deny,
            VerdictName::Drop => Verdict::Drop,
            VerdictName::Reject => Verdict::Reject,
        }
    }
}

/// What becomes of a flow where it is not policy that speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Outcome")]
pub enum OutcomeName {
    /// The destination answers that nobody listens.
    Refused,
    /// There is no route to the destination.
    Unreachable,
    /// The name server answers that the name does not exist.
    NameNotFound,
    /// The name server gives no answer.
    NameServerUnreachable,
    /// It connects, and no application answers; or it arrives, and the answer does not come back.
    NoAnswer,
}

impl From<OutcomeName> for Verdict {
    fn from(name: OutcomeName) -> Self {
        match name {
            OutcomeName::Refused => Verdict::Refused,
            OutcomeName::Unreachable => Verdict::Unreachable,
            OutcomeName::NameNotFound => Verdict::NameNotFound,
            OutcomeName::NameServerUnreachable => Verdict::NameServerUnreachable,
            OutcomeName::NoAnswer => Verdict::NoAnswer,
        }
    }
}

/// How a rejection looks to the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Rejection")]
pub enum RejectionName {
    /// A TCP reset.
    TcpReset,
    /// ICMP destination unreachable: port.
    PortUnreachable,
    /// ICMP destination unreachable: administratively prohibited.
    AdminProhibited,
    /// Another ICMP destination unreachable.
    Unreachable,
}

impl From<RejectionName> for Rejection {
    fn from(name: RejectionName) -> Self {
        match name {
            RejectionName::TcpReset => Rejection::TcpReset,
            RejectionName::PortUnreachable => Rejection::PortUnreachable,
            RejectionName::AdminProhibited => Rejection::AdminProhibited,
            RejectionName::Unreachable => Rejection::Unreachable,
        }
    }
}

/// What becomes of a flow's connection after its step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Connection")]
pub enum ConnectionName {
    /// The first step that says so opens it; later steps that say so use it again.
    Keep,
}

/// What must not happen to any probe while changes are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "Never")]
pub enum NeverName {
    /// It gets through.
    Allow,
    /// It is not answered.
    Cut,
}

impl From<NeverName> for Never {
    fn from(name: NeverName) -> Self {
        match name {
            NeverName::Allow => Never::Allow,
            NeverName::Cut => Never::Cut,
        }
    }
}

/// A switch that can only be turned off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Off {
    /// Off.
    Off,
}

/// Who says what to expect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OracleWord {
    /// The API: every cell of the step's matrix must be as it says.
    Oracle,
}

/// What the cells of a matrix are addressed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "MatrixDestination")]
pub enum DestinationName {
    /// The addresses of pods and external hosts.
    PodIp,
    /// The cluster IPs of services.
    ServiceIp,
    /// The names of services, which the source resolves.
    ServiceName,
}

impl From<DestinationName> for MatrixDestination {
    fn from(name: DestinationName) -> Self {
        match name {
            DestinationName::PodIp => MatrixDestination::PodIp,
            DestinationName::ServiceIp => MatrixDestination::ServiceIp,
            DestinationName::ServiceName => MatrixDestination::ServiceName,
        }
    }
}

/// A profile of the oracle, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProfileName(pub Profile);

impl<'de> Deserialize<'de> for ProfileName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Profile::named(&name).map(ProfileName).ok_or_else(|| {
            let names: Vec<&str> = PROFILES.iter().map(|profile| profile.name).collect();
            let help = match did_you_mean(&name, names.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("there are {}", names.join(", ")),
            };
            D::Error::custom(format!("there is no profile `{name}`; {help}"))
        })
    }
}

impl JsonSchema for ProfileName {
    fn schema_name() -> Cow<'static, str> {
        "Profile".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<&str> = PROFILES.iter().map(|profile| profile.name).collect();
        json_schema!({
            "description": "What to read into the API where it leaves something open.",
            "type": "string",
            "enum": names,
        })
    }
}

/// What is spoken on a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "FlowProtocol")]
pub enum ProtocolName {
    /// A TCP connection.
    Tcp,
    /// A datagram and its answer.
    Udp,
    /// An SCTP association.
    Sctp,
    /// A GET over TCP.
    Http,
    /// A query over UDP.
    Dns,
    /// An ICMP echo, which has no port.
    Icmp,
}

/// The kind of a scenario document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum ScenarioKind {
    /// A scenario.
    Scenario,
}

/// The kind of a case table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum CaseTableKind {
    /// A case table.
    CaseTable,
}

/// The kind of a suite document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum SuiteKind {
    /// A suite.
    Suite,
}
