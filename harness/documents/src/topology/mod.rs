//! Topologies as they are written, in a file or inline in a scenario, and what can be wrong with one.

mod external;
mod network;
mod ranges;

use crate::document::{Document, Problems};
use crate::options::Options;
use crate::words::{
    ApiVersion, FamiliesName, NeighboursName, ServiceAddressesName, TopologyKind, WiringName,
};
use netproof_api::names;
use netproof_api::yaml::{Segment, Spanned};
use netproof_model::topology::{ServiceAddresses, TopologyNode};
use netproof_model::{Families, InterfacePrefix, ProxyMode, Topology, Wiring};
use ranges::Claims;
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

pub use external::ExternalSpec;
pub use network::{LoadBalancerSpec, NetworkSpec};
pub use ranges::RangesSpec;

/// A topology: the machines and wires of a virtual cluster.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "netproof topology", rename = "Topology")]
pub struct TopologyFile {
    /// The version of this format.
    pub api_version: ApiVersion,
    /// `Topology`.
    pub kind: TopologyKind,
    /// The name.
    pub metadata: TopologyMetadata,
    /// The topology.
    pub spec: TopologySpec,
}

/// The name of a topology.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TopologyMetadata {
    /// The name, that of the file.
    #[schemars(with = "String")]
    pub name: Spanned<String>,
}

/// What a topology says.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TopologySpec {
    /// What it is for, in a sentence.
    #[serde(default)]
    pub description: String,
    /// How pods are joined to their node; `routed` if absent.
    #[serde(default)]
    pub wiring: Option<WiringName>,
    /// The address families; `ipv4` if absent.
    #[serde(default)]
    pub family: Option<FamiliesName>,
    /// How pods and their nodes find each other on their link; `permanent` if absent.
    #[serde(default)]
    pub neighbours: Option<NeighboursName>,
    /// The address ranges; those of `two-nodes` if absent.
    #[serde(default)]
    pub ranges: RangesSpec,
    /// The nodes, at least one. Their order gives their addresses.
    #[schemars(with = "Vec<NodeSpec>", length(min = 1))]
    pub nodes: Spanned<Vec<NodeSpec>>,
    /// Networks outside the cluster, behind the router. Where any is listed, every external host must be
    /// in one of them.
    #[serde(default)]
    pub networks: Vec<NetworkSpec>,
    /// Hosts outside the cluster, behind the router.
    #[serde(default)]
    pub externals: Vec<ExternalSpec>,
    /// Whether nodes masquerade what their pods send out of the cluster; false if absent.
    #[serde(default)]
    pub nat_outgoing: bool,
    /// The addresses of services that the router knows, as if nodes advertised them by BGP; none if
    /// absent.
    #[serde(default)]
    #[schemars(with = "BTreeSet<ServiceAddressesName>")]
    pub advertised: Vec<Spanned<ServiceAddressesName>>,
    /// A load balancer in front of the nodes; none if absent.
    #[serde(default)]
    pub load_balancer: Option<LoadBalancerSpec>,
}

/// A node of a topology.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NodeSpec {
    /// Its name.
    #[schemars(with = "String")]
    pub name: Spanned<String>,
    /// Labels that it has besides those that every node has.
    #[serde(default)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub labels: BTreeMap<Spanned<String>, Spanned<String>>,
}

impl TopologySpec {
    /// The topology as it is written, its parameters at their defaults; `None` if something is wrong
    /// with it.
    pub fn resolve(&self, name: &str, document: &Document, problems: &mut Problems) -> Option<Topology> {
        let before = problems.errors();
        let nodes = self.nodes(document, problems);
        let mut claims = Claims::default();
        let ranges = self.ranges.read(&mut claims, document, problems);
        let load_balancer =
            self.load_balancer.as_ref().map(|spec| spec.read(&nodes, &mut claims, document, problems));
        let networks = network::read(&self.networks, &mut claims, document, problems);
        claims.check(document, problems);
        let mut topology = Topology {
            name: name.to_owned(),
            description: self.description.clone(),
            wiring: self.wiring.map(Into::into).unwrap_or_default(),
            family: self.family.map(Into::into).unwrap_or_default(),
            neighbours: self.neighbours.map(Into::into).unwrap_or_default(),
            ranges,
            nodes,
            networks,
            externals: Vec::new(),
            nat_outgoing: self.nat_outgoing,
            advertised: self.advertised(document, problems),
            load_balancer,
            proxy_mode: ProxyMode::default(),
            interface_prefix: InterfacePrefix::default(),
        };
        self.externals(&mut topology, document, problems);
        (problems.errors() == before).then_some(topology)
    }

    fn externals(&self, topology: &mut Topology, document: &Document, problems: &mut Problems) {
        let mut seen = HashMap::new();
        let mut owners: HashMap<IpAddr, &str> = HashMap::new();
        let ranges = &topology.ranges;
        let cluster = [("pods", ranges.pods), ("services", ranges.services), ("nodes", ranges.nodes)];
        let cluster = cluster.map(|(what, range)| [(what, range.ipv4), (what, range.ipv6)]).concat();
        for spec in &self.externals {
            problems.check_twice(document, &mut seen, &spec.name, "external host");
            let host = spec.host(topology, document, problems);
            for written in &spec.addresses.value {
                let Some(address) = host.addresses.iter().find(|it| written.parse() == Ok(**it)) else {
                    continue;
                };
                if let Some(owner) = owners.insert(*address, &spec.name.value)
                    && owner != spec.name.value
                {
                    let error =
                        document.error(written.span, format!("{address} is the address of external/{owner}"));
                    problems.push(error.help("give every host addresses of its own"));
                }
                for (what, range) in cluster.iter().filter(|(_, range)| range.contains(address)) {
                    let message = format!("{address} is inside the cluster's range of {what}, {range}");
                    let error = document.error(written.span, message);
                    problems.push(error.help("an external host has an address outside the cluster's ranges"));
                }
            }
            topology.externals.push(host);
        }
    }

    fn advertised(&self, document: &Document, problems: &mut Problems) -> BTreeSet<ServiceAddresses> {
        let mut advertised = BTreeSet::new();
        for word in &self.advertised {
            if !advertised.insert(word.value.into()) {
                let error = document.error(word.span, "these addresses stand here twice");
                problems.push(error.help("keep one of the two"));
            }
        }
        advertised
    }

    fn nodes(&self, document: &Document, problems: &mut Problems) -> Vec<TopologyNode> {
        if self.nodes.is_empty() {
            let error = document.error(self.nodes.span, "the topology has no node");
            problems.push(error.help("list at least one, as in `nodes: [{name: node1}]`"));
        }
        let mut seen = HashMap::new();
        self.nodes
            .iter()
            .map(|node| {
                problems.check_name(document, &node.name, names::check_dns_subdomain);
                problems.check_twice(document, &mut seen, &node.name, "node");
                let mut labels = BTreeMap::new();
                for (key, value) in &node.labels {
                    problems.check_name(document, key, names::check_label_key);
                    problems.check_name(document, value, names::check_label_value);
                    labels.insert(key.value.clone(), value.value.clone());
                }
                TopologyNode { name: node.name.value.clone(), labels, ..TopologyNode::default() }
            })
            .collect()
    }
}

/// Whether what could not be read of a topology may be what the rest of it depends on; each way starts at the spec.
pub fn is_needed(way: &[Segment]) -> bool {
    const BY_THEMSELVES: [&str; 7] =
        ["description", "wiring", "family", "neighbours", "natOutgoing", "advertised", "externals"];
    match way {
        [Segment::Field(field), ..] if BY_THEMSELVES.contains(&field.as_str()) => false,
        [Segment::Field(nodes), Segment::Index(_), Segment::Field(labels), ..] => {
            (nodes.as_str(), labels.as_str()) != ("nodes", "labels")
        }
        _ => true,
    }
}

/// A topology with other parameters: these, and those that the options fix.
pub fn with_parameters(
    topology: &Topology,
    wiring: Wiring,
    family: Families,
    options: &Options,
) -> Arc<Topology> {
    let proxy_mode = options.kube_proxy_mode.unwrap_or(topology.proxy_mode);
    let interface_prefix = options.interface_prefix.as_ref().unwrap_or(&topology.interface_prefix).clone();
    Arc::new(Topology { wiring, family, proxy_mode, interface_prefix, ..topology.clone() })
}
