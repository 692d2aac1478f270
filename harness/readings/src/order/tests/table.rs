//! The truth table of ordered lists, and the evaluator held against it.

use super::text::{Rules, Tier, letters, rule, tiers};
use crate::order::{Outcome, RuleAction, TierWalk};
use crate::truth::Truth;

/// What the evaluator says of a list. Rules are named by tier and position, `0.1`, the end of a tier is `0.e`, and
/// nobody is `-`.
pub(crate) fn evaluate(tiers: &[Tier]) -> Outcome<String> {
    let mut walk = TierWalk::new();
    for (t, Tier { rules, denies }) in tiers.iter().enumerate() {
        match rules {
            Rules::InOrder(rules) => {
                for (r, (action, matches)) in rules.iter().enumerate() {
                    walk.rule(*action, *matches, || format!("{t}.{r}"));
                }
            }
            Rules::AllowInAnyOrder(rules) => {
                let named = |(r, matches): (usize, &Truth)| (*matches, format!("{t}.{r}"));
                walk.allows_in_any_order(rules.iter().enumerate().map(named));
            }
        }
        walk.end_of_tier(*denies, || format!("{t}.e"));
    }
    walk.outcome(|| "-".to_owned())
}

/// `allow WHO`, `deny WHO` or `open SWITCHES`.
fn answer(text: &str) -> String {
    let Outcome { truth, allowed_by, denied_by } = evaluate(&tiers(text));
    match truth {
        Truth::Yes => format!("allow {}", allowed_by.join(" ")),
        Truth::No => format!("deny {}", denied_by.join(" ")),
        Truth::Either(switches) => format!("open {}", letters(switches)),
    }
}

/// The first rule by line, the second by column. `A:0,1` is allowed by either of the two, `e` is the end of the tier,
/// `-` nobody, and `?:ab` is open, with the switch of the first rule and that of the second.
const PAIRS_BEFORE_AN_END_THAT_DENIES: &str = "
          A+     A?b    D+     D?b      P+     P?b    L+     L?b    A-
    A+    A:0    A:0    A:0    A:0      A:0    A:0    A:0    A:0    A:0
    A?a   A:0,1  ?:ab   ?:a    ?:a      A:0,-  ?:ab   ?:a    ?:a    ?:a
    D+    D:0    D:0    D:0    D:0      D:0    D:0    D:0    D:0    D:0
    D?a   ?:a    ?:ab   D:0,1  D:0,1,e  ?:a    ?:ab   D:0,e  D:0,e  D:0,e
    P+    A:-    A:-    A:-    A:-      A:-    A:-    A:-    A:-    A:-
    P?a   A:1,-  ?:ab   ?:a    ?:a      A:-    ?:ab   ?:a    ?:a    ?:a
    L+    A:1    ?:b    D:1    D:1,e    A:-    ?:b    D:e    D:e    D:e
    L?a   A:1    ?:b    D:1    D:1,e    A:-    ?:b    D:e    D:e    D:e
    A-    A:1    ?:b    D:1    D:1,e    A:-    ?:b    D:e    D:e    D:e
    D-    A:1    ?:b    D:1    D:1,e    A:-    ?:b    D:e    D:e    D:e
    P-    A:1    ?:b    D:1    D:1,e    A:-    ?:b    D:e    D:e    D:e
    L-    A:1    ?:b    D:1    D:1,e    A:-    ?:b    D:e    D:e    D:e
";

const PAIRS_BEFORE_AN_END_THAT_DOES_NOT: &str = "
          A+     A?b      D+     D?b    P+     P?b    L+     L?b    A-
    A+    A:0    A:0      A:0    A:0    A:0    A:0    A:0    A:0    A:0
    A?a   A:0,1  A:0,1,-  ?:a    ?:ab   A:0,-  A:0,-  A:0,-  A:0,-  A:0,-
    D+    D:0    D:0      D:0    D:0    D:0    D:0    D:0    D:0    D:0
    D?a   ?:a    ?:a      D:0,1  ?:ab   ?:a    ?:a    ?:a    ?:a    ?:a
    P+    A:-    A:-      A:-    A:-    A:-    A:-    A:-    A:-    A:-
    P?a   A:1,-  A:1,-    ?:a    ?:ab   A:-    A:-    A:-    A:-    A:-
    L+    A:1    A:1,-    D:1    ?:b    A:-    A:-    A:-    A:-    A:-
    L?a   A:1    A:1,-    D:1    ?:b    A:-    A:-    A:-    A:-    A:-
    A-    A:1    A:1,-    D:1    ?:b    A:-    A:-    A:-    A:-    A:-
    D-    A:1    A:1,-    D:1    ?:b    A:-    A:-    A:-    A:-    A:-
    P-    A:1    A:1,-    D:1    ?:b    A:-    A:-    A:-    A:-    A:-
    L-    A:1    A:1,-    D:1    ?:b    A:-    A:-    A:-    A:-    A:-
";

/// Longer lists, and those of several tiers.
const LISTS: &[(&str, &str)] = &[
    // Nothing at all, and tiers that say nothing.
    ("", "allow -"),
    ("[]", "allow -"),
    ("[]!", "deny 0.e"),
    ("[]?a", "open a"),
    // A match that is settled hides what comes after it; one that is open does not.
    ("[A+ D+]!", "allow 0.0"),
    ("[D?a A+ D+]!", "open a"),
    ("[A?a D+ A+]!", "open a"),
    ("[D?a A?b D+]", "open ab"),
    ("[D?a A?b A+]", "open a"),
    ("[A?a D?b A+]", "open ab"),
    ("[A?a D?b D+]", "open a"),
    ("[A?a A?b A+]!", "allow 0.0 0.1 0.2"),
    ("[D?a D?b D+]", "deny 0.0 0.1 0.2"),
    ("[D?a L+ A+]!", "open a"),
    ("[A?a A?b L?c]!", "open ab"),
    // Pass leaves the rest of the tier out, and its end.
    ("[P+ D+]! [A+]!", "allow 1.0"),
    ("[P+]! []!", "deny 1.e"),
    ("[P+]! [D?a]", "open a"),
    ("[A?a P+ D+]! [D+]", "open a"),
    ("[D?a P+ A+]! [D+]", "deny 0.0 1.0"),
    ("[P?a D+] [D+]", "deny 0.1 1.0"),
    ("[P?a D+] [A+]", "open a"),
    ("[P?a A+] [A?b]!", "open ab"),
    ("[P?a D+] [A?b]!", "open ab"),
    ("[P?a A?b D+] [A+]", "open ab"),
    ("[P?a A?b D+] [D+]", "open ab"),
    // Whether it is passed or goes on by itself is the same.
    ("[P?a] [D+]", "deny 1.0"),
    ("[P?a]! [D+]", "deny 0.e 1.0"),
    ("[P?a]?b [D+]", "deny 0.e 1.0"),
    ("[P?a]?b [A+]", "open ab"),
    ("[P?a P?b]! [A+]", "open ab"),
    ("[P?a P+ D+]! [A+]", "allow 1.0"),
    // What the last tier passes is allowed.
    ("[P+ D+]!", "allow -"),
    ("[]  [P?a]!", "open a"),
    // The end of a tier denies what no rule decides, and hides the tiers after it.
    ("[A-]! [A+]", "deny 0.e"),
    ("[A?a]! [A+]", "open a"),
    ("[A?a]! [D+]", "open a"),
    ("[D?a]! [A+]", "deny 0.0 0.e"),
    ("[A-]?a [A+]", "open a"),
    ("[A-]?a [D+]", "deny 0.e 1.0"),
    ("[A?a]?b [A+]", "open ab"),
    ("[A?a]?b [D+]", "open a"),
    ("[D?a]?b [A+]", "open ab"),
    ("[D?a]?b [D?c]!", "deny 0.0 0.e 1.0 1.e"),
    // An end that does not deny leaves it to the next tier, and so on.
    ("[D-] [D-] [D+]", "deny 2.0"),
    ("[D?a] [A?b] [D+]", "open ab"),
    ("[D?a] [A?b] [A+]", "open a"),
    ("[P?a D?b] [P?c A?d]! [D+]", "open abcd"),
    ("[P?a D?b] [P?c A?d]! [A+]", "open abcd"),
    // One switch at several rules: they count as independent.
    ("[D?a A?a D+]", "open a"),
    ("[A?a A?a]!", "open a"),
    // NetworkPolicy: rules that allow in any order, and an end that denies where a policy isolates.
    ("(A-)!", "deny 0.e"),
    ("()!", "deny 0.e"),
    ("(A+)!", "allow 0.0"),
    ("(A- A+ A+)!", "allow 0.1 0.2"),
    ("(A?a A+)!", "allow 0.0 0.1"),
    ("(A+ A?a)!", "allow 0.0 0.1"),
    ("(A?a A?b)!", "open ab"),
    ("(A?a A-)!", "open a"),
    ("(A?a A?b)", "allow 0.0 0.1 -"),
    // ClusterNetworkPolicy: Admin, NetworkPolicy where one isolates, Baseline.
    ("[P+ D+] (A+)! [D+]", "allow 1.0"),
    ("[P+ D+] (A-)! [A+]", "deny 1.e"),
    ("[P+ D+] [D+]", "deny 1.0"),
    ("[P- D+] (A+)! [A+]", "deny 0.1"),
    ("[A+] (A-)! [D+]", "allow 0.0"),
    ("[P?a D+] (A+)!", "open a"),
    ("[D?a] (A+ A?b)! [D+]", "open a"),
];

fn pairs(table: &str, end: &str) -> Vec<String> {
    let mut lines = table.lines().filter(|line| !line.trim().is_empty());
    let columns: Vec<&str> = lines.next().unwrap().split_whitespace().collect();
    let mut wrong = Vec::new();
    for line in lines {
        let mut words = line.split_whitespace();
        let first = words.next().unwrap();
        let cells: Vec<&str> = words.collect();
        assert_eq!(cells.len(), columns.len(), "{line}");
        for (second, cell) in columns.iter().zip(cells) {
            let list = format!("[{first} {second}]{end}");
            let expected = match cell.split_once(':').unwrap() {
                ("A", who) => format!("allow {}", deciders(who)),
                ("D", who) => format!("deny {}", deciders(who)),
                (_, switches) => format!("open {switches}"),
            };
            let found = answer(&list);
            if found != expected {
                wrong.push(format!("{list}: {found}, not {expected}"));
            }
        }
    }
    wrong
}

fn deciders(who: &str) -> String {
    let in_tier = |it: &str| if it == "-" { it.to_owned() } else { format!("0.{it}") };
    who.split(',').map(in_tier).collect::<Vec<_>>().join(" ")
}

#[test]
fn every_pair_of_rules() {
    let denies = pairs(PAIRS_BEFORE_AN_END_THAT_DENIES, "!");
    assert!(denies.is_empty(), "{}", denies.join("\n"));
    let does_not = pairs(PAIRS_BEFORE_AN_END_THAT_DOES_NOT, "");
    assert!(does_not.is_empty(), "{}", does_not.join("\n"));
}

#[test]
fn longer_lists_and_tiers() {
    let wrong = LISTS.iter().map(|(list, expected)| (list, answer(list), expected));
    let wrong: Vec<_> = wrong.filter(|(_, found, expected)| found != *expected).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_list_is_read_as_it_is_written() {
    let all = tiers("[D?a L-]! (A+)");
    let in_order = vec![rule("D?a"), (RuleAction::Log, Truth::No)];
    let first = Tier { rules: Rules::InOrder(in_order), denies: Truth::Yes };
    let second = Tier { rules: Rules::AllowInAnyOrder(vec![Truth::Yes]), denies: Truth::No };
    assert_eq!(all, [first, second]);
}
