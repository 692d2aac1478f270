//! Readings of an API: what it leaves open and what enforcers choose there (`profile`, `profiles`), answers in three
//! values (`truth`), and what follows from them where policies stand in an order (`order`).
//!
//! The oracle's alone: no enforcer shares it.

#![warn(clippy::indexing_slicing)]

pub mod order;
pub mod profile;
pub mod profiles;
pub mod truth;

pub use profile::{Profile, Switch, Switches};
pub use profiles::PROFILES;
pub use truth::Truth;
