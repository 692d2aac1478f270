//! Profiles as they are written.

use netproof_api::yaml::Spanned;
use netproof_model::{Families, Wiring};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;

/// An agent: a program that watches a Kubernetes API and programs a node, and what netproof has to know about it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "netproof agent profile", rename = "AgentProfile")]
pub(super) struct ProfileFile {
    /// The version of this format.
    pub(super) api_version: ApiVersion,
    /// `AgentProfile`.
    pub(super) kind: Kind,
    /// The name.
    pub(super) metadata: Metadata,
    /// The agent.
    pub(super) spec: Spec,
}

/// The version of netproof's own formats.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
pub(super) enum ApiVersion {
    /// The only one so far.
    #[serde(rename = "netproof/v1alpha1")]
    V1Alpha1,
}

/// The kind of a profile.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
pub(super) enum Kind {
    /// The profile of an agent.
    AgentProfile,
}

/// The name of a profile.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Metadata {
    /// The name, as reports show it.
    #[schemars(with = "String")]
    pub(super) name: Spanned<String>,
}

/// What a profile says.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct Spec {
    /// What the agent is, in one line.
    #[schemars(with = "String")]
    pub(super) title: Spanned<String>,
    /// What it does on a node: `--enforcer` takes an enforcer, `--proxy` a proxy.
    pub(super) role: RoleName,
    /// The name of its program, which is looked for in PATH where the command line names no file.
    #[schemars(with = "String")]
    pub(super) program: Spanned<String>,
    /// The program's arguments; none if absent. Placeholders are filled in for each node: {node}, {kubeconfig} and
    /// others.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub(super) arguments: Vec<Spanned<String>>,
    /// A script of the shell that runs in its place before the program starts, with placeholders: with the same rights,
    /// variables and files. If a command fails, the program is not started.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(super) setup: Option<Spanned<String>>,
    /// The variables that it finds in its environment, besides PATH and HOME, with placeholders.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub(super) environment: BTreeMap<Spanned<String>, Spanned<String>>,
    /// Files that are there when it starts, which nobody else sees.
    #[serde(default)]
    pub(super) files: Vec<FileSpec>,
    /// Absolute paths of folders that are empty, and that it may write to. `/run`, `/var/run` and `/tmp` are such in any
    /// case; all other files of the machine are read-only.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub(super) private: Vec<Spanned<String>>,
    /// Objects that the API has besides those of the cluster: each with apiVersion, kind and metadata.
    #[serde(default)]
    #[schemars(with = "Vec<ObjectSpec>")]
    pub(super) objects: Vec<Spanned<Value>>,
    /// What the machine must have; nothing if absent.
    #[serde(default)]
    pub(super) needs: NeedsSpec,
    /// Clusters that it can do nothing with. Scenarios in them are not run, and reports say why; none if absent.
    #[serde(default)]
    #[schemars(with = "Vec<NotApplicableSpec>")]
    pub(super) not_applicable: Vec<Spanned<NotApplicableSpec>>,
    /// The kinds of policy objects that it enforces, as references name them: `networkpolicy`, `clusternetworkpolicy`.
    /// Scenarios with others are not run, and reports say why; `networkpolicy` if absent.
    #[serde(default)]
    #[schemars(with = "Option<Vec<String>>")]
    pub(super) policies: Option<Vec<Spanned<String>>>,
    /// How the interfaces of pods are named on their nodes; as netproof's own enforcer has them if absent.
    #[serde(default)]
    pub(super) interfaces: InterfacesSpec,
    /// Where its verdicts come from; `kernel` if absent.
    #[serde(default)]
    pub(super) verdicts: VerdictsName,
    /// How netproof knows that a change is in force.
    #[serde(default)]
    pub(super) sentinel: SentinelSpec,
    /// The profile that reads the API as this agent does, where the API leaves something open (docs/profile.md);
    /// `strict` if absent, which leaves all of that open.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub(super) oracle: Option<Spanned<String>>,
    /// Of a proxy: the mode of kube-proxy that it behaves as where the modes differ; `nftables` if absent.
    #[serde(default)]
    #[schemars(with = "Option<ProxyModeName>")]
    pub(super) proxy_mode: Option<Spanned<ProxyModeName>>,
}

/// What an agent does on a node.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum RoleName {
    /// It enforces policy.
    Enforcer,
    /// It translates the addresses of services.
    Proxy,
}

/// A mode of kube-proxy.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum ProxyModeName {
    /// The nftables mode.
    Nftables,
    /// The iptables mode.
    Iptables,
}

/// A file that is there when the agent starts.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FileSpec {
    /// Its absolute path. A folder that is not private looks as on the machine otherwise.
    #[schemars(with = "String")]
    pub(super) path: Spanned<String>,
    /// What it holds, with placeholders.
    #[schemars(with = "String")]
    pub(super) content: Spanned<String>,
}

/// An object of the API.
#[derive(JsonSchema)]
#[schemars(rename = "Object")]
#[expect(dead_code, reason = "says in the schema what a value must have")]
pub(super) struct ObjectSpec {
    /// The API version, as in `crd.example.org/v1`.
    #[serde(rename = "apiVersion")]
    api_version: String,
    /// The kind.
    kind: String,
    /// The name, and the namespace if it has one.
    metadata: BTreeMap<String, Value>,
}

/// What the machine must have.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NeedsSpec {
    /// Programs that the agent calls, by name. Without one nothing is run, and that is an error.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub(super) programs: Vec<Spanned<String>>,
    /// Features of the kernel. Without one every run is skipped, and reports say why.
    #[serde(default)]
    #[schemars(with = "Vec<KernelFeatureName>")]
    pub(super) kernel: Vec<Spanned<KernelFeatureName>>,
}

/// A feature of the kernel that netproof can check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum KernelFeatureName {
    /// nf_tables' `queue` expression, which hands packets to a program (CONFIG_NFT_QUEUE).
    NftQueue,
    /// Packets handed to programs (CONFIG_NETFILTER_NETLINK_QUEUE).
    NfnetlinkQueue,
    /// The target of iptables that does so, through nf_tables (CONFIG_NFT_COMPAT, CONFIG_NETFILTER_XT_TARGET_NFQUEUE).
    XtNfqueue,
    /// Sets of addresses, as ipset makes them (CONFIG_IP_SET).
    IpSet,
    /// Matches of iptables in nf_tables, with which iptables-nft looks into sets (CONFIG_NFT_COMPAT,
    /// CONFIG_NETFILTER_XT_SET).
    XtSet,
}

/// A kind of cluster that an agent can do nothing with: a wiring, or a family.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NotApplicableSpec {
    /// How the pods of the cluster are joined to their node.
    #[serde(default)]
    pub(super) wiring: Option<WiringName>,
    /// The address families of the cluster.
    #[serde(default)]
    pub(super) family: Option<FamiliesName>,
    /// Why, as reports say it.
    #[schemars(with = "String")]
    pub(super) because: Spanned<String>,
}

/// How the pods of a node are joined to it.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum WiringName {
    /// A veth and a host route for each pod, as Calico does.
    Routed,
    /// A bridge on each node, as flannel and kubenet do.
    Bridge,
    /// Pods as in `routed`, nodes joined by a VXLAN overlay.
    Vxlan,
}

impl From<WiringName> for Wiring {
    fn from(name: WiringName) -> Wiring {
        match name {
            WiringName::Routed => Wiring::Routed,
            WiringName::Bridge => Wiring::Bridge,
            WiringName::Vxlan => Wiring::Vxlan,
        }
    }
}

/// The address families of a cluster.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum FamiliesName {
    /// IPv4 only.
    Ipv4,
    /// IPv6 only.
    Ipv6,
    /// Both.
    Dual,
}

impl From<FamiliesName> for Families {
    fn from(name: FamiliesName) -> Families {
        match name {
            FamiliesName::Ipv4 => Families::Ipv4,
            FamiliesName::Ipv6 => Families::Ipv6,
            FamiliesName::Dual => Families::Dual,
        }
    }
}

/// How the interfaces of pods are named on their nodes: a prefix, and the first eleven hexadecimal digits of the SHA-1 of
/// NAMESPACE.NAME.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct InterfacesSpec {
    /// The prefix, one to four letters or digits; `np` if absent.
    #[serde(default)]
    #[schemars(with = "Option<String>", length(min = 1, max = 4))]
    pub(super) prefix: Option<Spanned<String>>,
}

/// Where an agent's verdicts come from.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) enum VerdictsName {
    /// Rules in the kernel: a packet is judged before the call that sends it returns.
    #[default]
    Kernel,
    /// A program that each packet is handed to: it is judged some time later.
    UserSpace,
}

/// How netproof knows that a change is in force: a policy of its own changes after the cluster's, between two pods that only netproof
/// sees, until a probe between them is answered as that policy says.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(super) struct SentinelSpec {
    /// How often it changes after each change of the cluster; 1 if absent. Twice proves more where the agent programs a node in
    /// several steps.
    #[serde(default)]
    #[schemars(with = "Option<u8>", range(min = 1, max = 2))]
    pub(super) times: Option<Spanned<u64>>,
    /// What lets it through whatever cluster-wide policies say; `none` if absent.
    #[serde(default)]
    pub(super) in_front_of: InFrontOfName,
}

/// The policy that stands in front of cluster-wide ones.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(super) enum InFrontOfName {
    /// None: the agent knows no cluster-wide policies.
    #[default]
    None,
    /// Policies in a tier of Calico's that comes before all others.
    CalicoTier,
    /// A ClusterNetworkPolicy in the Admin tier, with priority 0.
    ClusterNetworkPolicy,
}
