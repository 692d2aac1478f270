//! The oracle against written cases, against itself (matrix and prediction), and in sentences.

mod networkpolicy;
mod script;
mod world;
