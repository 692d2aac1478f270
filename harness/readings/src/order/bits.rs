//! Sets of small numbers, one bit each, and square relations of them.

#![expect(clippy::indexing_slicing, reason = "a set has a word for every number below its bound")]

/// A set of numbers below a fixed bound.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Bits(Vec<u64>);

impl Bits {
    /// The empty set of numbers below `bound`.
    pub fn none(bound: usize) -> Self {
        Bits(vec![0; bound.div_ceil(64)])
    }

    /// Every number below `bound`.
    pub fn all(bound: usize) -> Self {
        let mut bits = Bits(vec![u64::MAX; bound.div_ceil(64)]);
        if let Some(last) = bits.0.last_mut()
            && !bound.is_multiple_of(64)
        {
            *last = (1 << (bound % 64)) - 1;
        }
        bits
    }

    /// Whether the number is in it.
    pub fn contains(&self, number: usize) -> bool {
        self.0[number / 64] >> (number % 64) & 1 == 1
    }

    /// Puts the number in, or takes it out.
    pub fn set(&mut self, number: usize, value: bool) {
        let bit = 1 << (number % 64);
        match value {
            true => self.0[number / 64] |= bit,
            false => self.0[number / 64] &= !bit,
        }
    }

    /// Adds what is in `other`.
    pub fn add(&mut self, other: &Bits) {
        self.0.iter_mut().zip(&other.0).for_each(|(own, other)| *own |= other);
    }

    /// Adds what is in both of the others.
    pub fn add_common(&mut self, a: &Bits, b: &Bits) {
        self.0.iter_mut().zip(a.0.iter().zip(&b.0)).for_each(|(own, (a, b))| *own |= a & b);
    }

    /// Keeps what is in `other`, too.
    pub fn keep(&mut self, other: &Bits) {
        self.0.iter_mut().zip(&other.0).for_each(|(own, other)| *own &= other);
    }

    /// Takes away what is in `other`.
    pub fn remove(&mut self, other: &Bits) {
        self.0.iter_mut().zip(&other.0).for_each(|(own, other)| *own &= !other);
    }

    /// Takes everything away.
    pub fn clear(&mut self) {
        self.0.fill(0);
    }

    /// The numbers in it.
    pub fn iter(&self) -> impl Iterator<Item = usize> {
        self.0.iter().enumerate().flat_map(|(word, bits)| {
            let mut bits = *bits;
            std::iter::from_fn(move || {
                let lowest = bits.trailing_zeros() as usize;
                (bits != 0).then(|| {
                    bits &= bits - 1;
                    64 * word + lowest
                })
            })
        })
    }
}

/// The other way round: `j` is in row `i` of the result where `i` is in row `j` of `rows`. There are as
/// many rows as the rows' numbers have bound.
pub fn transposed(rows: &[&Bits]) -> Vec<Bits> {
    let bound = rows.len();
    let mut result = vec![Bits::none(bound); bound];
    for (band, rows) in rows.chunks(64).enumerate() {
        for word in 0..bound.div_ceil(64) {
            let mut block = [0; 64];
            for (line, row) in block.iter_mut().zip(rows) {
                *line = row.0[word];
            }
            transpose_block(&mut block);
            for (line, row) in block.iter().zip(result[word * 64..].iter_mut()) {
                row.0[band] = *line;
            }
        }
    }
    result
}

/// Swaps the off-diagonal quarters of the block, then of each quarter, and so on.
fn transpose_block(block: &mut [u64; 64]) {
    let mut half = 32;
    let mut mask = u64::MAX >> 32;
    while half > 0 {
        for low in (0..64).filter(|line| line & half == 0) {
            let high = low + half;
            let swap = (block[low] >> half ^ block[high]) & mask;
            block[low] ^= swap << half;
            block[high] ^= swap;
        }
        half /= 2;
        mask ^= mask << half;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_transposed_relation_is_the_other_way_round(
            bound in 1usize..150,
            pairs in proptest::collection::vec((0usize..150, 0usize..150), 0..400),
        ) {
            let mut rows = vec![Bits::none(bound); bound];
            for (i, j) in pairs.into_iter().filter(|(i, j)| *i < bound && *j < bound) {
                rows[i].set(j, true);
            }
            let other = transposed(&rows.iter().collect::<Vec<_>>());
            for (i, row) in rows.iter().enumerate() {
                for (j, column) in other.iter().enumerate() {
                    prop_assert_eq!(row.contains(j), column.contains(i));
                }
            }
        }
    }

    #[test]
    fn all_is_all_and_no_more() {
        for bound in [1, 63, 64, 65, 128] {
            assert!(Bits::all(bound).iter().eq(0..bound));
        }
    }
}
