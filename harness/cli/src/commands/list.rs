//! `netproof list`: the stable names of what would run, one a line; or the topologies.

use super::agents::Chosen;
use super::{Held, bad_input, load, print};
use crate::args::ListArguments;
use crate::exit::Exit;
use netproof_model::Topology;
use netproof_model::topology::{
    ExternalHost, Neighbours, Network, PerFamily, ServiceAddresses, TopologyNode,
};
use netproof_plan::Plan;
use std::collections::BTreeMap;
use std::fmt::{Display, Write as _};
use std::path::Path;

/// The argument that lists the topologies; a folder of scenarios with that name is `./topologies`.
const TOPOLOGIES: &str = "topologies";
/// The label that says in which zone a node is.
const ZONE: &str = "topology.kubernetes.io/zone";

pub fn list(arguments: &ListArguments) -> Exit {
    let selection = &arguments.selection;
    let text = if selection.paths == [Path::new(TOPOLOGIES)] {
        match netproof_documents::topologies(Path::new(".")) {
            Ok(topologies) => {
                topologies.iter().map(|topology| describe(topology)).collect::<Vec<_>>().join("\n")
            }
            Err(errors) => return bad_input(errors),
        }
    } else {
        let loaded = match load(selection, &Chosen::default(), Held::Never, &[]) {
            Ok(loaded) => loaded,
            Err(exit) => return exit,
        };
        if loaded.plans.is_empty() {
            return super::nothing_matched(&loaded);
        }
        match arguments.tags {
            true => with_tags(&loaded.plans),
            false => loaded.plans.iter().map(|plan| format!("{}\n", plan.id)).collect(),
        }
    };
    print(&text)
}

/// A line for each run with its tags, followed by a line for each tag with the number of its runs.
fn with_tags(plans: &[Plan]) -> String {
    let mut runs: BTreeMap<&str, usize> = BTreeMap::new();
    let mut text = String::new();
    for plan in plans {
        let tags: Vec<&str> = plan.tags.iter().map(String::as_str).collect();
        tags.iter().for_each(|tag| *runs.entry(tag).or_default() += 1);
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}{}{}", plan.id, if tags.is_empty() { "" } else { "  " }, tags.join(" "));
    }
    let width = runs.keys().map(|tag| tag.len()).max().unwrap_or_default();
    let _ = writeln!(text, "\n{:<width$}  runs", "tag");
    for (tag, runs) in runs {
        let _ = writeln!(text, "{tag:<width$}  {runs}");
    }
    text
}

/// A topology: its name and purpose, and a line for each of its parts.
fn describe(topology: &Topology) -> String {
    let mut text = format!("{}: {}\n", topology.name, topology.description);
    let mut line = |what: &str, value: String| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "    {what:<16}{value}");
    };
    let node = |node: &TopologyNode| match node.labels.get(ZONE) {
        Some(zone) => format!("{} (zone {zone})", node.name),
        None => node.name.clone(),
    };
    line("nodes", list_of(topology.nodes.iter().map(node)));
    line("wiring", topology.wiring.to_string());
    line("family", topology.family.to_string());
    if topology.neighbours == Neighbours::Learned {
        line("neighbours", "pods and nodes learn each other's link-layer address".to_owned());
    }
    line("pods", both(&topology.ranges.pods));
    line("services", both(&topology.ranges.services));
    line("node addresses", both(&topology.ranges.nodes));
    if !topology.networks.is_empty() {
        let network = |network: &Network| {
            let default = network.default.then_some("the rest of the world".to_owned());
            let ranges = network.ranges.iter().map(ToString::to_string);
            format!("{} ({})", network.name, list_of(ranges.chain(default)))
        };
        line("networks", list_of(topology.networks.iter().map(network)));
    }
    if !topology.externals.is_empty() {
        let host = |host: &ExternalHost| format!("{} ({})", host.name, list_of(&host.addresses));
        line("external hosts", list_of(topology.externals.iter().map(host)));
    }
    if topology.nat_outgoing {
        line("natOutgoing", "nodes masquerade what pods send out of the cluster".to_owned());
    }
    if !topology.advertised.is_empty() {
        let words = ServiceAddresses::WORDS.into_iter();
        let words = words.filter(|(_, addresses)| topology.advertised.contains(addresses));
        line("advertised", list_of(words.map(|(word, _)| word)));
    }
    if let Some(balancer) = &topology.load_balancer {
        let nodes = match balancer.nodes.is_empty() {
            true => "all nodes".to_owned(),
            false => list_of(&balancer.nodes),
        };
        line("load balancer", format!("{}; sends to {nodes}", both(&balancer.range)));
    }
    text
}

fn both(range: &PerFamily<impl Display>) -> String {
    format!("{}, {}", range.ipv4, range.ipv6)
}

fn list_of(items: impl IntoIterator<Item = impl Display>) -> String {
    items.into_iter().map(|item| item.to_string()).collect::<Vec<_>>().join(", ")
}
