//! One packet through the tiers of an endpoint.

use super::RuleAction;
use crate::profile::{Switch, Switches};
use crate::truth::Truth;

/// Follows one packet through tiers, which are told in order: rule by rule, and the end of each.
///
/// `D` names whoever decides, in the caller's words.
#[derive(Debug)]
pub struct TierWalk<D> {
    /// What may have become of the packet, in order, each with when.
    forks: Vec<Fork>,
    /// Whoever allows it in some reading, in order.
    allowed_by: Vec<D>,
    /// Whoever denies it in some reading, in order.
    denied_by: Vec<D>,
    /// Whether some reading leaves the packet to the next rule of this tier.
    here: bool,
    /// Whether some reading passed it to the next tier.
    passed: bool,
}

/// A point at which a packet that comes to it may leave the list. It matches, or may.
#[derive(Clone, Copy, Debug)]
enum Fork {
    Decides {
        verdict: Verdict,
        when: Truth,
    },
    Passes {
        when: Truth,
    },
    /// What is not decided or passed before goes on to the next tier.
    TierEnds,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Allow,
    Deny,
}

/// The verdicts that some reading gives.
#[derive(Clone, Copy, Debug, Default)]
struct Verdicts {
    allow: bool,
    deny: bool,
}

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome<D> {
    /// Whether it is allowed; where that is open, exactly the switches that matter.
    pub truth: Truth,
    /// Whoever allows it in some reading, in the order of the list.
    pub allowed_by: Vec<D>,
    /// Whoever denies it in some reading, in the order of the list.
    pub denied_by: Vec<D>,
}

/// Before the first tier.
impl<D> Default for TierWalk<D> {
    fn default() -> Self {
        TierWalk {
            forks: Vec::new(),
            allowed_by: Vec::new(),
            denied_by: Vec::new(),
            here: true,
            passed: false,
        }
    }
}

impl<D> TierWalk<D> {
    /// Before the first tier.
    pub fn new() -> Self {
        TierWalk::default()
    }

    /// The next rule of a tier, and whether it matches.
    pub fn rule(&mut self, action: RuleAction, matches: Truth, decider: impl FnOnce() -> D) {
        if !self.here || matches == Truth::No {
            return;
        }
        match action {
            RuleAction::Allow => self.decides(Verdict::Allow, matches, [decider()]),
            RuleAction::Deny => self.decides(Verdict::Deny, matches, [decider()]),
            RuleAction::Pass => {
                self.passes(matches);
            }
            RuleAction::Log => {}
        }
    }

    /// Rules that allow, of which an enforcer may read any first: whether each matches, and its name. One that
    /// matches for certain does not keep another from being the one that decides.
    pub fn allows_in_any_order(&mut self, rules: impl IntoIterator<Item = (Truth, D)>) {
        if !self.here {
            return;
        }
        let mut any = Truth::No;
        let matching = rules.into_iter().filter(|(matches, _)| *matches != Truth::No);
        let deciders: Vec<D> = matching
            .map(|(matches, decider)| {
                any = any.or(matches);
                decider
            })
            .collect();
        if any != Truth::No {
            self.decides(Verdict::Allow, any, deciders);
        }
    }

    /// The rules of several policies, each policy's in order, of which an enforcer may ask any first; `switch` is about
    /// which. What the first rule that matches in one of them says, some reading says: so each policy stands first
    /// once, as far as the switch goes, and then all of them stand in a row.
    pub fn policies_in_any_order(&mut self, policies: Vec<Vec<(RuleAction, Truth, D)>>, switch: Switch) {
        let in_a_row: Vec<(RuleAction, Truth)> =
            policies.iter().flatten().map(|(action, matches, _)| (*action, *matches)).collect();
        for policy in policies {
            for (action, matches, decider) in policy {
                self.rule(action, matches.and(Truth::open(switch)), || decider);
                // Later rules of this policy are not asked.
                if matches == Truth::Yes && action != RuleAction::Log {
                    break;
                }
            }
        }
        for (action, matches) in in_a_row.into_iter().filter(|(_, matches)| *matches != Truth::No) {
            match action {
                _ if !self.here => return,
                RuleAction::Allow => self.decides(Verdict::Allow, matches, []),
                RuleAction::Deny => self.decides(Verdict::Deny, matches, []),
                RuleAction::Pass => self.passes(matches),
                RuleAction::Log => {}
            }
        }
    }

    /// The end of a tier: whether it denies what no rule of the tier has decided. Where it does not, the next tier
    /// decides.
    pub fn end_of_tier(&mut self, denies: Truth, decider: impl FnOnce() -> D) {
        if self.here && denies != Truth::No {
            self.decides(Verdict::Deny, denies, [decider()]);
        }
        self.forks.push(Fork::TierEnds);
        self.here |= self.passed;
        self.passed = false;
    }

    fn passes(&mut self, when: Truth) {
        self.forks.push(Fork::Passes { when });
        self.passed = true;
        self.here = when != Truth::Yes;
    }

    fn decides(&mut self, verdict: Verdict, when: Truth, deciders: impl IntoIterator<Item = D>) {
        self.forks.push(Fork::Decides { verdict, when });
        match verdict {
            Verdict::Allow => self.allowed_by.extend(deciders),
            Verdict::Deny => self.denied_by.extend(deciders),
        }
        self.here = when != Truth::Yes;
    }

    /// Whether no tier has been told.
    pub fn is_untold(&self) -> bool {
        self.forks.is_empty()
    }

    /// Whether some rule allows the packet; that no tier decides is a no here.
    pub fn is_allowed_by_rule(&self) -> Truth {
        self.truth(Verdict::Deny)
    }

    /// The answer after the last tier. `nobody` names who decides what no tier does.
    pub fn outcome(mut self, nobody: impl FnOnce() -> D) -> Outcome<D> {
        debug_assert!(!self.passed, "the last tier has an end");
        if self.here {
            self.allowed_by.push(nobody());
        }
        let truth = self.truth(Verdict::Allow);
        Outcome { truth, allowed_by: self.allowed_by, denied_by: self.denied_by }
    }

    /// From the last fork to the first: which verdicts the rest of the list gives, and whether the fork matters to
    /// them. Forks are kept only where some reading of those before leads to them. `undecided`: what becomes of a packet
    /// that no tier decides.
    fn truth(&self, undecided: Verdict) -> Truth {
        let mut next_tier = Verdicts::of(undecided);
        // What follows in this tier decides so, or leaves the packet to the next tier.
        let mut in_tier = Verdicts::default();
        let mut goes_on = true;
        let mut switches = Switches::default();
        for fork in self.forks.iter().rev() {
            let following = in_tier.or(next_tier, goes_on);
            let (when, matters) = match *fork {
                Fork::TierEnds => {
                    next_tier = following;
                    in_tier = Verdicts::default();
                    goes_on = true;
                    continue;
                }
                Fork::Decides { verdict, when } => {
                    let certain = when == Truth::Yes;
                    in_tier = Verdicts::of(verdict).or(in_tier, !certain);
                    goes_on &= !certain;
                    (when, following.differ_from(Verdicts::of(verdict)))
                }
                Fork::Passes { when } => {
                    // To go on without this rule or by it is the same.
                    let matters = in_tier.differ_from(next_tier);
                    if when == Truth::Yes {
                        in_tier = Verdicts::default();
                    }
                    goes_on = true;
                    (when, matters)
                }
            };
            if let (Truth::Either(open), true) = (when, matters) {
                switches = switches.union(open);
            }
        }
        match in_tier.or(next_tier, goes_on) {
            Verdicts { allow: true, deny: true } => Truth::Either(switches),
            Verdicts { deny: true, .. } => Truth::No,
            Verdicts { .. } => Truth::Yes,
        }
    }
}

impl Verdicts {
    fn of(verdict: Verdict) -> Self {
        Verdicts { allow: verdict == Verdict::Allow, deny: verdict == Verdict::Deny }
    }

    /// These and, where `too`, the others.
    fn or(self, others: Verdicts, too: bool) -> Self {
        Verdicts { allow: self.allow || too && others.allow, deny: self.deny || too && others.deny }
    }

    /// Whether one of these may differ from one of the others.
    fn differ_from(self, others: Verdicts) -> bool {
        self.allow && others.deny || self.deny && others.allow
    }
}
