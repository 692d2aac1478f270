//! The YAML format: reads scenario files, checks them as a whole, and turns them into plans.

mod filter;
mod matrix;
