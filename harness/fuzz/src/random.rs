//! Random choices that a seed repeats, on every machine and in every version.

/// SplitMix64 (Steele, Lea, Flood 2014): small, and good enough to choose by.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The choices of one of many cases under the same seed; how many there are makes no difference to it.
    pub fn of_case(seed: u64, case: usize) -> Random {
        let mut random = Random(seed);
        let first = random.next();
        Random(first ^ (case as u64).wrapping_mul(0xd1b5_4a32_d192_ed03))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`; 0 if there is none.
    pub fn below(&mut self, end: usize) -> usize {
        // The bias towards small numbers is below 2^-50 for the few dozen that are ever asked for.
        (self.next() % (end.max(1) as u64)) as usize
    }

    /// A number from `first` to `last`, both included.
    pub fn between(&mut self, first: usize, last: usize) -> usize {
        first + self.below(last.saturating_sub(first) + 1)
    }

    /// True in so many of a hundred.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of an array, which is never empty.
    pub fn pick<T: Copy, const N: usize>(&mut self, from: &[T; N]) -> T {
        const { assert!(N > 0) };
        from[self.below(N)]
    }

    /// One of a list; `None` if that is empty.
    pub fn choose<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len()))
    }

    /// The number of one of these weights, more often the larger it is.
    pub fn weighted<const N: usize>(&mut self, weights: [usize; N]) -> usize {
        let mut left = self.below(weights.iter().sum());
        for (index, weight) in weights.into_iter().enumerate() {
            match left.checked_sub(weight) {
                Some(rest) => left = rest,
                None => return index,
            }
        }
        0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_repeated_and_each_case_has_its_own() {
        let take = |case| {
            let mut random = Random::of_case(7, case);
            (0..8).map(|_| random.below(1000)).collect::<Vec<_>>()
        };
        assert_eq!(take(3), take(3));
        assert_ne!(take(3), take(4));
        assert_eq!(take(0), [221, 174, 827, 45, 790, 174, 406, 592]);
    }

    #[test]
    fn choices_are_in_their_range_and_by_weight() {
        let mut random = Random::of_case(1, 0);
        let mut counts = [0; 3];
        (0..1000).for_each(|_| counts[random.weighted([1, 0, 3])] += 1);
        assert_eq!(counts[1], 0);
        assert!(counts[0] > 150 && counts[2] > 600, "{counts:?}");
        assert!((0..100).all(|_| (2..=4).contains(&random.between(2, 4))));
        assert_eq!(random.choose::<u8>(&[]), None);
        assert_eq!(random.below(0), 0);
    }
}
