//! The differential run: random clusters, random policies and random changes, the packets held against the
//! oracle.
//!
//! A seed and a number make a case (`generate`): a cluster and the states that its objects pass through. Each
//! case is written as a scenario file (`text`), read and run as any other (`differential`); each of its states is
//! one pair of cluster and policies, and its whole matrix is tried. Of a case that fails everything is left out
//! that it fails without (`shrink`), and what remains is a file to keep.

mod answers;
mod case;
mod differential;
mod generate;
mod objects;
mod policies;
mod policy;
mod random;
mod shrink;
mod smaller;
mod text;
mod trial;
mod visits;
mod vocabulary;
mod without;

#[cfg(test)]
mod tests;

pub use differential::{Failure, FuzzOptions, Progress, Totals, fuzz};
pub use generate::Fixed;
pub use without::Feature;
