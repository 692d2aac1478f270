//! Features that a run leaves out, so that what an enforcer is known to do wrong does not hide what else it does.
//!
//! A case is drawn as ever and then written without them: the seed's other choices stay as they were.

use crate::case::{Case, State};
use crate::policy::{Peer, Policy, PortEntry, PortName, Rule};
use netproof_api::networking::PolicyType;
use netproof_model::NamespacedName;
use std::fmt;

/// The longest name that is left where long ones are not: that of a label.
const LONGEST: usize = 63;
/// The number in the place of a named port.
const NUMBER: u16 = 80;

/// A feature of NetworkPolicy, or of its objects, that cases can be without.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feature {
    /// `except` of a block.
    Except,
    /// More than one block in a rule.
    SeveralBlocks,
    /// Ports by name.
    NamedPorts,
    /// `endPort`.
    EndPorts,
    /// Policies with rules or isolation of both directions.
    BothDirections,
    /// Names of policies that are longer than a label.
    LongNames,
}

impl Feature {
    /// Every feature.
    pub const ALL: [Feature; 6] = [
        Feature::Except,
        Feature::SeveralBlocks,
        Feature::NamedPorts,
        Feature::EndPorts,
        Feature::BothDirections,
        Feature::LongNames,
    ];

    /// Its word on the command line.
    pub const fn word(self) -> &'static str {
        match self {
            Feature::Except => "except",
            Feature::SeveralBlocks => "several-blocks",
            Feature::NamedPorts => "named-ports",
            Feature::EndPorts => "end-ports",
            Feature::BothDirections => "both-directions",
            Feature::LongNames => "long-names",
        }
    }

    fn leave_out(self, state: &mut State) {
        if self == Feature::LongNames {
            let short = |(name, policy)| (shortened(name), policy);
            state.policies = std::mem::take(&mut state.policies).into_iter().map(short).collect();
        }
        for policy in state.policies.values_mut() {
            match self {
                Feature::Except => peers(policy).for_each(|peer| {
                    if let Peer::Block(_, except) = peer {
                        *except = None;
                    }
                }),
                Feature::SeveralBlocks => rules(policy).for_each(keep_one_block),
                Feature::NamedPorts => ports(policy).for_each(|entry| {
                    if let Some(PortName::Name(_)) = entry.port {
                        entry.port = Some(PortName::Number(NUMBER));
                    }
                }),
                Feature::EndPorts => ports(policy).for_each(|entry| entry.end = None),
                Feature::BothDirections => keep_one_direction(policy),
                Feature::LongNames => {}
            }
        }
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The case without these features.
pub(crate) fn without(mut case: Case, features: &[Feature]) -> Case {
    for state in &mut case.states {
        features.iter().for_each(|feature| feature.leave_out(state));
    }
    case
}

fn rules(policy: &mut Policy) -> impl Iterator<Item = &mut Rule> {
    policy.ingress.iter_mut().chain(&mut policy.egress).flatten()
}

fn peers(policy: &mut Policy) -> impl Iterator<Item = &mut Peer> {
    rules(policy).filter_map(|rule| rule.peers.as_mut()).flatten()
}

fn ports(policy: &mut Policy) -> impl Iterator<Item = &mut PortEntry> {
    rules(policy).filter_map(|rule| rule.ports.as_mut()).flatten()
}

fn keep_one_block(rule: &mut Rule) {
    let mut blocks = 0;
    rule.peers.iter_mut().for_each(|peers| {
        peers.retain(|peer| {
            blocks += usize::from(matches!(peer, Peer::Block(..)));
            blocks <= 1 || !matches!(peer, Peer::Block(..))
        });
    });
}

/// The direction of which there are more rules; ingress, which every policy has that names no types, where there are as
/// many of both.
fn keep_one_direction(policy: &mut Policy) {
    let count = |rules: &Option<Vec<Rule>>| rules.as_ref().map_or(0, Vec::len);
    let named = policy.types.as_deref().unwrap_or_default();
    let kept = match named {
        [only] => *only,
        _ if count(&policy.egress) > count(&policy.ingress) => PolicyType::Egress,
        _ => PolicyType::Ingress,
    };
    match kept {
        PolicyType::Ingress => policy.egress = None,
        PolicyType::Egress => policy.ingress = None,
    }
    // Without types a policy is one of ingress.
    if kept == PolicyType::Egress || named.len() > 1 {
        policy.types = Some(vec![kept]);
    }
}

/// What long names differ in stands at their end.
fn shortened(name: NamespacedName) -> NamespacedName {
    let from = name.name.len().saturating_sub(LONGEST);
    NamespacedName { name: name.name.chars().skip(from).collect(), ..name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::{Fixed, generate};
    use crate::text::{About, text};
    use netproof_api::Source;
    use netproof_documents::options::Options;
    use netproof_format::load_text;

    /// What nothing of stands in the text of a case without the feature.
    fn words(feature: Feature) -> &'static [&'static str] {
        match feature {
            Feature::Except => &["except"],
            // Nothing in the words: counted below.
            Feature::SeveralBlocks => &[],
            Feature::NamedPorts => &["port: web", "port: dns", "port: alt", "port: absent"],
            Feature::EndPorts => &["endPort"],
            Feature::BothDirections => &["[Ingress, Egress]", "[Egress, Ingress]"],
            Feature::LongNames => &["nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"],
        }
    }

    fn most_blocks(case: &Case) -> usize {
        let policies = case.states.iter().flat_map(|state| state.policies.values());
        let rules = policies.flat_map(|policy| policy.ingress.iter().chain(&policy.egress).flatten());
        let blocks = |rule: &Rule| {
            let peers = rule.peers.iter().flatten();
            peers.filter(|peer| matches!(peer, Peer::Block(..))).count()
        };
        rules.map(blocks).max().unwrap_or(0)
    }

    fn is_of_both_directions(policy: &Policy) -> bool {
        let with_rules = |rules: &Option<Vec<Rule>>| rules.as_ref().is_some_and(|rules| !rules.is_empty());
        let named = |of: PolicyType| policy.types.iter().flatten().any(|it| *it == of);
        let unnamed = policy.types.as_ref().is_none_or(Vec::is_empty);
        let ingress = with_rules(&policy.ingress) || named(PolicyType::Ingress) || unnamed;
        let egress = with_rules(&policy.egress) || named(PolicyType::Egress);
        ingress && egress
    }

    fn any_of_both_directions(case: &Case) -> bool {
        case.states.iter().flat_map(|state| state.policies.values()).any(is_of_both_directions)
    }

    #[test]
    fn a_feature_that_is_left_out_is_nowhere_and_the_others_stay() {
        let about = About { name: "case".into(), description: "A case.".into(), ..About::default() };
        let cases: Vec<Case> = (0..40).map(|number| generate(3, number, 12, Fixed::default())).collect();
        for feature in Feature::ALL {
            let (mut before, mut after) = (String::new(), String::new());
            for case in &cases {
                let less = without(case.clone(), &[feature]);
                assert!(without(less.clone(), &[feature]) == less, "{feature} twice");
                let sizes = |case: &Case| case.states.iter().map(|it| it.policies.len()).collect::<Vec<_>>();
                assert_eq!(sizes(&less), sizes(case), "{feature} loses a policy");
                let text_of_less = text(&less, &about);
                load_text(&Source::new("case.yaml", text_of_less.as_str()), &Options::default())
                    .unwrap_or_else(|errors| panic!("{feature}: {errors}\n{text_of_less}"));
                before += &text(case, &about);
                after += &text_of_less;
            }
            let less: Vec<Case> = cases.iter().map(|case| without(case.clone(), &[feature])).collect();
            assert!(cases != less, "{feature} changes nothing");
            for others in Feature::ALL {
                for word in words(others) {
                    assert!(before.contains(word), "no case has {word:?}");
                    assert_eq!(after.contains(word), others != feature, "{word:?} without {feature}");
                }
            }
            let most = less.iter().map(most_blocks).max();
            assert_eq!(most == Some(1), feature == Feature::SeveralBlocks, "{feature}: {most:?} blocks");
            let both = less.iter().any(any_of_both_directions);
            assert_eq!(both, feature != Feature::BothDirections, "{feature}");
        }
    }
}
