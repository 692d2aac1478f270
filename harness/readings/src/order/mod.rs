//! Ordered lists of policy, whatever API they come from: what the first rule that matches makes of a packet, where
//! whether a rule matches may be open.
//!
//! A packet meets the tiers of an endpoint in order, and the rules of a tier (policy by policy) in order. The first
//! rule that matches and does not only log decides: it allows, denies, or passes the packet to the next tier. A
//! packet that no rule of a tier decides meets the tier's end, which denies it or lets it go on. One that no tier
//! decides is allowed; an API that denies it says so by the end of a last tier.
//!
//! Three-valued: what may match leads both ways. The answer is settled where every combination of the open matches
//! gives the same verdict, and names exactly those switches otherwise that some combination hangs on. Open matches
//! count as independent of each other, also those that hang on one switch: an answer may be open that no profile
//! changes, and is never settled wrongly.

mod bits;
mod sets;
#[cfg(test)]
mod tests;
mod tiers;

pub use bits::{Bits, transposed};
pub use sets::{Matching, SetWalk};
pub use tiers::{Outcome, TierWalk};

/// What a rule makes of a packet that it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RuleAction {
    /// It is allowed, and no later tier is asked.
    Allow,
    /// It is denied.
    Deny,
    /// The rest of the tier is not asked, its end neither: the next tier decides.
    Pass,
    /// Nothing: the next rule decides.
    Log,
}

/// The first rule of each list, then the second of each, and so on.
pub fn interleaved<T>(lists: Vec<Vec<T>>) -> Vec<T> {
    let mut lists: Vec<_> = lists.into_iter().map(Vec::into_iter).collect();
    let mut all = Vec::new();
    loop {
        let before = all.len();
        all.extend(lists.iter_mut().filter_map(Iterator::next));
        if all.len() == before {
            return all;
        }
    }
}
