//! Many packets at once through the tiers of an endpoint: those of all the other ends, one bit each.

use super::RuleAction;
use super::bits::Bits;
use crate::truth::Truth;

/// The other ends that something matches: for certain, and in some reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Matching {
    /// In every reading.
    pub certain: Bits,
    /// In some reading; those of `certain` too.
    pub possible: Bits,
}

impl Matching {
    /// None of so many ends.
    pub fn none(bound: usize) -> Self {
        Matching { certain: Bits::none(bound), possible: Bits::none(bound) }
    }

    /// All of so many ends, for certain.
    pub fn all(bound: usize) -> Self {
        Matching { certain: Bits::all(bound), possible: Bits::all(bound) }
    }

    /// Adds what another one matches.
    pub fn add(&mut self, other: &Matching) {
        self.certain.add(&other.certain);
        self.possible.add(&other.possible);
    }

    /// Adds some ends that are matched as far as `truth` says.
    pub fn add_where(&mut self, truth: Truth, ends: &Bits) {
        match truth {
            Truth::No => {}
            Truth::Either(_) => self.possible.add(ends),
            Truth::Yes => {
                self.certain.add(ends);
                self.possible.add(ends);
            }
        }
    }
}

/// Follows the packets of all other ends through tiers, which are told in order as [`TierWalk`](super::TierWalk) is
/// told them for one. What is decided no longer counts.
#[derive(Debug)]
pub struct SetWalk {
    /// What some reading leaves to the next rule of this tier.
    here: Bits,
    /// What some reading has passed to the next tier.
    passed: Bits,
    /// What some reading allows.
    allowed: Bits,
    /// What some reading denies.
    denied: Bits,
}

impl SetWalk {
    /// Of so many other ends.
    pub fn new(bound: usize) -> Self {
        let none = || Bits::none(bound);
        SetWalk { here: Bits::all(bound), passed: none(), allowed: none(), denied: none() }
    }

    /// The next rule of a tier, or rules of one action that may be read in any order, and whom they match.
    pub fn rule(&mut self, action: RuleAction, matches: &Matching) {
        let to = match action {
            RuleAction::Allow => &mut self.allowed,
            RuleAction::Deny => &mut self.denied,
            RuleAction::Pass => &mut self.passed,
            RuleAction::Log => return,
        };
        to.add_common(&self.here, &matches.possible);
        self.here.remove(&matches.certain);
    }

    /// The rules of several policies, each policy's in order, of which an enforcer may ask any first.
    pub fn policies_in_any_order(&mut self, policies: &[&[(RuleAction, Matching)]]) {
        let here = self.here.clone();
        for policy in policies {
            // Whom this policy may decide about if it stands first.
            self.here = here.clone();
            policy.iter().for_each(|(action, matches)| self.rule(*action, matches));
        }
        self.here = here;
        policies.iter().copied().flatten().for_each(|(action, matches)| self.rule(*action, matches));
    }

    /// The end of a tier: whether it denies what no rule of the tier has decided.
    pub fn end_of_tier(&mut self, denies: Truth) {
        if denies != Truth::No {
            self.denied.add(&self.here);
        }
        if denies == Truth::Yes {
            self.here.clear();
        }
        self.here.add(&self.passed);
        self.passed.clear();
    }

    /// Who is allowed after the last tier.
    pub fn outcome(mut self) -> Matching {
        self.allowed.add(&self.here);
        let mut certain = self.allowed.clone();
        certain.remove(&self.denied);
        Matching { certain, possible: self.allowed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::order::tests::readings::list;
    use crate::order::tests::table::evaluate;
    use crate::order::tests::text::{Rules, Tier};
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    /// Lists of one shape, of which each other end has its own truths, as sets.
    fn walk(shape: &[Tier], ends: &[Vec<Tier>]) -> Matching {
        let mut sets = SetWalk::new(ends.len());
        let matching = |of: &dyn Fn(&[Tier]) -> Truth| {
            let mut matching = Matching::none(ends.len());
            for (end, tiers) in ends.iter().enumerate() {
                let mut only = Bits::none(ends.len());
                only.set(end, true);
                matching.add_where(of(tiers), &only);
            }
            matching
        };
        for (t, tier) in shape.iter().enumerate() {
            match &tier.rules {
                Rules::InOrder(rules) => {
                    for (r, (action, _)) in rules.iter().enumerate() {
                        sets.rule(*action, &matching(&|tiers| truth_of(&tiers[t], r)));
                    }
                }
                Rules::AllowInAnyOrder(rules) => {
                    let mut any = Matching::none(ends.len());
                    for r in 0..rules.len() {
                        any.add(&matching(&|tiers| truth_of(&tiers[t], r)));
                    }
                    sets.rule(RuleAction::Allow, &any);
                }
            }
            sets.end_of_tier(tier.denies);
        }
        sets.outcome()
    }

    fn truth_of(tier: &Tier, rule: usize) -> Truth {
        match &tier.rules {
            Rules::InOrder(rules) => rules[rule].1,
            Rules::AllowInAnyOrder(rules) => rules[rule],
        }
    }

    /// A list like another one, with the truths that `next` gives.
    fn with_truths(shape: &[Tier], mut next: impl FnMut() -> Truth) -> Vec<Tier> {
        let rules = |rules: &Rules, next: &mut dyn FnMut() -> Truth| match rules {
            Rules::InOrder(rules) => {
                Rules::InOrder(rules.iter().map(|(action, _)| (*action, next())).collect())
            }
            Rules::AllowInAnyOrder(rules) => Rules::AllowInAnyOrder(rules.iter().map(|_| next()).collect()),
        };
        shape.iter().map(|tier| Tier { rules: rules(&tier.rules, &mut next), denies: tier.denies }).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: 500,
            rng_seed: RngSeed::Fixed(7),
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        /// One by one or all at once.
        #[test]
        fn sets_say_what_each_packet_is_told(
            shape in list(),
            truths in proptest::collection::vec(0..3_u8, 70 * 12),
        ) {
            let mut truths = truths.into_iter().map(|it| match it {
                0 => Truth::No,
                1 => Truth::Yes,
                _ => Truth::open(crate::profile::Switch::Icmp),
            });
            let ends: Vec<Vec<Tier>> =
                (0..70).map(|_| with_truths(&shape, || truths.next().unwrap_or(Truth::No))).collect();
            let sets = walk(&shape, &ends);
            for (end, tiers) in ends.iter().enumerate() {
                let said = match (sets.certain.contains(end), sets.possible.contains(end)) {
                    (true, true) => "yes",
                    (false, true) => "either",
                    (false, false) => "no",
                    (true, false) => "nonsense",
                };
                let expected = match evaluate(tiers).truth {
                    Truth::Yes => "yes",
                    Truth::Either(_) => "either",
                    Truth::No => "no",
                };
                prop_assert_eq!(said, expected, "{:?}", tiers);
            }
        }
    }
}
