//! nftables: a ruleset as data, its text, the difference between two, and loading it into the kernel.
//!
//! A caller describes its rules as a [`Ruleset`]; an [`Agent`] puts them in force on one node, in one atomic
//! switch.

mod agent;
mod diff;
mod encode;
mod expressions;
mod guards;
mod kernel;
pub mod names;
mod networks;
mod random;
mod ruleset;
mod sets;
mod text;
mod values;
mod wire;

pub use agent::{Agent, Report};
pub use kernel::{DEFAULT_SEND_BUFFER, KernelError, comments};
pub use random::{any_of, destinations};
pub use ruleset::{
    Base, Chain, ChainType, Data, DataType, Element, Rule, Ruleset, Set, Statement, Table, TableFamily,
    TableId, Test, Verdict,
};
pub use values::{Field, KeyType, Part, Value};
