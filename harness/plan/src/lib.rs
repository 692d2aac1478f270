//! What a scenario means: the plan ([`Plan`], its steps, flows and expectations), with everything that can be known
//! of it before anything is built.
//!
//! - `flows`: a flow's names, found among the objects of a step, become a request;
//! - `addresses`: which address has which name;
//! - `states`: the objects at each step, with and without those of policy;
//! - `cells`: the flows of the matrix that a step tries beside those that it names;
//! - `inferred`: ports and outside hosts to ask about where nobody says them;
//! - `ignored`: objects that have no part in the plan, and what that means.

pub mod addresses;
pub mod cells;
pub mod flows;
pub mod ignored;
pub mod inferred;
mod loaded;
mod plan;
pub mod selectors;
pub mod states;

pub use loaded::{Loaded, NotApplicable};
pub use plan::{
    AddressName, Baseline, Expectation, Expected, MatrixDestination, MatrixPlan, Plan, PolicySees, Step,
    Stream, UnknownStep,
};

#[cfg(any(test, feature = "testing"))]
pub mod testing;
