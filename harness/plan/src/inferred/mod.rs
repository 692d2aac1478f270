//! What a cluster is asked about where nobody says it: the ports that pods and hosts outside are asked at, and
//! hosts for the addresses outside that its policies tell apart.
//!
//! `containerPort` is informational: a pod that declares none may well be what a service or a policy is about.
//! Nothing here decides about a packet: the oracle and the enforcer each have their own evaluation.

mod hosts;
mod outside;
mod ports;

pub use hosts::{Refused, with_host};
pub use outside::{Absent, Balancers, Class, Outside, stand_ins};
pub use ports::{listening, of_pods, with_ports};
