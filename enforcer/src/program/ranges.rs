//! Sets of numbers as disjoint ranges: union and subtraction.
//!
//! Addresses of one family and ports are both numbers here. The kernel refuses overlapping intervals in
//! a set, so what leaves this module is sorted, disjoint, and never adjacent.

/// The numbers from `first` to `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Range {
    /// The lowest number.
    pub first: u128,
    /// The highest number, not below `first`.
    pub last: u128,
}

impl Range {
    /// The range from `first` to `last`; `None` if that is backwards.
    pub fn new(first: u128, last: u128) -> Option<Range> {
        (first <= last).then_some(Range { first, last })
    }

    /// Whether `number` lies within.
    pub fn contains(&self, number: u128) -> bool {
        self.first <= number && number <= self.last
    }
}

/// The same numbers as sorted, disjoint ranges that do not touch.
pub fn union(mut ranges: Vec<Range>) -> Vec<Range> {
    ranges.sort_unstable();
    let mut disjoint: Vec<Range> = Vec::with_capacity(ranges.len());
    for range in ranges {
        match disjoint.last_mut() {
            Some(previous) if range.first <= previous.last.saturating_add(1) => {
                previous.last = previous.last.max(range.last);
            }
            _ => disjoint.push(range),
        }
    }
    disjoint
}

/// The numbers of `from` that are in none of `holes`, as disjoint ranges.
pub fn subtract(from: Range, holes: Vec<Range>) -> Vec<Range> {
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
        left.extend(hole.first.checked_sub(1).and_then(|last| Range::new(first, last)));
        next = hole.last.checked_add(1);
    }
    left.extend(next.and_then(|first| Range::new(first, from.last)));
    left
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn range(first: u128, last: u128) -> Range {
        Range::new(first, last).unwrap()
    }

    #[test]
    fn the_ends_of_the_number_line() {
        let all = range(0, u128::MAX);
        assert_eq!(subtract(all, vec![]), vec![all]);
        assert_eq!(subtract(all, vec![all]), vec![]);
        assert_eq!(subtract(all, vec![range(0, 9)]), vec![range(10, u128::MAX)]);
        assert_eq!(subtract(all, vec![range(10, u128::MAX)]), vec![range(0, 9)]);
        assert_eq!(union(vec![range(5, u128::MAX), all]), vec![all]);
    }

    fn small() -> impl Strategy<Value = Range> {
        (0u128..64, 0u128..16).prop_map(|(first, length)| range(first, first + length))
    }

    proptest! {
        #[test]
        fn union_is_exact_and_disjoint(ranges in proptest::collection::vec(small(), 0..8)) {
            let result = union(ranges.clone());
            for number in 0..100 {
                let expected = ranges.iter().any(|range| range.contains(number));
                prop_assert_eq!(result.iter().any(|range| range.contains(number)), expected, "{}", number);
            }
            for pair in result.windows(2) {
                prop_assert!(pair[0].last + 1 < pair[1].first, "{:?}", pair);
            }
        }

        #[test]
        fn subtraction_is_exact_and_disjoint(from in small(), holes in proptest::collection::vec(small(), 0..8)) {
            let result = subtract(from, holes.clone());
            for number in 0..100 {
                let expected = from.contains(number) && !holes.iter().any(|hole| hole.contains(number));
                prop_assert_eq!(result.iter().any(|range| range.contains(number)), expected, "{}", number);
            }
            for pair in result.windows(2) {
                prop_assert!(pair[0].last + 1 < pair[1].first, "{:?}", pair);
            }
        }
    }
}
