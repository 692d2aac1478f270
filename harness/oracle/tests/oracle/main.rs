//! The oracle against written cases, against itself (matrix and prediction), and in sentences.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test says what went wrong by panicking")]

mod anything;
mod choices;
mod clusternetworkpolicy;
mod decisions;
mod explain;
mod matrix;
mod networkpolicy;
mod random;
mod recipes;
mod script;
mod services;
mod strict;
mod world;
