//! Networks as ranges of addresses, and the fields and tables of an address family.

use super::ruleset::{Set, TableFamily};
use super::values::{Field, KeyType, Part};
use ipnet::IpNet;
use netproof_model::Family;
use std::net::{IpAddr, Ipv6Addr};

impl TableFamily {
    /// The tables that see packets of this family alone.
    pub fn of(family: Family) -> TableFamily {
        match family {
            Family::Ipv4 => TableFamily::Ip,
            Family::Ipv6 => TableFamily::Ip6,
        }
    }
}

impl Field {
    /// The source address.
    pub fn source(family: Family) -> Field {
        match family {
            Family::Ipv4 => Field::SourceV4,
            Family::Ipv6 => Field::SourceV6,
        }
    }

    /// The destination address.
    pub fn destination(family: Family) -> Field {
        match family {
            Family::Ipv4 => Field::DestinationV4,
            Family::Ipv6 => Field::DestinationV6,
        }
    }
}

impl From<IpNet> for Part {
    /// Every address of a network.
    fn from(net: IpNet) -> Part {
        Part::Range(net.network().into(), net.broadcast().into())
    }
}

impl Set {
    /// A set of the addresses of those networks that are of the family. The kernel refuses overlapping
    /// ranges, so ranges that overlap or touch are merged.
    pub fn of_networks(family: Family, networks: &[IpNet]) -> Set {
        let mut ranges: Vec<(IpAddr, IpAddr)> = (networks.iter())
            .map(|network| (network.network(), network.broadcast()))
            .filter(|(first, _)| Family::of(*first) == family)
            .collect();
        ranges.sort_unstable();
        let mut disjoint: Vec<(IpAddr, IpAddr)> = Vec::new();
        for (first, last) in ranges {
            match disjoint.last_mut() {
                Some((_, end)) if next(*end).is_none_or(|next| first <= next) => *end = last.max(*end),
                _ => disjoint.push((first, last)),
            }
        }
        let key = match family {
            Family::Ipv4 => KeyType::Ipv4,
            Family::Ipv6 => KeyType::Ipv6,
        };
        let parts = disjoint.into_iter().map(|(first, last)| vec![Part::Range(first.into(), last.into())]);
        Set::intervals(&[key]).with(parts)
    }
}

/// The next address; none after the highest.
fn next(address: IpAddr) -> Option<IpAddr> {
    Some(match address {
        IpAddr::V4(address) => address.to_bits().checked_add(1).map(|bits| IpAddr::V4(bits.into()))?,
        IpAddr::V6(address) => {
            address.to_bits().checked_add(1).map(|bits| IpAddr::V6(Ipv6Addr::from(bits)))?
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_overlaps_or_touches_is_one_range() {
        let table: [(Family, &[&str], &str); 6] = [
            (Family::Ipv4, &["10.0.0.0/8", "192.168.1.0/24"], "10.0.0.0/8 192.168.1.0/24"),
            (Family::Ipv4, &["10.1.0.0/16", "10.0.0.0/8", "10.255.0.0/16"], "10.0.0.0/8"),
            (Family::Ipv4, &["10.0.1.0/24", "10.0.2.0/24", "10.0.0.0/32"], "10.0.0.0/32 10.0.1.0-10.0.2.255"),
            (Family::Ipv4, &["255.0.0.0/8", "255.255.0.0/16", "0.0.0.0/0"], "0.0.0.0/0"),
            (Family::Ipv4, &["fd00::/8"], ""),
            (Family::Ipv6, &["10.0.0.0/8", "fd00::/16", "fd01::/16"], "fd00::/15"),
        ];
        for (family, networks, expected) in table {
            let networks: Vec<IpNet> = networks.iter().map(|it| it.parse().unwrap()).collect();
            let set = Set::of_networks(family, &networks);
            let found: Vec<String> = set.elements.keys().flatten().map(ToString::to_string).collect();
            assert_eq!(found.join(" "), expected, "{networks:?}");
        }
    }
}
