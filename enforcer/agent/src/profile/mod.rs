//! The profile of an agent: what its program is called, how it is started, what it can do, and how netproof knows
//! that it is done.
//!
//! - `written`: a profile as it is written; `schema`: its JSON schema; `read`: checked, with mistakes at their
//!   places;
//! - `template`: text with placeholders;
//! - `shipped`: the profiles that netproof has.

mod read;
mod schema;
mod shipped;
mod template;
#[cfg(test)]
mod tests;
mod written;

pub use read::read;
pub use schema::profile_schema;
pub use shipped::{SHIPPED, shipped};
pub use template::{Placeholder, Template};

use netproof_model::{
    DataPath, Families, InterfacePrefix, KernelFeature, PolicyKind, ProxyMode, Topology, Wiring,
};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

/// What netproof knows about an agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Profile {
    /// The name, as in `agent:NAME`.
    pub name: String,
    /// What it is, in one line.
    pub title: String,
    /// What it does on a node.
    pub role: Role,
    /// The name of its program, which is looked for in PATH.
    pub program: String,
    /// The program's arguments.
    pub arguments: Vec<Template>,
    /// A script of the shell that runs before it.
    pub setup: Option<Template>,
    /// Its environment, besides PATH and HOME.
    pub environment: Vec<(String, Template)>,
    /// Files that are written before it starts, where nobody else sees them.
    pub files: Vec<File>,
    /// Absolute paths that are empty folders of its own.
    pub private: Vec<PathBuf>,
    /// Objects that the API serves besides the cluster's: whole, with apiVersion, kind and metadata.
    pub objects: Vec<Value>,
    /// What the machine must have.
    pub needs: Needs,
    /// What it cannot do.
    pub not_applicable: Vec<NotApplicable>,
    /// The kinds of policy objects that it enforces.
    pub policies: BTreeSet<PolicyKind>,
    /// What the names of pods' interfaces on their nodes begin with.
    pub interface_prefix: InterfacePrefix,
    /// Where its verdicts come from.
    pub verdicts: DataPath,
    /// How it is known that a change is in force.
    pub sentinel: Sentinel,
    /// The oracle's profile that reads the API as it does where something is open, by name; the oracle has one of
    /// this name.
    pub oracle: String,
    /// Of a proxy: the mode of kube-proxy that it behaves as.
    pub proxy_mode: ProxyMode,
}

/// What an agent does on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It enforces policy.
    Enforcer,
    /// It translates the addresses of services.
    Proxy,
}

/// The name of the option that takes it.
impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Enforcer => "enforcer",
            Role::Proxy => "proxy",
        })
    }
}

/// A file that is written before the agent starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its absolute path.
    pub path: PathBuf,
    /// What it holds.
    pub content: Template,
}

/// What the machine must have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Programs that the agent calls, by name.
    pub programs: Vec<String>,
    /// Features of the kernel.
    pub kernel: Vec<KernelFeature>,
}

/// What an agent cannot do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotApplicable {
    /// Where.
    pub to: Unable,
    /// Why, as a report says it.
    pub because: String,
}

/// A kind of topology that an agent can do nothing with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unable {
    /// Clusters that are wired in this way.
    Wiring(Wiring),
    /// Clusters of these families.
    Families(Families),
}

/// How it is known that a change is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sentinel {
    /// How often the sentinel changes for a change of the cluster: once, or twice where the agent programs a node
    /// in several steps.
    pub times: Times,
    /// What lets the sentinel through whatever cluster-wide policies say, while there are any.
    pub in_front_of: InFrontOf,
}

/// How often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// Once.
    Once,
    /// Twice.
    Twice,
}

/// The policy that stands in front of cluster-wide ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InFrontOf {
    /// None: the agent knows no cluster-wide policies.
    Nothing,
    /// A tier of Calico's with a low order.
    CalicoTier,
    /// A ClusterNetworkPolicy of the Admin tier with priority 0.
    ClusterNetworkPolicy,
}

impl Profile {
    /// Why the agent can do nothing with such a cluster; `None` if it can.
    pub fn not_applicable(&self, topology: &Topology) -> Option<&str> {
        let unable = |it: &&NotApplicable| match it.to {
            Unable::Wiring(wiring) => wiring == topology.wiring,
            Unable::Families(families) => families == topology.family,
        };
        self.not_applicable.iter().find(unable).map(|it| it.because.as_str())
    }
}
