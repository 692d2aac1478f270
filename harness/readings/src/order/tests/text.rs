//! Lists as text, for tests: `[D?a A+]! [A+]`.
//!
//! A tier stands in brackets. A rule is its action (`A`llow, `D`eny, `P`ass, `L`og) and whether it matches: `+` in
//! every reading, `-` in none, `?a` in some, which the switch `a` chooses. `(A? A+)` are rules of one tier that may
//! be read in any order. After the bracket stands whether the tier's end denies, `!` or `?a`; without it the next
//! tier decides.

use crate::order::RuleAction;
use crate::profile::{Switch, Switches};
use crate::truth::Truth;

/// A tier.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Tier {
    pub rules: Rules,
    pub denies: Truth,
}

/// Its rules.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Rules {
    InOrder(Vec<(RuleAction, Truth)>),
    AllowInAnyOrder(Vec<Truth>),
}

/// The switches that stand for `a`, `b`, ...
const SWITCHES: [Switch; 5] = [
    Switch::Icmp,
    Switch::IpBlockAndPods,
    Switch::IpBlockAndNodes,
    Switch::PolicyAndDnat,
    Switch::PolicyAndMasquerade,
];

/// The switch of a letter.
pub(crate) fn switch(letter: char) -> Switch {
    "abcde".chars().zip(SWITCHES).find(|(own, _)| *own == letter).unwrap().1
}

/// The letters of switches.
pub(crate) fn letters(switches: Switches) -> String {
    "abcde".chars().zip(SWITCHES).filter(|(_, it)| switches.contains(*it)).map(|(letter, _)| letter).collect()
}

/// The tiers of a text.
pub(crate) fn tiers(text: &str) -> Vec<Tier> {
    let mut tiers = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let any = rest.starts_with('(');
        let (rules, after) = rest[1..].split_once(if any { ')' } else { ']' }).unwrap();
        let end = after.find(['[', '(']).unwrap_or(after.len());
        let rules = rules.split_whitespace().map(rule);
        tiers.push(Tier {
            rules: match any {
                true => Rules::AllowInAnyOrder(
                    rules
                        .map(|(action, truth)| (action == RuleAction::Allow).then_some(truth).unwrap())
                        .collect(),
                ),
                false => Rules::InOrder(rules.collect()),
            },
            denies: truth(after[..end].trim()),
        });
        rest = &after[end..];
    }
    tiers
}

/// One rule: `D?a`.
pub(crate) fn rule(text: &str) -> (RuleAction, Truth) {
    let action = match &text[..1] {
        "A" => RuleAction::Allow,
        "D" => RuleAction::Deny,
        "P" => RuleAction::Pass,
        "L" => RuleAction::Log,
        other => panic!("no action is called {other}"),
    };
    (action, truth(&text[1..]))
}

fn truth(text: &str) -> Truth {
    match text {
        "+" | "!" => Truth::Yes,
        "-" | "" => Truth::No,
        _ => Truth::open(switch(text.strip_prefix('?').unwrap().chars().next().unwrap())),
    }
}
