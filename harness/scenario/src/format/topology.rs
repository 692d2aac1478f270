//! Topologies as they are written, in a file or inline in a scenario, and what can be wrong with one.

use super::document::{Document, Problems};
use super::ports::listen_ports;
use super::unions::PortText;
use super::words::{ApiVersion, FamiliesName, TopologyKind, WiringName};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use netproof_api::names;
use netproof_api::source::Span;
use netproof_api::yaml::Spanned;
use netproof_model::topology::{ExternalHost, PerFamily, Ranges, TopologyNode};
use netproof_model::{Families, Family, Topology};
use schemars::JsonSchema;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

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
#[serde(deny_unknown_fields)]
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
    /// The address ranges; those of `two-nodes` if absent.
    #[serde(default)]
    pub ranges: RangesSpec,
    /// The nodes, at least one. Their order gives their addresses.
    #[schemars(with = "Vec<NodeSpec>", length(min = 1))]
    pub nodes: Spanned<Vec<NodeSpec>>,
    /// Hosts outside the cluster, behind the router.
    #[serde(default)]
    pub externals: Vec<ExternalSpec>,
}

/// The address ranges of a cluster. None overlaps another.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RangesSpec {
    /// Pods; each node gets a /24 of IPv4 and a /64 of IPv6.
    #[serde(default)]
    pub pods: RangeSpec,
    /// Cluster IPs of services.
    #[serde(default)]
    pub services: RangeSpec,
    /// The nodes themselves; the router has the first address.
    #[serde(default)]
    pub nodes: RangeSpec,
}

/// A range in each family.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RangeSpec {
    /// The IPv4 range, as in `10.244.0.0/16`.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub ipv4: Option<Spanned<String>>,
    /// The IPv6 range, as in `fd00:10:244::/48`.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub ipv6: Option<Spanned<String>>,
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

/// A host outside the cluster.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExternalSpec {
    /// Its name in flows, `external/NAME`.
    #[schemars(with = "String")]
    pub name: Spanned<String>,
    /// Its addresses, any outside the cluster's ranges, of one family or both.
    #[schemars(with = "Vec<String>", length(min = 1))]
    pub addresses: Spanned<Vec<Spanned<String>>>,
    /// Ports that it listens on, as in `80` or `53/udp`.
    #[serde(default)]
    #[schemars(with = "Vec<PortText>")]
    pub ports: Vec<Spanned<PortText>>,
    /// Names that the cluster's DNS resolves to its addresses.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub dns: Vec<Spanned<String>>,
}

impl ExternalSpec {
    /// The host; what cannot be read is left out and reported.
    pub fn host(&self, document: &Document, problems: &mut Problems) -> ExternalHost {
        problems.check_name(document, &self.name, names::check_dns_subdomain);
        if self.addresses.is_empty() {
            let error = document.error(self.addresses.span, "an external host needs an address");
            problems.push(error.help("write one of IPv4, of IPv6, or both"));
        }
        let mut addresses: Vec<IpAddr> = Vec::new();
        for written in &self.addresses.value {
            let Ok(address) = written.parse::<IpAddr>() else {
                let error = document.error(written.span, format!("`{}` is not an IP address", written.value));
                problems.push(error.help("write an address without a prefix length, as in 203.0.113.1"));
                continue;
            };
            if !is_ordinary(address) {
                let error = document.error(written.span, format!("no host can have the address {address}"));
                problems.push(error.help("write a unicast address that is neither loopback nor link-local"));
            } else if addresses.contains(&address) {
                let error = document.error(written.span, format!("{address} stands here twice"));
                problems.push(error.help("keep one of the two"));
            } else {
                addresses.push(address);
            }
        }
        for name in &self.dns {
            problems.check_name(document, name, names::check_dns_subdomain);
        }
        ExternalHost {
            name: self.name.value.clone(),
            addresses,
            ports: listen_ports(&self.ports, document, problems),
            dns: self.dns.iter().map(|name| name.value.clone()).collect(),
        }
    }
}

fn is_ordinary(address: IpAddr) -> bool {
    let link_local = match address {
        IpAddr::V4(address) => address.is_link_local() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_unicast_link_local() || address.to_ipv4_mapped().is_some(),
    };
    !(link_local || address.is_unspecified() || address.is_loopback() || address.is_multicast())
}

/// What a range is for, the range, and where it is written; a default is nowhere.
type WrittenRange = (&'static str, IpNet, Option<Span>);

/// What is built where a topology gives no ranges.
fn default_ranges() -> Ranges {
    let v4 = |a, b, prefix| IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, 0, 0), prefix));
    let v6 =
        |b, c, prefix| IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(0xfd00, b, c, 0, 0, 0, 0, 0), prefix));
    Ranges {
        pods: PerFamily { ipv4: v4(10, 244, 16), ipv6: v6(0x10, 0x244, 48) },
        services: PerFamily { ipv4: v4(10, 96, 12), ipv6: v6(0x10, 0x96, 108) },
        nodes: PerFamily { ipv4: v4(172, 18, 24), ipv6: v6(0x172, 0x18, 64) },
    }
}

impl TopologySpec {
    /// The topology as it is written, its parameters at their defaults; `None` if something is wrong
    /// with it.
    pub fn resolve(&self, name: &str, document: &Document, problems: &mut Problems) -> Option<Topology> {
        let before = problems.errors();
        let nodes = self.nodes(document, problems);
        let (ranges, written) = self.ranges(document, problems);
        let mut seen = HashMap::new();
        let mut owners: HashMap<IpAddr, &str> = HashMap::new();
        let mut externals = Vec::new();
        for spec in &self.externals {
            problems.check_twice(document, &mut seen, &spec.name, "external host");
            let host = spec.host(document, problems);
            for (address, place) in host.addresses.iter().zip(&spec.addresses.value) {
                if let Some(owner) = owners.insert(*address, &spec.name.value) {
                    let error =
                        document.error(place.span, format!("{address} is the address of external/{owner}"));
                    problems.push(error.help("give every host addresses of its own"));
                }
                for (what, range, _) in &written {
                    if range.contains(address) {
                        let message = format!("{address} is inside the cluster's range of {what}, {range}");
                        let error = document.error(place.span, message);
                        problems
                            .push(error.help("an external host has an address outside the cluster's ranges"));
                    }
                }
            }
            externals.push(host);
        }
        (problems.errors() == before).then(|| Topology {
            name: name.to_owned(),
            description: self.description.clone(),
            wiring: self.wiring.map(Into::into).unwrap_or_default(),
            family: self.family.map(Into::into).unwrap_or_default(),
            ranges,
            nodes,
            externals,
            nat_outgoing: false,
            advertised: BTreeSet::new(),
            load_balancer: None,
        })
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
                TopologyNode { name: node.name.value.clone(), labels }
            })
            .collect()
    }

    /// The ranges, and each with its name and its place; defaults stand where nothing is written.
    fn ranges(&self, document: &Document, problems: &mut Problems) -> (Ranges, Vec<WrittenRange>) {
        let mut ranges = default_ranges();
        let mut all: Vec<WrittenRange> = Vec::new();
        let rows = [
            ("pods", &self.ranges.pods, &mut ranges.pods),
            ("services", &self.ranges.services, &mut ranges.services),
            ("nodes", &self.ranges.nodes, &mut ranges.nodes),
        ];
        for (what, spec, range) in rows {
            for (family, written) in [(Family::Ipv4, &spec.ipv4), (Family::Ipv6, &spec.ipv6)] {
                let slot = range.get_mut(family);
                if let Some(written) = written {
                    match read_range(written, family) {
                        Ok(net) => *slot = net,
                        Err((message, help)) => {
                            problems.push(document.error(written.span, message).help(help));
                            continue;
                        }
                    }
                }
                all.push((what, *slot, written.as_ref().map(|written| written.span)));
            }
        }
        for (i, (what, range, place)) in all.iter().enumerate() {
            for (other, earlier, earlier_place) in all.iter().take(i) {
                if !range.contains(earlier) && !earlier.contains(range) {
                    continue;
                }
                // At least one of them is written: the defaults do not overlap.
                let Some(span) = place.or(*earlier_place) else {
                    continue;
                };
                let message = format!("the ranges of {other} ({earlier}) and {what} ({range}) overlap");
                problems.push(document.error(span, message).help("give each a range of its own"));
            }
        }
        (ranges, all)
    }
}

fn read_range(written: &str, family: Family) -> Result<IpNet, (String, String)> {
    let example = match family {
        Family::Ipv4 => "write a range, as in 10.244.0.0/16",
        Family::Ipv6 => "write a range, as in fd00:10:244::/48",
    };
    let net: IpNet =
        written.parse().map_err(|_| (format!("`{written}` is not an address range"), example.to_owned()))?;
    if Family::of(net.addr()) != family {
        return Err((format!("{written} is not an {family} range"), example.to_owned()));
    }
    if net.trunc() != net {
        return Err((format!("{written} has host bits set"), format!("write {}", net.trunc())));
    }
    Ok(net)
}

/// A topology with other parameters.
pub fn with_parameters(
    topology: &Topology,
    wiring: netproof_model::Wiring,
    family: Families,
) -> Arc<Topology> {
    Arc::new(Topology { wiring, family, ..topology.clone() })
}
