//! Sets of values as disjoint ranges: union and subtraction.
//!
//! The values are addresses, or ports. The kernel refuses overlapping intervals in a set, so what leaves this module is
//! sorted, disjoint, and never adjacent.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A value that has neighbours, but for the ends of its line.
pub(super) trait Step: Copy + Ord {
    /// The next higher.
    fn next(self) -> Option<Self>;
    /// The next lower.
    fn previous(self) -> Option<Self>;
}

impl Step for u16 {
    fn next(self) -> Option<u16> {
        self.checked_add(1)
    }

    fn previous(self) -> Option<u16> {
        self.checked_sub(1)
    }
}

/// The families are lines of their own, one after the other.
impl Step for IpAddr {
    fn next(self) -> Option<IpAddr> {
        Some(match self {
            IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits().checked_add(1)?).into(),
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits().checked_add(1)?).into(),
        })
    }

    fn previous(self) -> Option<IpAddr> {
        Some(match self {
            IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits().checked_sub(1)?).into(),
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits().checked_sub(1)?).into(),
        })
    }
}

/// The values from `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Range<T> {
    /// The lowest.
    pub(super) first: T,
    /// The highest, not below `first`.
    pub(super) last: T,
}

impl<T: Ord> Range<T> {
    /// The range from `first` to `last`; `None` if that is backwards.
    pub(super) fn new(first: T, last: T) -> Option<Range<T>> {
        (first <= last).then_some(Range { first, last })
    }
}

/// The same values as sorted, disjoint ranges that do not touch.
pub(super) fn union<T: Step>(mut ranges: Vec<Range<T>>) -> Vec<Range<T>> {
    ranges.sort_unstable();
    let mut disjoint: Vec<Range<T>> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match disjoint.last_mut() {
            Some(before) if range.first <= before.last || before.last.next() == Some(range.first) => {
                before.last = before.last.max(range.last);
            }
            _ => disjoint.push(range),
        }
    }
    disjoint
}

/// The values of `from` that are in none of `holes`, as disjoint ranges.
pub(super) fn subtract<T: Step>(from: Range<T>, holes: Vec<Range<T>>) -> Vec<Range<T>> {
    let mut left = Vec::new();
    let mut next = Some(from.first);
    for hole in union(holes) {
        let Some(first) = next.filter(|first| *first <= from.last) else { break };
        if hole.last < first {
            continue;
        }
        if hole.first > from.last {
            break;
        }
        left.extend(hole.first.previous().and_then(|last| Range::new(first, last)));
        next = hole.last.next();
    }
    left.extend(next.and_then(|first| Range::new(first, from.last)));
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn range(first: u16, last: u16) -> Range<u16> {
        Range::new(first, last).unwrap()
    }

    #[test]
    fn the_ends_of_the_number_line() {
        let all = range(0, u16::MAX);
        assert_eq!(subtract(all, vec![]), vec![all]);
        assert_eq!(subtract(all, vec![all]), vec![]);
        assert_eq!(subtract(all, vec![range(0, 9)]), vec![range(10, u16::MAX)]);
        assert_eq!(subtract(all, vec![range(10, u16::MAX)]), vec![range(0, 9)]);
        assert_eq!(union(vec![range(5, u16::MAX), all]), vec![all]);
    }

    fn contains(range: &Range<u16>, number: u16) -> bool {
        range.first <= number && number <= range.last
    }

    /// Each family ends by itself: what is highest in IPv4 does not touch what is lowest in IPv6.
    #[test]
    fn addresses_of_two_families_are_two_ranges() {
        let all =
            |first: &str, last: &str| Range::new(first.parse().unwrap(), last.parse().unwrap()).unwrap();
        let (v4, v6): (Range<IpAddr>, Range<IpAddr>) =
            (all("0.0.0.0", "255.255.255.255"), all("::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
        assert_eq!(union(vec![v6, v4, v4]), [v4, v6]);
        assert_eq!(subtract(v4, vec![v6]), [v4]);
        let (low, high) = (all("10.0.0.0", "10.0.0.255"), all("10.0.1.0", "10.0.1.255"));
        assert_eq!(union(vec![high, low]), [all("10.0.0.0", "10.0.1.255")]);
        assert_eq!(subtract(all("10.0.0.0", "10.0.1.255"), vec![low]), [high]);
    }

    fn small() -> impl Strategy<Value = Range<u16>> {
        (0u16..64, 0u16..16).prop_map(|(first, length)| range(first, first + length))
    }

    proptest! {
        #[test]
        fn union_is_exact_and_disjoint(ranges in proptest::collection::vec(small(), 0..8)) {
            let result = union(ranges.clone());
            for number in 0..100 {
                let expected = ranges.iter().any(|range| contains(range, number));
                prop_assert_eq!(result.iter().any(|range| contains(range, number)), expected, "{}", number);
            }
            for pair in result.windows(2) {
                prop_assert!(pair[0].last + 1 < pair[1].first, "{:?}", pair);
            }
        }

        #[test]
        fn subtraction_is_exact_and_disjoint(from in small(), holes in proptest::collection::vec(small(), 0..8)) {
            let result = subtract(from, holes.clone());
            for number in 0..100 {
                let expected = contains(&from, number) && !holes.iter().any(|hole| contains(hole, number));
                prop_assert_eq!(result.iter().any(|range| contains(range, number)), expected, "{}", number);
            }
            for pair in result.windows(2) {
                prop_assert!(pair[0].last + 1 < pair[1].first, "{:?}", pair);
            }
        }
    }
}
