//! The oracle against written cases, against itself (matrix and prediction), and in sentences.

mod decisions;
mod explain;
mod matrix;
mod networkpolicy;
mod script;
mod services;
mod world;
