//! Hosts outside that stand for more addresses than their own, and ranges for which none does.

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::Serialize;

/// A host outside that stands for every address which no policy tells from its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StandIn {
    /// Its name.
    pub host: String,
    /// The range; of all addresses for the rest of the world.
    pub range: IpNet,
    /// Ranges inside for which others stand.
    pub without: Vec<IpNet>,
    /// Whether no policy names the range, so that it is the rest of the world.
    pub is_rest: bool,
    /// Whether it stands for them as a source.
    pub as_source: bool,
    /// Whether it stands for them as a destination.
    pub as_destination: bool,
}

/// A range outside that a policy tells from others and no host stands for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Unanswered {
    /// The range.
    pub range: IpNet,
    /// Why.
    pub why: NoStandIn,
}

/// Why no host stands for a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NoStandIn {
    /// Its addresses are the cluster's own, or no host outside can have them.
    NotOutside,
    /// The cluster has no addresses of its family.
    NoFamily,
    /// There are too many ranges.
    TooMany,
}
