//! What every file that people write is read with: files are found, their documents read, problems kept with their
//! places.
//!
//! - `files`: which files paths lead to, and the root that none is read beyond;
//! - `document`: a YAML document with its text, and the list of problems; `kinds`: which documents are ours;
//! - `unions`, `tree`, `ports`, `words`: values that several formats write in the same way;
//! - `topology`: topologies as they are written; `library`: where named ones are found;
//! - `placed`: changes of objects with their places; `lost`: what could not be read; `refusals`: what the control
//!   plane refuses; `lint`: selectors and services that have no effect;
//! - `options`: what the command line says about loading.

pub mod document;
pub mod files;
pub mod library;
pub mod lint;
pub mod lost;
pub mod options;
pub mod own_kinds;
pub mod placed;
pub mod ports;
pub mod refusals;
pub mod topology;
pub mod tree;
pub mod unions;
pub mod words;

pub use library::topologies;
pub use options::Options;
