//! Networks outside the cluster, and the load balancer in front of it: how they are written.

use crate::document::{Document, Problems};
use crate::topology::ranges::{Claims, RangeSpec, defaults, read_range};
use crate::unions::TextOr;
use ipnet::IpNet;
use netproof_api::names;
use netproof_api::suggest::suggestion;
use netproof_api::yaml::Spanned;
use netproof_model::topology::{LoadBalancer, Network, TopologyNode};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::HashMap;

/// A network outside the cluster.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct NetworkSpec {
    /// Its name.
    #[schemars(with = "String")]
    pub name: Spanned<String>,
    /// Its range, as in `50.60.0.0/16`, or one in each family. A default network needs none.
    #[serde(default)]
    pub range: Option<TextOr<RangeSpec>>,
    /// Whether the router sends there what it has no other route for; false if absent. One network may.
    #[serde(default)]
    #[schemars(with = "bool")]
    pub default: Option<Spanned<bool>>,
}

/// A load balancer in front of the nodes.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LoadBalancerSpec {
    /// The addresses that it gives to services; 172.19.0.0/24 and fd00:172:19::/112 if absent.
    #[serde(default)]
    pub range: RangeSpec,
    /// The nodes that it sends to; all of them if absent.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub nodes: Vec<Spanned<String>>,
}

/// The networks of a topology.
pub(super) fn read(
    specs: &[NetworkSpec],
    claims: &mut Claims,
    document: &Document,
    problems: &mut Problems,
) -> Vec<Network> {
    let mut seen = HashMap::new();
    let mut default: Option<&NetworkSpec> = None;
    let mut networks = Vec::new();
    for spec in specs {
        problems.check_name(document, &spec.name, names::check_dns_subdomain);
        problems.check_twice(document, &mut seen, &spec.name, "network");
        let is_default = spec.default.as_ref().filter(|default| default.value);
        if let Some(word) = is_default {
            if let Some(first) = default {
                let error = document.error(word.span, "a second network is the default one");
                problems.push(error.help(format!(
                    "the router has one default gateway, which is in `{}`: keep one `default: true`",
                    first.name.value
                )));
            }
            default = Some(spec);
        }
        let ranges = spec.ranges(claims, document, problems);
        if spec.range.is_none() && is_default.is_none() {
            let message = format!("the network `{}` has no range", spec.name.value);
            let error = document.error(spec.name.span, message);
            problems.push(error.help("add one, as in `range: 50.60.0.0/16`, or `default: true`"));
        }
        networks.push(Network { name: spec.name.value.clone(), ranges, default: is_default.is_some() });
    }
    networks
}

impl NetworkSpec {
    fn ranges(&self, claims: &mut Claims, document: &Document, problems: &mut Problems) -> Vec<IpNet> {
        let written = match &self.range {
            None => return Vec::new(),
            Some(TextOr::Text(node)) => vec![(node.as_str().unwrap_or_default(), node.span, None)],
            Some(TextOr::Fields(range)) => {
                let written = range.written().into_iter();
                let written = written.filter_map(|(family, text)| Some((text?, Some(family))));
                written.map(|(text, family)| (text.value.as_str(), text.span, family)).collect()
            }
        };
        if written.is_empty() {
            let message = format!("the range of the network `{}` is empty", self.name.value);
            let error = document.error(self.name.span, message);
            problems.push(error.help("write `ipv4`, `ipv6`, or both"));
        }
        let mut ranges = Vec::new();
        for (text, span, family) in written {
            match read_range(text, family) {
                Ok(range) => {
                    claims.add(format!("the network `{}`", self.name.value), range, Some(span));
                    ranges.push(range);
                }
                Err((message, help)) => problems.push(document.error(span, message).help(help)),
            }
        }
        ranges
    }
}

impl LoadBalancerSpec {
    /// The load balancer; a node that is not there is reported.
    pub(super) fn read(
        &self,
        nodes: &[TopologyNode],
        claims: &mut Claims,
        document: &Document,
        problems: &mut Problems,
    ) -> LoadBalancer {
        let known: Vec<&str> = nodes.iter().map(|node| node.name.as_str()).collect();
        let mut chosen: Vec<String> = Vec::new();
        for node in &self.nodes {
            if !known.contains(&node.value.as_str()) {
                let error = document.error(node.span, format!("there is no node `{}`", node.value));
                problems.push(error.help(suggestion(&node.value, &known)));
            } else if chosen.contains(&node.value) {
                let error = document.error(node.span, format!("`{}` stands here twice", node.value));
                problems.push(error.help("keep one of the two"));
            } else {
                chosen.push(node.value.clone());
            }
        }
        let default = defaults([172, 19], 24, [0x172, 0x19], 112);
        let range = self.range.read("load balancer addresses", default, claims, document, problems);
        LoadBalancer { range, nodes: chosen }
    }
}
