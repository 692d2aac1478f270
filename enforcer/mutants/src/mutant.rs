//! What a mutant is: an enforcer with one fault, and where that sits.

use crate::nft;
use crate::site::Site;
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
    pub(crate) fault: Fault,
}

impl Mutant {
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
pub(crate) enum Fault {
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
