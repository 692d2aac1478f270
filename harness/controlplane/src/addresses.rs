//! Giving out addresses and ports: each to one owner, and the same to the same request in every run.

use crate::change::ChangeError;
use ipnet::IpNet;
use netproof_model::topology::PerFamily;
use netproof_model::{Family, NamespacedName, Topology};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

/// Who has what, and what was in use once. A free number that was used before is given out again only
/// when no fresh one is left, so that an address is reused only where a test asks for it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    owners: BTreeMap<u128, Option<NamespacedName>>,
    /// How often something was freed.
    releases: u64,
}

impl Ledger {
    pub(crate) fn owner(&self, number: u128) -> Option<&NamespacedName> {
        self.owners.get(&number)?.as_ref()
    }

    pub(crate) fn claim(&mut self, number: u128, owner: &NamespacedName) {
        self.owners.insert(number, Some(owner.clone()));
    }

    /// Frees the number if `owner` has it.
    pub(crate) fn release(&mut self, number: u128, owner: &NamespacedName) {
        if let Some(entry) = self.owners.get_mut(&number)
            && entry.as_ref() == Some(owner)
        {
            *entry = None;
            self.releases += 1;
        }
    }

    fn is_fresh(&self, number: u128) -> bool {
        !self.owners.contains_key(&number)
    }

    fn is_free(&self, number: u128) -> bool {
        self.owner(number).is_none()
    }
}

/// A range of numbers that are given out in turn.
#[derive(Clone, Debug)]
pub(crate) struct Pool {
    first: u128,
    last: u128,
    next: u128,
    /// How often something had been freed when nothing was left.
    full_at: Option<u64>,
}

impl Pool {
    /// The numbers from `first` to `last`, both included.
    pub(crate) fn new(first: u128, last: u128) -> Self {
        Pool { first, last, next: first, full_at: None }
    }

    /// The addresses of a range that hosts may have, but for so many at its beginning; none, if it has no more.
    pub(crate) fn from_offset(range: IpNet, offset: u128) -> Self {
        match number(range.network()).checked_add(offset) {
            Some(first) => Pool::new(first, last_host(range)),
            None => Pool::empty(),
        }
    }

    /// No number at all.
    pub(crate) fn empty() -> Self {
        Pool { first: 1, last: 0, next: 1, full_at: None }
    }

    /// The next number that was never used, else the next one that is free now; `None` if all are taken.
    pub(crate) fn take(&mut self, ledger: &mut Ledger, owner: &NamespacedName) -> Option<u128> {
        let number = self.find(ledger)?;
        self.next = if number == self.last { self.first } else { number + 1 };
        ledger.claim(number, owner);
        Some(number)
    }

    /// Whether there is a number to take.
    pub(crate) fn has_room(&mut self, ledger: &Ledger) -> bool {
        self.find(ledger).is_some()
    }

    /// The number that is taken next. A pool that is full is not searched again before something is freed.
    fn find(&mut self, ledger: &Ledger) -> Option<u128> {
        if self.full_at == Some(ledger.releases) {
            return None;
        }
        let fresh = self.in_turn().find(|number| ledger.is_fresh(*number));
        let found = fresh.or_else(|| self.in_turn().find(|number| ledger.is_free(*number)));
        self.full_at = found.is_none().then_some(ledger.releases);
        found
    }

    fn in_turn(&self) -> impl Iterator<Item = u128> + use<> {
        (self.next..=self.last).chain(self.first..self.next)
    }
}

/// Whether a host may have an address that others reach: unicast, and neither loopback nor link-local.
pub fn is_of_a_host(address: IpAddr) -> bool {
    let link_local = match address {
        IpAddr::V4(v4) => v4.is_link_local() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_unicast_link_local() || v6.to_ipv4_mapped().is_some(),
    };
    !(link_local || address.is_unspecified() || address.is_loopback() || address.is_multicast())
}

/// Where pods send what goes elsewhere, in IPv4.
pub const POD_GATEWAY: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);

/// Whether a host outside the cluster may have an address: one that others reach, or a link-local one of IPv4, as the
/// metadata servers of clouds have; not the pods' gateway.
pub fn is_outside(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) if v4.is_link_local() => v4 != POD_GATEWAY,
        other => is_of_a_host(other),
    }
}

/// Refuses what cannot be a host's address.
pub(crate) fn check_unicast(what: &str, address: IpAddr) -> Result<(), ChangeError> {
    check(is_of_a_host(address), what, address)
}

/// Refuses what cannot be the address of this.
pub(crate) fn check(may_be: bool, what: &str, address: IpAddr) -> Result<(), ChangeError> {
    match may_be {
        true => Ok(()),
        false => Err(ChangeError::new(
            format!("{address} cannot be the address of {what}"),
            "give it a unicast address that can be routed",
        )),
    }
}

/// Those of the given addresses that the topology's families have, the primary family first.
///
/// # Errors
/// None of them has such a family, or two have the same.
pub(crate) fn given_addresses(
    what: &str,
    given: &[IpAddr],
    topology: &Topology,
) -> Result<PerFamily<Option<IpAddr>>, ChangeError> {
    let mut by_family = PerFamily { ipv4: None, ipv6: None };
    for address in given {
        if by_family.get_mut(Family::of(*address)).replace(*address).is_some() {
            return Err(ChangeError::new(
                format!("{what} has two {} addresses", Family::of(*address)),
                "give at most one of each family",
            ));
        }
    }
    let usable = topology.family.list().iter().any(|family| by_family.get(*family).is_some());
    if !given.is_empty() && !usable {
        return Err(ChangeError::new(
            format!("{what} has no {} address", topology.family),
            "add one, or leave the address out and it gets the next free one",
        ));
    }
    Ok(by_family)
}

/// The address as a number.
pub(crate) fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// The address of a number that came from a range of this family (so that IPv4's fit in 32 bits).
pub(crate) fn address(family: Family, number: u128) -> IpAddr {
    match family {
        Family::Ipv4 => IpAddr::V4((number as u32).into()),
        Family::Ipv6 => IpAddr::V6(number.into()),
    }
}

/// The `offset`-th address of a range, if the range reaches so far. IPv4's broadcast address is none.
pub(crate) fn nth(range: IpNet, offset: u128) -> Option<IpAddr> {
    let number = number(range.network()).checked_add(offset)?;
    (number <= last_host(range)).then(|| address(Family::of(range.addr()), number))
}

/// The last address of a range that a host may have.
pub(crate) fn last_host(range: IpNet) -> u128 {
    let last = number(range.broadcast());
    match range {
        IpNet::V4(v4) if v4.prefix_len() < 31 => last - 1,
        _ => last,
    }
}

/// The `index`-th part of a range with the given prefix length, if the range has so many.
pub(crate) fn part(range: IpNet, prefix: u8, index: u128) -> Option<IpNet> {
    let bits = range.max_prefix_len();
    let shift = u32::from(bits.checked_sub(prefix)?);
    let parts = 1u128.checked_shl(u32::from(prefix.checked_sub(range.prefix_len())?)).unwrap_or(u128::MAX);
    if index >= parts {
        return None;
    }
    let start = number(range.network()).checked_add(index.checked_shl(shift)?)?;
    IpNet::new(address(Family::of(range.addr()), start), prefix).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn net(text: &str) -> IpNet {
        text.parse().unwrap()
    }

    #[test]
    fn parts_of_a_range() {
        for (range, prefix, index, expected) in [
            ("10.244.0.0/16", 24, 1, Some("10.244.1.0/24")),
            ("10.244.0.0/16", 24, 255, Some("10.244.255.0/24")),
            ("10.244.0.0/16", 24, 256, None),
            ("10.244.0.0/24", 24, 0, Some("10.244.0.0/24")),
            ("10.244.0.0/24", 24, 1, None),
            ("10.244.0.0/25", 24, 0, None),
            ("0.0.0.0/0", 24, 1, Some("0.0.1.0/24")),
            ("fd00:10:244::/48", 64, 1, Some("fd00:10:244:1::/64")),
            ("fd00:10:244::/48", 64, 65536, None),
            ("::/0", 128, u128::MAX, None),
        ] {
            assert_eq!(part(net(range), prefix, index), expected.map(net), "{range} {prefix} {index}");
        }
    }

    #[test]
    fn hosts_of_a_range() {
        for (range, offset, expected) in [
            ("172.18.0.0/24", 1, Some("172.18.0.1")),
            ("172.18.0.0/24", 254, Some("172.18.0.254")),
            ("172.18.0.0/24", 255, None),
            ("172.18.0.0/31", 1, Some("172.18.0.1")),
            ("255.255.255.255/32", 1, None),
            ("fd00::/126", 3, Some("fd00::3")),
            ("fd00::/126", 4, None),
            ("::/0", u128::MAX, Some("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff")),
        ] {
            let expected: Option<IpAddr> = expected.map(|text| text.parse().unwrap());
            assert_eq!(nth(net(range), offset), expected, "{range} {offset}");
        }
    }

    #[test]
    fn a_pool_ends_with_its_range() {
        let owner = NamespacedName::new("default", "a");
        let last = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
        for (range, offset, expected) in [
            ("10.0.0.0/30", 2, Some("10.0.0.2")),
            ("10.0.0.0/30", 3, None),
            ("255.255.255.255/32", 1, None),
            ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff8/125", 7, Some(last)),
            ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff8/125", 16, None),
        ] {
            let range = net(range);
            let taken = Pool::from_offset(range, offset).take(&mut Ledger::default(), &owner);
            let taken = taken.map(|number| address(Family::of(range.addr()), number).to_string());
            assert_eq!(taken.as_deref(), expected, "{range} {offset}");
        }
    }

    #[test]
    fn a_freed_number_comes_back_last() {
        let (a, b) = (NamespacedName::new("default", "a"), NamespacedName::new("default", "b"));
        let mut ledger = Ledger::default();
        let mut pool = Pool::new(2, 4);
        assert_eq!(pool.take(&mut ledger, &a), Some(2));
        ledger.release(2, &b);
        assert_eq!(ledger.owner(2), Some(&a), "only the owner gives a number back");
        ledger.release(2, &a);
        ledger.claim(3, &b);
        ledger.release(3, &b);
        assert_eq!(pool.take(&mut ledger, &a), Some(4), "3 was used once");
        assert_eq!(pool.take(&mut ledger, &a), Some(2), "nothing fresh is left");
        assert_eq!(pool.take(&mut ledger, &a), Some(3));
        assert_eq!(pool.take(&mut ledger, &a), None);
    }
}
