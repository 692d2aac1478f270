//! What the API server and the controllers of a cluster fill in: addresses and node ports (the same in
//! every run), default labels, EndpointSlices.
//!
//! [`ControlPlane`] takes changes and answers with a [`Snapshot`]: the completed objects of one
//! generation, which the enforcer, the cluster, the probes and the oracle all read.

pub mod snapshot;

pub use snapshot::{Snapshot, host_interface};
