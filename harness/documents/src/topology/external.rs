//! Hosts outside the cluster: how they are written, and whether the router would find them.

use crate::document::{Document, Problems};
use crate::ports::listen_ports;
use crate::unions::PortText;
use netproof_api::names;
use netproof_api::source::Span;
use netproof_api::suggest::suggestion;
use netproof_api::yaml::Spanned;
use netproof_controlplane::is_outside;
use netproof_model::topology::{ExternalHost, Network};
use netproof_model::{Family, Topology};
use schemars::JsonSchema;
use serde::Deserialize;
use std::net::IpAddr;

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
    /// The topology's network that it is in; found by its addresses if absent.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub network: Option<Spanned<String>>,
}

impl ExternalSpec {
    /// The host, behind the router of a topology; what cannot be read is left out and reported.
    pub fn host(&self, topology: &Topology, document: &Document, problems: &mut Problems) -> ExternalHost {
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
            if !is_outside(address) {
                let error = document.error(written.span, format!("no host can have the address {address}"));
                problems.push(
                    error.help(
                        "write a unicast address; of link-local ones those of IPv4, but not 169.254.1.1",
                    ),
                );
            } else if addresses.contains(&address) {
                let error = document.error(written.span, format!("{address} stands here twice"));
                problems.push(error.help("keep one of the two"));
            } else {
                self.check_site(topology, address, written.span, document, problems);
                addresses.push(address);
            }
        }
        self.check_network(topology, document, problems);
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

    /// Reports a network that the topology does not have.
    fn check_network(&self, topology: &Topology, document: &Document, problems: &mut Problems) {
        let Some(name) = &self.network else { return };
        let known: Vec<&str> = topology.networks.iter().map(|network| network.name.as_str()).collect();
        if !known.contains(&name.value.as_str()) {
            let error = document.error(name.span, format!("there is no network `{}`", name.value));
            problems.push(error.help(match known.is_empty() {
                true => "the topology lists no networks: leave `network` out, or list them".to_owned(),
                false => suggestion(&name.value, &known),
            }));
        }
    }

    /// Reports an address that the router would not look for here.
    fn check_site(
        &self,
        topology: &Topology,
        address: IpAddr,
        span: Span,
        document: &Document,
        problems: &mut Problems,
    ) {
        if let Some(balancer) = &topology.load_balancer {
            let range = balancer.range.get(Family::of(address));
            if range.contains(&address) {
                let message = format!("{address} is inside the range of the load balancer, {range}");
                problems.push(document.error(span, message).help("give the host an address outside it"));
            }
        }
        let networks = &topology.networks;
        let found = topology.network_of(address);
        if found.is_none() && !networks.is_empty() {
            let known: Vec<String> = networks.iter().map(describe).collect();
            let message = format!("{address} is in none of the topology's networks, so it is unreachable");
            problems.push(document.error(span, message).help(format!(
                "the networks are {}; list another, or one with `default: true` for the rest of the world",
                known.join(", ")
            )));
        } else if let (Some(found), Some(named)) = (found, &self.network)
            && found.name != named.value
            && let Some(wanted) = networks.iter().find(|network| network.name == named.value)
        {
            let message = format!("{address} is not in the network {}", describe(wanted));
            let help = format!("it is in {}: name that network, or write another address", describe(found));
            problems.push(document.error(span, message).help(help));
        }
    }
}

/// A network's name and ranges.
fn describe(network: &Network) -> String {
    let ranges: Vec<String> = network.ranges.iter().map(ToString::to_string).collect();
    match ranges.is_empty() {
        true => format!("`{}`", network.name),
        false => format!("`{}` ({})", network.name, ranges.join(", ")),
    }
}
