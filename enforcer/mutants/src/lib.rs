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
mod nft;
mod nodes;
mod peers;
mod ports;
mod rewrite;
mod selectors;
mod services;
mod table;
mod time;
mod union;
#[cfg(test)]
#[path = "../../tests/world/mod.rs"]
mod world;

pub use enforcer::MutatedEnforcer;
pub use table::MUTANTS;

use netproof_api::{LabelSelector, Labels};
use netproof_controlplane::Snapshot;
use netproof_enforcer::program::Program;
use netproof_model::{Decision, IdentityTable};
use std::sync::Arc;

/// An enforcer that is wrong in one way.
#[derive(Clone, Copy, Debug)]
pub struct Mutant {
    /// Its name: short, unique, with dashes.
    pub name: &'static str,
    /// What is wrong, in one sentence about the enforcer.
    pub wrong: &'static str,
    fault: Fault,
}

impl Mutant {
    /// The mutant of that name.
    pub fn named(name: &str) -> Option<&'static Mutant> {
        MUTANTS.iter().find(|mutant| mutant.name == name)
    }

    /// By what it is to be caught.
    pub fn kind(&self) -> MutantKind {
        match self.fault {
            Fault::Names(_) => MutantKind::Decider,
            _ => MutantKind::Verdict,
        }
    }
}

/// What a mutant gets wrong, and so by what it is to be caught.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MutantKind {
    /// Verdicts: packets go where they must not, or stay away where they must not.
    Verdict,
    /// Who decided: every packet goes as it must, and another is named for it.
    Decider,
}

impl PartialEq for Mutant {
    fn eq(&self, other: &Mutant) -> bool {
        self.name == other.name
    }
}

impl Eq for Mutant {}

/// Where the enforcer goes wrong, and how.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// It reads the objects as if they were these.
    Objects(fn(&mut Snapshot)),
    /// It evaluates a selector so: whether the labels match.
    Selectors(fn(&LabelSelector, &Labels) -> bool),
    /// It reads the objects in the light of those that it received before, oldest first.
    Memory(fn(&mut Snapshot, &[Arc<Snapshot>])),
    /// It compiles this program for a node.
    Program(fn(&mut Program, &Site<'_>)),
    /// It makes something else of the program of a node in nftables.
    Nft(nft::Fault),
    /// It names this for who decided, given everything that it has numbers for; `None`: who did.
    Names(fn(&Decision, &IdentityTable) -> Option<Decision>),
}

/// For whom a program or a ruleset is made.
struct Site<'a> {
    /// The objects.
    snapshot: &'a Snapshot,
    /// The node.
    node: &'a str,
}

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
