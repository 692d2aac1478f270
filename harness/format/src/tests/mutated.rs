//! No text makes the format panic.

use super::*;
use proptest::prelude::*;

/// Pieces that mean something somewhere.
const PIECES: [&str; 28] = [
    "pod/", "service/", "node/", ":80", "/udp", " -> ", "*", "&a ", "*a", "[", "{", "]", "}", "- ", ": ",
    "|\n", "\n", "  ", "null", "🦀", "\u{0}", "-1", "99999", "#", "$(", "$(base)", "like: ", "[0]",
];

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_mutated_scenario_is_a_plan_or_an_error(
        edits in prop::collection::vec((0..4000usize, 0..40usize, 0..PIECES.len(), any::<bool>()), 1..4),
    ) {
        // Both ways are fine: what matters is to come back.
        let _ = load_text(&mutated(good::EVERYTHING, edits));
    }

    #[test]
    fn a_mutated_case_table_is_plans_or_an_error(
        edits in prop::collection::vec((0..4000usize, 0..40usize, 0..PIECES.len(), any::<bool>()), 1..4),
    ) {
        let _ = load_text(&mutated(cases::TABLE, edits));
    }
}

/// A text with pieces put in, or in the place of others.
fn mutated(text: &str, edits: Vec<(usize, usize, usize, bool)>) -> String {
    let mut text: Vec<char> = text.chars().collect();
    for (at, length, piece, keep) in edits {
        let at = at % text.len();
        let end = if keep { at } else { (at + length).min(text.len()) };
        text.splice(at..end, PIECES[piece].chars());
    }
    text.into_iter().collect()
}
