//! Enforcers that are each wrong in one way, on purpose: what tests the conformance suite.
//!
//! A mutant is the enforcer itself with one fault at one of its seams: what it receives, the program or the
//! ruleset that it makes of it, or what it says of who decided. So the faults sit in this crate, and the enforcer knows nothing of
//! them. [`MUTANTS`] is the table of all. Tests alone use this crate; no released binary has it.
//!
//! What the API leaves open is no fault. One that says wrongly who decided moves no packet, and is of a kind of its own
//! ([`MutantKind`]); any other that no packet can show is no fault.

#![warn(clippy::indexing_slicing)]

mod blocks;
mod deciders;
mod enforcer;
mod isolation;
mod mutant;
mod nft;
mod nodes;
mod peers;
mod ports;
mod rewrite;
mod selectors;
mod services;
mod site;
mod table;
mod tiers;
mod time;
mod union;
#[cfg(test)]
#[path = "../../tests/world/mod.rs"]
mod world;

pub use enforcer::MutatedEnforcer;
pub use mutant::{Mutant, MutantKind};
pub use table::MUTANTS;

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_mutant_has_a_name_and_a_sentence_of_its_own() {
        let names: BTreeSet<&str> = MUTANTS.iter().map(|mutant| mutant.name).collect();
        assert_eq!(names.len(), MUTANTS.len());
        let sentences: BTreeSet<&str> = MUTANTS.iter().map(|mutant| mutant.wrong).collect();
        assert_eq!(sentences.len(), MUTANTS.len());
        for Mutant { name, wrong, .. } in MUTANTS {
            assert!(name.chars().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '-'));
            assert!(wrong.ends_with(|end: char| end.is_alphanumeric() || end == '`'), "{wrong}");
            assert_eq!(Mutant::named(name).map(|it| it.wrong), Some(*wrong));
        }
    }
}
