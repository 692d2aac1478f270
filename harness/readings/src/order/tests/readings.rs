//! Random lists: the three-valued answer is what all readings together say.

use super::table::evaluate;
use super::text::{Rules, Tier};
use crate::order::Outcome;
use crate::order::RuleAction;
use crate::profile::{Switch, Switches};
use crate::truth::Truth;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use std::collections::BTreeSet;

/// Whether each open match of a list holds, in their order.
type Reading = Vec<bool>;

/// What a list says where every match is settled, and whoever may be the one that decides.
fn two_valued(tiers: &[Tier], reading: &Reading) -> (bool, Vec<String>) {
    let mut open = reading.iter().copied();
    let mut settle = |truth: Truth| match truth {
        Truth::Yes => true,
        Truth::No => false,
        Truth::Either(_) => open.next().unwrap(),
    };
    // Every match takes its value, whether or not it is come to.
    let settled: Vec<(Vec<bool>, bool)> = tiers
        .iter()
        .map(|tier| {
            let rules = match &tier.rules {
                Rules::InOrder(rules) => rules.iter().map(|(_, truth)| settle(*truth)).collect(),
                Rules::AllowInAnyOrder(rules) => rules.iter().map(|truth| settle(*truth)).collect(),
            };
            (rules, settle(tier.denies))
        })
        .collect();
    'tiers: for (t, (tier, (matches, denies))) in tiers.iter().zip(&settled).enumerate() {
        match &tier.rules {
            Rules::InOrder(rules) => {
                for (r, ((action, _), matches)) in rules.iter().zip(matches).enumerate() {
                    match action {
                        _ if !matches => {}
                        RuleAction::Log => {}
                        RuleAction::Pass => continue 'tiers,
                        RuleAction::Allow => return (true, vec![format!("{t}.{r}")]),
                        RuleAction::Deny => return (false, vec![format!("{t}.{r}")]),
                    }
                }
            }
            Rules::AllowInAnyOrder(_) => {
                let which = matches.iter().enumerate().filter(|(_, matches)| **matches);
                let which: Vec<String> = which.map(|(r, _)| format!("{t}.{r}")).collect();
                if !which.is_empty() {
                    return (true, which);
                }
            }
        }
        if *denies {
            return (false, vec![format!("{t}.e")]);
        }
    }
    (true, vec!["-".to_owned()])
}

/// The switches of each open match, in order.
fn open(tiers: &[Tier]) -> Vec<Switches> {
    let truths = tiers.iter().flat_map(|tier| {
        let rules: Vec<Truth> = match &tier.rules {
            Rules::InOrder(rules) => rules.iter().map(|(_, truth)| *truth).collect(),
            Rules::AllowInAnyOrder(rules) => rules.clone(),
        };
        rules.into_iter().chain([tier.denies])
    });
    truths
        .filter_map(|truth| if let Truth::Either(switches) = truth { Some(switches) } else { None })
        .collect()
}

fn readings(open: usize) -> impl Iterator<Item = Reading> {
    (0..1_u32 << open).map(move |bits| (0..open).map(|index| bits >> index & 1 == 1).collect())
}

/// The join of all readings: open where two differ, with the switches of the matches by which alone they do; and who
/// allows and who denies in any of them.
fn joined(tiers: &[Tier]) -> (Truth, [BTreeSet<String>; 2]) {
    let open = open(tiers);
    let [mut allowed_by, mut denied_by] = [BTreeSet::new(), BTreeSet::new()];
    let mut switches = Switches::default();
    for reading in readings(open.len()) {
        let (allowed, who) = two_valued(tiers, &reading);
        if allowed { &mut allowed_by } else { &mut denied_by }.extend(who);
        for (index, own) in open.iter().enumerate() {
            let mut other = reading.clone();
            other[index] = !other[index];
            if two_valued(tiers, &other).0 != allowed {
                switches = switches.union(*own);
            }
        }
    }
    let truth = match (allowed_by.is_empty(), denied_by.is_empty()) {
        (false, false) => Truth::Either(switches),
        (nobody_allows, _) => Truth::from(!nobody_allows),
    };
    (truth, [allowed_by, denied_by])
}

fn truth() -> impl Strategy<Value = Truth> {
    prop_oneof![
        2 => Just(Truth::Yes),
        2 => Just(Truth::No),
        5 => (0..Switch::ALL.len(), 0..Switch::ALL.len()).prop_map(|(one, other)| {
            Truth::Either(Switches::of(Switch::ALL[one]).union(Switches::of(Switch::ALL[other])))
        }),
    ]
}

fn action() -> impl Strategy<Value = RuleAction> {
    prop_oneof![
        4 => Just(RuleAction::Allow),
        4 => Just(RuleAction::Deny),
        3 => Just(RuleAction::Pass),
        1 => Just(RuleAction::Log),
    ]
}

/// Some tiers of a few rules each, not many of which match for certain.
pub(crate) fn list() -> impl Strategy<Value = Vec<Tier>> {
    let in_order = proptest::collection::vec((action(), truth()), 0..4).prop_map(Rules::InOrder);
    let in_any_order = proptest::collection::vec(truth(), 0..3).prop_map(Rules::AllowInAnyOrder);
    let rules = prop_oneof![3 => in_order, 1 => in_any_order];
    let tier = (rules, truth()).prop_map(|(rules, denies)| Tier { rules, denies });
    proptest::collection::vec(tier, 0..4)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_000,
        rng_seed: RngSeed::Fixed(7),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Settled exactly where every combination of the open matches says the same, open with exactly the switches that
    /// matter, and decided by exactly those who decide in some combination.
    #[test]
    fn the_answer_is_the_join_of_all_readings(list in list().prop_filter("too many", |list| open(list).len() <= 10)) {
        let (truth, by) = joined(&list);
        let outcome: Outcome<String> = evaluate(&list);
        prop_assert_eq!(outcome.truth, truth, "{:?}", list);
        for (found, by) in [outcome.allowed_by, outcome.denied_by].into_iter().zip(by) {
            let once: BTreeSet<String> = found.iter().cloned().collect();
            prop_assert_eq!(once.len(), found.len(), "once each");
            prop_assert_eq!(once, by, "{:?}", list);
        }
    }

    /// Where one switch chooses all of its matches together there are fewer readings: what is settled for all
    /// combinations is so for them, and what differs between them is open.
    #[test]
    fn readings_by_switches_are_covered(
        list in list().prop_filter("too many", |list| open(list).len() <= 8),
        choices in proptest::collection::vec(any::<bool>(), Switch::ALL.len()),
        others in proptest::collection::vec(any::<bool>(), Switch::ALL.len()),
    ) {
        let said = evaluate(&list).truth;
        let by = |choices: &[bool]| -> bool {
            let chosen = |switches: &Switches| {
                Switch::ALL.iter().zip(choices).any(|(switch, chosen)| *chosen && switches.contains(*switch))
            };
            two_valued(&list, &open(&list).iter().map(chosen).collect()).0
        };
        let (one, other) = (by(&choices), by(&others));
        match said {
            Truth::Either(_) => {}
            settled => prop_assert_eq!((Truth::from(one), Truth::from(other)), (settled, settled)),
        }
        // Of two readings that differ, the switches of the answer have one in which they do.
        if let (Truth::Either(switches), true) = (said, one != other) {
            let differ = Switch::ALL.iter().zip(choices.iter().zip(&others)).filter(|(_, (a, b))| a != b);
            prop_assert!(differ.into_iter().any(|(switch, _)| switches.contains(*switch)));
        }
    }
}
