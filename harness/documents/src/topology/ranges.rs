//! Address ranges: how they are written, what stands where none is, and that none overlaps another.

use crate::document::{Document, Problems};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use netproof_api::source::Span;
use netproof_api::yaml::Spanned;
use netproof_controlplane::is_of_a_host;
use netproof_model::Family;
use netproof_model::topology::{PerFamily, Ranges};
use schemars::JsonSchema;
use serde::Deserialize;
use std::net::{Ipv4Addr, Ipv6Addr};

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

/// All ranges of a topology.
#[derive(Default)]
pub(super) struct Claims(Vec<Claim>);

/// What a range is for, the range, and where it is written; a default is nowhere.
struct Claim {
    what: String,
    range: IpNet,
    place: Option<Span>,
}

impl Claims {
    /// Adds one.
    pub fn add(&mut self, what: impl Into<String>, range: IpNet, place: Option<Span>) {
        self.0.push(Claim { what: what.into(), range, place });
    }

    /// Reports those that overlap.
    pub fn check(&self, document: &Document, problems: &mut Problems) {
        for (i, Claim { what, range, place }) in self.0.iter().enumerate() {
            for Claim { what: other, range: earlier, place: earlier_place } in self.0.iter().take(i) {
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
    }
}

impl RangesSpec {
    /// The ranges; defaults stand where nothing is written.
    pub(super) fn read(&self, claims: &mut Claims, document: &Document, problems: &mut Problems) -> Ranges {
        let mut read = |what, spec: &RangeSpec, default| spec.read(what, default, claims, document, problems);
        Ranges {
            pods: read("pods", &self.pods, defaults([10, 244], 16, [0x10, 0x244], 48)),
            other_pods: Vec::new(),
            services: read("services", &self.services, defaults([10, 96], 12, [0x10, 0x96], 108)),
            nodes: read("nodes", &self.nodes, defaults([172, 18], 24, [0x172, 0x18], 64)),
        }
    }
}

impl RangeSpec {
    /// The range of each family, the default where none is written.
    pub(super) fn read(
        &self,
        what: &str,
        mut ranges: PerFamily<IpNet>,
        claims: &mut Claims,
        document: &Document,
        problems: &mut Problems,
    ) -> PerFamily<IpNet> {
        for (family, written) in self.written() {
            let slot = ranges.get_mut(family);
            if let Some(written) = written {
                match read_range(written, Some(family)) {
                    Ok(net) => *slot = net,
                    Err((message, help)) => {
                        problems.push(document.error(written.span, message).help(help));
                        continue;
                    }
                }
            }
            claims.add(what, *slot, written.map(|written| written.span));
        }
        ranges
    }

    /// What is written for each family.
    pub(super) fn written(&self) -> [(Family, Option<&Spanned<String>>); 2] {
        [(Family::Ipv4, self.ipv4.as_ref()), (Family::Ipv6, self.ipv6.as_ref())]
    }
}

/// What is built where a topology gives no range: `a.b.0.0/n` and `fd00:a:b::/n`.
pub(super) fn defaults([a, b]: [u8; 2], v4: u8, [c, d]: [u16; 2], v6: u8) -> PerFamily<IpNet> {
    PerFamily {
        ipv4: IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, 0, 0), v4)),
        ipv6: IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(0xfd00, c, d, 0, 0, 0, 0, 0), v6)),
    }
}

/// Reads a range, of this family or of either.
pub(super) fn read_range(written: &str, family: Option<Family>) -> Result<IpNet, (String, String)> {
    let example = match family {
        Some(Family::Ipv6) => "write a range, as in fd00:10:244::/48",
        _ => "write a range, as in 10.244.0.0/16",
    };
    let net: IpNet =
        written.parse().map_err(|_| (format!("`{written}` is not an address range"), example.to_owned()))?;
    if let Some(family) = family.filter(|family| Family::of(net.addr()) != *family) {
        return Err((format!("{written} is not an {family} range"), example.to_owned()));
    }
    if net.trunc() != net {
        return Err((format!("{written} has host bits set"), format!("write {}", net.trunc())));
    }
    // What is given out begins here.
    if !is_of_a_host(net.network()) {
        let help = "write a range of unicast addresses that are neither loopback nor link-local".to_owned();
        return Err((format!("no host can have the addresses of {written}"), help));
    }
    Ok(net)
}
