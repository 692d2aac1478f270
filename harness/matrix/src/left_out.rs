//! What stands in no table, and why: nothing is missing from an answer without a word.

use crate::selector::Selector;
use netproof_model::flow::Destination;
use netproof_model::{NamespacedName, Place};
use schemars::JsonSchema;
use serde::Serialize;

/// Something that was asked about and is no destination of any table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// What.
    pub destination: Destination,
    /// Why.
    pub why: Why,
}

/// Why something is no destination of any table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// No port is known of it.
    NoPort,
    /// It has ports, and none that was asked for.
    NotAskedAt,
    /// Nobody listens where it leads.
    NobodyListens,
    /// A pod in the network of its node: no table has it, neither as a source.
    HostNetwork,
    /// A pod that has ended: likewise.
    Ended,
    /// A pod without an address yet: likewise.
    Waiting,
    /// A headless service, which has no address of its own.
    Headless,
    /// A service that is an alias (ExternalName).
    Alias,
    /// A service of type LoadBalancer that no load balancer has an address for.
    NoBalancer,
}

impl Why {
    /// After the count and the noun of several, as in `2 pods of which no port is known`.
    pub(super) fn of_many(self) -> &'static str {
        match self {
            Why::NoPort => "of which no port is known (--port N asks everybody)",
            Why::NotAskedAt => "without a port that was asked for",
            Why::NobodyListens => "where nobody listens",
            Why::HostNetwork => "in the network of the node (hostNetwork; node/NAME asks there)",
            Why::Ended => "that ended",
            Why::Waiting => "without an address yet",
            Why::Headless => "without an address (headless; the pods are asked themselves)",
            Why::Alias => "with no address but a name for another (ExternalName)",
            Why::NoBalancer => "without an address",
        }
    }

    /// Of one, as in `pod/default/a is there, but has ended`.
    pub(super) fn of_one(self) -> &'static str {
        match self {
            Why::HostNetwork => "but in the network of its node (hostNetwork): ask about node/NAME",
            Why::Ended => "but has ended and has no network any more",
            Why::Waiting => "but waits and has no address yet",
            Why::NoPort | Why::NotAskedAt | Why::NobodyListens => "but nobody listens there",
            Why::Headless | Why::Alias | Why::NoBalancer => "but has no address",
        }
    }
}

impl LeftOut {
    /// Whether a selector means it.
    pub(super) fn is_named_by(&self, selector: &Selector) -> bool {
        let name = |name: &netproof_model::flow::ObjectName| {
            NamespacedName::new(name.namespace.as_deref().unwrap_or("default"), name.name.as_str())
        };
        match &self.destination {
            Destination::Pod(pod) => selector.takes(&Place::Pod(name(pod))),
            Destination::Service(service) => selector.takes_service(&name(service)),
            Destination::LoadBalancer(service) => selector.takes_load_balancer(&name(service)),
            Destination::NodePort { service, node } => selector.takes_node_port(&name(service), node),
            _ => false,
        }
    }

    /// What it is, in the singular and the plural.
    fn kind(&self) -> (&'static str, &'static str) {
        match self.destination {
            Destination::Pod(_) => ("pod", "pods"),
            Destination::Node(_) => ("node", "nodes"),
            Destination::NodePort { .. } => ("node port", "node ports"),
            Destination::LoadBalancer(_) => ("load balancer", "load balancers"),
            _ => ("service", "services"),
        }
    }
}

/// How many names a line lists.
const MOST_NAMES: usize = 8;

/// A line for each reason and kind.
pub(super) fn lines(all: &[LeftOut]) -> Vec<String> {
    let same = |a: &LeftOut, b: &LeftOut| (a.why, a.kind()) == (b.why, b.kind());
    let groups = all.chunk_by(same).filter_map(|group| Some((group.first()?, group)));
    groups
        .map(|(first, group)| {
            let (one, many) = first.kind();
            let kind = if group.len() == 1 { one } else { many };
            let names: Vec<String> =
                group.iter().take(MOST_NAMES).map(|it| it.destination.to_string()).collect();
            let more = match group.len().saturating_sub(MOST_NAMES) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let role = match first.why {
                Why::NoPort | Why::NotAskedAt | Why::NobodyListens => " as a destination",
                _ => "",
            };
            let why = first.why.of_many();
            format!("in no table{role}: {} {kind} {why}: {}{more}", group.len(), names.join(", "))
        })
        .collect()
}
